"""Tests the history and the statistics, on SQLite and on a PostgreSQL that is stopped and started."""

import contextlib
import csv
import io
import os
import random
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conftest import LOTS, new_switch
from parking import lot
from switch import find_prefix, free_port, module_dir, wait_for

OUTCOMES = ["retrieved", "returned", "fallback", "transferred", "abandoned"]


@pytest.fixture
def own(request):
    """A FreeSWITCH of the test's own with a history of its own, which is not started."""
    switch = new_switch()
    switch.configure(LOTS)
    yield switch
    if switch.process and switch.process.poll() is None:
        switch.stop()


def history(switch, what="1000"):
    return switch.json(f"history {what}")


def test_every_parked_call_has_one_row(own, phones_of):
    own.configure(lot(("ringback", "none"), ("fallback", "tone-1300"), ("park-timeout", "2"), slots="701-703"), '<param name="service-level" value="1"/>')
    own.start()
    phones = phones_of(own)
    receptionist = phones("1001", says=700)
    receptionist.on_ring = 0.1
    caller = phones(says=600, name="O'Neil \\\"; DROP TABLE callpark_records; --").call("1001")
    receptionist.wait_call().refer("701")
    row = wait_for(own.calls)[0]
    assert own.api("callpark label 701 Mr ’Chen\\, 100 %").startswith("+OK")
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600)
    caller.hang_up()
    gone = phones(says=600).call("do-park-701")
    assert wait_for(own.calls)
    gone.hang_up()
    assert wait_for(lambda: not own.calls())
    moved = phones(says=600).call("do-park-701")
    assert wait_for(own.calls)
    assert own.api("callpark transfer 701 tone-1300").startswith("+OK")
    time.sleep(0.05)  # for another time of parking: FreeSWITCH's clock advances in steps of up to 20 ms
    fallen = phones(says=600).call("do-park-702")
    assert wait_for(lambda: len(history(own)) == 4, 8), history(own)
    rows = history(own)
    assert [r["outcome"] for r in rows] == ["fallback", "transferred", "abandoned", "retrieved"], "the newest row is not the first"
    first = rows[-1]
    assert first["caller_name"] == row["caller_name"] and "DROP TABLE" in first["caller_name"]
    assert (first["parker"], first["retriever"], first["label"]) == ("1001@callpark.test", "1002@callpark.test", "Mr ’Chen\\, 100 %")
    assert (first["uuid"], first["parked_at"], first["slot"]) == (row["uuid"], row["parked_at"], "701")
    assert history(own, "2") == rows[:2] and history(own, "1 main@callpark.test") == rows[:1] and history(own, "main@other.test") == []
    assert [dict(r) for r in csv.DictReader(io.StringIO(own.api("callpark history as csv")))][-1]["caller_name"] == first["caller_name"]
    assert ElementTree.fromstring(own.api("callpark history as xml")).find("record[4]/caller_name").text == first["caller_name"]
    stats = own.json("stats")
    assert recount(rows, 1) == {key: stats[0][key] for key in recount(rows, 1)} and len(stats) == 1
    table = own.api("callpark stats").splitlines()
    assert len(table) == 2 and "main@callpark.test" in table[1]
    for call in (moved, fallen):
        call.hang_up()
    assert own.wait_idle() and own.stop() == 0


def recount(rows, service_level):
    """Computes the statistics of these rows in another way than the module."""
    waits = sorted(row["wait_ms"] for row in rows)
    outcomes = Counter(row["outcome"] for row in rows)
    hours = Counter(time.localtime(row["parked_at"] / 1000).tm_hour for row in rows)
    in_time = [r for r in rows if r["outcome"] in ("retrieved", "returned") and r["wait_ms"] <= service_level * 1000]
    return {
        "parked": len(rows), **{name: outcomes[name] for name in OUTCOMES}, "full": 0,
        "wait_mean_ms": sum(waits) // len(waits), "wait_longest_ms": waits[-1],
        "wait_median_ms": statistics.median_low(waits), "wait_p95_ms": waits[-(-95 * len(waits) // 100) - 1],
        "busiest_hour": max(range(24), key=lambda hour: (hours[hour], -hour)), "in_time": len(in_time) / len(rows),
        "by_hour": [hours[hour] for hour in range(24)], "day": time.strftime("%Y-%m-%d", time.localtime(rows[0]["parked_at"] / 1000)),
    }


def test_each_lot_domain_and_day_has_statistics_of_its_own(own):
    """The rows of a week, in every format."""
    own.start()
    assert own.json("stats") == []
    chance, now = random.Random(5), int(time.time() * 1000)
    places = [("main", "callpark.test"), ("main", "other.test"), ("star", "callpark.test")]
    rows = [{"uuid": f"leg{n}", "parked_at": now - chance.randrange(6 * 86_400_000), "wait_ms": chance.randrange(300_000),
             "lot": lot, "domain": domain, "slot": "701", "caller_name": "x", "caller_number": "1", "parker": "", "retriever": "",
             "label": "", "outcome": chance.choice(OUTCOMES), "attempts": 0, "node": "n"}
            for n in range(500) for lot, domain in [chance.choice(places)]]
    with sqlite3.connect(own.dir / "db/callpark.db") as database:
        names = list(rows[0])
        database.executemany(f"INSERT INTO callpark_records ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                             [tuple(row.values()) for row in rows])
    day = lambda row: time.strftime("%Y-%m-%d", time.localtime(row["parked_at"] / 1000))
    groups = {}
    for row in rows:
        groups.setdefault((day(row), row["domain"], row["lot"]), []).append(row)
    tallies = own.json("stats 8")
    assert {(t["day"], t["domain"], t["lot"]) for t in tallies} == set(groups) and len(tallies) == len(groups)
    assert [t["day"] for t in tallies] == sorted((t["day"] for t in tallies), reverse=True), "the newest day is not the first"
    for tally in tallies:
        counted = recount(groups[tally["day"], tally["domain"], tally["lot"]], 60)
        assert {key: tally[key] for key in counted} == pytest.approx(counted)
        assert sum(tally["waits"]) == tally["parked"] and tally["service_level"] == 60
    of_one = own.json("stats 8 main@other.test")
    assert of_one == [t for t in tallies if (t["lot"], t["domain"]) == ("main", "other.test")]
    assert own.json("stats") == [t for t in tallies if t["day"] == time.strftime("%Y-%m-%d")]
    as_csv = list(csv.DictReader(io.StringIO(own.api("callpark stats 8 as csv"))))
    assert [(r["day"], int(r["parked"]), int(r["wait_p95_ms"])) for r in as_csv] == [(t["day"], t["parked"], t["wait_p95_ms"]) for t in tallies]
    as_xml = ElementTree.fromstring(own.api("callpark stats 8 as xml"))
    assert [int(lot.findtext("parked")) for lot in as_xml] == [t["parked"] for t in tallies]
    assert len(own.api("callpark stats 8").splitlines()) == 1 + len(tallies)
    past = history(own, "7 main@other.test")
    newest = sorted((row for row in rows if (row["lot"], row["domain"]) == ("main", "other.test")), key=lambda row: -row["parked_at"])
    assert [row["uuid"] for row in past] == [row["uuid"] for row in newest[:7]]


def test_the_history_is_kept_after_a_reload_and_old_rows_are_deleted(own, phones_of):
    own.start()
    call = phones_of(own)(says=600).call("do-park-701")
    assert wait_for(own.calls)
    call.hang_up()
    assert wait_for(lambda: len(history(own)) == 1)
    assert own.api("reload mod_callpark").count("+OK") >= 1 and len(history(own)) == 1
    assert wait_for(lambda: (own.dir / "db/callpark.db").exists())
    # The row is made a hundred days old. The module deletes old rows when it is loaded.
    subprocess.run(["/usr/bin/python3", "-c", f"import sqlite3; c = sqlite3.connect('{own.dir}/db/callpark.db'); "
                    "c.execute('UPDATE callpark_records SET parked_at = parked_at - 8640000000'); c.commit()"], check=True)
    own.api("reload mod_callpark")
    assert wait_for(lambda: history(own) == [], 8)


@pytest.mark.parametrize("privacy, name", [("masked", "Alice"), ("none", "")])
def test_record_privacy_masks_or_omits_the_caller(own, phones_of, privacy, name):
    own.configure(LOTS, f'<param name="record-privacy" value="{privacy}"/>')
    own.start()
    call = phones_of(own)(says=600, name="Alice").call("do-park-701")
    shown = wait_for(own.calls)[0]["caller_number"]
    assert own.api("callpark label 701 call 5551234 back").startswith("+OK")
    call.hang_up()
    row = wait_for(lambda: history(own))[0]
    hidden = {"masked": "*" * (len(shown) - 2) + shown[-2:], "none": ""}[privacy]
    assert len(shown) > 3 and (row["caller_name"], row["caller_number"]) == (name, hidden)
    assert row["label"] == {"masked": "*" * 15 + "ck", "none": ""}[privacy], "the label is not masked"


def test_a_full_lot_is_counted(own, phones_of):
    own.configure(lot(("park-timeout", "0"), slots="701"))
    own.start()
    phones = phones_of(own)
    callers = [phones(says=600).call("do-park-auto") for _ in range(3)]
    for call in callers:
        call.hang_up()
    assert wait_for(lambda: own.json("stats") and own.json("stats")[0]["parked"] == 1)
    assert own.json("stats")[0]["full"] == 2


def test_a_database_that_does_not_exist_delays_no_call(own, phones_of):
    own.configure(LOTS, '<param name="db-dsn" value="nosuch://x"/>')
    own.start()
    call = phones_of(own)(says=600).call("do-park-701")
    assert wait_for(own.calls)
    call.hang_up()
    assert wait_for(lambda: "no module for nosuch:// is loaded" in own.log()), "the log does not report the fault"
    assert own.api("callpark history").startswith("-ERR") and own.api("callpark stats").startswith("-ERR")
    assert "records waiting  1" in own.api("callpark status")
    assert own.wait_idle() and own.stop() == 0


# --- PostgreSQL

BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


class Postgres:
    """A PostgreSQL on loopback, in a folder of its own."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="callpark-pg."))
        self.port = free_port()
        shutil.chown(self.dir, "postgres", "postgres")
        self._as("initdb", "-D", self.dir / "data", "-A", "trust", "-U", "postgres")
        self.start()

    def _as(self, program, *words):
        subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", str(BIN / program), *map(str, words)],
                       check=True, capture_output=True, cwd="/")

    def start(self):
        self._as("pg_ctl", "-D", self.dir / "data", "-w", "-l", self.dir / "log", "-o",
                 f"-p {self.port} -k {self.dir} -c listen_addresses=127.0.0.1 -c fsync=off", "start")

    @property
    def pid(self):
        return int((self.dir / "data/postmaster.pid").read_text().split()[0])

    def kill(self):
        self._as("pg_ctl", "-D", self.dir / "data", "-m", "immediate", "-w", "stop")

    def signal_all(self, what):
        """Sends the signal to all processes of the server."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for pid in [str(self.pid), *children]:
            with contextlib.suppress(ProcessLookupError):  # the process of a client that has just disconnected
                os.kill(int(pid), what)

    def freeze(self):
        self.signal_all(signal.SIGSTOP)

    def thaw(self):
        self.signal_all(signal.SIGCONT)

    def psql(self, *words):
        """The command line of psql with these arguments."""
        return [str(BIN / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", *words]

    def rows(self):
        done = subprocess.run(self.psql("-tAc", "select count(*), count(distinct (uuid, parked_at)) from callpark_records"), capture_output=True, text=True, check=False)
        return done.stdout.strip()

    @property
    def dsn(self):
        return f"pgsql://hostaddr=127.0.0.1 port={self.port} dbname=postgres user=postgres connect_timeout=2"

    def close(self):
        try:
            self.kill()
        except subprocess.CalledProcessError:
            pass
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture
def postgres(request):
    if BIN is None or not (module_dir(find_prefix()) / "mod_pgsql.so").exists():
        pytest.skip("no PostgreSQL, or FreeSWITCH without mod_pgsql")
    own = request.getfixturevalue("own") if "own" in request.fixturenames else None
    server = Postgres()
    yield server
    # A FreeSWITCH that ends without its database takes 20 s longer, because mod_pgsql tries to reconnect once a second and the core waits.
    if own and own.process and own.process.poll() is None:
        with contextlib.suppress(FileNotFoundError):  # the test has stopped it
            server.thaw()
        own.stop()
    server.close()


def turns(switch, count):
    """Parks and ends so many calls, fifty at a time. Returns the shortest time that fifty calls took, in seconds."""
    took = []
    for _ in range(count // 50):
        began = time.monotonic()
        for _ in range(50):
            switch.api("bgapi originate null/x &callpark_park(auto)")
        assert wait_for(lambda: len(switch.calls()) == 50, 10, 0.05)
        switch.api("hupall")
        assert wait_for(lambda: not switch.calls(), 10, 0.05)
        took.append(time.monotonic() - began)
    return min(took)


def test_no_row_is_lost_while_the_database_is_away(own, postgres):
    own.configure('<lot name="main" domain="*"><param name="slots" value="701-760"/><param name="park-timeout" value="0"/>'
                  '<param name="hold-music" value="silence_stream://-1"/></lot>', f'<param name="db-dsn" value="{postgres.dsn}"/>')
    own.start()
    assert "+OK" in own.api("load mod_pgsql")
    usual = turns(own, 300)
    postgres.kill()
    away = turns(own, 300)
    postgres.start()
    there = turns(own, 300)
    postgres.signal_all(signal.SIGSTOP)
    frozen = turns(own, 100)
    assert re.search(r"records waiting  [1-9]", own.api("callpark status")), "no row waits for the frozen database"
    postgres.signal_all(signal.SIGCONT)
    assert wait_for(lambda: postgres.rows() == "1000|1000", 30, 0.5), postgres.rows()
    assert own.json("stats")[0]["abandoned"] == 1000 and "records dropped  0" in own.api("callpark status")
    print(f"50 parks: {usual:.2f} s, {away:.2f} s while the database is away, {there:.2f} s when it is back, {frozen:.2f} s while it is frozen")
    assert max(away, frozen) < 2 * max(usual, there) + 1, "calls wait for the database"
    # Often mod_pgsql waits for the database itself, and the module learns of no failure.
    log = own.log()
    assert ("rows wait for it" in log) == ("the database of the history is back" in log)
    assert own.stop() == 0


def test_a_database_that_only_keeps_silent_is_told(own, postgres):
    """Before: the driver waits without an error, and the status said meanwhile that the slot store answers."""
    own.configure('<lot name="main" domain="*"><param name="slots" value="701-760"/></lot>', f'<param name="db-dsn" value="{postgres.dsn}"/>')
    own.start()
    assert "+OK" in own.api("load mod_pgsql")
    turns(own, 50)
    assert wait_for(lambda: postgres.rows() == "50|50", 10)
    status = lambda: own.api("callpark status")
    for _ in range(2):
        postgres.signal_all(signal.SIGSTOP)
        assert re.search(r"slot store +answers", status())
        turns(own, 50)
        assert wait_for(lambda: re.search(r"slot store +does not answer", status()), 9, 0.5), status()
        postgres.signal_all(signal.SIGCONT)
        assert wait_for(lambda: re.search(r"slot store +answers", status()), 20, 0.5), status()
    assert wait_for(lambda: postgres.rows() == "150|150", 30, 0.5), postgres.rows()
    assert len(re.findall("slot store fails; .*the database does not answer", own.log())) == 2, own.log()
    assert len(re.findall("its rows wait for it", own.log())) == 2 == len(re.findall("the database of the history is back", own.log()))


def test_a_query_during_a_write_finds_a_table_that_was_made_after_its_handle(own):
    """Before: SQLite told a handle that had read the schema before that there is no such table while another handle wrote."""
    file = own.dir / "db/made-later.db"
    own.configure('<lot name="main" domain="*"><param name="slots" value="701-760"/></lot>', f'<param name="db-dsn" value="sqlite://{file}"/>')
    own.start()
    turns(own, 50)
    assert wait_for(lambda: len(history(own, "100")) == 50, 5)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as other:
        # All are written, and not only kept for the database, so that nothing makes the table again.
        assert wait_for(lambda: other.execute("select count(*) from callpark_records").fetchone() == (50,), 5)
        columns = other.execute("select sql from sqlite_master where name = 'callpark_records'").fetchone()[0]
        other.execute("alter table callpark_records rename to kept")
        assert "-ERR" in own.api("callpark history")  # the handle has read the schema without the table
        other.execute(columns)
        other.execute("begin exclusive")
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(own.api, "callpark history as json")
            time.sleep(0.1)
            other.execute("rollback")
    assert answer.result() == "[]\n"


# --- ODBC, if FreeSWITCH's core was built with it


@pytest.fixture
def odbc(postgres, monkeypatch):
    """The DSN with which the core reaches the same PostgreSQL through ODBC."""
    core = next(find_prefix().glob("lib*/**/libfreeswitch.so"), None)
    driver = next(Path("/usr/lib").glob("*/odbc/psqlodbcw.so"), None)
    if driver is None or core is None or "libodbc" not in subprocess.run(["ldd", core], capture_output=True, text=True, check=True).stdout:
        pytest.skip("FreeSWITCH without ODBC, or no ODBC driver of PostgreSQL")
    (postgres.dir / "odbc.ini").write_text(f"[records]\nDriver={driver}\nServername=127.0.0.1\nPort={postgres.port}\nDatabase=postgres\n")
    monkeypatch.setenv("ODBCINI", str(postgres.dir / "odbc.ini"))
    return "odbc://records:postgres:"


@pytest.mark.parametrize("backslashes", ["plain", "escapes"])
def test_the_history_is_stored_through_odbc(own, phones_of, postgres, odbc, backslashes):
    """Text with a backslash is stored unchanged, also in a database in which a backslash escapes."""
    if backslashes == "escapes":  # as in MariaDB
        subprocess.run(postgres.psql("-qc", "alter database postgres set standard_conforming_strings = off"), check=True)
    own.configure(LOTS, f'<param name="db-dsn" value="{odbc}"/>')
    own.start()
    caller = phones_of(own)(says=600, name="O'Neil \\\"; DROP TABLE callpark_records; --").call("do-park-701")
    name = wait_for(own.calls)[0]["caller_name"]
    postgres.kill()
    caller.hang_up()
    assert wait_for(lambda: not own.calls())
    postgres.start()
    assert wait_for(lambda: postgres.rows() == "1|1", 40, 0.5)
    row = history(own)[0]
    assert row["caller_name"] == name and "\\" in name and "'" in name and row["outcome"] == "abandoned"
    assert own.json("stats")[0]["abandoned"] == 1
    assert own.stop() == 0
