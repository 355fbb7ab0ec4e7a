"""Parks per second: callers who dial, wait in a slot for half a second and hang up.

More and more of them a second, until twice in a row clearly fewer are parked than call: the most that were seen. Each number is kept up
for a while before and while it is measured: what FreeSWITCH only queues up, such as the news of lamps, must be done at last. The
callers send no sound of their own, or it would be the sound that is measured. How many there can be depends on what the machine does
besides; so the processor time of FreeSWITCH for each is told too, with all that is left to do when the last has gone.
"""

import contextlib
import time

import sipp
from results import Row
from switch import wait_for
from event_log import EventLog

OFFERED = range(60, 241, 20)  # calls a second
# What is not taken queues up, and a queue without end would be measured instead.
AT_ONCE = 200
TAKEN = 0.8


def points(settings):
    return ["saturation"]


def take(bench, way, _):
    place, rates, work, short = bench.place(), [], [], 0
    for offered in OFFERED:
        rate, used = _rate(bench, place, way, offered)
        rates.append(rate)
        work.append(used)
        short = short + 1 if rate < TAKEN * offered else 0
        if short == 2:
            break
    return {
        Row("parks to saturation", "a second", goal=1.2, more=True): [max(rates)],
        Row("CPU of a call that is parked, from INVITE to BYE", "ms"): work,
    }


def _rate(bench, place, way, offered):
    """Parks a second, and milliseconds of processor time that each takes of FreeSWITCH."""
    switch = place.switch
    with contextlib.closing(EventLog(switch, way)) as watcher:
        before = switch.cpu_seconds()
        phones = sipp.phones(switch, f"rate-{time.monotonic_ns()}", way.number("music"), {0.5: 1}, offered, at_once=AT_ONCE)
        try:
            time.sleep(bench.settings.settle)
            began = time.time()
            time.sleep(bench.settings.window)
            ended = time.time()
            if phones.process.poll() is not None:
                bench.remark(f"{way.name}, {offered} a second: SIPp ended ({phones.process.poll()})")
        finally:
            phones.stop()
            phones.end(5)
            place.clear()
        if not wait_for(lambda: not _busy(switch), 60, 0):
            bench.remark(f"{way.name}, {offered} a second: FreeSWITCH is still busy a minute later")
        used = switch.cpu_seconds() - before
        parks = [told.at for told in watcher.parked()]
    return sum(began <= at < ended for at in parks) / (ended - began), 1000 * used / max(1, len(parks))


def _busy(switch, seconds=0.5):
    before = switch.cpu_seconds()
    time.sleep(seconds)
    return switch.cpu_seconds() - before > 0.1 * seconds
