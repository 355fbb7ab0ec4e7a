"""Tests faults of the database: no call waits for it, and each row is stored exactly once."""

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import string
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from phone import DOMAIN
from switch import free_port, wait_for
from test_cluster import cluster, slots  # noqa: F401  (a fixture)
from test_history import history, own, postgres  # noqa: F401  (fixtures)

LOT = """<lot name="main" domain="*"><param name="slots" value="701-790"/><param name="park-timeout" value="0"/>
  <param name="hold-music" value="silence_stream://-1"/></lot>"""


class Caller:
    """Parks calls, and keeps the keys of their rows."""

    def __init__(self, switch):
        self.switch, self.parked, self.slowest = switch, set(), 0.0

    def fifty(self):
        """Parks fifty calls and ends them. Returns the seconds until all were parked."""
        began = time.monotonic()
        for _ in range(50):
            self.switch.api("bgapi originate null/x &callpark_park(auto)")
        assert wait_for(lambda: len(self.switch.calls()) == 50, 20), len(self.switch.calls())
        took = time.monotonic() - began
        self.parked |= {(row["uuid"], row["parked_at"]) for row in self.switch.calls()}
        self.switch.api("hupall")
        assert wait_for(lambda: not self.switch.calls(), 20)
        self.slowest = max(self.slowest, took)
        return took

    def park(self, label="desk"):
        """Parks one call. Returns its row."""
        before = {row["uuid"] for row in self.switch.calls()}
        self.switch.api(f"bgapi originate {{callpark_label={label}}}null/x &callpark_park(auto)")
        new = wait_for(lambda: [row for row in self.switch.calls() if row["uuid"] not in before], 10)
        assert new
        self.parked.add((new[0]["uuid"], new[0]["parked_at"]))
        return new[0]


def run(database, statements):
    may_write = {**os.environ, "PGOPTIONS": "-c default_transaction_read_only=off"}
    return subprocess.run(database.psql("-qtAc", statements), capture_output=True, text=True, check=True, env=may_write).stdout.strip()


def waiting(switch):
    return int(next(line.split()[-1] for line in switch.api("callpark status").splitlines() if line.startswith("records waiting")))


def in_table(database):
    rows = run(database, "select uuid, parked_at from callpark_records").splitlines()
    keys = [(uuid, int(at)) for uuid, at in (row.split("|") for row in rows)]
    assert len(keys) == len(set(keys)), "a row is stored twice"
    return set(keys)


@pytest.fixture
def small_disk():
    """A file system of 3 MB, which the test can fill and free."""
    folder = Path(tempfile.mkdtemp(prefix="callpark-disk."))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0777", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("cannot mount a file system")

    class Disk:
        path = folder

        @staticmethod
        def fill():
            with open(folder / "filler", "wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(b"x" * 4096)
                except OSError:
                    pass

        @staticmethod
        def free():
            (folder / "filler").unlink()

    yield Disk
    subprocess.run(["umount", "-l", str(folder)], check=False)
    folder.rmdir()


@contextlib.contextmanager
def locked_tables(database, *tables):
    """Locks these tables, so that the module writes nothing meanwhile, and writes everything together afterwards."""
    locker = subprocess.Popen(database.psql("-q"), stdin=subprocess.PIPE, text=True)
    locker.stdin.write(f"begin; lock table {', '.join(tables)} in access exclusive mode;\n")
    locker.stdin.flush()
    held = f"select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted and relation in ({', '.join(f'{table!r}::regclass' for table in tables)})"
    assert wait_for(lambda: run(database, held) == str(len(tables)), 10)
    try:
        yield
    finally:
        locker.stdin.close()
        locker.wait(10)


def move_to(disk, database):
    """Moves the module's tables to a disk that can be filled."""
    folder = disk.path / "space"
    folder.mkdir()
    subprocess.run(["chown", "postgres", str(folder)], check=True)
    run(database, f"create tablespace small location '{folder}'")
    for table in ("callpark_records", "callpark_calls"):
        run(database, f"alter table {table} set tablespace small")
        run(database, f"alter index {table}_pkey set tablespace small")


def test_rows_that_do_not_fit_on_a_full_disk_wait_although_smaller_rows_fit(own, postgres, small_disk):  # noqa: F811
    """Before: on a full disk a few rows still fitted into a page with room. The others then counted as refused and were dropped."""
    own.configure(LOT, f'<param name="db-dsn" value="{postgres.dsn}"/>')
    own.start()
    caller = Caller(own)
    caller.fifty()
    assert wait_for(lambda: in_table(postgres) == caller.parked, 10)
    move_to(small_disk, postgres)
    before = len(caller.parked)
    chance = random.Random(3)
    long = lambda: "".join(chance.choices(string.ascii_letters, k=1900))  # random, because PostgreSQL compresses repeated text
    with locked_tables(postgres, "callpark_records", "callpark_calls"):
        for label in ["desk", *(long() for _ in range(12)), "desk", "desk"]:
            caller.park(label)
        own.api("hupall")
        assert wait_for(lambda: not own.calls())
        kept = {caller.park(label)["uuid"] for label in ["desk", *(long() for _ in range(12)), "desk", "desk"]}
        small_disk.fill()
    ended = len(caller.parked) - len(kept)
    assert wait_for(lambda: len(in_table(postgres)) > before, 20), "no row fitted, so the test has shown nothing"
    assert "could not extend file" in (postgres.dir / "log").read_text(), "the disk was not full"
    # A row of the slot store would count as refused after the third attempt.
    assert not wait_for(lambda: "refuses" in own.log(), 8), "a row without room counts as refused"
    assert waiting(own) > 0 and len(in_table(postgres)) + waiting(own) == ended
    status = own.api("callpark status")
    assert "records dropped  0" in status and "rows refused     0" in status, status
    small_disk.free()
    assert wait_for(lambda: len(in_table(postgres)) == ended, 10, 0.2), waiting(own)
    in_slots = lambda: set(run(postgres, "select uuid from callpark_calls").splitlines())
    assert wait_for(lambda: in_slots() == kept, 10, 0.2)


def test_a_refused_row_does_not_prevent_a_change_in_the_same_transaction(own, postgres):  # noqa: F811
    """Before: one row broke the transaction. The changes of other rows were lost, and counted as written because these rows existed."""
    own.configure(LOT, f'<param name="db-dsn" value="{postgres.dsn}"/>')
    own.start()
    caller = Caller(own)
    good = caller.park()
    of_good = lambda: run(postgres, f"select label from callpark_calls where uuid = '{good['uuid']}'")
    assert wait_for(lambda: of_good() == "desk", 5)
    run(postgres, "alter table callpark_calls add constraint strange check (label <> '666')")
    with locked_tables(postgres, "callpark_calls"):
        refused = caller.park("666")
        assert own.api(f"callpark label {good['slot']} new").startswith("+OK")
        time.sleep(1)  # so that both are written in one transaction
    assert wait_for(lambda: re.search(rf"^{refused['uuid']} .* slot store refuses the row of a call; .* slot={refused['slot']} ", own.log(), re.M), 20)
    assert of_good() == "new"


def test_every_row_is_stored_once_after_every_fault_of_the_database(own, postgres, small_disk):  # noqa: F811
    """Before: batches without an answer within 10 s counted as written; with a read-only database the queue was dropped row by row; one refused
    row prevented all writes to the slot store; and lost rows were never written again."""
    own.configure(LOT, f'<param name="db-dsn" value="{postgres.dsn}"/>')
    own.start()
    caller = Caller(own)
    usual = caller.fifty()
    caller.slowest = 0.0
    try:
        assert wait_for(lambda: in_table(postgres) == caller.parked, 10)

        # The database is frozen for 25 s, which is longer than the driver waits for an answer.
        postgres.signal_all(signal.SIGSTOP)
        until = time.monotonic() + 25
        for _ in range(4):
            caller.fifty()
        time.sleep(max(0.0, until - time.monotonic()))
        postgres.signal_all(signal.SIGCONT)

        # The tables are locked for 15 s.
        locked = subprocess.Popen(postgres.psql("-qc", "begin; lock table callpark_records, callpark_calls in access exclusive mode; "
                                                "select pg_sleep(15); commit"), stdout=subprocess.DEVNULL)
        for _ in range(4):
            caller.fifty()
        # Meanwhile another client inserts one of the waiting rows, so that its key exists when the module writes it.
        twin = caller.park()
        own.api("hupall")
        assert wait_for(lambda: not own.calls())
        copy = f"insert into callpark_records values ('{twin['uuid']}', {twin['parked_at']}, 1, 'main', '{twin['domain']}', '{twin['slot']}', '', '', '', '', '', 'abandoned', 0, 'n')"
        run(postgres, copy + " on conflict do nothing")
        locked.wait(30)
        assert wait_for(lambda: in_table(postgres) == caller.parked, 45, 0.5), waiting(own)

        # The database is read-only, as an old primary after a failover.
        run(postgres, "alter system set default_transaction_read_only = on")
        run(postgres, "select pg_reload_conf()")
        run(postgres, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mod_callpark'")
        for _ in range(3):
            caller.fifty()
        assert wait_for(lambda: "records of" not in own.log() and waiting(own) >= 150, 5), "rows are dropped while none can be written"
        assert "records dropped  0" in own.api("callpark status")
        run(postgres, "alter system set default_transaction_read_only = off")
        run(postgres, "select pg_reload_conf()")
        assert wait_for(lambda: in_table(postgres) == caller.parked, 45, 0.5), waiting(own)

        # The disk is full.
        move_to(small_disk, postgres)
        small_disk.fill()
        for _ in range(4):
            caller.fifty()
        assert "could not extend file" in (postgres.dir / "log").read_text(), "the disk was not full"
        assert "records dropped  0" in own.api("callpark status")
        small_disk.free()
        assert wait_for(lambda: in_table(postgres) == caller.parked, 45, 0.5), waiting(own)

        # Connections are killed at any time.
        over = threading.Event()

        def kill():
            while not over.wait(0.15):
                run(postgres, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mod_callpark'")

        killer = threading.Thread(target=kill)
        killer.start()
        for _ in range(4):
            caller.fifty()
        over.set()
        killer.join()
        assert wait_for(lambda: in_table(postgres) == caller.parked, 45, 0.5), waiting(own)
        assert len(caller.parked) > 1000
    finally:
        postgres.signal_all(signal.SIGCONT)

    # A refused row is set aside and logged. The other rows are written, also those of the slot store.
    for table in ("callpark_records", "callpark_calls"):
        run(postgres, f"alter table {table} add constraint strange check (label <> '666')")
    refused = caller.park("666")
    good = [caller.park() for _ in range(3)]
    in_slots = lambda: set(run(postgres, "select uuid from callpark_calls").splitlines())
    assert wait_for(lambda: in_slots() == {row["uuid"] for row in good}, 15), "one row prevents the others from being written"
    assert wait_for(lambda: re.search(rf"^{refused['uuid']} .* slot store refuses the row of a call; .* slot={refused['slot']} ", own.log(), re.M), 3)
    own.api("hupall")
    assert wait_for(lambda: in_table(postgres) == caller.parked - {(refused["uuid"], refused["parked_at"])}, 30, 0.5)
    assert "records dropped  1" in own.api("callpark status")
    assert re.search(rf"^{refused['uuid']} .* database refuses the record of a call slot={refused['slot']} ", own.log(), re.M)
    print(f"50 parks: {usual:.2f} s, at most {caller.slowest:.2f} s during the faults")
    assert caller.slowest < 2 * usual + 2, "calls wait for the database"

    # Another client deletes rows of parked calls: the module writes them again. All rows are there after a crash of FreeSWITCH.
    kept = [caller.park() for _ in range(20)]
    assert wait_for(lambda: len(in_slots()) == 20, 10)
    run(postgres, "delete from callpark_calls where slot < '710'")
    assert wait_for(lambda: in_slots() == {row["uuid"] for row in kept}, 15), "the deleted rows were not written again"
    own.kill()
    own.start()
    assert {(row["uuid"], row["state"]) for row in own.calls()} == {(row["uuid"], "reserved") for row in kept}


def test_a_sqlite_file_that_is_locked_or_on_a_full_disk_loses_no_row(own, small_disk):  # noqa: F811
    """Before: the queue was dropped row by row, and an interrupted statement could damage the file, which has no journal."""
    file = small_disk.path / "callpark.db"
    own.configure(LOT, f'<param name="db-dsn" value="sqlite://{file}"/>')
    own.start()
    caller = Caller(own)
    usual = caller.fifty()
    stored = lambda: [tuple(row) for row in sqlite3.connect(file).execute("select uuid, parked_at from callpark_records")]
    all_there = lambda: len(stored()) == len(set(stored())) and set(stored()) == caller.parked
    assert wait_for(all_there, 10)
    small_disk.fill()
    for _ in range(3):
        caller.fifty()
    assert wait_for(lambda: "its rows wait for it" in own.log(), 10) and "records dropped  0" in own.api("callpark status")
    small_disk.free()
    assert wait_for(all_there, 45, 0.5), (waiting(own), len(stored()), len(caller.parked))
    lock = sqlite3.connect(file, isolation_level=None)
    lock.execute("begin exclusive")
    began = time.monotonic()
    for _ in range(3):
        caller.fifty()
    time.sleep(max(0.0, began + 33 - time.monotonic()))  # the core tries a statement for 30 s
    lock.execute("rollback")
    assert wait_for(all_there, 45, 0.5), (waiting(own), len(stored()), len(caller.parked))
    assert caller.slowest < 2 * usual + 2, "calls wait for the database"
    assert sqlite3.connect(file).execute("pragma integrity_check").fetchone() == ("ok",)
    kept = {caller.park()["uuid"] for _ in range(10)}
    assert wait_for(lambda: {row[0] for row in sqlite3.connect(file).execute("select uuid from callpark_calls")} == kept, 5)
    own.kill()
    own.start()
    assert {row["uuid"] for row in own.calls()} == kept


@contextlib.contextmanager
def read_only(folder):
    """Makes the file system read-only, also for root. No file in it may be open for writing."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def test_a_read_only_sqlite_file_is_written_as_soon_as_it_is_writable(own, small_disk):  # noqa: F811
    """Before: the core kept the handle that it had opened while the file was read-only, and nothing was written until a restart."""
    file = small_disk.path / "callpark.db"
    own.configure(LOT, f'<param name="db-dsn" value="sqlite://{file}"/>')
    own.start()
    caller = Caller(own)

    def stored(table):
        with contextlib.closing(sqlite3.connect(file)) as database:
            return sorted(database.execute(f"select uuid, parked_at from {table}"))

    usual = caller.fifty()
    caller.slowest = 0.0
    before = [caller.park() for _ in range(3)]
    assert wait_for(lambda: len(stored("callpark_calls")) == 3, 5)
    own.kill()
    with read_only(small_disk.path):
        own.start()
        assert {(row["uuid"], row["state"]) for row in own.calls()} == {(row["uuid"], "reserved") for row in before}
        kept = [caller.park() for _ in range(3)]
        ended = caller.park()
        own.api(f"uuid_kill {ended['uuid']}")
        assert wait_for(lambda: waiting(own) == 1, 5)
        assert wait_for(lambda: own.log().count("readonly") > 2, 15), "no write has failed"
        # The handle is used for reading all the time, so that the core does not close it as idle.
        assert len(own.json("history 1000")) == 51
    keys = lambda rows: [(row["uuid"], row["parked_at"]) for row in rows]
    written = lambda: set(keys(kept)) <= set(stored("callpark_calls")) and set(keys([ended])) <= set(stored("callpark_records"))
    assert wait_for(lambda: own.json("history 10") and written(), 12, 0.5), (waiting(own), own.log()[-1000:])
    assert len(stored("callpark_records")) == len(set(stored("callpark_records"))) == 51
    assert "records dropped  0" in own.api("callpark status") and "rows refused     0" in own.api("callpark status")
    assert caller.slowest < 2 * usual + 2
    own.kill()
    own.start()
    assert set(keys(kept)) <= set(keys(own.calls()))
    assert sqlite3.connect(file).execute("pragma integrity_check").fetchone() == ("ok",)


HOSTILE = "\\'; DROP TABLE callpark_records; --"


@pytest.mark.parametrize("clustered", [False, True])
def test_text_of_a_caller_is_never_sql_where_a_backslash_escapes(own, postgres, phones_of, clustered):  # noqa: F811
    """Before: with `standard_conforming_strings = off` a caller's name `\\'; ...` was executed."""
    subprocess.run(postgres.psql("-qc", "alter database postgres set standard_conforming_strings = off"), check=True)
    more = f'<param name="cluster" value="true"/><param name="node-name" value="n{own.outside_port}"/>' if clustered else ""
    own.configure(LOT, f'<param name="db-dsn" value="{postgres.dsn}"/>{more}')
    own.start()
    call = phones_of(own)(says=600, name=HOSTILE.replace("\\", "\\\\")).call("do-park-701")
    name = wait_for(own.calls)[0]["caller_name"]
    assert "\\'" in name and "DROP" in name
    own.api(f"callpark label 701 {HOSTILE}")
    assert wait_for(lambda: run(postgres, "select caller_name || '|' || label from callpark_calls") == f"{name}|{HOSTILE}", 5)
    call.hang_up()
    assert wait_for(lambda: [row["caller_name"] for row in history(own)] == [name], 8)
    assert history(own)[0]["label"] == HOSTILE


def test_long_values_of_a_caller_fit_their_columns(own, postgres, phones_of):  # noqa: F811
    """Before: 600 characters in Referred-By made a row that PostgreSQL refused, and the slot store wrote nothing from then on."""
    own.configure(LOT, f'<param name="db-dsn" value="{postgres.dsn}"/>')
    own.start()
    long_uuid = "c" * 256
    for variables in (f"callpark_parker={'p' * 600}@{DOMAIN}", f"origination_caller_id_name={'n' * 3000}", f"callpark_label={'l' * 5000}",
                      f"origination_uuid={long_uuid}"):
        own.api(f"bgapi originate {{{variables}}}null/x &callpark_park(auto)")
    assert wait_for(lambda: len(own.calls()) == 4, 8), own.calls()
    assert wait_for(lambda: run(postgres, "select count(*) from callpark_calls") == "4", 8)
    own.kill()
    own.start()
    assert len(own.calls()) == 4 and "rows refused     0" in own.api("callpark status")
    assert long_uuid in {row["uuid"] for row in own.calls()}


def test_tables_of_older_and_newer_versions_are_used(own, postgres, phones_of):  # noqa: F811
    """Before: after a newer node had raised the schema version, all older nodes refused the database. Tables that an interrupted first start had
    recorded and not made were never made."""
    own.configure(LOT, f'<param name="db-dsn" value="{postgres.dsn}"/>')
    run(postgres, "create table callpark_schema (version integer not null); insert into callpark_schema values (1), (2)")
    run(postgres, "create table callpark_tickets (ticket varchar(64) not null primary key, node varchar(255) not null, "
                  "uuid varchar(255) not null, retriever varchar(512) not null, expires bigint not null)")
    own.start()
    caller = Caller(own)
    kept = caller.park()
    assert wait_for(lambda: run(postgres, "select uuid from callpark_calls") == kept["uuid"], 5)
    width = "select atttypmod - 4 from pg_attribute where attrelid = 'callpark_tickets'::regclass and attname = 'uuid'"
    assert run(postgres, width) == "256"
    own.kill()
    run(postgres, "insert into callpark_schema values (99); alter table callpark_calls add column mood text not null default 'fine'; "
                  "alter table callpark_records add column mood text not null default 'fine'")
    own.start()
    assert [(row["uuid"], row["state"]) for row in own.calls()] == [(kept["uuid"], "reserved")]
    other = caller.park()
    assert wait_for(lambda: run(postgres, "select count(*) from callpark_calls") == "2", 5)
    own.api("hupall")
    assert wait_for(lambda: in_table(postgres) == {(other["uuid"], other["parked_at"])}, 8), "the row is not written"
    # Both tables are dropped while a call is parked. The module makes them again and writes the rows.
    run(postgres, "drop table callpark_records, callpark_calls")
    ended = caller.park()
    own.api("hupall")
    last = caller.park()
    assert wait_for(lambda: run(postgres, "select to_regclass('callpark_records')") == "callpark_records", 10, 0.1), "the table was not made again"
    assert wait_for(lambda: in_table(postgres) == {(ended["uuid"], ended["parked_at"])}, 5)
    assert wait_for(lambda: run(postgres, "select uuid from callpark_calls") == last["uuid"], 5)


def test_a_snapshot_of_another_version_is_recovered(own, phones_of):  # noqa: F811
    """Before: calls that were parked before an upgrade could not be read if a field was added or removed, and each got another slot."""
    own.configure(LOT.replace("silence_stream://-1", "tone_stream://%(1000,0,440);loops=-1"))
    own.start()
    phones = phones_of(own)
    callers = [phones().call(f"do-park-{slot}_main") for slot in (731, 732)]
    assert wait_for(lambda: len(own.calls()) == 2)
    time.sleep(2)  # the core stores its recovery data in the background
    own.kill()
    with sqlite3.connect(own.dir / "db/core.db") as core:
        rows = core.execute("select uuid, metadata from recovery").fetchall()
        changes = {"731": lambda snapshot: [snapshot.pop(name) for name in ("version", "refused", "rings_left")],  # an older one
                   "732": lambda snapshot: snapshot.update(version=7, attempt="many", mood={"a": [1]})}  # a newer one
        for uuid, metadata in rows:
            text = re.search("<callpark_stay>(.*?)</callpark_stay>", metadata).group(1)
            snapshot = json.loads(urllib.parse.unquote(text))
            changes.pop(snapshot["slot"])(snapshot)
            core.execute("update recovery set metadata = ? where uuid = ?", (metadata.replace(text, urllib.parse.quote(json.dumps(snapshot))), uuid))
        assert not changes, "a call has no snapshot in the recovery data"
    own.start()
    own.api("sofia recover")
    assert wait_for(lambda: {(row["slot"], row["state"]) for row in own.calls()} == {("731", "parked"), ("732", "parked")}, 15), own.calls()
    assert all(caller.audio.hears(440, within=6) for caller in callers)
    assert "cannot be read" not in own.log()


def test_statistics_of_200_000_rows_are_computed_in_the_database(own, postgres, tmp_path):  # noqa: F811
    """Before: each request for `stats?days=400` read all rows into FreeSWITCH's memory."""
    port = free_port()
    (tmp_path / "tokens").write_text("secret-0123456789abcdef0123456789 view *\n")
    (tmp_path / "tokens").chmod(0o600)
    own.environment = {"TZ": "UTC"}  # the time zone in which the test counts, too
    own.configure(LOT, f'<param name="db-dsn" value="{postgres.dsn}"/><param name="http-listen" value="127.0.0.1:{port}"/>'
                       f'<param name="http-token-file" value="{tmp_path}/tokens"/>')
    own.start()
    assert own.json("stats") == []
    run(postgres, f"""insert into callpark_records select 'u' || n, {int(time.time() * 1000)} - (n % 34560000000) * 150, n % 300000, 'main',
        'd' || n % 3 || '.test', '701', '', '', '', '', '', (array['retrieved','returned','fallback','transferred','abandoned'])[1 + n % 5], 0, 'n'
        from generate_series(1::bigint, 200000) n""")
    run(postgres, "analyze callpark_records")
    before = own.memory_kb()

    def ask(days=400):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/stats?days={days}", headers={"Authorization": "Bearer secret-0123456789abcdef0123456789"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda _: ask(), range(24)))
    assert len(set(answers)) == 1 and own.memory_kb() - before < 40_000, own.memory_kb() - before
    stats = own.json("stats 400")
    assert sum(row["parked"] for row in stats) == 200_000
    assert sum(sum(row["by_hour"]) for row in stats) == 200_000 == sum(sum(row["waits"]) for row in stats)
    one = stats[0]
    day = f"to_char(to_timestamp(parked_at / 1000.0), 'YYYY-MM-DD') = '{one['day']}' and domain = '{one['domain']}'"
    counted = run(postgres, "set timezone = 'UTC'; select percentile_disc(0.5) within group (order by wait_ms), percentile_disc(0.95) within group "
                            f"(order by wait_ms), max(wait_ms), count(*) from callpark_records where {day}").splitlines()[-1]
    assert counted == f"{one['wait_median_ms']}|{one['wait_p95_ms']}|{one['wait_longest_ms']}|{one['parked']}"


# --- clusters


def test_two_nodes_with_one_name_do_not_delete_each_others_rows(cluster):  # noqa: F811
    """Before: each node deleted the other's rows as old rows of its own, and slots were assigned twice."""
    [first] = cluster(1)
    for _ in range(3):
        Caller(first).park()
    rows = lambda: set(run(cluster.database, "select slot || uuid from callpark_calls").splitlines())
    assert wait_for(lambda: len(rows()) == 3, 5)
    of_first = rows()
    [second] = cluster(1, prepare=lambda node: node.configure(
        node.written[0], node.written[1].replace(f'"node-name" value="{node.name}"', f'"node-name" value="{first.name}"')))
    assert wait_for(lambda: all("another FreeSWITCH has the node-name of this one" in node.log() for node in (first, second)), 8)
    Caller(second).park()
    assert wait_for(lambda: len(rows()) == 4 and of_first < rows(), 5), rows()
    time.sleep(4)
    assert len(rows()) == 4 and of_first < rows(), "a row of the other node was deleted"
    assert "given up by another" not in first.log() + second.log()
    assert {row["state"] for row in first.calls()} == {"parked"} and len(first.calls()) == 3
    assert not [event for event in second.events.all if event["CallPark-Action"] == "abandon"]


def test_a_table_that_is_locked_stops_no_heartbeat(cluster):  # noqa: F811
    """Before: the heartbeat came after the writes. A row that could not be written delayed it, and the node was declared dead with its callers."""
    first, second = cluster()
    parked = [Caller(first).park("666") for _ in range(2)]
    assert wait_for(lambda: len(slots(second)) == 2, 5)
    run(cluster.database, "alter table callpark_calls add constraint strange check (attempt < 0) not valid")
    Caller(first).park()
    locked = subprocess.Popen(cluster.database.psql("-qc", "begin; lock table callpark_calls in access exclusive mode; "
                                                    "select pg_sleep(15); commit"), stdout=subprocess.DEVNULL)
    beat = lambda: int(run(cluster.database, f"select beat from callpark_nodes where node = '{first.name}'"))
    for _ in range(4):
        before = beat()
        assert wait_for(lambda: beat() > before, 4.5), "the node's heartbeat has stopped"
    locked.wait(20)
    run(cluster.database, "alter table callpark_calls drop constraint strange")
    assert wait_for(lambda: {row["state"] for row in second.calls()} == {"parked"} and len(slots(second)) >= 2, 10), second.calls()
    assert {row["uuid"] for row in parked} <= {row["uuid"] for row in second.calls()}
    first.api("hupall")
    assert wait_for(lambda: not second.calls(), 8)


@pytest.mark.skipif("CALLPARK_OLD_MODULE" not in os.environ, reason="CALLPARK_OLD_MODULE names no build of another version")
def test_two_versions_share_a_cluster(cluster, phones_of, monkeypatch):  # noqa: F811
    """A rolling upgrade with a build of another version."""
    with monkeypatch.context() as env:
        env.setenv("CALLPARK_MODULE", os.environ["CALLPARK_OLD_MODULE"])
        [old] = cluster(1)
    [new] = cluster(1)
    here, there = phones_of(old), phones_of(new)
    for slot, phones, others, node in (("703", here, there, new), ("704", there, here, old)):
        caller = phones(says=600).call(f"do-park-{slot}_main")
        assert wait_for(lambda: [row["slot"] for row in node.calls()] == [slot], 5), node.calls()
        taker = others("1002", says=900).call(slot)
        assert caller.audio.hears(900) and taker.audio.hears(600)
        taker.hang_up()
        assert caller.wait_over() and wait_for(lambda: not old.calls() and not new.calls(), 5)
    for _ in range(10):
        for node in (old, new):
            node.api("bgapi originate null/x &callpark_park(auto)")
    assert wait_for(lambda: len(old.calls()) == len(new.calls()) == 20, 10)
    assert len({row["slot"] for row in new.calls()}) == 20
    new.kill()
    new.start()
    assert {row["state"] for row in new.calls() if row["node"] == new.name} == {"reserved"}
    assert wait_for(lambda: len(old.calls()) == 20, 5)


HOSTILE_WORDS = ["", "0", "-1", "9223372036854775807", "-9223372036854775808", "\\", "'", "\\'; drop table callpark_calls; --", "${system id}",
                 "%s%n", "a/b,c", "[^^:x]y", "null/x", "x,sofia/external/9@127.0.0.1", "\u202e\u0000\ufffd\n".replace("\u0000", ""), "*", "#",
                 "701", "702", "7" * 32, "é" * 200, "<a href=x>", "{}", "[]", "inline:system", DOMAIN, "main", "parked", "retrieving"]


def test_a_thousand_hostile_rows_harm_no_node(cluster, phones_of):  # noqa: F811
    """Another client writes hostile rows. Before: the name of a node was put from a row into a dial string unchanged."""
    first, second = cluster()
    chance = random.Random(20)
    text = lambda width: "E'" + chance.choice(HOSTILE_WORDS)[:width].replace("\\", "\\\\").replace("'", "''") + "'"
    number = lambda: chance.choice(["0", "1", "-1", "9223372036854775807", "-9223372036854775808", "1772438400000"])
    calls = ["insert into callpark_calls values ({}) on conflict do nothing".format(", ".join([
        chance.choice([f"'{DOMAIN}'", text(255)]), chance.choice([f"'{chance.randrange(720, 790)}'", text(32)]), str(chance.randrange(-5, 5)), text(255),
        chance.choice([f"'{first.name}'", text(255)]), text(255), text(16), number(), number(), number(), text(1000), text(1000), text(500), text(1000),
        str(chance.randrange(-2**31, 2**31))])) for _ in range(500)]
    tickets = [f"insert into callpark_tickets values ({text(64)}, {chance.choice([text(255), repr(first.name)])}, {text(255)}, {text(500)}, {number()}) on conflict do nothing"
               for _ in range(200)]
    records = ["insert into callpark_records values ({}) on conflict do nothing".format(", ".join([
        text(255), number(), number(), text(255), text(255), text(32), *[text(500) for _ in range(5)], text(16), str(chance.randrange(-2**31, 2**31)), text(255)]))
        for _ in range(200)]
    nodes = [f"insert into callpark_nodes values ({text(255)}, {number()}) on conflict do nothing" for _ in range(100)]
    subprocess.run([*cluster.database.psql("-q"), "-f", "-"], input=";\n".join([*calls, *tickets, *records, *nodes]) + ";\n", text=True, check=True)
    # The name of the node in this row is a dial string.
    run(cluster.database, f"delete from callpark_calls where slot = '703'; insert into callpark_calls values ('{DOMAIN}', '703', 0, 'evil', "
                          f"'x,loopback/do-park-710', 'main', 'parked', 1, (extract(epoch from now()) * 1000)::bigint, 0, '', '', '', '', 0)")
    assert wait_for(lambda: "703" in slots(second), 5)
    second.api(f"bgapi originate {{user_name=1002,domain_name={DOMAIN}}}null/x &callpark_retrieve(703)")
    time.sleep(2)
    assert "710" not in slots(second), "the name of a node was dialled"
    caller = phones_of(first)(says=600).call("do-park-705_main")
    assert wait_for(lambda: ("705", "parked", first.name) in {(row["slot"], row["state"], row["node"]) for row in second.calls()}, 8), second.calls()
    for node in (first, second):
        for command in ("list", "lots", "history 1000", "stats 400", "status"):
            assert not node.api(f"callpark {command}").startswith("-ERR"), command
        assert "panics caught    0" in node.api("callpark status")
        assert "slot store       answers" in node.api("callpark status")
    taker = phones_of(second)("1002", says=900).call("705")
    assert caller.audio.hears(900) and taker.audio.hears(600)
    taker.hang_up()
    assert caller.wait_over()
