"""Measures the time from a REFER until the slot is occupied, and from a retriever's INVITE until both parties hear each other, with different
numbers of other parked calls.

The slot is occupied at the time in the module's event, by a clock that advances in steps of 1 ms. The caller and the retriever send different
tones, and each received packet is searched for the other's tone."""

import math
import statistics
import time

from audio import _DECODED, strength
from phone import Failed, Phone
from results import Row
from switch import wait_for

CALLER, TAKER, DESK = 600, 900, 1200
FRAME = 0.02
# At the very end of a packet's time, it is random whether a request is still in time for that packet.
LAST = 0.9 * FRAME
# By how much it may grow with the most parked calls against none.
GROWTH = 1.1


def points(settings):
    return [0, 100, 500]


def take(bench, module, count):
    environment, settings = bench.environment(fine_clock=True), bench.settings
    parks, talks = [], []
    with environment.parked_callers(module, module.number("music"), count, settings.settle if count else 0) as events:
        phones = [Phone(environment.switch, says=tone) for tone in (CALLER, TAKER, DESK)]
        phones[2].on_ring = 0
        try:
            for n in range(settings.takes):
                try:
                    park, talk = _once(module, events, *phones, LAST * n / max(1, settings.takes - 1))
                except (Failed, TimeoutError, _Missed) as why:
                    bench.remark(f"{module.name}, {count} parked: {why!r}")
                    continue
                parks.append(park * 1000)
                talks.append(talk * 1000)
        finally:
            for phone in phones:
                phone.close()
    results = {}
    for name, times in (("REFER to slot taken", parks), ("INVITE to two-way audio", talks)):
        named = f"{name}, {count} parked"
        results[Row(named, "ms", goal=1.0, per_call=(name, count, GROWTH))] = times
        results[Row(named, "ms", of="slowest", goal=1.0)] = times
    return results


class _Missed(Exception):
    """The call was not parked or not connected."""


def _once(module, events, caller_phone, taker_phone, desk, phase):
    """A caller calls a desk, is parked by a transfer, and is retrieved. Returns the seconds of the parking and of the retrieval. Each begins
    `phase` seconds after a packet."""
    caller = caller_phone.call(f"desk-{desk.port}")
    transferring, taker = desk.wait_call(), None
    try:
        _wait(0.4, caller, phase)
        before, began = len(events.events), time.time()
        transferring.refer(module.number("music"))
        parked = events.next_parked(before)
        if parked is None:
            raise _Missed("the call was not parked")
        _wait(0.4, caller, phase)
        invited = time.monotonic()
        taker = taker_phone.call(module.number_to_take(parked.slot))
        ends = ((caller, TAKER), (taker, CALLER))
        if not wait_for(lambda: all(_heard(call, tone, invited) for call, tone in ends), 5, 0.02):
            raise _Missed("the two do not hear each other")
        return parked.at - began, max(_heard(call, tone, invited) for call, tone in ends) - invited
    finally:
        for call in (taker, caller, transferring):
            if call:
                call.hang_up()
        time.sleep(0.2)


def _wait(seconds, call, phase):
    """Waits so many seconds, and then until `phase` seconds after the time of a packet.

    All legs are served at the same times, once in each 20 ms, and most of a measured time is the wait for that. With the same phases for both
    modules, chance favours neither."""
    time.sleep(seconds)
    last = list(call.audio.heard)[-25:]
    if not last:  # no packet was received yet, because the machine is busy
        return
    at = last[-1][0]
    until = at + statistics.median((packet - at + FRAME / 2) % FRAME - FRAME / 2 for packet, _ in last) + phase
    until += math.ceil((time.monotonic() - until) / FRAME) * FRAME
    time.sleep(max(0, until - time.monotonic()))


def _heard(call, tone, since):
    """The time of the first packet with this tone, or None."""
    for at, payload in list(call.audio.heard):
        if at >= since and strength([_DECODED[byte] for byte in payload], tone) > 0.5:
            return at
    return None
