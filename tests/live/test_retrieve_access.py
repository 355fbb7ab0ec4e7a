"""Tests who may retrieve a call: domains, groups and users behind a proxy. A refusal does not disturb the parked caller."""

import pytest

from conftest import MUSIC
from parking import lot, park_by_transfer, with_lot
from phone import DOMAIN
from proxy import ADDRESS, Proxy
from switch import wait_for


def refused(switch, caller, stranger):
    assert stranger.audio.hears(1700), "the dialplan did not continue"
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


@pytest.fixture
def proxied(switch, phones):
    """Makes phones behind a proxy. Users 3001 and 3002 are in the directory."""
    proxies = []

    def make(user, proxy=None, **more):
        if proxy is None and not proxies:
            proxies.append(Proxy(switch))
            assert switch.api(f"global_setvar proxy={proxies[0].name}").startswith("+OK")
        phone = phones(**more)
        phone.user, phone.domain = user, "proxied.test"
        return (proxy or proxies[0]).connect(phone)

    yield make
    for proxy in proxies:
        proxy.close()


def trusting(switch, *params, proxies=f"{ADDRESS}/32"):
    settings = f'<param name="trusted-proxies" value="{proxies}"/>'
    assert switch.reload(lot(*params, slots="701-705"), settings).startswith("+OK")


def parks(phones, phone, slot, says=600):
    """The phone calls 1002 and parks the call. Returns 1002's call."""
    other = phones("1002", says=says)
    other.on_ring = 0.1
    call = phone.call("1002")
    assert call.audio.hears(says)
    call.refer(slot, referred_by=None)
    call.hang_up()
    return other.wait_call()


def test_a_user_behind_a_trusted_proxy_parks_and_retrieves(switch, phones, proxied):
    """Before: the leg of such a user belonged to no user, and counted as one of the default domain."""
    trusting(switch, ("park-timeout", "0"), ("park-limit-per-user", "1"))
    parker = proxied("3001", says=700)
    parked = parks(phones, parker, "701")
    row = wait_for(switch.calls)[0]
    assert (row["parker"], row["lot"], row["domain"]) == ("3001@proxied.test", "main", "proxied.test")
    more = phones("1003")
    more.on_ring = 0.1
    second = parker.call("1003")
    parker.on_ring = 486
    second.refer("702", referred_by=None)
    assert switch.events.wait("denied")["variable_callpark_result"] == "limit"
    more.wait_call().hang_up()
    taker = proxied("3002", says=900).call("701")
    assert taker.audio.hears(600) and parked.audio.hears(900)
    assert switch.events.wait("retrieve")["CallPark-Retriever"] == "3002@proxied.test"
    taker.hang_up()


@pytest.mark.parametrize("holds", [True, False])
def test_a_user_behind_a_trusted_proxy_consults_and_gets_the_recall(switch, phones, proxied, holds):
    """The consultation is for the user's other call, also if that is not on hold."""
    trusting(switch, ("park-timeout", "0"))
    parker = proxied("3001", says=700)
    other = phones("1002", says=600)
    other.on_ring = 0.1
    call = parker.call("1002")
    assert call.audio.hears(600)
    if holds:
        call.hold()
    consultation = parker.call("703")
    row = wait_for(switch.calls)[0]
    assert (row["slot"], row["state"], row["parker"]) == ("703", "reserved", "3001@proxied.test")
    call.refer("703", replaces=consultation)
    parked = other.wait_call()
    assert parked.audio.hears(MUSIC, within=5)
    parker.on_ring = 0.2
    assert wait_for(lambda: switch.api("callpark ringback 703 main@proxied.test").startswith("+OK"))
    back = parker.wait_call(5)
    assert back.audio.hears(600, within=5) and parked.audio.hears(700)
    back.hang_up()


@pytest.mark.parametrize("who", ["not trusted", "unknown to the directory", "asserted by the phone"])
def test_the_user_of_a_call_is_taken_only_from_a_trusted_proxy(switch, phones, proxied, who):
    trusting(switch, ("park-timeout", "0"), proxies="127.0.0.9/32" if who == "not trusted" else f"{ADDRESS}/32")
    caller, _ = park_by_transfer(phones, switch)
    switch.events.clear()
    if who == "asserted by the phone":
        phone = phones(says=900)
        phone.user = "1002"
        call = phone.call("do-slot-701", headers=[f"P-Asserted-Identity: <sip:1002@{DOMAIN}>"])
    else:
        phone = proxied("3009" if who == "unknown to the directory" else "3001", says=900)
        call = phone.call("do-retrieve-701_main@callpark.test")
    assert refused(switch, caller, call)["CallPark-Cause"].startswith("it belongs to no user")
    caller.hang_up()


def test_users_of_the_domains_in_retrieve_from_may_retrieve(switch, phones):
    with_lot(switch, ("retrieve-from", "callpark.test, other.test"), ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    taker = phones("2000", says=900, domain="other.test").call("do-retrieve-701_main@callpark.test")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    assert switch.events.wait("retrieve")["CallPark-Retriever"] == "2000@other.test"
    caller.hang_up()


def test_a_tenant_sees_nothing_of_another(switch, phones):
    caller, row = park_by_transfer(phones, switch)
    stranger = phones("2000", says=900, domain="other.test")
    assert stranger.call("do-slot-701").audio.hears(1700), "the slot with the same number in the other domain was not empty"
    assert switch.calls("main@other.test") == []
    assert wait_for(lambda: switch.calls("main@callpark.test") != [])
    oldest = stranger.call("do-retrieve-oldest")
    assert oldest.audio.hears(1700) and caller.audio.hears(MUSIC)
    caller.hang_up()
    stranger.close()
