"""Compares the module with mod_valet_parking on one FreeSWITCH. Each measurement is made with both in turn, in pairs A B A B. See
docs/performance.md.

Environment variables and their defaults: PAIRS (5), the number of pairs; ONLY, a list of measurements (all of cpu, memory, latency, rate,
listing, timeouts, dialplan, report, startup); CASES, some of the kinds of callers of cpu; MODULES (callpark,valet), the modules; SIZES (50,200,500),
the numbers of parked calls; WINDOW (10), the seconds of one measurement, which begins SETTLE (5) seconds after the calls were parked; TAKES (10), the
transfers and retrievals of one measurement; MUSIC (file), `file` or `tone`.
"""

import contextlib
import datetime
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from environment import Environment, Window
from measures import ALL, cpu
from modules import MODULES, ParkingModule
from results import Results, table
from switch import ROOT, find_prefix


@dataclass(frozen=True)
class Settings:
    pairs: int
    only: list[str]
    cases: list[str]
    modules: list[ParkingModule]
    sizes: list[int]
    window: float
    settle: float
    takes: int
    music: str

    @staticmethod
    def from_environment(variables):
        def get(name, default):
            return variables.get(name) or default

        def chosen(name, known):
            wanted = get(name, ",".join(known)).split(",")
            if unknown := [word for word in wanted if word not in known]:
                raise SystemExit(f"{name}: unknown {', '.join(unknown)}, expected some of {', '.join(known)}")
            return wanted

        modules = chosen("MODULES", [module.name for module in MODULES])
        settings = Settings(
            int(get("PAIRS", "5")), chosen("ONLY", ALL), chosen("CASES", cpu.CASES), [module for module in MODULES if module.name in modules],
            sorted(int(n) for n in get("SIZES", "50,200,500").split(",")), float(get("WINDOW", "10")), float(get("SETTLE", "5")), int(get("TAKES", "10")),
            get("MUSIC", "file"))
        if settings.music not in ("file", "tone"):
            raise SystemExit(f"MUSIC: unknown value {settings.music}, expected file or tone")
        return settings


class Bench:
    """One run. It gives the measurements a FreeSWITCH and keeps their remarks."""

    def __init__(self, settings, library, prefix):
        self.settings, self.library, self.prefix = settings, library, prefix
        self.running = contextlib.ExitStack()
        self.shared, self.remarks, self.at_rest = {}, [], None

    def fresh(self, fine_clock=False):
        """A FreeSWITCH that has had no calls. It is not started."""
        return Environment(self.library, self.prefix, self.settings.music, fine_clock)

    def environment(self, fine_clock=False):
        """The running FreeSWITCH that all measurements share. With `fine_clock` it is another, whose clock advances in steps of 1 ms instead
        of 20 ms."""
        if fine_clock not in self.shared:
            self.shared[fine_clock] = self.running.enter_context(self.fresh(fine_clock))
        return self.shared[fine_clock]

    def rest(self):
        """The number of processors that FreeSWITCH uses without calls. It is measured once in each pair."""
        if self.at_rest is None:
            environment = self.environment()
            environment.clear()
            self.at_rest = Window(environment.switch, None, self.settings.window).freeswitch
        return self.at_rest

    def remark(self, text):
        print(f"  {text}", flush=True)
        self.remarks.append(text)

    def run(self):
        """Makes all measurements. Yields the results of each after each pair."""
        names = [module.name for module in self.settings.modules]
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
        for module in self.settings.modules:
            rows = ALL[name].take(self, module, point)
            results.add(module.name, rows)
            figures = "; ".join(f"{row.name} {row.figure(values):.3g} {row.unit}" for row, values in rows.items() if values)
            print(f"{pair}/{self.settings.pairs} {module.name}: {figures}", flush=True)


def _commit():
    """The commit of the sources, as git describes it."""
    told = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return told.stdout.strip() or "unknown"


def main():
    prefix = find_prefix()
    settings = Settings.from_environment(os.environ)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    library = Path(os.environ.get("CALLPARK_MODULE", target / "release/libmod_callpark.so"))
    folder = target / "bench"
    bench = Bench(settings, library, prefix)
    last, commit = {}, _commit()
    for name, results, pair in bench.run():
        about = {
            "measure": name, "commit": commit, "at": datetime.datetime.now().isoformat(timespec="minutes"), "pairs": pair, "modules": results.modules,
            "FreeSWITCH": next((environment.switch.api("version").split(" ")[2] for environment in bench.shared.values()), str(prefix)),
            "machine": f"{os.cpu_count()} x {platform.machine()}", "music": settings.music,
            "window s": settings.window, "settle s": settings.settle,
        }
        # The file is written after each pair, so that an interrupted run has results too.
        results.write(folder / f"{name}.json", about)
        last[name] = results
    for name, results in last.items():
        print(f"\n{name}\n\n{table(results.summary(), results.modules)}")
        for remark in results.remarks:
            print(f"- {remark}")
    print(f"\nas JSON: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
