"""Tests reports: each figure is compared with a plain recount of the rows, on SQLite and on PostgreSQL."""

import csv
import datetime
import io
import random
import sqlite3
import subprocess
import urllib.parse
from collections import Counter, defaultdict
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from conftest import LOTS
from switch import free_port
from test_history import OUTCOMES, own, postgres  # noqa: F401  (fixtures)
from test_web import Site

ALL, ONE = "all-may-0123456789", "one-domain-0123456789"
COLUMNS = ("uuid", "parked_at", "wait_ms", "lot", "domain", "slot", "caller_name", "caller_number", "parker", "retriever", "label",
           "outcome", "attempts", "node")
BERLIN, NEW_YORK, KOLKATA = "Europe/Berlin", "America/New_York", "Asia/Kolkata"


def at(text, zone="UTC"):
    """Milliseconds since 1970."""
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def record(n, parked_at, **fields):
    usual = {"uuid": f"leg{n}", "parked_at": parked_at, "wait_ms": 5000, "lot": "main", "domain": "callpark.test", "slot": "701", "caller_name": "Anna",
             "caller_number": "1", "parker": "", "retriever": "", "label": "", "outcome": "retrieved", "attempts": 0, "node": "n"}
    return {**usual, **fields}


def random_records(count):
    """Calls of five weeks in which both Berlin and New York set their clocks, of three domains with lots of the same names."""
    chance, rows = random.Random(11), []
    begin, end = at("2025-10-10T00:00"), at("2025-11-14T00:00")
    places = [("main", "callpark.test"), ("star", "callpark.test"), ("main", "other.test"), ("main", "third.test")]
    for n in range(count):
        lot, domain = chance.choice(places)
        # Many of the waits are equal, some are at the borders between classes, and some are out of all classes.
        wait = chance.choice([0, 1, 999, 1000, 1001, 60_000, 60_001, 120_000, 120_001, 600_000, 600_001, 7_200_000, 86_400_000, 86_400_001,
                              *(int(chance.expovariate(1 / 45_000)) for _ in range(60))])
        outcome = chance.choice(OUTCOMES)
        taker = f"{chance.randint(1001, 1009)}@{domain}" if outcome in ("retrieved", "returned") else ""
        near_change = chance.random() < 0.3
        when = at("2025-10-26T01:00") + chance.randrange(-7_200_000, 7_200_000) if near_change else chance.randrange(begin, end)
        rows.append(record(n, when, wait_ms=wait, lot=lot, domain=domain, outcome=outcome, retriever=taker,
                           parker=chance.choice(["", "O'Neil", f"{chance.randint(1001, 1009)}@{domain}"])))
    return rows


class Sqlite:
    def __init__(self, switch):
        self.dsn, self.switch = "", switch

    def insert(self, rows):
        with sqlite3.connect(self.switch.dir / "db/callpark.db") as database:
            database.executemany(f"INSERT INTO callpark_records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})",
                                 [tuple(row[name] for name in COLUMNS) for row in rows])


class Postgresql:
    def __init__(self, server):
        self.dsn, self.server = server.dsn, server

    def insert(self, rows):
        text = io.StringIO()
        csv.writer(text).writerows([row[name] for name in COLUMNS] for row in rows)
        copy = f"copy callpark_records ({', '.join(COLUMNS)}) from stdin with (format csv, force_not_null (caller_number, parker, retriever, label))"
        subprocess.run(self.server.psql("-qc", copy), input=text.getvalue(), text=True, check=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def office(request, own):  # noqa: F811
    """A FreeSWITCH with an HTTP server, whose time zone is Berlin's; `insert` writes rows into its history."""
    database = Sqlite(own) if request.param == "sqlite" else Postgresql(request.getfixturevalue("postgres"))
    port = free_port()
    tokens = own.dir / "tokens"
    tokens.write_text(f"{ALL} view *\n{ONE} view other.test\n")
    tokens.chmod(0o600)
    own.environment = {"TZ": BERLIN}
    dsn = f'<param name="db-dsn" value="{database.dsn}"/>' if database.dsn else ""
    own.configure(LOTS, f'{dsn}<param name="http-listen" value="127.0.0.1:{port}"/><param name="http-token-file" value="{tokens}"/>'
                        '<param name="record-days" value="36500"/>')
    own.start()
    if request.param == "postgresql":
        assert "+OK" in own.api("load mod_pgsql")
    assert own.json("stats") == []
    own.insert, own.site = database.insert, Site(port)
    yield own
    if request.param == "sqlite":
        assert own.stop() == 0


def figures(rows, service_level=60):
    """Computes the figures of these rows in another way than the module."""
    waits = sorted(row["wait_ms"] for row in rows)
    outcomes = Counter(row["outcome"] for row in rows)
    rank = lambda percent: waits[-(-percent * len(waits) // 100) - 1] if waits else 0
    in_time = [r for r in rows if r["outcome"] in ("retrieved", "returned") and r["wait_ms"] <= service_level * 1000]
    return {
        "parked": len(rows), **{name: outcomes[name] for name in OUTCOMES}, "long_waits": sum(wait > service_level * 2000 for wait in waits),
        "in_time": len(in_time) / len(rows) if rows else None, "wait_mean_ms": sum(waits) // len(waits) if waits else 0,
        "wait_median_ms": rank(50), "wait_p95_ms": rank(95), "wait_longest_ms": waits[-1] if waits else 0,
    }


def recount(rows, by, zone):
    local = lambda row: datetime.datetime.fromtimestamp(row["parked_at"] / 1000, ZoneInfo(zone))
    key = {"hour": lambda row: f"{local(row):%H}:00", "day": lambda row: f"{local(row):%Y-%m-%d}", "lot": lambda row: f"{row['lot']}@{row['domain']}",
           "parker": lambda row: row["parker"], "retriever": lambda row: row["retriever"]}[by]
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return {name: figures(group) for name, group in groups.items()}


def within(rows, begin, end, **fields):
    return [row for row in rows if begin <= row["parked_at"] < end and all(row[name] == value for name, value in fields.items())]


def as_recount(report):
    return {group["group"]: {name: value for name, value in group.items() if name != "group"} for group in report["groups"]}


def test_each_figure_is_that_of_a_plain_recount(office):
    rows = random_records(4000)
    office.insert(rows)
    begin, end = at("2025-10-20T00:00", BERLIN), at("2025-11-11T00:00", BERLIN)
    for zone in (BERLIN, NEW_YORK, KOLKATA):
        first, last = at("2025-10-20T00:00", zone), at("2025-11-11T00:00", zone)
        for by in ("hour", "day", "lot", "parker", "retriever"):
            report = office.json(f"report 2025-10-20 2025-11-10 by {by} tz {zone}")
            counted = within(rows, first, last)
            assert (report["from"], report["to"], report["tz"], report["by"], report["truncated"]) == (first, last, zone, by, False)
            assert report["total"] == pytest.approx(figures(counted)), (zone, by)
            assert as_recount(report) == {name: pytest.approx(group) for name, group in recount(counted, by, zone).items()}, (zone, by)
            names = [group["group"] for group in report["groups"]]
            assert names == (sorted(names) if by in ("hour", "day") else sorted(names, key=lambda name: (-as_recount(report)[name]["parked"], name)))
            before = report["before"]
            assert (before.pop("from"), before.pop("to")) == (at("2025-09-28T00:00", zone), first)
            assert before == pytest.approx(figures(within(rows, at("2025-09-28T00:00", zone), first)))
    # The server's own zone, one lot of one domain, and a range of hours across the change of the clocks.
    assert office.json("report 2025-10-20 2025-11-10 by day") | {"tz": BERLIN} == office.json(f"report 2025-10-20 2025-11-10 tz {BERLIN}")
    one = office.json("report 2025-10-20 2025-11-10 by hour main@other.test")
    assert as_recount(one) == {name: pytest.approx(group) for name, group in recount(within(rows, begin, end, domain="other.test"), "hour", BERLIN).items()}
    night = office.json("report 2025-10-25T23:30:00Z 2025-10-26T03:15:00+01:00 by hour")
    counted = within(rows, at("2025-10-25T23:30"), at("2025-10-26T02:15"))
    assert as_recount(night) == {name: pytest.approx(group) for name, group in recount(counted, "hour", BERLIN).items()} and len(counted) > 100
    assert [group["group"] for group in night["groups"]] == ["01:00", "02:00", "03:00"]

    # A token of one domain sees the rows of its own domain only.
    path = "report?from=2025-10-20&to=2025-11-10&by=lot"
    assert office.site.get(path) == office.json("report 2025-10-20 2025-11-10 by lot")
    mine = office.site.get(path, ONE)
    assert [group["group"] for group in mine["groups"]] == ["main@other.test"]
    assert mine["total"] == pytest.approx(figures(within(rows, begin, end, domain="other.test")))
    assert office.site.get(f"{path}&lot=main", ONE)["total"] == mine["total"]
    assert office.site.get(f"{path}&lot=main")["total"] == pytest.approx(figures(within(rows, begin, end, lot="main")))
    status, body, _ = office.site.ask(f"/api/v1/{path}&lot=main@callpark.test", ONE)
    assert (status, body["error"]) == (403, "this token is of another domain")

    # The other formats have the same figures.
    by_lot = office.json("report 2025-10-20 2025-11-10 by lot")
    status, text, headers = office.site.ask(f"/api/v1/{path}", ALL, headers=[("Accept", "text/csv")])
    assert status == 200 and headers["Content-Type"] == "text/csv; charset=utf-8" and text == office.api("callpark report 2025-10-20 2025-11-10 by lot as csv")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["group"] for line in lines] == [group["group"] for group in by_lot["groups"]]
    assert [int(line["wait_p95_ms"]) for line in lines] == [group["wait_p95_ms"] for group in by_lot["groups"]]
    xml = ElementTree.fromstring(office.api("callpark report 2025-10-20 2025-11-10 by lot as xml"))
    assert [int(group.findtext("parked")) for group in xml.find("groups")] == [group["parked"] for group in by_lot["groups"]]
    assert int(xml.findtext("total/wait_median_ms")) == by_lot["total"]["wait_median_ms"]
    table = office.api("callpark report 2025-10-20 2025-11-10 by lot").splitlines()
    assert table[0] == ("calls parked from 2025-10-20 00:00 to 2025-11-11 00:00, by lot, time zone server; "
                        "before: 2025-09-28 00:00 to 2025-10-20 00:00")
    assert table[1].split()[:2] == ["group", "parked"] and len(table) >= 2 + len(by_lot["groups"]) + 2


def test_what_stands_out_is_said_in_words(office):
    mondays = ["2025-06-02", "2025-06-09", "2025-06-16", "2025-06-23"]
    rows = [record(n, at(f"{mondays[n % 4]}T09:{n:02}", BERLIN), wait_ms=130_000 if n < 14 else 20_000, parker="1001@callpark.test") for n in range(40)]
    rows += [record(100 + n, at(f"2025-06-{n % 28 + 1:02}T14:00", BERLIN) + n, outcome="abandoned" if n < 30 else "retrieved", parker="1002@callpark.test")
             for n in range(84)]
    rows += [record(300 + n, at("2025-05-20T10:00", BERLIN) + n) for n in range(20)]
    office.insert(rows)
    report = office.json("report 2025-06-01 2025-06-30 by parker")
    assert [finding["text"] for finding in report["findings"]] == [
        "Mondays 9 to 10: 14 of 40 callers waited longer than 2 minutes",
        "1001@callpark.test: 14 of 40 callers waited longer than 2 minutes",
        "30 of 124 callers (24 %) hung up, in the period before 0 of 20 (0 %)",
        "80 of 124 callers (65 %) were answered within 1 minute, in the period before 20 of 20 (100 %)",
        "Mondays 9 to 10: most callers were parked, 40 of 124",
    ]
    first = report["findings"][0]
    assert (first["kind"], first["weekday"], first["hour"], first["count"], first["of"]) == ("long-waits-hour", 1, 9, 14, 40)
    # In New York these calls were parked on Mondays at 3.
    assert office.site.get(f"report?from=2025-06-01&to=2025-06-30&tz={NEW_YORK}")["findings"][0]["text"].startswith("Mondays 3 to 4: 14 of 40")
    assert office.json("report 2025-06-02 2025-06-02")["findings"][0]["text"] == "Monday 9 to 10: 4 of 10 callers waited longer than 2 minutes"
    assert "Mondays 9 to 10: 14 of 40 callers waited longer than 2 minutes" in office.api("callpark report 2025-06-01 2025-06-30").splitlines()


def test_a_report_has_500_groups_at_most_and_the_total_of_all(office):
    chance = random.Random(3)
    rows = [record(n, at("2025-03-01T00:00") + n * 60_000, wait_ms=chance.randrange(200_000), parker=f"{n % 701}@callpark.test") for n in range(3000)]
    office.insert(rows)
    report = office.json("report 2025-03-01 2025-03-31 by parker tz UTC")
    assert report["truncated"] and len(report["groups"]) == 500 and report["total"] == pytest.approx(figures(rows))
    counted = recount(rows, "parker", "UTC")
    assert as_recount(report) == {group["group"]: pytest.approx(counted[group["group"]]) for group in report["groups"]}
    largest = sorted((group["parked"] for group in counted.values()), reverse=True)[:500]
    assert [group["parked"] for group in report["groups"]] == largest
    assert "there are more groups; these are the 500 with most calls" in office.api("callpark report 2025-03-01 2025-03-31 by parker tz UTC")
    assert not office.json("report 2025-03-01 2025-03-31 by retriever tz UTC")["truncated"]


def test_today_is_compared_with_yesterday_at_the_same_time(office):
    report = office.json("report today today")
    day = 86_400_000
    assert report["to"] - report["from"] in (day - 3_600_000, day, day + 3_600_000) and report["total"] == figures([]) and report["findings"] == []
    assert report["groups"] == [] and report["before"]["to"] - report["before"]["from"] < day + 3_600_001
    now = int(office.api("strepoch")) * 1000
    rows = [record(1, now - 1000), record(2, now - day - 60_000), record(3, now - day + 1_800_000)]
    office.insert(rows)
    for words in ("today today", "today now"):
        report = office.json(f"report {words}")
        if now - report["from"] > 120_000:  # not just after midnight
            assert (report["total"]["parked"], report["before"]["parked"]) == (1, 1), words
    assert office.json("report 7d today")["total"]["parked"] == 3
    assert office.site.get("report?from=&to=&by=&lot=&tz=")["groups"] == office.site.get("report")["groups"]
    assert office.site.get("report")["by"] == "day" and office.site.get("report?from=7d")["total"]["parked"] == 3


@pytest.mark.parametrize("office", ["sqlite"], indirect=True)
def test_what_cannot_be_reported_is_named(office):
    for words, why in [
        ("tomorrow today", 'from "tomorrow" is not a time, expected a date such as 2026-11-01'),
        ("today 2026-02-30", 'to "2026-02-30" is not a time'),
        ("today yesterday", 'from "today" is not before to "yesterday"'),
        ("2024-01-01 2026-01-01", 'from "2024-01-01" to "2026-01-01" is 732 days, expected at most 400'),
        ("today today by week", 'by "week" is unknown, expected hour, day, lot, parker or retriever'),
        ("today today tz Mars/Phobos", 'tz "Mars/Phobos" is not a time zone, expected a name such as Europe/Berlin'),
        ("today today by day nowhere@callpark.test", "no lot nowhere@callpark.test"),
        ("today today ma'in", "is not a lot, expected <lot> or <lot>@<domain>"),
    ]:
        answer = office.api(f"callpark report {words}")
        assert answer.startswith("-ERR ") and why in answer, answer
    for words in ("today", "today today by", "today today main star", "today today as html"):
        assert office.api(f"callpark report {words}").startswith("-USAGE: callpark report <from> <to> [by hour|day|lot|parker|retriever]"), words
    for query, status, why in [
        ("from=x", 400, 'from "x" is not a time'),
        ("from=today&to=yesterday", 400, "is not before"),
        ("from=2020-01-01", 400, "expected at most 400"),
        ("by=week", 400, 'by "week" is unknown'),
        ("tz=" + urllib.parse.quote("'; DROP TABLE callpark_records; --"), 400, "is not a time zone"),
        ("lot=" + urllib.parse.quote("a' OR '1'='1"), 400, "a lot, expected"),
        ("lot=nowhere", 404, "no lot nowhere"),
        ("from=" + "9" * 200, 400, "is not a time"),
    ]:
        answered, body, _ = office.site.ask(f"/api/v1/report?{query}", ALL)
        assert answered == status and why in body["error"], (query, answered, body)
    assert office.site.ask("/api/v1/report", "unknown-token-0123")[0] == 401
    assert "today" in office.api("console_complete callpark report ") and "by" in office.api("console_complete callpark report 7d today ")
    operation = office.site.get("openapi.json")["paths"]["/api/v1/report"]["get"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["from", "to", "by", "lot", "tz"]
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/csv"}
