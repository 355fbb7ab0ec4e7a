"""Measures the growth of FreeSWITCH's resident memory per parked caller.

Each measurement has a FreeSWITCH of its own, because after earlier calls the free memory in the heap would hide what a call needs. It begins
with a few calls, so that memory that is allocated only once does not count."""

from results import Row


def points(settings):
    return [settings.sizes[-1]]


def take(bench, module, count):
    with bench.fresh() as environment:
        with environment.parked_callers(module, module.number("music"), min(20, count), 1):
            pass
        before = environment.switch.memory_kb()
        with environment.parked_callers(module, module.number("music"), count, bench.settings.settle):
            grown = environment.switch.memory_kb() - before
    return {Row(f"memory per caller, {count} parked", "kB", goal=1.0): [grown / count]}
