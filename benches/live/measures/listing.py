"""Time that a listing of all parked calls takes, over the event socket."""

import time

from results import Row

ASKED = 50


def points(settings):
    return settings.sizes


def take(bench, way, count):
    place, took = bench.place(), []
    with place.crowd(way, way.number("music"), count, 1):
        for _ in range(ASKED):
            began = time.monotonic()
            text = place.switch.api(way.listing)
            took.append(1000 * (time.monotonic() - began))
            time.sleep(0.02)
        if len(text.splitlines()) < count:
            bench.remark(f"{way.name} lists {len(text.splitlines())} lines for {count} calls")
    return {Row(f"listing, {count} parked", "ms"): took, Row(f"size of the listing, {count} parked", "kB", note=True): [len(text) / 1024]}
