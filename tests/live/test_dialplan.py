"""Tests the shipped dialplan with every number that phones dial, and attended transfers to it."""

import time

import pytest

from conftest import LOTS, MUSIC
from parking import park_by_transfer
from switch import SHIPPED_DIALPLAN, wait_for

SPELLINGS = ["701", "+701", "park+701", "**701", "callpark;orbit=701"]


@pytest.fixture(autouse=True)
def shipped(switch):
    """Adds the shipped extensions as a context of their own. A prefix leads into it, because other extensions would match the numbers first."""
    enter = """<extension name="shipped"><condition field="destination_number" expression="^shipped-(.*)$">
      <action application="execute_extension" data="$1 XML shipped"/></condition></extension></context><context name="shipped">"""
    assert switch.reload(LOTS, extensions=enter + SHIPPED_DIALPLAN.read_text()).startswith("+OK")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_fusionpbx_5cc64eefb2_a_slot_is_dialled_in_every_spelling(switch, phones, spelling):
    caller, row = park_by_transfer(phones, switch, "701")
    taker = phones("1002", says=900).call(f"shipped-{spelling}")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    assert switch.events.of(row["uuid"]) == ["park", "retrieve"]
    caller.hang_up()


@pytest.mark.parametrize("spelling, slot", [("700", "701"), ("park+700", "701"), *[(s, "701") for s in SPELLINGS]])
def test_a_transfer_parks_in_every_spelling(switch, phones, spelling, slot):
    caller, row = park_by_transfer(phones, switch, f"shipped-{spelling}")
    assert row["slot"] == slot and caller.audio.hears(MUSIC)
    caller.hang_up()


def test_oldest_and_ask(switch, phones):
    callers = [phones(says=500 + 100 * n).call(f"do-park-70{3 - n}") for n in range(2)]
    assert wait_for(lambda: len(switch.calls()) == 2)
    oldest = phones("1001", says=900).call("shipped-721")
    assert oldest.audio.hears(500)
    ask = phones("1002", says=1000).call("shipped-722")
    time.sleep(0.6)  # digits before the prompt are dropped
    ask.press("702#")
    assert ask.audio.hears(600)
    for call in callers:
        call.hang_up()


def attended(phones, switch, number):
    """User 1001 has a call, holds it, dials `number` and then transfers the caller there. Returns the caller's call, and the listing during
    the consultation."""
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.hold()
    consultation = parker.call(number)
    reserved = wait_for(switch.calls, 3)
    call.refer(number, replaces=consultation)
    return caller, reserved


@pytest.mark.parametrize("number", ["700", "703"])
def test_the_slot_that_was_announced_is_the_slot_that_is_used(switch, phones, number):
    caller, reserved = attended(phones, switch, number)
    assert reserved, "no slot was reserved for the consultation"
    slot = reserved[0]["slot"]
    assert slot == {"700": "701", "703": "703"}[number]
    assert caller.audio.hears(MUSIC, within=5)
    rows = wait_for(lambda: [row for row in switch.calls() if row["state"] == "parked" and row["caller_name"] == "Alice"])
    assert [row["slot"] for row in switch.calls()] == [slot] and rows[0]["parker"].startswith("1001@")
    taker = phones("1002", says=900).call(slot)
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
