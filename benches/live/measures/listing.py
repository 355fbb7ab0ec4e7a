"""Measures the time of a listing of all parked calls over the event socket."""

import time

from results import Row

REQUESTS = 50


def points(settings):
    return settings.sizes


def take(bench, module, count):
    environment, took = bench.environment(), []
    with environment.parked_callers(module, module.number("music"), count, 1):
        for _ in range(REQUESTS):
            began = time.monotonic()
            text = environment.switch.api(module.listing)
            took.append(1000 * (time.monotonic() - began))
            time.sleep(0.02)
        if len(text.splitlines()) < count:
            bench.remark(f"{module.name} lists {len(text.splitlines())} lines for {count} calls")
    return {Row(f"listing, {count} parked", "ms"): took, Row(f"size of the listing, {count} parked", "kB", note=True): [len(text) / 1024]}
