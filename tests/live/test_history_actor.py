"""Tests that the history has who acted by HTTP, also in tables that an earlier version made."""

import re
import sqlite3
import subprocess

import pytest

from conftest import LOTS
from phone import DOMAIN
from switch import free_port, wait_for
from test_history import own, postgres  # noqa: F401  (fixtures)
from test_take_by_click import MINE, TENANT, TOKENS
from test_web import Site

OLD = """CREATE TABLE callpark_records (uuid VARCHAR(256) NOT NULL, parked_at BIGINT NOT NULL, wait_ms BIGINT NOT NULL, lot VARCHAR(255) NOT NULL,
  domain VARCHAR(255) NOT NULL, slot VARCHAR(32) NOT NULL, caller_name VARCHAR(1024) NOT NULL, caller_number VARCHAR(1024) NOT NULL,
  parker VARCHAR(512) NOT NULL, retriever VARCHAR(512) NOT NULL, label VARCHAR(4096) NOT NULL, outcome VARCHAR(16) NOT NULL,
  attempts INTEGER NOT NULL, node VARCHAR(255) NOT NULL, PRIMARY KEY (uuid, parked_at))"""
OLD_ROW = "INSERT INTO callpark_records ({}) VALUES ('{}', {}, 5, 'main', 'callpark.test', '701', '', '', '', '', '', 'abandoned', 0, 'n')"
COLUMNS = "uuid, parked_at, wait_ms, lot, domain, slot, caller_name, caller_number, parker, retriever, label, outcome, attempts, node"


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_the_actor_is_kept_also_in_tables_of_an_earlier_version(own, phones_of, request, database):  # noqa: F811
    """Before: the tables had no such column. A node of the earlier version can still write its rows."""
    if database == "PostgreSQL":
        server = request.getfixturevalue("postgres")
        execute = lambda sql: subprocess.run(server.psql("-q", "-c", sql), check=True, capture_output=True)
        dsn = f'<param name="db-dsn" value="{server.dsn}"/>'
    else:
        def execute(sql):
            with sqlite3.connect(own.dir / "db/callpark.db") as line:
                line.execute(sql)
        dsn = ""
    execute(OLD)
    execute(OLD_ROW.format(COLUMNS, "earlier", 1_900_000_000_000))
    port, tokens = free_port(), own.dir / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    own.configure(LOTS, f'{dsn}<param name="http-listen" value="127.0.0.1:{port}"/><param name="http-token-file" value="{tokens}"/>')
    own.start()
    site, phones = Site(port), phones_of(own)
    history = lambda: {row["uuid"]: row for row in own.json("history 100")}
    execute(OLD_ROW.format(COLUMNS, "later", 1_900_000_000_001))
    assert wait_for(lambda: {"earlier", "later"} <= set(history()), 10) and history()["earlier"]["actor"] == history()["later"]["actor"] == ""
    found = {}
    for slot, token, verb, body in [("701", MINE, "label", {"text": "x"}), ("702", TENANT, "transfer", {"extension": "tone-1300"}), ("703", None, "", {})]:
        caller = phones(says=600).call(f"do-park-{slot}")
        uuid = wait_for(own.calls)[0]["uuid"]
        if token:
            assert site.act(slot, verb, body, token)[0] == 200
            assert verb != "transfer" or caller.audio.hears(1300)
        caller.hang_up()
        found[slot] = wait_for(lambda uuid=uuid: history().get(uuid), 10)
    assert found["701"]["actor"] == f"1002@{DOMAIN}" and found["703"]["actor"] == ""
    assert found["702"]["outcome"] == "transferred" and found["702"]["actor"].startswith("token:")
    told = own.events.wait("transfer")
    assert told["CallPark-Actor"] == found["702"]["actor"] and own.events.wait("label")["CallPark-Actor"] == f"1002@{DOMAIN}"
    assert not any("CallPark-Actor" in event for event in own.events.all if event["CallPark-Action"] in ("park", "abandon"))
    assert "actor" in own.api("callpark history 5 as csv").splitlines()[0]
    errors = [line for line in own.log().splitlines() if "[ERR]" in line and re.search("sql|callpark:", line, re.I)]
    assert not errors, errors
