"""Measures FreeSWITCH's processor time per parked caller, with music and with silence, without what it needs when there are no calls.

Two more figures explain it: how many packets per second some of the callers were sent and how many of theirs were received, because fewer
packets need less time; and the idle share of the machine, because the processor time is too low if FreeSWITCH and the callers need more
than the machine has."""

from environment import Window
from results import Row

LISTENERS = 10


def points(settings):
    return [(sound, count) for sound in ("music", "silence") for count in settings.sizes]


def take(bench, module, point):
    sound, count = point
    environment, settings = bench.environment(), bench.settings
    rest = bench.rest()
    with environment.parked_callers(module, module.number(sound), count, settings.settle) as events:
        legs = [event.leg for event in events.parked()[:LISTENERS]]
        busy = Window(environment.switch, events.phones, settings.window, legs)
    named = f"{sound}, {count} parked"
    return {
        Row(f"CPU per caller, {named}", "% of a core", goal=0.4 if sound == "music" else None, per_call=(f"CPU, {sound}", count)):
            [100 * (busy.freeswitch - rest) / count],
        Row(f"packets to a caller, {named}", "a second", note=True): [busy.sent],
        Row(f"packets from a caller, {named}", "a second", note=True): [busy.received],
        Row(f"machine idle, {named}", "%", note=True): [100 * busy.idle],
        Row(f"CPU of the callers themselves, {named}", "% of a core", note=True): [100 * busy.callers],
    }
