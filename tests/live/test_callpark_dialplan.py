"""The dialplan `callpark`: one line in the SIP profile, and the numbers of the lots work without a dialplan or a presence map of their own.

The XML dialplan of these tests has none of the numbers here.
"""

import time

import pytest

from conftest import MUSIC, new_switch, stopped_after
from parking import call_on_hold, lot, park_by_transfer
from phone import DOMAIN
from switch import wait_for

SLOTS = "80001-80005,*801"
NUMBERS = (("park-extension", "80000"), ("oldest-extension", "80021"), ("ask-extension", "80022"), ("park-timeout", "0"))
SPELLINGS = ["80003", "+80003", "**80003", "park+80003", "**park+80003", "callpark;orbit=80003"]


@pytest.fixture(scope="module")
def own_switch(failures):
    switch = new_switch()
    switch.users_profile = '<param name="dialplan" value="callpark,XML"/>'
    switch.configure(lot(*NUMBERS, slots=SLOTS))
    with stopped_after(switch, failures):
        switch.start()
        yield switch


@pytest.fixture
def switch(own_switch):
    assert own_switch.reload(lot(*NUMBERS, slots=SLOTS)).startswith("+OK")
    own_switch.events.clear()
    yield own_switch
    assert own_switch.wait_idle(6), own_switch.api("show channels")
    assert wait_for(lambda: all(row["used"] == 0 for row in own_switch.json("lots")))


@pytest.mark.parametrize("to, slot", [("80000", "80001"), *[(spelling, "80003") for spelling in SPELLINGS],
                                      ("park+80000", "80001"), ("park+main", "80001"), ("*801", "*801"), ("**park+*801", "*801")])
def test_a_transfer_to_each_spelling_parks(switch, phones, to, slot):
    """The caller comes from outside, by a profile whose dialplan is XML alone."""
    caller, row = park_by_transfer(phones, switch, to)
    assert (row["slot"], row["lot"], row["domain"], row["parker"]) == (slot, "main", DOMAIN, f"1001@{DOMAIN}")
    assert caller.audio.hears(MUSIC)
    caller.hang_up()


@pytest.mark.parametrize("number", [*SPELLINGS, "pickup;orbit=80003", "80021", "park+main"])
def test_a_user_who_dials_each_spelling_retrieves(switch, phones, number):
    caller, _ = park_by_transfer(phones, switch, "80003")
    taker = phones("1002", says=900).call(number)
    assert taker.audio.hears(600) and caller.audio.hears(900)
    assert switch.events.wait("retrieve")["CallPark-Retriever"] == f"1002@{DOMAIN}"
    caller.hang_up()


def test_all_other_numbers_go_on_to_xml(switch, phones):
    phone = phones("1002", says=900)
    for number in ["tone-1300", "via-tone-1300"]:
        call = phone.call(number)
        assert call.audio.hears(1300)
        call.hang_up()
    other = phones("1001", says=700)
    other.on_ring = 0.1
    call = phone.call("1001")
    assert call.audio.hears(700)
    other.wait_call().refer("tone-1300", referred_by=None)
    assert call.audio.hears(1300)
    call.hang_up()
    assert switch.calls() == []


def test_a_caller_whom_nobody_transfers_is_not_asked_for(switch, phones):
    """The profile of the outside has no line of ours: its callers do not reach the numbers."""
    with pytest.raises(Exception, match="404|NO_ROUTE|480"):
        phones(says=600).call("80000")
    assert switch.calls() == []


def test_an_attended_transfer_uses_the_slot_that_was_announced(switch, phones):
    parker, call, other = call_on_hold(phones)
    consultation = parker.call("80004")
    row = wait_for(switch.calls)[0]
    assert (row["slot"], row["state"]) == ("80004", "reserved")
    call.refer("80004", replaces=consultation)
    parked = other.wait_call()
    assert parked.audio.hears(MUSIC, within=5) and switch.calls()[0]["slot"] == "80004"
    parked.hang_up()


def test_a_command_transfers_a_leg_to_a_number(switch, phones):
    other = phones("1002", says=600)
    other.on_ring = 0.1
    call = phones("1001", says=700).call("1002")
    assert call.audio.hears(600)
    switch.api(f"uuid_transfer {switch.leg(direction='inbound')} -bleg 80002")
    parked = other.wait_call()
    assert parked.audio.hears(MUSIC, within=5) and switch.calls()[0]["slot"] == "80002"
    parked.hang_up()


def test_a_lamp_of_a_plain_number_needs_no_presence_map(switch, phones):
    """The presence map of these tests has only numbers of three digits. Before: there was no NOTIFY with a dialog."""
    lamp, other = phones("1003").subscribe("80003"), phones("1003").subscribe("80004")
    assert lamp.shows("terminated") and other.shows("terminated")
    caller, _ = park_by_transfer(phones, switch, "80003")
    assert lamp.shows("confirmed")
    assert lamp.dialog().get("entity") == f"sip:80003@{DOMAIN}"
    for _ in range(5):
        lamp.bodies.clear()
        lamp.subscribe()
        # FreeSWITCH itself answers first, with no dialog: for it, the number is that of a user without calls.
        assert lamp.shows("confirmed"), "a refreshed subscription did not get the state"
    time.sleep(0.3)
    assert lamp.state == "confirmed", lamp.states
    taker = phones("1002", says=900).call("80003")
    assert taker.audio.hears(600) and lamp.shows("terminated")
    caller.hang_up()
    assert set(other.states) <= {None, "terminated"}


def test_a_subscription_to_a_user_is_left_to_freeswitch(switch, phones):
    lamp = phones("1003").subscribe("1002")
    other = phones("1002", says=600)
    other.on_ring = 0.1
    call = phones("1001", says=700).call("1002")
    assert call.audio.hears(600) and lamp.shows("confirmed")
    call.hang_up()
    assert lamp.shows("terminated")
