"""The module beside mod_valet_parking on one FreeSWITCH: the same callers, in turns A B A B. See docs/performance.md.

Variables: PAIRS (5) turns of both; ONLY, some of cpu,memory,latency,rate,listing,timeouts; SIZES (50,200,500) calls parked; WINDOW
(10) seconds that are measured after SETTLE (5); TAKES (10) transfers and retrievals a turn; MUSIC, file or tone.
"""

import contextlib
import datetime
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from measures import ALL
from environment import Environment, Window
from results import Results, table
from switch import ROOT, find_prefix
from modules import MODULES


@dataclass(frozen=True)
class Settings:
    pairs: int
    only: list[str]
    sizes: list[int]
    window: float
    settle: float
    takes: int
    music: str

    @staticmethod
    def of(given):
        said = lambda name, usual: given.get(name) or usual
        settings = Settings(
            int(said("PAIRS", "5")), said("ONLY", ",".join(ALL)).split(","), sorted(int(n) for n in said("SIZES", "50,200,500").split(",")),
            float(said("WINDOW", "10")), float(said("SETTLE", "5")), int(said("TAKES", "10")), said("MUSIC", "file"))
        unknown = [name for name in settings.only if name not in ALL]
        if unknown:
            raise SystemExit(f"ONLY: {', '.join(unknown)} is not among {', '.join(ALL)}")
        if settings.music not in ("file", "tone"):
            raise SystemExit(f"MUSIC: {settings.music} is neither file nor tone")
        return settings


class Bench:
    """One run: where measures get a FreeSWITCH from, and say what went wrong."""

    def __init__(self, settings, module, prefix):
        self.settings, self.module, self.prefix = settings, module, prefix
        self.running = contextlib.ExitStack()
        self.shared, self.remarks, self.at_rest = {}, [], None

    def fresh(self, fine_clock=False):
        """One that nobody has called yet."""
        return Environment(self.module, self.prefix, self.settings.music, fine_clock)

    def place(self, fine_clock=False):
        """The one that all share; of those for which FreeSWITCH's clock is to move in steps of 1 ms instead of 20, another."""
        if fine_clock not in self.shared:
            self.shared[fine_clock] = self.running.enter_context(self.fresh(fine_clock))
        return self.shared[fine_clock]

    def rest(self):
        """Processors that FreeSWITCH uses with nobody there, once each pair."""
        if self.at_rest is None:
            place = self.place()
            place.clear()
            self.at_rest = Window(place.switch, None, self.settings.window).freeswitch
        return self.at_rest

    def remark(self, text):
        print(f"  {text}", flush=True)
        self.remarks.append(text)

    def run(self):
        """Every measure's results, as far as they came."""
        names = [way.name for way in MODULES]
        results = {name: Results(names) for name in self.settings.only}
        with self.running:
            for pair in range(1, self.settings.pairs + 1):
                self.at_rest = None
                for name in self.settings.only:
                    for point in ALL[name].points(self.settings):
                        self._pair(pair, name, point, results[name])
                    yield name, results[name], pair

    def _pair(self, pair, name, point, results):
        self.remarks = results.remarks
        for way in MODULES:
            rows = ALL[name].take(self, way, point)
            results.add(way.name, rows)
            told = "; ".join(f"{row.what}{'' if row.of == 'median' else ' (99th)'} {row.figure(values):.3g} {row.unit}" for row, values in rows.items() if values)
            print(f"{pair}/{self.settings.pairs} {way.name}: {told}", flush=True)


def main():
    prefix = find_prefix()
    settings = Settings.of(os.environ)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    module = Path(os.environ.get("CALLPARK_MODULE", target / "release/libmod_callpark.so"))
    folder = target / "bench"
    bench = Bench(settings, module, prefix)
    last = {}
    for name, results, pair in bench.run():
        about = {
            "measure": name, "at": datetime.datetime.now().isoformat(timespec="minutes"), "pairs": pair, "ways": results.ways,
            "FreeSWITCH": next((place.switch.api("version").split(" ")[2] for place in bench.shared.values()), str(prefix)),
            "machine": f"{os.cpu_count()} x {platform.machine()}", "music": settings.music,
            "window s": settings.window, "settle s": settings.settle,
        }
        # After each pair, so that a run that is broken off was not for nothing.
        results.write(folder / f"{name}.json", about)
        last[name] = results
    for name, results in last.items():
        print(f"\n{name}\n\n{table(results.summary(), results.ways)}")
        for remark in results.remarks:
            print(f"- {remark}")
    print(f"\nas JSON: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
