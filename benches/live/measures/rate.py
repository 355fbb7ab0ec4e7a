"""Measures the highest number of parked calls per second. The callers dial, are parked for half a second and hang up.

The rate of callers increases until twice in a row clearly fewer calls are parked than are made. Each rate is kept for a while before and during
its measurement, so that work that FreeSWITCH queues, such as the events for lamps, counts. The callers send back the music that they
hear. Because the rate also depends on other load of the machine, FreeSWITCH's processor time per call is measured too, at the lowest rate, including
the work after the last call.
"""

import contextlib
import time

import sipp
from event_log import EventLog
from results import Row
from switch import wait_for

OFFERED = range(60, 241, 20)  # calls per second
# The maximum number of calls at a time. Without it the calls that are not answered would queue up without end.
AT_ONCE = 200
# A rate counts as reached if this share of its calls is parked.
TAKEN = 0.8


def points(settings):
    return ["saturation"]


def take(bench, module, _):
    environment, rates, work, short = bench.environment(), [], [], 0
    for offered in OFFERED:
        rate, used = _rate(bench, environment, module, offered)
        rates.append(rate)
        work.append(used)
        short = short + 1 if rate < TAKEN * offered else 0
        if short == 2:
            break
    return {
        Row("parks to saturation", "a second", goal=1.2, more=True): [max(rates)],
        Row(f"CPU of a call that is parked, from INVITE to BYE, {OFFERED[0]} a second", "ms"): work[:1],
    }


def _rate(bench, environment, module, offered):
    """Makes `offered` calls per second. Returns the parked calls per second, and FreeSWITCH's processor time per call in milliseconds."""
    switch = environment.switch
    with contextlib.closing(EventLog(switch, module)) as events:
        before = switch.cpu_seconds()
        phones = sipp.phones(switch, f"rate-{time.monotonic_ns()}", module.number("music"), {0.5: 1}, offered, at_once=AT_ONCE)
        try:
            time.sleep(bench.settings.settle)
            began = time.time()
            time.sleep(bench.settings.window)
            ended = time.time()
            if phones.process.poll() is not None:
                bench.remark(f"{module.name}, {offered} a second: SIPp ended ({phones.process.poll()})")
        finally:
            phones.stop()
            phones.end(5)
            environment.clear()
        if not wait_for(lambda: not _busy(switch), 60, 0):
            bench.remark(f"{module.name}, {offered} a second: FreeSWITCH is still busy a minute later")
        used = switch.cpu_seconds() - before
        parks = [event.at for event in events.parked()]
    return sum(began <= at < ended for at in parks) / (ended - began), 1000 * used / max(1, len(parks))


def _busy(switch, seconds=0.5):
    before = switch.cpu_seconds()
    time.sleep(seconds)
    return switch.cpu_seconds() - before > 0.1 * seconds
