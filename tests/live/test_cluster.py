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
def cluster(postgres, request):  # noqa: F811
    """Starts nodes; they are stopped afterwards."""
    started, failed = [], request.session.testsfailed

    def start(count=2, **more):
        nodes = [Node(postgres, **more) for _ in range(count)]
        for node in nodes:
            started.append(node)
            node.start()
        return nodes

    start.database = postgres
    yield start
    for node in started:
        node.keep = request.session.testsfailed > failed
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


def test_nobody_else_gets_in_by_that_door(cluster, phones_of):
    first, _ = cluster()
    caller, _ = park_by_transfer(phones_of(first), first, "703")
    with pytest.raises(Failed):
        phones_of(first)(says=900).call("703", headers=["X-CallPark-Ticket: 0123456789abcdef0123456789abcdef"])
    denied = first.events.wait("denied")
    assert "ticket" in denied["CallPark-Cause"]
    assert caller.audio.hears(MUSIC) and slots(first) == ["703"]
    caller.hang_up()


def test_what_a_parker_holds_counts_on_every_node(cluster, phones_of):
    first, second = cluster(limit=1)
    caller, _ = park_by_transfer(phones_of(first), first, "700")
    assert wait_for(lambda: slots(second), 3)
    second.api(f"bgapi originate {{callpark_parker=1001@{DOMAIN}}}null/x &callpark_park(auto)")
    assert second.events.wait("denied")["CallPark-Cause"].startswith("the parker holds 1 calls")
    caller.hang_up()


def test_the_slots_of_a_dead_node_are_kept_and_then_freed(cluster, phones_of):
    first, second = cluster()
    park_some(first, 3)
    assert wait_for(lambda: len(second.calls()) == 3, 5)
    first.kill()
    assert wait_for(lambda: {row["state"] for row in second.calls()} == {"reserved"}, 9), second.calls()
    with pytest.raises(Failed):
        phones_of(second)("1002").call("701")
    park_some(second, 1)
    assert wait_for(lambda: len(second.calls()) == 4, 3) and len(set(slots(second))) == 4, "a slot that is kept was given away"
    assert wait_for(lambda: len(second.calls()) == 1, WINDOW + 9)
    assert wait_for(lambda: len([e for e in second.events.all if e["CallPark-Action"] == "abandon"]) == 3, 3)
    assert wait_for(lambda: sql(cluster.database, f"select count(*) from callpark_records where node = '{first.name}'") == "3", 5)
    second.api("hupall")
    assert wait_for(lambda: not second.calls())


def test_the_survivor_takes_over_the_callers_of_a_dead_node(cluster, phones_of):
    first, second = cluster(core=True)
    here = phones_of(first)
    caller, row = park_by_transfer(here, first, "703", caller_says=600)
    first.api("callpark label 703 Invoice 7")
    row = first.calls()[0]
    time.sleep(3)  # the core writes what it would recover behind the calls' backs
    first.kill()
    # An address that moves with the service would be heard by the caller as the same; here their phone is told the new one.
    caller.phone.server = ("127.0.0.1", second.outside_port)
    second.api("sofia recover")
    assert wait_for(lambda: [(one["slot"], one["state"], one["node"]) for one in second.calls()] == [("703", "parked", second.name)], 10), second.calls()
    back = second.calls()[0]
    for name in ("uuid", "parker", "label", "parked_at", "caller_number"):
        assert back[name] == row[name], name
    assert wait_for(lambda: second.events.of(row["uuid"]) == ["recover"], 3)
    assert caller.audio.hears(MUSIC, within=5)
    taker = phones_of(second)("1002", says=900).call("703")
    assert caller.audio.hears(900) and taker.audio.hears(600)
    taker.hang_up()
    assert caller.wait_over()


def test_without_the_database_each_node_goes_on(cluster, phones_of):
    first, second = cluster()
    here, there = phones_of(first), phones_of(second)
    database = cluster.database
    database.kill()
    time.sleep(1)
    one, _ = park_by_transfer(here, first, "700", caller_says=600)
    other, _ = park_by_transfer(there, second, "700", caller_says=610)
    assert slots(first) == slots(second) == ["701"], "each gave the same slot away"
    third, _ = park_by_transfer(here, first, "705", caller_says=620)
    assert wait_for(lambda: slots(first) == ["701", "705"], 5)
    taker = here("1002", says=900).call("705")
    assert taker.audio.hears(620), "its own calls can be retrieved"
    taker.hang_up()
    database.start()
    # Both callers stay, on each node its own in front, and the operator is told.
    both = lambda: all(sorted(row["node"] for row in node.calls()) == sorted((first.name, second.name)) for node in (first, second))
    assert wait_for(both, 15), (first.calls(), second.calls())
    assert wait_for(lambda: "was given away twice" in first.log() + second.log(), 5)
    for node, phones, tone in ((first, here, 600), (second, there, 610)):
        taker = phones("1003", says=950).call("701")
        assert taker.audio.hears(tone), "whoever dials gets the caller of the own node first"
        taker.hang_up()
    assert wait_for(lambda: not first.calls() and not second.calls(), 5)
    assert wait_for(lambda: sql(database, "select count(*) from callpark_calls") == "0", 5)
    for call in (one, other, third):
        call.hang_up()


def test_a_frozen_database_holds_no_caller_up(cluster, phones_of):
    first, second = cluster()
    here = phones_of(first)
    cluster.database.signal_all(signal.SIGSTOP)
    began = time.monotonic()
    caller, _ = park_by_transfer(here, first, "703", caller_says=600)
    assert caller.audio.hears(MUSIC) and time.monotonic() - began < 6
    taker = here("1002", says=900).call("703")
    assert caller.audio.hears(900)
    cluster.database.signal_all(signal.SIGCONT)
    taker.hang_up()
    assert wait_for(lambda: "slot register    answers" in first.api("callpark status"), 8)
    assert wait_for(lambda: sql(cluster.database, "select count(*) from callpark_calls") == "0", 8)
    assert not second.calls()


def test_a_node_that_was_taken_for_dead_comes_back_with_its_callers(cluster, phones_of):
    first, second = cluster()
    caller, row = park_by_transfer(phones_of(first), first, "703", caller_says=600)
    assert wait_for(lambda: slots(second) == ["703"], 3)
    first.process.send_signal(signal.SIGSTOP)
    assert wait_for(lambda: not second.calls(), WINDOW + 12), "not given up"
    first.process.send_signal(signal.SIGCONT)
    assert wait_for(lambda: [(one["slot"], one["node"]) for one in second.calls()] == [("703", first.name)], 6), second.calls()
    assert first.calls()[0]["uuid"] == row["uuid"] and caller.audio.hears(MUSIC)
    taker = phones_of(second)("1002", says=900).call("703")
    assert caller.audio.hears(900)
    taker.hang_up()
    assert wait_for(lambda: sql(cluster.database, "select outcome from callpark_records") == "retrieved", 5), "the obituary was false"


def test_a_wrong_clock_changes_no_wait(cluster):
    """The rows say moments of the database's clock: one that is an hour off on a node shows nowhere."""
    first, second = cluster()
    park_some(first, 1)
    assert wait_for(lambda: slots(second), 4)
    sql(cluster.database, "update callpark_calls set since = since - 3600000")
    assert wait_for(lambda: second.calls()[0]["wait_ms"] < 3_600_000, 1)
    first.api("hupall")
