"""Tests the channel variables: those that take precedence over the lot's parameters, and those that are set for the CDR."""

import time

import pytest

from conftest import LOTS
from phone import DOMAIN
from switch import wait_for


def parked_with(switch, phones, *variables, says=600):
    """Parks a caller in 701 with these variables. Returns the call and its row."""
    sets = "".join(f'<action application="set" data="{name}={value}"/>' for name, value in variables)
    assert switch.reload(LOTS, extensions=f"""
      <extension name="with"><condition field="destination_number" expression="^with$">
        {sets}<action application="callpark_park" data="701"/>
      </condition></extension>""").startswith("+OK")
    caller = phones(says=says, name="Alice").call("with")
    return caller, wait_for(switch.calls)[0]


def test_label_and_parker(switch, phones):
    caller, row = parked_with(switch, phones, ("callpark_label", "Mr Chen, invoice"), ("callpark_parker", f"1003@{DOMAIN}"))
    assert (row["label"], row["parker"]) == ("Mr Chen, invoice", f"1003@{DOMAIN}")
    event = switch.events.wait("park")
    assert (event["CallPark-Label"], event["CallPark-Parker"]) == ("Mr Chen, invoice", f"1003@{DOMAIN}")
    caller.hang_up()


def test_hold_music(switch, phones):
    caller, _ = parked_with(switch, phones, ("callpark_hold_music", "tone_stream://%(1000,0,520);loops=-1"))
    assert caller.audio.hears(520)
    caller.hang_up()


def test_timeout_and_fallback(switch, phones):
    caller, row = parked_with(switch, phones, ("callpark_timeout", "1"), ("callpark_ringback", "none"),
                              ("callpark_fallback", "tone-1300"))
    assert caller.audio.hears(1300, within=5)
    assert switch.events.of(row["uuid"]) == ["park", "fallback"]
    caller.hang_up()


def test_ringback_and_its_timeout(switch, phones):
    phone = phones("1003")
    caller, row = parked_with(switch, phones, ("callpark_timeout", "1"), ("callpark_ringback", f"user/1003@{DOMAIN}"),
                              ("callpark_ringback_timeout", "3"), ("callpark_fallback", "tone-1300"))
    ringing = phone.wait_call(5)
    began = time.monotonic()
    # The core counts whole seconds, so the first of the three may be shorter.
    assert ringing.wait_over(6) and 1 < time.monotonic() - began < 4, "the phone did not ring for 3 s"
    assert caller.audio.hears(1300, within=5)
    assert switch.events.of(row["uuid"]) == ["park", "ringback", "ringback-failed", "fallback"]
    caller.hang_up()


@pytest.mark.parametrize("name, value", [
    ("callpark_timeout", "soon"), ("callpark_timeout", "-1"), ("callpark_timeout", "9" * 40), ("callpark_ringback_timeout", "0"),
    ("callpark_announce", "perhaps"), ("callpark_fallback", "a b c d e"), ("callpark_label", "%n%s&lt;x&gt;"),
    ("callpark_parker", "&quot;&lt;nobody&gt;"),
])
def test_an_invalid_variable_is_ignored(switch, phones, name, value):
    caller, row = parked_with(switch, phones, (name, value))
    assert (row["slot"], row["state"]) == ("701", "parked") and caller.audio.hears_sound()
    caller.hang_up()


def test_the_variables_for_the_cdr_are_set(switch, phones):
    caller, row = parked_with(switch, phones, ("callpark_parker", f"1003@{DOMAIN}"))
    uuid = row["uuid"]
    expected = {"callpark_lot": "main", "callpark_slot": "701", "callpark_parker": f"1003@{DOMAIN}", "callpark_result": "parked",
                "callpark_parked_at": str(row["parked_at"])}
    assert {name: switch.var(uuid, name) for name in expected} == expected
    time.sleep(1)
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600)
    assert wait_for(lambda: switch.var(uuid, "callpark_outcome") == "retrieved")
    assert switch.var(uuid, "callpark_retriever") == f"1002@{DOMAIN}"
    assert 900 <= int(switch.var(uuid, "callpark_wait_ms")) < 5000
    caller.hang_up()


def test_two_domains_have_the_same_slot_and_each_its_own_caller(switch, phones):
    assert switch.reload(LOTS).startswith("+OK")
    here = phones("1000", says=500).call("do-park-701")
    there = phones("2000", says=600, domain="other.test").call("do-park-701")
    assert wait_for(lambda: len(switch.calls()) == 2)
    assert {(row["slot"], row["domain"]) for row in switch.calls()} == {("701", DOMAIN), ("701", "other.test")}
    taker = phones("2000", says=900, domain="other.test").call("do-retrieve-701")
    assert taker.audio.hears(600) and there.audio.hears(900)
    assert [row["domain"] for row in switch.calls()] == [DOMAIN]
    for call in (taker, there, here):
        call.hang_up()


def test_a_parker_without_a_domain_belongs_to_the_default_domain(switch, phones):
    parker = phones("1003")
    caller, row = parked_with(switch, phones, ("callpark_parker", "1003"), says=600)
    assert row["parker"] == f"1003@{DOMAIN}"
    parker.on_ring = 0.2
    assert switch.api("callpark ringback 701").startswith("+OK")
    assert parker.wait_call(5).audio.hears(600)
    caller.hang_up()


def test_a_call_of_another_domain_is_labelled_and_given_more_time(switch, phones):
    assert switch.reload(LOTS.replace('name="park-timeout" value="0"', 'name="park-timeout" value="60"')).startswith("+OK")
    caller = phones("2000", says=600, domain="other.test").call("with-parker-701")
    row = wait_for(switch.calls)[0]
    assert (row["domain"], row["slot"]) == ("other.test", "701")
    assert switch.api("callpark label 701 wrong").startswith("-ERR nobody is parked"), "the slot of the default domain was not empty"
    assert switch.api("callpark label 701@other.test Mr Chen") == "+OK 701 main@other.test\n"
    assert switch.api("callpark extend 701@other.test 30") == "+OK 701 main@other.test\n"
    after = switch.calls()[0]
    assert after["label"] == "Mr Chen" and abs(after["timeout_at"] - row["timeout_at"] - 30000) < 100
    caller.hang_up()


def test_transfer_after_bridge_is_restored_unchanged(switch, phones):
    """Before: each `$` had become a `%`."""
    caller, row = parked_with(switch, phones)
    value = "tone-1700$&%$"
    assert switch.api(f"uuid_setvar {row['uuid']} transfer_after_bridge {value}").startswith("+OK")
    taker = phones("1002", says=900).call("do-retrieve-701")
    assert taker.audio.hears(600)
    assert switch.var(row["uuid"], "transfer_after_bridge") == value
    caller.hang_up()
    taker.hang_up()
