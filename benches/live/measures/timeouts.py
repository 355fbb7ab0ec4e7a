"""Measures the processor time per caller while each caller has a pending timeout, and by how much timeouts are late."""

from environment import FILL, Window
from results import Row
from switch import wait_for


def points(settings):
    return settings.sizes


def take(bench, module, count):
    environment, settings = bench.environment(), bench.settings
    # The first timeout must not be over before the end of the window.
    wait = int(count / FILL + settings.settle + settings.window / 2 + 5)
    rest = bench.rest()
    with environment.parked_callers(module, module.number_due_after(wait), count, settings.settle) as events:
        busy = Window(environment.switch, events.phones, settings.window / 2)
        over = lambda: {event.leg: event.at for event in events.events if event.action == module.due}
        if any(over()):
            bench.remark(f"{module.name}, {count} parked: time-outs came within the window")
        wait_for(lambda: len(over()) >= count, wait + 10, 0.2)
        ended = over()
    late = [1000 * (ended[event.leg] - event.at - wait) for event in events.parked() if event.leg in ended]
    if len(late) < count:
        bench.remark(f"{module.name}: {count - len(late)} of {count} time-outs did not come")
    named = f"{count} parked"
    return {
        Row(f"CPU per caller, a time-out pending, {named}", "% of a core", goal=0.4, per_call=("CPU, a time-out pending", count, None)):
            [100 * (busy.freeswitch - rest) / count],
        Row(f"time-out late by, {named}", "ms", note=True): late,
        Row(f"time-out late by, {named}", "ms", of="slowest", note=True): late,
    }
