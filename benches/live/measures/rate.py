"""Parks per second: callers who dial, wait in a slot for half a second, hang up and dial again, as fast as it goes.

More and more of them at once, until more do not bring more parks: the most that were seen. They send no sound themselves, or
it would be the sound that is measured. How many there can be depends on what the machine does besides; so the processor time of
FreeSWITCH for each is told too."""

import time

import sipp
from results import Row
from watcher import Watcher

AT_ONCE = [50, 100, 200, 400, 800]


def points(settings):
    return ["saturation"]


def take(bench, way, _):
    place, best, work = bench.place(), 0.0, []
    for at_once in AT_ONCE:
        rate, used = _rate(place, way, at_once, bench.settings.window / 2)
        work.append(1000 * used / max(1, rate))
        if rate < best * 1.05:
            best = max(best, rate)
            break
        best = rate
    return {
        Row("parks to saturation", "a second", goal=1.2, more=True): [best],
        Row("CPU of a call that is parked, from INVITE to BYE", "ms"): work,
    }


def _rate(place, way, at_once, seconds):
    """Parks a second, and processors in use by FreeSWITCH for it."""
    switch, watcher = place.switch, Watcher(place.switch, way)
    phones = sipp.phones(switch, f"rate-{time.monotonic_ns()}", way.number("music"), {0.5: 1}, 2000, at_once=at_once)
    try:
        time.sleep(2)
        began, before = time.time(), switch.cpu_seconds()
        time.sleep(seconds)
        ended, after = time.time(), switch.cpu_seconds()
        # What was told late counts for when it happened.
        time.sleep(0.5)
        parks = sum(began <= told.at < ended for told in watcher.parked())
    finally:
        phones.stop()
        place.clear()
        watcher.close()
        phones.end(5)
    return parks / (ended - began), (after - before) / (ended - began)
