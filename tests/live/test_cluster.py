"""Two nodes that share their lots through one PostgreSQL."""

import os
import signal
import subprocess
import time

import pytest

from conftest import MUSIC, ROOT
from phone import DOMAIN, Failed
from switch import Switch, find_prefix, wait_for
from test_records import BIN, postgres  # noqa: F401  (a fixture)
from test_story import park_by_transfer

WINDOW = 6
LOT = f"""
<lot name="main" domain="{DOMAIN}">
  <param name="slots" value="701-790"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="0"/>
  <param name="park-limit-per-user" value="@LIMIT@"/>
</lot>
"""


class Node(Switch):
    """A node is called by the port at which the others reach it."""

    def __init__(self, database, limit=0, core=False):
        super().__init__(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), find_prefix())
        self.name = str(self.outside_port)
        self.core_dsn = database.dsn if core else ""
        self.configure(LOT.replace("@LIMIT@", str(limit)), f"""
          <param name="db-dsn" value="{database.dsn}"/><param name="cluster" value="true"/>
          <param name="node-name" value="{self.name}"/><param name="recover-window" value="{WINDOW}"/>
          <param name="cluster-dial" value="sofia/external/${{slot}}@127.0.0.1:${{node}}"/>""")


def sql(database, query):
    done = subprocess.run([str(BIN / "psql"), "-h", "127.0.0.1", "-p", str(database.port), "-U", "postgres", "-tAc", query],
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def cluster(postgres):  # noqa: F811
    """Starts nodes; they are stopped afterwards."""
    started = []

    def start(count=2, **more):
        nodes = [Node(postgres, **more) for _ in range(count)]
        for node in nodes:
            started.append(node)
            node.start()
        return nodes

    start.database = postgres
    yield start
    for node in started:
        node.stop()


def slots(node):
    return [row["slot"] for row in node.calls()]


def park_some(node, count):
    for _ in range(count):
        node.api("bgapi originate null/x &callpark_park(auto)")


def test_no_slot_is_given_twice_and_each_node_sees_all(cluster):
    first, second = cluster()
    for _ in range(4):
        park_some(first, 10)
        park_some(second, 10)
    assert wait_for(lambda: len(first.calls()) == len(second.calls()) == 80, 10), (len(first.calls()), len(second.calls()))
    assert len(set(slots(first))) == 80 and slots(first) == slots(second)
    by_node = [sum(row["node"] == node.name for row in second.calls()) for node in (first, second)]
    assert by_node == [40, 40]
    assert first.json("lots")[0]["used"] == 80 == second.json("lots")[0]["used"]
    for node in (first, second):
        node.api("hupall")
    assert wait_for(lambda: not first.calls() and not second.calls(), 4)
    assert sql(cluster.database, "select count(*) from callpark_calls") == "0"


def test_a_call_is_taken_on_the_other_node(cluster, phones_of):
    first, second = cluster()
    here, there = phones_of(first), phones_of(second)
    lamp = there("1003").subscribe("park+703")
    caller, row = park_by_transfer(here, first, "703", caller_says=600)
    began = time.monotonic()
    assert lamp.shows("confirmed", 4) and time.monotonic() - began < 2.5
    assert wait_for(lambda: slots(second) == ["703"], 3)
    taker = there("1002", says=900, name="Colleague").call("703")
    assert caller.audio.hears(900) and taker.audio.hears(600)
    assert taker.shown and taker.shown[0][0] == "Alice", taker.shown
    taken = first.events.wait("retrieve")
    assert (taken["CallPark-Slot"], taken["CallPark-Retriever"]) == ("703", f"1002@{DOMAIN}")
    assert first.events.of(row["uuid"]) == ["park", "retrieve"]
    assert lamp.shows("terminated", 4)
    assert wait_for(lambda: not slots(second), 3)
    assert sql(cluster.database, "select count(*) from callpark_tickets") == "0", "a ticket is good for once"
    caller.hang_up()
    assert taker.wait_over()
