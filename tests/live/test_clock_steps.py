"""Tests that steps of the wall clock (by an administrator, by NTP, after a virtual machine is resumed) change no timer."""

import time

import pytest

from conftest import new_switch
from fake_clock import FAKETIME, Clock
from parking import lot, park_by_transfer

HOUR = 3600


@pytest.fixture
def clock(request):
    """The clock of a FreeSWITCH that takes its time from the monotonic clock or, with the parameter "wall", from the wall clock."""
    if FAKETIME is None:
        pytest.skip("libfaketime is not installed")
    switch = new_switch()
    clock = Clock(switch)
    switch.monotonic = getattr(request, "param", "monotonic") == "monotonic"
    switch.configure(lot(("park-timeout", "6"), ("ringback-timeout", "4"), ("fallback", "tone-1300")))
    switch.start()
    yield clock
    assert "bug in mod_callpark" not in switch.log()
    switch.stop()


def parked(phones, switch):
    """Parks a caller by user 1001, who does not answer the recall."""
    caller, row = park_by_transfer(phones, switch)
    phones.made[0].on_ring = None
    return caller, row


@pytest.mark.parametrize("clock", ["monotonic", "wall"], indirect=True)
@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_step_of_the_clock_moves_neither_recall_nor_fallback(clock, phones_of, step):
    """Before: after a step back by an hour the module's tick did not run for an hour, so there was no recall."""
    switch, phones = clock.switch, phones_of(clock.switch)
    caller, row = parked(phones, switch)
    began = time.monotonic()
    elapsed = lambda: time.monotonic() - began
    time.sleep(1)
    clock.step(step)
    now = switch.calls()[0]
    assert now["parked_at"] == row["parked_at"], "the time of parking changed"
    assert abs(now["wait_ms"] / 1000 - elapsed()) < 1.5, now["wait_ms"]
    assert abs(now["timeout_at"] / 1000 - clock.now() - (6 - elapsed())) < 3, "timeout_at does not follow the new clock"
    assert switch.events.of(row["uuid"]) == ["park"]
    switch.events.wait("ringback", timeout=8)
    assert 4.5 < elapsed() < 8, "the recall did not come after 6 s"
    fell = switch.events.wait("fallback", timeout=8)
    assert 8 < elapsed() < 13.5, "the fallback did not come after 10 s"
    assert abs(int(fell["CallPark-Wait-Ms"]) / 1000 - elapsed()) < 1.5
    assert caller.audio.hears(1300)
    caller.hang_up()


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_step_of_the_clock_while_the_parker_rings_moves_nothing(clock, phones_of, step):
    """Before: the phone rang for an hour after a step back by an hour, because the core measures the ring time by the wall clock."""
    switch, phones = clock.switch, phones_of(clock.switch)
    caller, row = parked(phones, switch)
    switch.events.wait("ringback", timeout=8)
    rang = time.monotonic()
    time.sleep(1)
    clock.step(step)
    switch.events.wait("ringback-failed", timeout=8)
    assert 3 < time.monotonic() - rang < 7, "it did not ring for four seconds"
    assert caller.audio.hears(1300), "the fallback did not run"
    caller.hang_up()
    assert switch.events.of(row["uuid"]) == ["park", "ringback", "ringback-failed", "fallback"]
