"""Tests the phrases that are played to users. Each phrase is replaced by a tone of its own frequency."""

import pytest

from conftest import LOTS
from parking import park_by_transfer
from switch import wait_for

TONES = {"callpark_empty": 1000, "callpark_taken": 1100, "callpark_full": 1150, "callpark_denied": 1250, "callpark_invalid": 1350,
         "callpark_limit": 1450, "callpark_gone": 1550, "callpark_ask_slot": 1850, "callpark_ask_pin": 1950}
ANNOUNCED = {"701": 2100, "702": 2200}
SECONDS = 1.2


def macro(name, *heard):
    said = "".join(f'<input pattern="{pattern}"><match><action function="play-file" '
                   f'data="tone_stream://%({int(SECONDS * 1000)},0,{tone})"/></match></input>' for pattern, tone in heard)
    return f'<macro name="{name}">{said}</macro>'


PHRASES = "".join(macro(name, ("(.*)", tone)) for name, tone in TONES.items()) + macro(
    "callpark_announce_slot", *[(f"^{slot}$", tone) for slot, tone in ANNOUNCED.items()])
# These answer, run the application, and show with a tone that the dialplan continued.
RESULT = "".join(f"""
  <extension name="try {what}"><condition field="destination_number" expression="^try-{what}-([^_]*)_?(.*)$">
    <action application="answer"/>
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="callpark_{what}" data="$1 $2"/>
    <action application="playback" data="tone_stream://%(60000,0,1700)"/>
  </condition></extension>""" for what in ("park", "retrieve", "slot"))


@pytest.fixture(autouse=True)
def tones(switch):
    assert switch.reload(LOTS, phrases=PHRASES, extensions=RESULT).startswith("+OK")


def refused(switch, call, result):
    """Asserts that the call hears the phrase for this result, that the variable has the result, and that the dialplan continues."""
    assert call.audio.hears(TONES[f"callpark_{result}"]), f"the phrase for {result} was not heard"
    assert switch.var(switch.leg(), "callpark_result") == result
    assert call.audio.hears(1700), "the dialplan did not continue"
    call.hang_up()


@pytest.mark.parametrize("number, result", [
    ("try-retrieve-701", "empty"), ("try-slot-701", "empty"), ("try-retrieve-oldest", "empty"), ("try-retrieve-7x", "invalid"),
    ("try-park-7x", "invalid"), ("try-slot-_", "invalid"), ("try-park-999", "invalid"), ("try-retrieve-701_nolot", "invalid"),
])
def test_a_refusal_is_announced(switch, phones, number, result):
    refused(switch, phones("1002").call(number), result)
    assert switch.calls() == []


def test_an_occupied_slot_is_announced_to_a_caller_who_dials_it_to_park(switch, phones):
    first = phones().call("do-park-705")
    assert wait_for(switch.calls)
    second = phones().call("try-park-705")
    assert second.audio.hears(TONES["callpark_taken"]) and second.audio.hears(1700)
    assert [row["slot"] for row in switch.calls()] == ["705"]
    for call in (first, second):
        call.hang_up()


def test_a_full_lot_is_announced(switch, phones):
    calls = [phones().call("do-park-auto_star") for _ in range(3)]
    assert wait_for(lambda: len(switch.calls("star")) == 3)
    late = phones().call("try-park-auto_star")
    assert late.audio.hears(TONES["callpark_full"]) and late.audio.hears(1700)
    for call in [late, *calls]:
        call.hang_up()


def test_a_refusal_is_announced_to_a_user_of_another_tenant(switch, phones):
    parked = phones().call("do-park-701")
    assert wait_for(switch.calls)
    stranger = phones("2000", domain="other.test").call("try-retrieve-701_main@callpark.test")
    assert stranger.audio.hears(TONES["callpark_denied"]) and stranger.audio.hears(1700)
    for call in (stranger, parked):
        call.hang_up()


def test_a_user_who_dials_to_park_hears_the_slot(switch, phones):
    first = phones("1001").call("do-park-auto")
    assert first.audio.hears(ANNOUNCED["701"])
    second = phones("1002").call("do-park-auto")
    assert second.audio.hears(ANNOUNCED["702"])
    for call in (first, second):
        call.hang_up()


def test_fusionpbx_2316_the_parker_hears_the_slot_and_the_caller_does_not(switch, phones):
    parker = phones("1001", says=700)
    parker.on_ring = 0
    caller = phones(says=600).call("1001")
    call = parker.wait_call()
    assert call.audio.hears(600)
    call.press("*5")
    assert call.audio.hears(ANNOUNCED["701"])
    assert not caller.audio.hears(ANNOUNCED["701"], within=0.5)
    assert call.wait_over()
    caller.hang_up()


def test_a_parker_who_made_the_call_hears_the_slot(switch, phones):
    callee = phones("1002", says=600)
    callee.on_ring = 0
    call = phones("1001", says=700).call("1002")
    assert call.audio.hears(600)
    call.press("*6")
    assert call.audio.hears(ANNOUNCED["701"])
    assert call.wait_over()
    callee.close()


def test_a_transferred_caller_hears_music_and_not_the_slot(switch, phones):
    caller, _ = park_by_transfer(phones, switch)
    assert caller.audio.hears(440) and not caller.audio.hears(ANNOUNCED["701"], within=1)
    caller.hang_up()


def test_callpark_retrieve_ask_asks_for_the_slot(switch, phones):
    parked = phones(says=600).call("do-park-702")
    assert wait_for(switch.calls)
    taker = phones("1002", says=900).call("try-retrieve-ask")
    assert taker.audio.hears(TONES["callpark_ask_slot"])
    taker.press("702#")
    assert taker.audio.hears(600) and parked.audio.hears(900)
    for call in (taker, parked):
        call.hang_up()


def test_a_wrong_pin_three_times_is_refused(switch, phones):
    pin = '<lot name="main" domain="*"><param name="slots" value="701"/><param name="retrieve-pin" value="42"/></lot>'
    assert switch.reload(pin, phrases=PHRASES, extensions=RESULT).startswith("+OK")
    parked = phones(says=600).call("do-park-701")
    assert wait_for(switch.calls)
    guesser = phones("1002", says=900).call("try-retrieve-701")
    for _ in range(3):
        assert guesser.audio.hears(TONES["callpark_ask_pin"])
        guesser.press("11")
    assert guesser.audio.hears(TONES["callpark_denied"]) and guesser.audio.hears(1700)
    assert len(switch.calls()) == 1 and not parked.over.is_set()
    for call in (guesser, parked):
        call.hang_up()


def test_a_full_lot_is_announced_to_the_parker_and_the_conversation_continues(switch, phones):
    full = '<lot name="main" domain="*"><param name="slots" value="701"/></lot>'
    assert switch.reload(full, phrases=PHRASES, extensions=RESULT).startswith("+OK")
    first = phones().call("do-park-auto")
    assert wait_for(switch.calls)
    phone = phones("1001", says=700)
    phone.on_ring = 0
    caller = phones(says=600).call("1001")
    call = phone.wait_call()
    assert call.audio.hears(600)
    call.press("*5")
    assert call.audio.hears(TONES["callpark_full"]) and not caller.audio.hears(TONES["callpark_full"], within=0.3)
    assert call.audio.hears(600) and caller.audio.hears(700)
    assert len(switch.calls()) == 1
    for leg in (first, caller):
        leg.hang_up()
