"""Nobody is forgotten: time-outs, ring back, fallback."""

import time

import pytest

from conftest import MUSIC
from phone import DOMAIN, Failed
from switch import wait_for
from test_story import park_by_transfer


def lot(*params, slots="701-703"):
    rows = {"slots": slots, "hold-music": f"tone_stream://%(1000,0,{MUSIC});loops=-1", "park-timeout": "2",
            "ringback-timeout": "3", **dict(params)}
    inside = "".join(f'<param name="{name}" value="{value}"/>' for name, value in rows.items())
    return f'<lot name="main" domain="*">{inside}</lot>'


def with_lot(switch, *params, **more):
    assert switch.reload(lot(*params, **more)).startswith("+OK")


def parked_by(phones, switch, reacts):
    """A caller parked by 1001, whose phone then reacts so when it rings: the phone, the caller, the row."""
    caller, row = park_by_transfer(phones, switch)
    parker = phones.made[0]
    parker.on_ring = reacts
    return parker, caller, row


def test_the_parker_answers_and_has_the_caller(switch, phones):
    with_lot(switch, ("ringback-alert-info", "park-recall"))
    parker, caller, row = parked_by(phones, switch, 0.5)
    call = parker.wait_call(6)
    assert call.caller_name == "Park 701: Alice"
    assert call.invite_headers["alert-info"].strip("<>") == "park-recall"
    assert caller.audio.hears(MUSIC)
    parker_says = phones.made[0].says
    assert call.audio.hears(600) and (parker_says == 0)
    assert switch.calls() == []
    assert wait_for(lambda: switch.events.of(row["uuid"]) == ["park", "ringback", "return"])
    done = switch.events.wait("return")
    assert done["CallPark-Attempt"] == "1" and done["variable_callpark_outcome"] == "returned"
    call.hang_up()
    assert caller.wait_over()


@pytest.mark.parametrize("reaction, cause", [(486, "USER_BUSY"), (603, "CALL_REJECTED"), (None, "NO_ANSWER")])
def test_no_answer_leads_to_the_fallback(switch, phones, reaction, cause):
    with_lot(switch, ("fallback", "tone-1300"))
    parker, caller, row = parked_by(phones, switch, reaction)
    assert caller.audio.hears(1300, within=9)
    assert switch.events.of(row["uuid"]) == ["park", "ringback", "ringback-failed", "fallback"]
    assert switch.events.wait("ringback-failed")["CallPark-Cause"] == cause
    caller.hang_up()


def test_an_unregistered_parker_is_no_dead_end(switch, phones):
    with_lot(switch, ("fallback", "tone-1300"))
    caller, row = park_by_transfer(phones, switch)
    phones.made[0].unregister()
    assert caller.audio.hears(1300, within=6)
    assert switch.events.wait("ringback-failed")["CallPark-Cause"]
    caller.hang_up()


def test_without_a_fallback_it_goes_on_in_turn(switch, phones):
    with_lot(switch, ("park-timeout", "1"))
    parker, caller, row = parked_by(phones, switch, 486)
    assert wait_for(lambda: switch.events.of(row["uuid"]).count("ringback") >= 3, 10)
    assert caller.audio.hears(MUSIC) and switch.calls()[0]["slot"] == "701"
    caller.hang_up()


def test_attempts_are_counted(switch, phones):
    with_lot(switch, ("park-timeout", "1"), ("ringback-attempts", "2"), ("fallback", "tone-1300"))
    parker, caller, row = parked_by(phones, switch, 486)
    assert caller.audio.hears(1300, within=8)
    assert switch.events.of(row["uuid"]) == ["park", *["ringback", "ringback-failed"] * 2, "fallback"]
    caller.hang_up()


def test_whoever_retrieves_stops_the_ringing(switch, phones):
    with_lot(switch)
    parker, caller, row = parked_by(phones, switch, None)
    ringing = parker.wait_call(6)
    assert wait_for(lambda: switch.calls()[0]["state"] == "ringing-back")
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600) and ringing.wait_over(3)
    assert switch.events.of(row["uuid"]) == ["park", "ringback", "retrieve"]
    caller.hang_up()


def test_a_caller_who_hangs_up_stops_the_ringing(switch, phones):
    with_lot(switch)
    parker, caller, row = parked_by(phones, switch, None)
    ringing = parker.wait_call(6)
    caller.hang_up()
    assert ringing.wait_over(3)
    assert wait_for(lambda: switch.events.of(row["uuid"]) == ["park", "ringback", "abandon"])


def test_a_parker_who_answers_and_hangs_up_at_once(switch, phones):
    with_lot(switch)
    parker, caller, row = parked_by(phones, switch, None)
    ringing = parker.wait_call(6)
    ringing.answer()
    ringing.hang_up()
    # Either they were connected, and it is over for both, or the caller waits on.
    assert wait_for(lambda: caller.over.is_set() or (switch.calls() and caller.audio.hears(MUSIC, 0.5)), 6)
    caller.hang_up()
    assert wait_for(lambda: switch.events.of(row["uuid"])[-1] in ("return", "abandon"))


@pytest.mark.parametrize("fallback, missing", [("nowhere", "no extension nowhere"), ("broken", "frobnicate")])
def test_a_fallback_that_is_not_there_keeps_the_caller(switch, phones, fallback, missing):
    with_lot(switch, ("ringback", "none"), ("fallback", fallback))
    caller, row = park_by_transfer(phones, switch)
    assert wait_for(lambda: missing in switch.log(), 6)
    assert switch.calls()[0]["slot"] == "701" and caller.audio.hears(MUSIC)
    assert switch.events.of(row["uuid"]) == ["park"]
    caller.hang_up()


def test_max_park_time_comes_first(switch, phones):
    with_lot(switch, ("park-timeout", "0"), ("max-park-time", "2"), ("fallback", "tone-1300"))
    caller, row = park_by_transfer(phones, switch)
    assert caller.audio.hears(1300, within=5)
    assert switch.events.of(row["uuid"]) == ["park", "fallback"]
    caller.hang_up()


def test_extend_ringback_and_transfer_by_command(switch, phones):
    with_lot(switch, ("park-timeout", "60"))
    parker, caller, row = parked_by(phones, switch, 486)
    before = switch.calls()[0]["timeout_at"]
    assert switch.api("callpark extend 701 30").startswith("+OK")
    assert abs(switch.calls()[0]["timeout_at"] - before - 30000) < 100
    assert switch.api("callpark label 701 Mr Chen, invoice").startswith("+OK")
    assert switch.events.wait("label")["CallPark-Label"] == "Mr Chen, invoice" == switch.calls()[0]["label"]
    assert switch.api("callpark ringback 701").startswith("+OK")
    switch.events.wait("ringback-failed", CallPark_Cause="USER_BUSY")
    assert switch.api("callpark transfer 701 nowhere").startswith("-ERR no extension")
    assert switch.api("callpark transfer 701 tone-1300 XML default").startswith("+OK")
    assert caller.audio.hears(1300)
    caller.hang_up()
    assert switch.events.of(row["uuid"])[-1] == "transfer"


def test_freeswitch_400_comfort_and_exit_key(switch, phones):
    with_lot(switch, ("comfort-file", "tone_stream://%(1200,0,1000)"), ("comfort-interval", "1"), ("exit-key", "9"),
             ("exit-destination", "tone-1300"), ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    assert caller.audio.hears(1000, within=4) and caller.audio.hears(MUSIC, within=4)
    caller.press("5")
    assert switch.calls()
    caller.press("9")
    assert caller.audio.hears(1300)
    caller.hang_up()
    assert switch.events.of(row["uuid"]) == ["park", "transfer"]


def test_a_full_lot_overflows(switch, phones):
    assert switch.reload(lot(("overflow-lot", "more"), ("park-timeout", "0"), slots="701")
                         + '<lot name="more" domain="*"><param name="slots" value="801"/></lot>').startswith("+OK")
    first = phones().call("do-park-auto")
    second = phones().call("do-park-auto")
    assert [row["slot"] for row in switch.calls()] == ["701", "801"]
    third = phones().call("do-park-auto")
    assert third.audio.hears(1700), "told so, and on in the dialplan"
    switch.events.wait("full", CallPark_Lot="main")
    for call in (first, second, third):
        call.hang_up()


def test_a_full_lot_rings_the_parker_at_once(switch, phones):
    with_lot(switch, ("park-timeout", "0"), slots="701")
    first = phones().call("do-park-auto")
    parker = phones("1001")
    parker.on_ring = 0.1
    caller = phones(says=600, name="Bob").call("1001")
    call = parker.wait_call()
    call.answered.wait(5)
    parker.on_ring = 0.5
    call.refer("700")
    call.hang_up()
    assert caller.audio.hears(MUSIC)
    back = parker.wait_call(6)
    assert back.caller_name == "full: Bob" and back.audio.hears(600, within=6)
    assert [row["slot"] for row in switch.calls()] == ["701"]
    back.hang_up()
    first.hang_up()


def test_a_full_lot_and_no_parker_leads_to_the_fallback(switch, phones):
    with_lot(switch, ("fallback", "tone-1300"), ("park-timeout", "0"), slots="701")
    first = phones().call("do-park-auto")
    parker = phones("1001")
    parker.on_ring = 0.1
    caller = phones(says=600, name="Bob").call("1001")
    call = parker.wait_call()
    call.answered.wait(5)
    parker.on_ring = 486
    call.refer("700")
    call.hang_up()
    assert caller.audio.hears(1300, within=6)
    caller.hang_up()
    first.hang_up()


def test_a_parker_holds_as_many_calls_as_allowed(switch, phones):
    with_lot(switch, ("park-limit-per-user", "1"), ("park-timeout", "0"))
    first, _ = park_by_transfer(phones, switch)
    parker = phones.made[0]
    parker.on_ring = 0.1
    second = phones(says=900, name="Bob").call("1001")
    call = parker.wait_call()
    call.answered.wait(5)
    parker.on_ring = 0.2
    call.refer("700")
    call.hang_up()
    back = parker.wait_call(6)
    assert back.caller_name == "limit: Bob" and back.audio.hears(900, within=6)
    assert switch.events.wait("denied")["CallPark-Cause"]
    back.hang_up()
    first.hang_up()


def test_new_times_are_for_new_calls(switch, phones):
    with_lot(switch, ("park-timeout", "60"))
    parker, caller, row = parked_by(phones, switch, 486)
    with_lot(switch, ("park-timeout", "1"))
    time.sleep(2.5)
    assert switch.events.of(row["uuid"]) == ["park"]
    assert switch.api("callpark reload apply").startswith("+OK")
    assert wait_for(lambda: "ringback" in switch.events.of(row["uuid"]), 4)
    caller.hang_up()


def test_a_lot_that_is_gone_keeps_its_calls(switch, phones):
    with_lot(switch, ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    assert switch.reload('<lot name="other" domain="*"><param name="slots" value="801"/></lot>').startswith("+OK")
    assert switch.calls()[0]["slot"] == "701" and caller.audio.hears(MUSIC)
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600)
    taker.hang_up()
    assert wait_for(lambda: [lot["lot"] for lot in switch.json("lots") if lot["domain"] == DOMAIN] in ([], ["other"]))


def test_a_slot_that_does_not_exist_rings_the_parker(switch, phones):
    with_lot(switch, ("park-timeout", "0"))
    parker = phones("1001")
    parker.on_ring = 0.1
    caller = phones(says=600, name="Bob").call("1001")
    call = parker.wait_call()
    call.answered.wait(5)
    parker.on_ring = 0.3
    call.refer("799")
    call.hang_up()
    back = parker.wait_call(6)
    assert back.caller_name == "invalid: Bob" and back.audio.hears(600, within=6)
    back.hang_up()
