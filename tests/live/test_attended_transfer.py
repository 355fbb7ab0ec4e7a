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


def test_a_refer_in_the_consultation_that_replaces_the_call(switch, phones, parker):
    """Some phones transfer this way round."""
    phone, caller, call = parker
    consultation = phone.call("703")
    assert wait_for(switch.calls)
    consultation.refer("x", replaces=call)
    assert caller.audio.hears(MUSIC, within=5)
    assert [(row["slot"], row["state"], row["caller_name"]) for row in switch.calls()] == [("703", "parked", "Alice")]
    caller.hang_up()


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
