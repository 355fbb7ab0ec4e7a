"""Processor time of FreeSWITCH per parked caller, with music and with silence, less what it needs with nobody there.

Two things are told with it. How many packets a second some of the callers were sent, and how many of theirs were read: where
those are fewer, less was needed. And the share of the machine that was idle: where FreeSWITCH and the callers ask for more than
there is, a figure is smaller than what it would be."""

from environment import Window
from results import Row

LISTENERS = 10


def points(settings):
    return [(sound, count) for sound in ("music", "silence") for count in settings.sizes]


def take(bench, way, point):
    sound, count = point
    place, settings = bench.place(), bench.settings
    rest = bench.rest()
    with place.crowd(way, way.number(sound), count, settings.settle) as watcher:
        legs = [told.leg for told in watcher.parked()[:LISTENERS]]
        busy = Window(place.switch, watcher.phones, settings.window, legs)
    named = f"{sound}, {count} parked"
    return {
        Row(f"CPU per caller, {named}", "% of a core", goal=0.4 if sound == "music" else None, per_call=(f"CPU, {sound}", count)):
            [100 * (busy.freeswitch - rest) / count],
        Row(f"packets to a caller, {named}", "a second", note=True): [busy.sent],
        Row(f"packets from a caller, {named}", "a second", note=True): [busy.received],
        Row(f"machine idle, {named}", "%", note=True): [100 * busy.idle],
        Row(f"CPU of the callers themselves, {named}", "% of a core", note=True): [100 * busy.callers],
    }
