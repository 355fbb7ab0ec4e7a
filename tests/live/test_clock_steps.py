"""Steps of the wall clock (an administrator, NTP, a virtual machine that is resumed) move no timer."""

import os
import time

import pytest

from parking import lot, park_by_transfer
from switch import ROOT, Switch, find_prefix, wait_for
from fake_clock import FAKETIME, Clock

HOUR = 3600


@pytest.fixture
def clock(request):
    """A FreeSWITCH of its own, with a clock that can be set. "wall": it measures by that clock itself."""
    if FAKETIME is None:
        pytest.skip("libfaketime is not installed")
    switch = Switch(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), find_prefix())
    clock = Clock(switch)
    switch.monotonic = getattr(request, "param", "monotonic") == "monotonic"
    switch.configure(lot(("park-timeout", "6"), ("ringback-timeout", "4"), ("fallback", "tone-1300")))
    switch.start()
    yield clock
    assert "bug in mod_callpark" not in switch.log()
    switch.stop()


def parked(phones, switch):
    """A caller parked by 1001, who lets the recall ring."""
    caller, row = park_by_transfer(phones, switch)
    phones.made[0].on_ring = None
    return caller, row


@pytest.mark.parametrize("clock", ["monotonic", "wall"], indirect=True)
@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_step_of_the_clock_moves_neither_recall_nor_fallback(clock, phones_of, step):
    """Before: after a step back the module's tick waited for the old time to come again. For an hour there was no recall."""
    switch, phones = clock.switch, phones_of(clock.switch)
    caller, row = parked(phones, switch)
    began = time.monotonic()
    elapsed = lambda: time.monotonic() - began
    time.sleep(1)
    clock.step(step)
    now = switch.calls()[0]
    assert now["parked_at"] == row["parked_at"], "the moment of parking changed"
    assert abs(now["wait_ms"] / 1000 - elapsed()) < 1.5, now["wait_ms"]
    assert abs(now["timeout_at"] / 1000 - clock.now() - (6 - elapsed())) < 3, "the time-out is not by the new clock"
    assert switch.events.of(row["uuid"]) == ["park"]
    switch.events.wait("ringback", timeout=8)
    assert 4.5 < elapsed() < 8, "the recall is not when it was due"
    fell = switch.events.wait("fallback", timeout=8)
    assert 8 < elapsed() < 13.5, "the fallback is not when it was due"
    assert abs(int(fell["CallPark-Wait-Ms"]) / 1000 - elapsed()) < 1.5
    assert caller.audio.hears(1300)
    caller.hang_up()


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_step_of_the_clock_while_the_parker_rings_moves_nothing(clock, phones_of, step):
    """Before: the core measures by the wall clock for how long a phone rings. After a step back it rang for an hour."""
    switch, phones = clock.switch, phones_of(clock.switch)
    caller, row = parked(phones, switch)
    switch.events.wait("ringback", timeout=8)
    rang = time.monotonic()
    time.sleep(1)
    clock.step(step)
    switch.events.wait("ringback-failed", timeout=8)
    assert 3 < time.monotonic() - rang < 7, "it did not ring for four seconds"
    assert caller.audio.hears(1300), "the fallback"
    caller.hang_up()
    assert switch.events.of(row["uuid"]) == ["park", "ringback", "ringback-failed", "fallback"]
