"""Time from a REFER until the slot is taken, and from a retriever's INVITE until both hear each other, with more and more calls
parked already.

The slot is taken when the module says so; the event's own time counts, by a clock that moves in steps of 1 ms. What is heard is
looked for in every packet: the caller says one tone and the retriever another, and until both are at the other's end it is not a
conversation."""

import math
import statistics
import time

from audio import _DECODED, strength
from phone import Failed, Phone
from results import Row
from switch import wait_for

CALLER, TAKER, DESK = 600, 900, 1200
FRAME = 0.02
# In the last moments of a packet's time it is luck whether a request is still in time for it.
LAST = 0.9 * FRAME


def points(settings):
    return [0, 100, 500]


def take(bench, way, count):
    place, settings = bench.place(fine_clock=True), bench.settings
    parks, talks = [], []
    with place.crowd(way, way.number("music"), count, settings.settle if count else 0) as watcher:
        phones = [Phone(place.switch, says=tone) for tone in (CALLER, TAKER, DESK)]
        phones[2].on_ring = 0
        try:
            for n in range(settings.takes):
                try:
                    park, talk = _once(way, watcher, *phones, LAST * n / max(1, settings.takes - 1))
                except (Failed, TimeoutError, _Missed) as why:
                    bench.remark(f"{way.name}, {count} parked: {why!r}")
                    continue
                parks.append(park * 1000)
                talks.append(talk * 1000)
        finally:
            for phone in phones:
                phone.close()
    goal = {0: 1.0, 500: 0.5}.get(count)
    named = f"{count} parked"
    return {
        Row(f"REFER to slot taken, {named}", "ms", goal=goal): parks,
        Row(f"REFER to slot taken, {named}", "ms", of="99th", goal=goal): parks,
        Row(f"INVITE to two-way audio, {named}", "ms", goal=goal): talks,
        Row(f"INVITE to two-way audio, {named}", "ms", of="99th", goal=goal): talks,
    }


class _Missed(Exception):
    """Something did not happen."""


def _once(way, watcher, caller_phone, taker_phone, desk, phase):
    """A caller reaches a desk, is transferred into a slot, and is taken out of it; how long each took, in seconds. `phase`: how long after
    a packet each begins."""
    caller = caller_phone.call(f"desk-{desk.port}")
    transferring, taker = desk.wait_call(), None
    try:
        _wait(0.4, caller, phase)
        before, began = len(watcher.told), time.time()
        transferring.refer(way.number("music"))
        parked = watcher.next_parked(before)
        if parked is None:
            raise _Missed("no slot was taken")
        _wait(0.4, caller, phase)
        invited = time.monotonic()
        taker = taker_phone.call(way.number_to_take(parked.slot))
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
    """All legs look up at the same moments, once in a packet's time, and most of what is measured is how long it is until then. So it is
    waited for each part of that time alike, as the packets tell it, and neither module is the luckier."""
    time.sleep(seconds)
    last = list(call.audio.heard)[-25:]
    if not last:  # where the machine is so busy that none came yet, any moment is as good
        return
    at = last[-1][0]
    until = at + statistics.median((packet - at + FRAME / 2) % FRAME - FRAME / 2 for packet, _ in last) + phase
    until += math.ceil((time.monotonic() - until) / FRAME) * FRAME
    time.sleep(max(0, until - time.monotonic()))


def _heard(call, tone, since):
    """When the first packet came that has the tone."""
    for at, payload in list(call.audio.heard):
        if at >= since and strength([_DECODED[byte] for byte in payload], tone) > 0.5:
            return at
    return None
