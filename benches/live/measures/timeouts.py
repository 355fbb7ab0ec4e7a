"""What time-outs cost as calls grow: processor time per caller while one is pending for each, and how late they come."""

from environment import FILL, Window
from results import Row
from switch import wait_for


def points(settings):
    return settings.sizes


def take(bench, way, count):
    place, settings = bench.place(), bench.settings
    # The first to be parked is not due before the window is over.
    wait = int(count / FILL + settings.settle + settings.window / 2 + 5)
    rest = bench.rest()
    with place.crowd(way, way.number_due_after(wait), count, settings.settle) as watcher:
        busy = Window(place.switch, watcher.phones, settings.window / 2)
        over = lambda: {told.leg: told.at for told in watcher.told if told.action == way.due}
        if any(over()):
            bench.remark(f"{way.name}, {count} parked: time-outs came within the window")
        wait_for(lambda: len(over()) >= count, wait + 10, 0.2)
        ended = over()
    late = [1000 * (ended[told.leg] - told.at - wait) for told in watcher.parked() if told.leg in ended]
    if len(late) < count:
        bench.remark(f"{way.name}: {count - len(late)} of {count} time-outs did not come")
    named = f"{count} parked"
    return {
        Row(f"CPU per caller, a time-out pending, {named}", "% of a core", goal=0.4, per_call=("CPU, a time-out pending", count)):
            [100 * (busy.freeswitch - rest) / count],
        Row(f"time-out late by, {named}", "ms", note=True): late,
        Row(f"time-out late by, {named}", "ms", of="99th", note=True): late,
    }
