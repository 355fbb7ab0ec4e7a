"""What is measured: a file each, by the name that ONLY= takes. Each has `points(settings)`, and `take(bench, way, point)`, which
answers with a list of values for each row."""

from measures import cpu, latency, listing, memory, rate, timeouts

ALL = {"cpu": cpu, "memory": memory, "latency": latency, "rate": rate, "listing": listing, "timeouts": timeouts}
