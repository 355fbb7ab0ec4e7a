"""Parks and retrieves calls, and checks the audio, the displays and the events."""

import threading
import time

import pytest

from conftest import ANYBODY, MUSIC
from parking import park_by_transfer
from phone import Failed
from switch import wait_for


def test_one_of_forty_retrievers_gets_the_caller(switch, phones):
    assert switch.reload(ANYBODY).startswith("+OK")
    caller, row = park_by_transfer(phones, switch)
    takers = [phones() for _ in range(40)]
    got = []
    lock = threading.Lock()

    def take(phone):
        try:
            call = phone.call("do-retrieve-701")
        except Failed:
            return
        with lock:
            got.append(call)

    threads = [threading.Thread(target=take, args=(phone,)) for phone in takers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert switch.events.of(row["uuid"]) == ["park", "retrieve"]
    winners = [call for call in got if call.audio.hears(600, within=0.6)]
    assert len(winners) == 1, f"{len(winners)} of {len(got)} hear the caller"
    losers = [call for call in got if call is not winners[0]]
    assert len(losers) == 39 and all(call.audio.hears(1700, within=3) for call in losers)
    for call in got:
        call.hang_up()
    assert caller.wait_over()


def test_a_caller_in_bypass_media_is_parked_with_audio(switch, phones):
    receptionist = phones("1001", says=700)
    receptionist.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("bypass-1001")
    call = receptionist.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.refer("700")
    assert caller.audio.hears(MUSIC, within=5)
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    taker.hang_up()
    caller.hang_up()


@pytest.mark.parametrize("delay", [0, 0.005, 0.02, 0.05])
def test_a_retriever_who_hangs_up_at_once_loses_no_caller(switch, phones, delay):
    """Either the two were connected and the call has ended as `retrieved`, or the caller is still parked and another user retrieves the call."""
    caller, row = park_by_transfer(phones, switch)
    call = phones("1002").call("701")
    time.sleep(delay)
    call.hang_up()
    assert wait_for(lambda: switch.channels() <= 1), "the retriever's leg has not ended"
    if caller.wait_over(1):
        assert wait_for(lambda: switch.events.of(row["uuid"]) == ["park", "retrieve"]), switch.events.of(row["uuid"])
        assert switch.calls() == []
    else:
        assert [(call["slot"], call["state"]) for call in switch.calls()] == [("701", "parked")] and caller.audio.hears(MUSIC)
        assert switch.events.of(row["uuid"]) == ["park"]
        other = phones("1003", says=900).call("701")
        assert other.audio.hears(600) and caller.audio.hears(900)
        other.hang_up()


def test_fusionpbx_2479_audio_survives_hold_and_resume_of_a_retrieved_call(switch, phones):
    caller, _ = park_by_transfer(phones, switch)
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600)
    taker.hold()
    taker.resume()
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
