"""Parks and retrieves calls, and checks the audio, the displays and the events."""

import threading
import time

import pytest

from conftest import ANYBODY, MUSIC
from parking import park_by_transfer
from phone import DOMAIN, Failed
from switch import wait_for


def test_a_transferred_caller_is_parked_and_retrieved(switch, phones):
    caller, row = park_by_transfer(phones, switch)
    assert (row["slot"], row["lot"], row["domain"], row["state"]) == ("701", "main", DOMAIN, "parked")
    assert (row["caller_name"], row["parker"]) == ("Alice", f"1001@{DOMAIN}")
    assert caller.audio.hears(MUSIC), "the parked caller hears no music"
    colleague = phones("1002", says=900, name="Colleague").call("701")
    assert caller.audio.hears(900) and colleague.audio.hears(600)
    assert switch.calls() == []
    assert colleague.shown[0][0] == "Alice", colleague.shown
    caller.hang_up()
    assert colleague.wait_over()
    uuid = row["uuid"]
    assert switch.events.of(uuid) == ["park", "retrieve"]
    park, taken = switch.events.wait("park"), switch.events.wait("retrieve")
    assert park["CallPark-Slot"] == taken["CallPark-Slot"] == "701"
    assert park["CallPark-Parker"] == f"1001@{DOMAIN}" and int(park["CallPark-Parked-At"]) == row["parked_at"]
    assert taken["CallPark-Retriever"] == f"1002@{DOMAIN}"
    sent = int(taken["Event-Date-Timestamp"]) // 1000
    assert abs(sent - row["parked_at"] - int(taken["CallPark-Wait-Ms"])) < 300, "the wait is not the time from parking to retrieval"
    assert taken["Caller-Caller-ID-Name"] == "Alice"
    assert taken["variable_callpark_outcome"] == "retrieved" and taken["variable_callpark_slot"] == "701"


def test_an_empty_slot_parks_nobody(switch, phones):
    phone = phones("1002", says=900).call("do-slot-701")
    assert phone.audio.hears(1700), "the dialplan did not continue"
    assert switch.calls() == []
    phone.hang_up()


def test_fusionpbx_1830_two_callers_are_never_joined(switch, phones):
    first, _ = park_by_transfer(phones, switch, "705")
    receptionist = phones("1003")
    receptionist.on_ring = 0
    second = phones(says=1100, name="Bob").call("1003")
    call = receptionist.wait_call()
    assert call.answered.wait(5)
    receptionist.on_ring = None
    call.refer("705")
    call.hang_up()
    assert second.audio.hears_sound() and not second.audio.hears(600, within=1.5)
    assert not first.audio.hears(1100, within=0.5) and first.audio.hears(MUSIC)
    assert [(row["slot"], row["state"]) for row in switch.calls()] == [("705", "parked"), ("", "waiting-for-slot")]
    # The second caller has no slot, so the receptionist's phone rings, shows the reason, and is connected to the caller.
    back = receptionist.wait_call()
    assert "taken" in back.caller_name and "Bob" in back.caller_name
    back.answer()
    assert wait_for(lambda: second.audio.hears_sound(1))
    second.hang_up()
    first.hang_up()
    switch.events.wait("abandon", CallPark_Slot="705")


@pytest.mark.parametrize("spelling", ["*5901", "701"])
def test_a_transfer_to_a_slot_parks_in_that_slot(switch, phones, spelling):
    caller, row = park_by_transfer(phones, switch, spelling)
    assert row["slot"] == spelling
    taker = phones("1002", says=900).call(spelling)
    assert taker.audio.hears(600)
    taker.hang_up()
    assert caller.wait_over()


def test_a_parked_caller_who_hangs_up_is_abandoned(switch, phones):
    caller, row = park_by_transfer(phones, switch)
    caller.hang_up()
    event = switch.events.wait("abandon", CallPark_Slot="701")
    assert event["variable_callpark_outcome"] == "abandoned"
    assert switch.events.of(row["uuid"]) == ["park", "abandon"]


def test_a_parked_call_can_be_transferred_by_a_script(switch, phones):
    caller, row = park_by_transfer(phones, switch)
    switch.api(f"uuid_transfer {row['uuid']} tone-1300")
    assert caller.audio.hears(1300)
    caller.hang_up()
    assert switch.events.of(row["uuid"]) == ["park", "transfer"]


def test_oldest_newest_and_ask(switch, phones):
    callers = [phones(says=500 + 100 * n, name=f"C{n}").call("do-park-auto") for n in range(3)]
    assert wait_for(lambda: len(switch.calls()) == 3)
    newest = phones("1002", says=900).call("do-retrieve-newest")
    assert newest.audio.hears(700)
    oldest = phones("1001", says=1000).call("do-retrieve-oldest_main")
    assert oldest.audio.hears(500)
    ask = phones("1003", says=1100).call("do-retrieve-ask")
    time.sleep(0.6)  # digits before the prompt are dropped
    ask.press("702#")
    assert ask.audio.hears(600)
    for call in callers:
        call.hang_up()


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


def test_a_feature_code_parks_the_other_party(switch, phones):
    receptionist = phones("1001", says=700)
    receptionist.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("1001")
    call = receptionist.wait_call()
    assert call.answered.wait(5) and call.audio.hears(600) and caller.audio.hears(700)
    call.press("*5")
    assert caller.audio.hears(MUSIC, within=5)
    assert call.wait_over(8), "the parker was not released"
    row = switch.calls()[0]
    assert (row["slot"], row["parker"], row["caller_name"]) == ("701", f"1001@{DOMAIN}", "Alice")
    caller.hang_up()


def test_the_caller_of_an_outbound_call_parks_the_callee(switch, phones):
    callee = phones("1002", says=600)
    callee.on_ring = 0.1
    receptionist = phones("1001", says=700).call("1002")
    assert receptionist.audio.hears(600)
    receptionist.press("*6")
    assert callee.wait_call().audio.hears(MUSIC, within=5)
    assert receptionist.wait_over(8)
    row = switch.calls()[0]
    assert (row["parker"], row["caller_number"]) == (f"1001@{DOMAIN}", "1002")
    callee.close()


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


def test_a_slot_that_is_reached_by_a_dialplan_transfer_is_retrieved(switch, phones):
    """The `transfer` application on the dialling leg does not count as a transfer of a call to the slot."""
    caller, _ = park_by_transfer(phones, switch)
    taker = phones("1002", says=900).call("via-701")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()


def test_fusionpbx_2479_audio_survives_hold_and_resume_of_a_retrieved_call(switch, phones):
    caller, _ = park_by_transfer(phones, switch)
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600)
    taker.hold()
    taker.resume()
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
