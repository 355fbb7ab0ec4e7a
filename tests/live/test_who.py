"""Who may retrieve: domains, groups, identity. The parked caller notices nothing of a refusal."""

import pytest

from conftest import MUSIC
from switch import wait_for
from test_ringback import with_lot
from test_story import park_by_transfer


def refused(switch, caller, stranger):
    assert stranger.audio.hears(1700), "the dialplan did not go on"
    event = switch.events.wait("denied", CallPark_Slot="701")
    assert event["variable_callpark_result"] == "denied" and event["CallPark-Retriever-UUID"] == event["Unique-ID"]
    assert caller.audio.hears(MUSIC) and [row["state"] for row in switch.calls()] == ["parked"]
    stranger.hang_up()
    return event


def test_only_members_of_the_groups_retrieve(switch, phones):
    with_lot(switch, ("retrieve-groups", "support, sales"), ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    event = refused(switch, caller, phones("1003", says=900).call("do-slot-701"))
    assert "none of the groups" in event["CallPark-Cause"] and event["CallPark-Retriever"] == "1003@callpark.test"
    outsider = phones(says=1000).call("do-slot-701")
    refused(switch, caller, outsider)
    member = phones("1002", says=900).call("do-slot-701")
    assert member.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()


@pytest.mark.parametrize("trust, words", [("false", ["denied"]), ("true", [])])
def test_a_from_header_is_believed_only_where_the_lot_says_so(switch, phones, trust, words):
    with_lot(switch, ("retrieve-groups", "sales"), ("retrieve-trust-from", trust), ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    switch.events.clear()
    outsider = phones(says=900)
    outsider.user = "1002"  # who it says it is, on the profile that asks for no password
    call = outsider.call("do-slot-701")
    assert call.audio.hears(600 if trust == "true" else 1700)
    if trust == "true":
        assert switch.events.wait("retrieve")["CallPark-Retriever"] == "1002@callpark.test"
    assert [e["CallPark-Action"] for e in switch.events.all if e["CallPark-Action"] == "denied"] == words
    call.hang_up()
    caller.hang_up()


def test_other_domains_where_the_lot_says_so(switch, phones):
    with_lot(switch, ("retrieve-from", "callpark.test, other.test"), ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    taker = phones("2000", says=900, domain="other.test").call("do-retrieve-701_main@callpark.test")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    assert switch.events.wait("retrieve")["CallPark-Retriever"] == "2000@other.test"
    caller.hang_up()


def test_a_tenant_sees_nothing_of_another(switch, phones):
    caller, row = park_by_transfer(phones, switch)
    stranger = phones("2000", says=900, domain="other.test")
    assert stranger.call("do-slot-701").audio.hears(1700), "the same number is a slot of the other domain, and empty"
    assert switch.calls("main@other.test") == []
    assert wait_for(lambda: switch.calls("main@callpark.test") != [])
    oldest = stranger.call("do-retrieve-oldest")
    assert oldest.audio.hears(1700) and caller.audio.hears(MUSIC)
    caller.hang_up()
    stranger.close()
