"""Measures FreeSWITCH's processor time per parked caller, without what it needs when there are no calls, by what callers hear, send and speak.
The floor is what sending the same packets costs by `sendto` alone, measured in the same minute.

Two more figures explain it: how many packets per second some of the callers were sent and how many of theirs were received, because fewer
packets need less time; and the idle share of the machine, because the processor time is too low if FreeSWITCH and the callers need more
than the machine has."""

from dataclasses import dataclass

from callers import Callers
from environment import Window
from floor import floor
from results import Row

LISTENERS = 10
# The calls from a second FreeSWITCH take as much of the machine as the first.
MOST_FAR = 100


@dataclass(frozen=True)
class Case:
    """`goal` and `floors` are the highest CPU that reaches the goal, as a ratio to mod_valet_parking and to the floor."""

    hears: str
    callers: Callers
    goal: float | None = None
    floors: float | None = None


CASES = {
    "music": Case("music", Callers(), 0.25, 2.2),
    "silence": Case("silence", Callers()),
    "silent callers": Case("music", Callers(sends="nothing"), 0.3, 2.5),
    "comfort noise": Case("music", Callers(sends="noise"), 0.3, 2.5),
    "G.722": Case("music", Callers(codec="G722")),
    "Opus": Case("music", Callers(codec="opus")),
    "SRTP": Case("music", Callers(codec="PCMU", variables="rtp_secure_media=mandatory"), 0.5),
    "WebRTC": Case("music", Callers(codec="PCMU", variables="media_webrtc=true"), 0.5),
}


def points(settings):
    near = [(case, count) for case in settings.cases if not CASES[case].callers.codec for count in settings.sizes]
    return near + [(case, min(MOST_FAR, settings.sizes[-1])) for case in settings.cases if CASES[case].callers.codec]


def take(bench, module, point):
    case, count = point
    heard, callers = CASES[case].hears, CASES[case].callers
    environment, settings = bench.environment(), bench.settings
    if callers.codec and not environment.speaks(callers.codec):
        bench.remark(f"{case}: not measured, FreeSWITCH has no codec {callers.codec}")
        return {}
    rest = bench.rest()
    with environment.parked_callers(module, module.number(heard), count, settings.settle, callers) as events:
        legs = [event.leg for event in events.parked()[:LISTENERS]]
        busy = Window(environment.switch, events.phones, settings.window, legs)
    lowest = floor(count, settings.window / 2)
    named, used = f"{case}, {count} parked", 100 * (busy.freeswitch - rest) / count
    return {
        Row(f"CPU per caller, {named}", "% of a core", goal=CASES[case].goal, per_call=(f"CPU, {case}", count, None)): [used],
        Row(f"CPU per caller against the floor, {named}", "times", limit=CASES[case].floors, note=True): [used / lowest],
        Row(f"floor, {named}", "% of a core", note=True): [lowest],
        Row(f"packets to a caller, {named}", "a second", note=True): [busy.sent],
        Row(f"packets from a caller, {named}", "a second", note=True): [busy.received],
        Row(f"machine idle, {named}", "%", note=True): [100 * busy.idle],
        Row(f"CPU of the callers themselves, {named}", "% of a core", note=True): [100 * busy.callers],
    }
