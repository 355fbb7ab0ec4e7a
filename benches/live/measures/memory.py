"""Memory per parked caller: by how much FreeSWITCH's resident memory grows.

Each time in a FreeSWITCH of its own: in one that had calls before, what is free within its heap would hide what a call needs. A
few calls first, so that what is there once, whatever the number of calls, does not count."""

from results import Row


def points(settings):
    return [settings.sizes[-1]]


def take(bench, way, count):
    with bench.fresh() as place:
        with place.crowd(way, way.number("music"), min(20, count), 1):
            pass
        before = place.switch.memory_kb()
        with place.crowd(way, way.number("music"), count, bench.settings.settle):
            grown = place.switch.memory_kb() - before
    return {Row(f"memory per caller, {count} parked", "kB", goal=1.0): [grown / count]}
