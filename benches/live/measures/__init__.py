"""The measurements: one file for each name that ONLY accepts. Each file has `points(settings)`, and `take(bench, module, point)`, which returns
a list of values for each row."""

from measures import cpu, dialplan, latency, listing, memory, rate, report, startup, timeouts

ALL = {"cpu": cpu, "memory": memory, "latency": latency, "rate": rate, "listing": listing, "timeouts": timeouts, "dialplan": dialplan, "report": report, "startup": startup}
