"""Keeps the results of measurements, and writes them as a table and as JSON."""

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One row of the table: a figure of each module, and if there are two, the ratio of the first to the second."""

    what: str
    unit: str
    of: str = "median"  # of the values of one pair, or "slowest"
    # The highest ratio that reaches the goal, or the lowest if `more` is better.
    goal: float | None = None
    more: bool = False
    # The highest figure of the first module that reaches the goal.
    limit: float | None = None
    # A row that explains the others and has no ratio.
    note: bool = False
    # For a figure that should not depend on the number of calls: its name, this row's number of calls, and the highest growth that reaches the goal.
    per_call: tuple[str, int, float | None] | None = None

    @property
    def name(self):
        return self.what if self.of == "median" else f"{self.what}, {self.of}"

    def figure(self, values):
        return max(values) if self.of == "slowest" else statistics.median(values)


class Results:
    """Rows, each with the values of every pair: {module: [[values of a pair], ...]}."""

    def __init__(self, modules):
        self.modules, self.rows, self.remarks = modules, {}, []

    def add(self, module, rows):
        for row, values in rows.items():
            self.rows.setdefault(row, {name: [] for name in self.modules})[module].append(values)

    def summary(self):
        return [summed for row, of in self.rows.items() if (summed := _sum_up(row, of, self.modules))] + list(self._growth())

    def _growth(self):
        """Rows with the ratio of a figure at the highest number of calls to that at the lowest."""
        kinds = {}
        for row, of in self.rows.items():
            if row.per_call:
                kind, count, limit = row.per_call
                kinds.setdefault((kind, limit), {})[count] = of
        for (kind, limit), sizes in kinds.items():
            few, most = min(sizes), max(sizes)
            if few < most:
                of = {module: [[statistics.median(b) / statistics.median(a)] for a, b in zip(sizes[few][module], sizes[most][module]) if a and b] for module in self.modules}
                if summed := _sum_up(Row(f"{kind}: {most} parked against {few}", "times", limit=limit, note=True), of, self.modules):
                    yield summed

    def write(self, file, about):
        rows = [{"what": row.what, "of": row.of, "pairs": of} for row, of in self.rows.items()]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**about, "remarks": self.remarks, "summary": self.summary(), "rows": rows}, indent=1) + "\n")


def _sum_up(row, of, modules):
    figures = {module: [row.figure(values) for values in of[module] if values] for module in modules}
    if not any(figures.values()) or not (row.note or all(figures.values())):
        return None
    modules = [module for module in modules if figures[module]]
    summed = {"what": row.name, "unit": row.unit, "pairs": len(figures[modules[0]])}
    for module in modules:
        summed[module] = _spread(figures[module])
    if row.limit is not None:
        summed["goal"] = f"<= {row.limit}"
        summed["reached"] = summed[modules[0]]["figure"] <= row.limit
    if not row.note and len(modules) == 2:
        ratios = [a / b for a, b in zip(*figures.values()) if b > 0]
        if ratios:
            summed["ratio"] = _spread(ratios)
            if row.goal is not None:
                ratio = summed["ratio"]["figure"]
                summed["goal"] = f"{'>=' if row.more else '<='} {row.goal}"
                summed["reached"] = ratio >= row.goal if row.more else ratio <= row.goal
    return summed


def _spread(values):
    return {"figure": statistics.median(values), "least": min(values), "most": max(values)}


def table(summary, modules):
    """The summary as an aligned Markdown table. Each figure is the median of the pairs, with their minimum and maximum."""
    head = ["", *modules, "ratio", "goal", ""]
    lines = [[f"{row['what']} ({row['unit']})", *(_shown(row.get(module)) for module in modules), _shown(row.get("ratio")), row.get("goal", ""),
              {True: "yes", False: "NO", None: ""}[row.get("reached")]] for row in summary]
    widths = [max(len(line[n]) for line in [head, *lines]) for n in range(len(head))]
    put = lambda cells: "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"
    return "\n".join([put(head), put(["-" * width for width in widths]), *map(put, lines)])


def _shown(figure):
    if not figure:
        return ""
    places = lambda value: f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
    middle, least, most = (places(figure[name]) for name in ("figure", "least", "most"))
    return middle if least == most else f"{middle} ({least} to {most})"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        results = json.loads(Path(name).read_text())
        print(f"{results['measure']}: {results['pairs']} pairs, commit {results['commit']}, FreeSWITCH {results['FreeSWITCH']}, {results['machine']}, {results['at']}\n")
        print(table(results["summary"], results["modules"]), end="\n\n")
        for remark in results["remarks"]:
            print(f"- {remark}")
