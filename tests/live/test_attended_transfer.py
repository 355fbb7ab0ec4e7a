"""Attended transfers to a slot: the parker first calls the slot's or the park extension's number (the consultation)."""

import time

import pytest

from conftest import MUSIC
from switch import wait_for


@pytest.fixture
def parker(phones):
    """User 1001 has a call with Alice, who is on hold. Returns the phone, Alice's call, and 1001's leg of it."""
    phone = phones("1001", says=700)
    phone.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("1001")
    call = phone.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.hold()
    return phone, caller, call


def actions(switch):
    return [event["CallPark-Action"] for event in switch.events.all if event["CallPark-Action"] != "reload"]


@pytest.mark.parametrize("number, slot", [("700", "701"), ("703", "703"), ("*5901", "*5901")])
def test_a_slot_is_kept_while_the_parker_consults(switch, phones, parker, number, slot):
    phone, caller, call = parker
    consultation = phone.call(number)
    row = wait_for(switch.calls)[0]
    assert (row["slot"], row["state"], row["caller_name"], row["parker"]) == (slot, "reserved", "Alice", "1001@callpark.test")
    assert consultation.shown[0] == (f"Park {slot}", slot), "the parker's display does not show the slot"
    assert actions(switch) == [], "an event before the transfer"
    stranger = phones("1002", says=900).call(f"do-retrieve-{slot}")
    assert stranger.audio.hears(1700), "a reserved slot was not empty for another user"
    stranger.hang_up()
    call.refer(number, replaces=consultation)
    assert caller.audio.hears(MUSIC, within=5)
    assert wait_for(lambda: [row["state"] for row in switch.calls()] == ["parked"])
    assert [row["slot"] for row in switch.calls()] == [slot]
    uuid = switch.calls()[0]["uuid"]
    taker = phones("1002", says=900).call(slot)
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
    assert switch.events.of(uuid) == ["park", "retrieve"]


def test_a_refer_in_the_consultation_that_replaces_the_call(switch, phones, parker):
    """Some phones transfer this way round."""
    phone, caller, call = parker
    consultation = phone.call("703")
    assert wait_for(switch.calls)
    consultation.refer("x", replaces=call)
    assert caller.audio.hears(MUSIC, within=5)
    assert [(row["slot"], row["state"], row["caller_name"]) for row in switch.calls()] == [("703", "parked", "Alice")]
    caller.hang_up()


def test_the_end_of_a_consultation_frees_the_slot_at_once(switch, phones, parker):
    phone, caller, call = parker
    consultation = phone.call("703")
    assert wait_for(switch.calls)
    consultation.hang_up()
    assert wait_for(lambda: switch.calls() == [], timeout=1)
    call.resume()
    assert caller.audio.hears(700), "the conversation did not continue"
    assert actions(switch) == []
    caller.hang_up()


def test_a_reserved_slot_is_not_given_to_another_call(switch, phones, parker):
    phone, caller, _ = parker
    consultation = phone.call("700")
    assert wait_for(switch.calls)[0]["slot"] == "701"
    other = phones(says=800).call("do-park-auto")
    assert wait_for(lambda: sorted(row["slot"] for row in switch.calls()) == ["701", "702"])
    consultation.hang_up()
    other.hang_up()
    caller.hang_up()


def test_an_occupied_slot_is_retrieved_also_by_a_user_with_another_call(switch, phones, parker):
    phone, caller, _ = parker
    parked = phones(says=800).call("do-park-703")
    assert wait_for(switch.calls)
    consultation = phone.call("703")
    assert consultation.audio.hears(800) and parked.audio.hears(700)
    for call in (consultation, caller):
        call.hang_up()


def test_a_user_without_another_call_reserves_no_slot(switch, phones):
    phone = phones("1001", says=700)
    phone.on_ring = 0.1
    caller = phones(says=600).call("1001")
    call = phone.wait_call()
    assert call.answered.wait(5)
    other = phones("1002").call("do-slot-703")
    assert other.audio.hears(1700), "an empty slot was reserved for a user without a call"
    other.hang_up()
    call.hang_up()
    assert caller.wait_over()
    second = phone.call("do-slot-703")
    assert second.audio.hears(1700), "an empty slot was reserved for a user whose call has ended"
    assert switch.calls() == []
    second.hang_up()


def test_fusionpbx_2479_a_call_on_hold_that_is_parked_and_retrieved_has_audio(switch, phones, parker):
    """There audio was lost after hold. Here the hold ends with the parker's leg."""
    phone, caller, call = parker
    call.refer("705")
    assert caller.audio.hears(MUSIC, within=5)
    call.hang_up()
    taker = phones("1002", says=900).call("705")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    taker.hold()
    time.sleep(0.5)
    taker.resume()
    assert taker.audio.hears(600) and caller.audio.hears(900)
    taker.refer("706")
    assert caller.audio.hears(MUSIC, within=5)
    assert [(row["slot"], row["parker"]) for row in switch.calls()] == [("706", "1002@callpark.test")]
    caller.hang_up()
