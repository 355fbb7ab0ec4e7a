"""Processor time of FreeSWITCH per parked caller, with music and with silence, less what it needs with nobody there.

Where both modules together with the callers ask for more than the machine has, the one that asks for more is given less than it
wants: its figure is then too small. The share of the machine that was idle is told with it."""

from place import Window
from results import Row


def points(settings):
    return [(sound, count) for sound in ("music", "silence") for count in settings.sizes]


def take(bench, way, point):
    sound, count = point
    place, settings = bench.place(), bench.settings
    rest = bench.rest()
    with place.crowd(way, way.number(sound), count, settings.settle) as watcher:
        busy = Window(place.switch, watcher.phones, settings.window)
    goal = 0.4 if sound == "music" else None
    named = f"{sound}, {count} parked"
    return {
        Row(f"CPU per caller, {named}", "% of a core", goal=goal, per_call=(f"CPU, {sound}", count)): [100 * (busy.freeswitch - rest) / count],
        Row(f"machine idle, {named}", "%", note=True): [100 * busy.idle],
        Row(f"CPU of the callers themselves, {named}", "% of a core", note=True): [100 * busy.callers],
    }
