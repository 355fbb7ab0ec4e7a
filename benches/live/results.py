"""What was measured, as a table for people and as JSON."""

import json
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure of each module, and the first's as a share of the second's."""

    what: str
    unit: str
    of: str = "median"  # or 99th
    # The most that the ratio may be; the least where `more` is better.
    goal: float | None = None
    more: bool = False
    # Told to understand the others by; no ratio.
    note: bool = False
    # Figures that should be the same however many calls there are: which, and how many.
    per_call: tuple[str, int] | None = None

    def figure(self, values):
        if self.of == "99th":
            return sorted(values)[math.ceil(0.99 * len(values)) - 1]
        return statistics.median(values)


class Results:
    """Rows, each with what every pair of runs gave: {way: [[values of a pair], ...]}."""

    def __init__(self, ways):
        self.ways, self.rows, self.remarks = ways, {}, []

    def add(self, way, rows):
        for row, values in rows.items():
            self.rows.setdefault(row, {way: [] for way in self.ways})[way].append(values)

    def summary(self):
        return [summed for row, of in self.rows.items() if (summed := _sum_up(row, of, self.ways))] + list(self._growth())

    def _growth(self):
        """How what a call costs changes from the fewest calls to the most."""
        kinds = {}
        for row, of in self.rows.items():
            if row.per_call:
                kinds.setdefault(row.per_call[0], {})[row.per_call[1]] = of
        for kind, sizes in kinds.items():
            few, most = min(sizes), max(sizes)
            if few < most:
                of = {way: [[statistics.median(b) / statistics.median(a)] for a, b in zip(sizes[few][way], sizes[most][way])] for way in self.ways}
                if summed := _sum_up(Row(f"{kind}: a caller of {most} against one of {few}", "times", note=True), of, self.ways):
                    yield summed

    def write(self, file, about):
        rows = [{"what": row.what, "of": row.of, "pairs": of} for row, of in self.rows.items()]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**about, "remarks": self.remarks, "summary": self.summary(), "rows": rows}, indent=1) + "\n")


def _sum_up(row, of, ways):
    figures = {way: [row.figure(values) for values in of[way] if values] for way in ways}
    if not all(figures.values()):
        return None
    # A 99th of a few values is their largest; so it is taken of all pairs' together.
    middle = {way: row.figure([value for values in of[way] for value in values]) if row.of == "99th" else statistics.median(figures[way]) for way in ways}
    summed = {"what": row.what if row.of == "median" else f"{row.what}, 99th percentile", "unit": row.unit, "pairs": len(figures[ways[0]])}
    for way in ways:
        summed[way] = {"figure": middle[way], "least": min(figures[way]), "most": max(figures[way])}
    if not row.note:
        ratios = [a / b for a, b in zip(*figures.values()) if b > 0]
        if ratios:
            middle_ratio = middle[ways[0]] / middle[ways[1]] if row.of == "99th" else statistics.median(ratios)
            summed["ratio"] = {"figure": middle_ratio, "least": min(ratios), "most": max(ratios)}
            if row.goal is not None:
                summed["goal"] = f"{'>=' if row.more else '<='} {row.goal}"
                summed["reached"] = middle_ratio >= row.goal if row.more else middle_ratio <= row.goal
    return summed


def table(summary, ways):
    """Markdown that can also be read as it stands. Each figure is the median of the pairs, with their least and most."""
    head = ["", *ways, "ratio", "goal", ""]
    lines = [[f"{row['what']} ({row['unit']})", *(_shown(row[way]) for way in ways), _shown(row.get("ratio")), row.get("goal", ""),
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
        told = json.loads(Path(name).read_text())
        print(f"{told['measure']}: {told['pairs']} pairs, {told['FreeSWITCH']}, {told['machine']}, {told['at']}\n")
        print(table(told["summary"], told["ways"]), end="\n\n")
        for remark in told["remarks"]:
            print(f"- {remark}")
