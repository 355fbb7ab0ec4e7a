"""Measures FreeSWITCH's processor time per parked caller, without what it needs when there are no calls: of callers who talk and hear music or silence,
and of callers who hear music and send nothing. The floor is what sending the same packets costs by `sendto` alone, measured in the same minute.

Two more figures explain it: how many packets per second some of the callers were sent and how many of theirs were received, because fewer
packets need less time; and the idle share of the machine, because the processor time is too low if FreeSWITCH and the callers need more
than the machine has."""

from environment import Window
from floor import floor
from results import Row

LISTENERS = 10
# The name of each case: what is heard, whether the callers are silent, and the goals, as a ratio to mod_valet_parking.
CASES = {"music": ("music", False, 0.25), "silence": ("silence", False, None), "silent callers": ("music", True, 0.3)}


def points(settings):
    return [(case, count) for case in CASES for count in settings.sizes]


def take(bench, module, point):
    case, count = point
    sound, silent, goal = CASES[case]
    environment, settings = bench.environment(), bench.settings
    rest = bench.rest()
    with environment.parked_callers(module, module.number(sound), count, settings.settle, silent) as events:
        legs = [event.leg for event in events.parked()[:LISTENERS]]
        busy = Window(environment.switch, events.phones, settings.window, legs)
    lowest = floor(count, settings.window / 2)
    named, used = f"{case}, {count} parked", 100 * (busy.freeswitch - rest) / count
    return {
        Row(f"CPU per caller, {named}", "% of a core", goal=goal, per_call=(f"CPU, {case}", count)): [used],
        Row(f"floor, {named}", "% of a core", note=True): [lowest],
        Row(f"CPU in floors, {named}", "times", note=True): [used / lowest],
        Row(f"packets to a caller, {named}", "a second", note=True): [busy.sent],
        Row(f"packets from a caller, {named}", "a second", note=True): [busy.received],
        Row(f"machine idle, {named}", "%", note=True): [100 * busy.idle],
        Row(f"CPU of the callers themselves, {named}", "% of a core", note=True): [100 * busy.callers],
    }
