"""Measures reports of 30 days in a history of a million calls, of a year and of 90 days, on SQLite and, if it is installed, on PostgreSQL."""

import os
import sqlite3
import subprocess
import time
from pathlib import Path

from modules import LOT
from results import Row
from switch import Switch, module_dir
from test_history import BIN, Postgres

ROWS = 1_000_000
DAYS = (365, 90)
REQUESTS = 5
GROUPINGS = ("hour", "day", "lot", "parker", "retriever")
GOAL = 1000  # ms
COLUMNS = ("uuid, parked_at, wait_ms, lot, domain, slot, caller_name, caller_number, parker, retriever, label, outcome, attempts, node")
# `random` is a number from 0 on for each of its places, and `series` yields n from 1 to ROWS. Most waits are short. Parkers and retrievers are 100 users.
VALUES = """SELECT 'leg' || n, {began} + n * {step}, 500 + {random} % 1000 * ({random} % 300), 'lot' || n % 3, 'tenant' || n % 10 || '.example.com', '701', 'Anna Berg',
  '+4930901820', 1001 + {random} % 100 || '@example.com', CASE WHEN n % 10 < 8 THEN 1001 + {random} % 100 || '@example.com' ELSE '' END, '',
  CASE n % 10 WHEN 9 THEN 'abandoned' WHEN 8 THEN 'fallback' WHEN 7 THEN 'returned' ELSE 'retrieved' END, 0, 'pbx1' FROM {series}"""


class Sqlite:
    """A history in the file of a FreeSWITCH."""

    dsn = ""

    def close(self):
        pass

    def cpu_seconds(self):
        return 0  # it is FreeSWITCH itself that reads the file

    def fill(self, switch, began, step):
        values = VALUES.format(began=began, step=step, random="abs(random() / 2)", series="series")
        series = f"WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {ROWS})"
        with sqlite3.connect(switch.dir / "db/callpark.db") as database:
            database.execute(f"INSERT INTO callpark_records ({COLUMNS}) {series} {values}")


class Postgresql(Postgres):
    """A history in a PostgreSQL on loopback."""

    def cpu_seconds(self):
        """The processor time of the server and of all its processes, those that have ended included."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        of = lambda pid: sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15]))
        return sum(of(pid) for pid in [self.pid, *children]) / os.sysconf("SC_CLK_TCK")

    def fill(self, switch, began, step):
        values = VALUES.format(began=began, step=step, random="(random() * 1000000)::bigint", series=f"generate_series(1::bigint, {ROWS}) n")
        subprocess.run(self.psql("-qc", f"INSERT INTO callpark_records ({COLUMNS}) {values}", "-c", "VACUUM ANALYZE callpark_records"), check=True)


DATABASES = {"SQLite": Sqlite, "PostgreSQL": Postgresql}


class Archive:
    """A FreeSWITCH with this history, which runs inside `with`."""

    def __init__(self, library, prefix, kind, days):
        self.database, self.switch, self.days = kind(), Switch(library, prefix), days
        dsn = f'<param name="db-dsn" value="{self.database.dsn}"/>' if self.database.dsn else ""
        self.switch.configure(LOT, f'{dsn}<param name="record-days" value="36500"/>')

    def __enter__(self):
        self.switch.start()
        if self.database.dsn:
            self.switch.api("load mod_pgsql")
        self.switch.json("stats")  # the tables are there now
        step = self.days * 86_400_000 // ROWS
        self.database.fill(self.switch, int(time.time() * 1000) - ROWS * step, step)
        return self

    def __exit__(self, *_):
        self.switch.stop()
        self.database.close()


def points(settings):
    return [(database, days) for database in DATABASES for days in DAYS]


def take(bench, module, point):
    database, days = point
    if module.name != "callpark" or (database == "PostgreSQL" and (BIN is None or not (module_dir(bench.prefix) / "mod_pgsql.so").exists())):
        return {}
    if point not in bench.shared:
        bench.shared[point] = bench.running.enter_context(Archive(bench.library, bench.prefix, DATABASES[database], days))
    archive, results = bench.shared[point], {}
    switch, used = archive.switch, lambda: archive.switch.cpu_seconds() + archive.database.cpu_seconds()
    for by in GROUPINGS:
        name = f"report of 30 days by {by}, a million calls in {days} days, {database}"
        took = results[Row(name, "ms", limit=GOAL, note=True)] = []
        # Other load of the machine does not add to the processor time.
        work = results[Row(f"{name}, processor time", "ms", note=True)] = []
        for _ in range(REQUESTS):
            began, before = time.monotonic(), used()
            parked = switch.json(f"report 30d now by {by}")["total"]["parked"]
            took.append(1000 * (time.monotonic() - began))
            work.append(1000 * (used() - before))
        if not 0.9 < parked / (ROWS * 30 / days) < 1.1:
            bench.remark(f"the report by {by} has {parked} calls of {ROWS} in {days} days")
    return results
