"""Tests two nodes that share their lots through one PostgreSQL."""

import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import MUSIC, ROOT
from fake_clock import FAKETIME
from parking import park_by_transfer
from phone import DOMAIN, Failed
from switch import Switch, find_prefix, free_port, wait_for
from test_history import postgres  # noqa: F401  (a fixture)

WINDOW = 6
LOT = f"""
<lot name="main" domain="{DOMAIN}">
  <param name="slots" value="701-790"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="0"/>
  <param name="park-limit-per-user" value="@LIMIT@"/>
</lot>
"""


# With `cluster-dial` to this extension, the other node answers after two seconds.
SLOWLY = r"""
<extension name="slow"><condition field="destination_number" expression="^slow-(\d+)$">
  <action application="sleep" data="2000"/><action application="callpark_slot" data="$1"/>
</condition></extension>"""


class Node(Switch):
    """A node of the cluster. Its name is the port of its outside profile, at which the other nodes reach it."""

    def __init__(self, database, limit=0, core=False, dial="${slot}"):
        super().__init__(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), find_prefix())
        self.name = str(self.outside_port)
        self.core_dsn = database.dsn if core else ""
        self.http = free_port()
        self.configure(LOT.replace("@LIMIT@", str(limit)), f"""
          <param name="db-dsn" value="{database.dsn}"/><param name="cluster" value="true"/>
          <param name="node-name" value="{self.name}"/><param name="recover-window" value="{WINDOW}"/>
          <param name="http-listen" value="127.0.0.1:{self.http}"/>
          <param name="cluster-dial" value="sofia/external/{dial}@127.0.0.1:${{node}}"/>""", extensions=SLOWLY)


def sql(database, query):
    done = subprocess.run(database.psql("-tAc", query),
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def cluster(postgres, failures):  # noqa: F811
    """Starts nodes, and stops them after the test."""
    started, failed = [], failures()

    def start(count=2, prepare=lambda node: None, **more):
        nodes = [Node(postgres, **more) for _ in range(count)]
        for node in nodes:
            started.append(node)
            prepare(node)
            node.start()
        return nodes

    start.database = postgres
    yield start
    for node in started:
        node.keep = failures() > failed
    with ThreadPoolExecutor() as all_at_once:
        list(all_at_once.map(Node.stop, started))


def slots(node):
    return [row["slot"] for row in node.calls()]


def park_some(node, count):
    for _ in range(count):
        node.api("bgapi originate null/x &callpark_park(auto)")


def test_no_slot_is_given_twice_and_each_node_lists_all_calls(cluster):
    """Both nodes park at the same time, so that they often choose the same slot. One of them gets it, and the other chooses again."""
    def logs_decisions(node):
        node.log_level = "debug"
        node.configure(*node.written)

    first, second = cluster(prepare=logs_decisions)
    parking = [threading.Thread(target=park_some, args=(node, 40)) for node in (first, second)]
    for thread in parking:
        thread.start()
    for thread in parking:
        thread.join()
    assert wait_for(lambda: len(first.calls()) == len(second.calls()) == 80, 10), (len(first.calls()), len(second.calls()))
    collisions = [node.log().count("another node allocated the slot first") for node in (first, second)]
    assert sum(collisions) > 0, "the nodes never chose the same slot, so the test has shown nothing"
    assert len(set(slots(first))) == 80 and slots(first) == slots(second)
    by_node = [sum(row["node"] == node.name for row in second.calls()) for node in (first, second)]
    assert by_node == [40, 40]
    assert first.json("lots")[0]["used"] == 80 == second.json("lots")[0]["used"]
    for node in (first, second):
        node.api("hupall")
    assert wait_for(lambda: not first.calls() and not second.calls(), 4)
    assert sql(cluster.database, "select count(*) from callpark_calls") == "0"


def test_a_call_is_retrieved_on_the_other_node(cluster, phones_of):
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
    assert sql(cluster.database, "select count(*) from callpark_tickets") == "0", "the used ticket was not deleted"
    caller.hang_up()
    assert taker.wait_over()


def test_a_retrieval_reconnects_to_a_database_that_has_just_come_back(cluster, phones_of):
    """The retrieval is of the other node's caller, which needs the database. Without it the module tries to reconnect only every two seconds,
    and the first user would be refused."""
    first, second = cluster()
    here, there = phones_of(first), phones_of(second)
    for slot in ("703", "704", "705"):
        caller, _ = park_by_transfer(here, first, slot, caller_says=600)
        assert wait_for(lambda: slots(second) == [slot], 5)
        cluster.database.kill()
        tried = second.log().count("reconnection failed")
        assert wait_for(lambda: second.log().count("reconnection failed") > tried, 8)
        cluster.database.start()
        taker = there("1002", says=900).call(slot)
        assert caller.audio.hears(900) and taker.audio.hears(600)
        caller.hang_up()
        assert taker.wait_over() and wait_for(lambda: not slots(second), 8)


def test_without_the_database_a_call_of_the_other_node_is_refused_as_gone(cluster, phones_of):
    """The result is not `taken`: nobody else retrieves the call."""
    first, second = cluster()
    here, there = phones_of(first), phones_of(second)
    caller, _ = park_by_transfer(here, first, "703", caller_says=600)
    assert wait_for(lambda: slots(second) == ["703"], 5)
    cluster.database.kill()
    with pytest.raises(Failed):
        there("1002", says=900).call("703")
    assert wait_for(lambda: f'result=gone cause="the call in slot 703 waits on node {first.name}"' in second.log(), 2)
    assert caller.audio.hears(MUSIC)
    cluster.database.start()
    taker = there("1003", says=900).call("703")
    assert caller.audio.hears(900) and taker.audio.hears(600)
    caller.hang_up()
    assert taker.wait_over()


def test_a_call_with_an_invalid_ticket_is_denied(cluster, phones_of):
    first, _ = cluster()
    caller, _ = park_by_transfer(phones_of(first), first, "703")
    with pytest.raises(Failed):
        phones_of(first)(says=900).call("703", headers=["X-CallPark-Ticket: 0123456789abcdef0123456789abcdef"])
    denied = first.events.wait("denied")
    assert "ticket" in denied["CallPark-Cause"]
    assert caller.audio.hears(MUSIC) and slots(first) == ["703"]
    caller.hang_up()


def documented(language, containing):
    """The code block of docs/operations.md that contains this text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/operations.md").read_text(), re.DOTALL)
    [block] = [block for block in blocks if containing in block]
    return block


def test_the_setup_in_the_documentation_works(cluster, phones_of):
    """The database, the settings and the extension of docs/operations.md, with other addresses."""
    for statement in documented("sql", "CREATE ROLE").split(";")[:2]:
        sql(cluster.database, statement)
    extension = documented("xml", "callpark from another node")

    def prepare(node):
        settings = documented("xml", "cluster-dial").replace("10.0.0.11", node.name).replace("${node}:5080", "127.0.0.1:${node}")
        settings = settings.replace("hostaddr=10.0.0.5", f"hostaddr=127.0.0.1 port={cluster.database.port}")
        node.configure(node.written[0], settings, extensions=extension)

    first, second = cluster(prepare=prepare)
    assert all("slot store       answers" in node.api("callpark status") for node in (first, second))
    caller, _ = park_by_transfer(phones_of(first), first, "703", caller_says=600)
    assert wait_for(lambda: slots(second) == ["703"], 4)
    for headers in ([], ["X-CallPark-Ticket: "], ["X-CallPark-Ticket: " + "0" * 32]):
        with pytest.raises(Failed):
            phones_of(first)(says=900).call("callpark-703", headers=headers)
    assert [e["CallPark-Action"] for e in first.events.all if e["CallPark-Action"] == "denied"] == ["denied"], "a call without a ticket reached the extension's application"
    taker = phones_of(second)("1002", says=900).call("703")
    assert caller.audio.hears(900) and taker.audio.hears(600)
    taker.hang_up()
    assert caller.wait_over()
    owner = sql(cluster.database, "select count(*) from pg_database where datname = 'callpark'")
    assert owner == "1"


def issue(database, ticket, node, uuid, expires_in=30):
    sql(database, f"insert into callpark_tickets values ('{ticket}', '{node.name}', '{uuid}', '1002@{DOMAIN}', "
                  f"(extract(epoch from current_timestamp) * 1000)::bigint + {expires_in * 1000})")


def test_a_ticket_is_valid_once_for_one_call_on_one_node_until_it_expires(cluster, phones_of):
    first, second = cluster()
    here = phones_of(first)
    caller, row = park_by_transfer(here, first, "703", caller_says=600)
    other = here(says=620).call("do-park-704")
    assert wait_for(lambda: slots(second) == ["703", "704"], 4)
    dial = lambda ticket, slot: here(says=900).call(slot, headers=[f"X-CallPark-Ticket: {ticket}"])
    issue(cluster.database, "a" * 32, first, row["uuid"], expires_in=-1)
    issue(cluster.database, "b" * 32, second, row["uuid"])
    for ticket in ("a" * 32, "b" * 32, "' OR '1'='1"):
        with pytest.raises(Failed):
            dial(ticket, "703")
    assert caller.audio.hears(MUSIC) and slots(first) == ["703", "704"]
    issue(cluster.database, "c" * 32, first, row["uuid"])
    taker = dial("c" * 32, "704")
    assert caller.audio.hears(900) and taker.audio.hears(600) and slots(first) == ["704"], "a ticket for one call retrieved another"
    taker.hang_up()
    with pytest.raises(Failed):
        dial("c" * 32, "704")
    assert other.audio.hears(MUSIC) and slots(first) == ["704"]
    other.hang_up()


def test_a_caller_whose_retriever_hangs_up_during_the_move_is_parked_on_the_new_node(cluster, phones_of):
    first, second = cluster(dial="slow-${slot}")
    caller, row = park_by_transfer(phones_of(first), first, "703", caller_says=600)
    first.api("callpark label 703 Invoice 7")
    assert wait_for(lambda: [one["label"] for one in second.calls()] == ["Invoice 7"], 4)
    leg = str(uuid.uuid4())
    second.api(f"bgapi originate {{origination_uuid={leg},user_name=1002,domain_name={DOMAIN}}}null/x &callpark_retrieve(703)")
    time.sleep(1)
    second.api(f"uuid_kill {leg}")
    there = lambda: [(one["label"], one["parker"], one["state"], one["node"]) for one in second.calls()]
    assert wait_for(lambda: there() == [("Invoice 7", row["parker"], "parked", second.name)], 8), second.calls()
    assert caller.audio.hears(MUSIC, within=5) and not caller.over.is_set()
    taker = phones_of(second)("1002", says=900).call(slots(second)[0])
    assert caller.audio.hears(900) and taker.audio.hears(600)
    taker.hang_up()
    assert caller.wait_over()


def test_a_caller_whose_retriever_hangs_up_keeps_the_slot_on_a_node_without_the_lot(cluster, phones_of):
    """The retriever's node does not have the lot any more. Before: the caller was hung up on."""
    first, second = cluster(dial="slow-${slot}")
    here, there = phones_of(first), phones_of(second)
    parker = there("1001", says=800)
    parker.on_ring = 0.2
    caller, row = park_by_transfer(here, first, "703", caller_says=600)
    assert wait_for(lambda: slots(second) == ["703"], 5)
    _, settings, phrases, extensions = second.written
    assert second.reload(LOT.replace("701-790", "801").replace('"main"', '"other"').replace("@LIMIT@", "0"), settings, phrases, extensions).startswith("+OK")
    hasty = there("1002", says=900)
    taking = threading.Thread(target=lambda: pytest.raises(Failed, hasty.call, "703"))
    taking.start()
    time.sleep(1)
    second.api(f"uuid_kill {second.leg(direction='inbound')}")
    taking.join()
    assert wait_for(lambda: [(row["slot"], row["node"]) for row in second.calls()] == [("703", second.name)], 8), second.calls()
    assert not caller.over.is_set()
    assert second.api("callpark ringback 703").startswith("+OK")
    back = parker.wait_call(12)
    assert back.audio.hears(600, within=8) and caller.audio.hears(800)
    assert first.events.of(row["uuid"]) == ["park", "retrieve"]
    caller.hang_up()


def test_each_node_shows_the_calls_of_the_other_within_two_seconds(cluster):
    first, second = cluster()
    events = urllib.request.urlopen(f"http://127.0.0.1:{second.http}/metrics", timeout=5)
    assert b"freeswitch_callpark_slot_store_up 1" in events.read()
    count = lambda node: int(float(next(line.split()[-1] for line in urllib.request.urlopen(
        f"http://127.0.0.1:{node.http}/metrics", timeout=5).read().decode().splitlines()
        if line.startswith("freeswitch_callpark_calls{"))))
    for expected in (1, 2):
        park_some(first, 1)
        assert wait_for(lambda: len(first.calls()) == expected)
        began = time.monotonic()
        assert wait_for(lambda: count(second) == expected, 4) and time.monotonic() - began < 2.5
    first.api("callpark label 701 Mr Chen")
    began = time.monotonic()
    assert wait_for(lambda: second.calls()[0]["label"] == "Mr Chen", 4) and time.monotonic() - began < 2.5
    first.api("hupall")
    assert wait_for(lambda: count(second) == 0, 4)


def test_slots_of_a_node_without_a_heartbeat_are_freed(cluster):
    """The rows are of a node that was renamed or removed from the cluster."""
    first, second = cluster()
    sql(cluster.database, f"insert into callpark_calls values ('{DOMAIN}', '701', 0, 'ghost-leg', 'ghost', 'main', 'parked', 1, "
                          "(extract(epoch from current_timestamp) * 1000)::bigint, 0, 'Ghost', '5', '', '', 0)")
    assert wait_for(lambda: [(row["slot"], row["state"]) for row in second.calls()] == [("701", "reserved")], 9)
    park_some(first, 1)
    assert wait_for(lambda: slots(first) == ["701", "702"], 4), "a reserved slot was assigned"
    assert wait_for(lambda: slots(first) == slots(second) == ["702"], WINDOW + 10)
    abandoned = lambda: [e["CallPark-Slot"] for node in (first, second) for e in node.events.all if e["CallPark-Action"] == "abandon"]
    assert wait_for(lambda: abandoned() == ["701"], 3), abandoned()
    first.api("hupall")


def test_the_limit_of_a_parker_counts_the_calls_of_all_nodes(cluster, phones_of):
    first, second = cluster(limit=1)
    caller, _ = park_by_transfer(phones_of(first), first, "700")
    assert wait_for(lambda: slots(second), 3)
    second.api(f"bgapi originate {{callpark_parker=1001@{DOMAIN}}}null/x &callpark_park(auto)")
    assert second.events.wait("denied")["CallPark-Cause"].startswith("the parker has 1 calls parked")
    caller.hang_up()


def test_the_slots_of_a_dead_node_are_reserved_and_then_freed(cluster, phones_of):
    first, second = cluster()
    park_some(first, 3)
    assert wait_for(lambda: len(second.calls()) == 3, 5)
    first.kill()
    assert wait_for(lambda: {row["state"] for row in second.calls()} == {"reserved"}, 9), second.calls()
    with pytest.raises(Failed):
        phones_of(second)("1002").call("701")
    park_some(second, 1)
    assert wait_for(lambda: len(second.calls()) == 4, 3) and len(set(slots(second))) == 4, "a reserved slot was assigned"
    assert wait_for(lambda: len(second.calls()) == 1, WINDOW + 9)
    assert wait_for(lambda: len([e for e in second.events.all if e["CallPark-Action"] == "abandon"]) == 3, 3)
    assert wait_for(lambda: sql(cluster.database, f"select count(*) from callpark_records where node = '{first.name}'") == "3", 5)
    second.api("hupall")
    assert wait_for(lambda: not second.calls())


def test_a_node_takes_over_the_callers_of_a_dead_node(cluster, phones_of):
    first, second = cluster(core=True)
    here = phones_of(first)
    caller, row = park_by_transfer(here, first, "703", caller_says=600)
    first.api("callpark label 703 Invoice 7")
    row = first.calls()[0]
    time.sleep(3)  # the core stores its recovery data in the background
    first.kill()
    # In practice, the service's address moves to the other node. Here the phone uses the other node's address instead.
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


def test_without_the_database_each_node_parks_and_retrieves_its_own_calls(cluster, phones_of):
    first, second = cluster()
    here, there = phones_of(first), phones_of(second)
    database = cluster.database
    database.kill()
    time.sleep(1)
    one, _ = park_by_transfer(here, first, "700", caller_says=600)
    other, _ = park_by_transfer(there, second, "700", caller_says=610)
    assert slots(first) == slots(second) == ["701"], "the nodes did not assign the same slot"
    third, _ = park_by_transfer(here, first, "705", caller_says=620)
    assert wait_for(lambda: slots(first) == ["701", "705"], 5)
    taker = here("1002", says=900).call("705")
    assert taker.audio.hears(620), "the node's own call was not retrieved"
    taker.hang_up()
    database.start()
    # Both callers stay parked, each node lists its own first, and the log reports the collision.
    both = lambda: all(sorted(row["node"] for row in node.calls()) == sorted((first.name, second.name)) for node in (first, second))
    assert wait_for(both, 15), (first.calls(), second.calls())
    assert wait_for(lambda: "slot was assigned twice" in first.log() + second.log(), 5)
    for node, phones, tone in ((first, here, 600), (second, there, 610)):
        taker = phones("1003", says=950).call("701")
        assert taker.audio.hears(tone), "the retriever did not get the caller of the own node"
        taker.hang_up()
    assert wait_for(lambda: not first.calls() and not second.calls(), 5)
    assert wait_for(lambda: sql(database, "select count(*) from callpark_calls") == "0", 5)
    for call in (one, other, third):
        call.hang_up()


def test_two_callers_with_one_slot_are_both_listed_after_a_slow_claim(cluster, phones_of):
    """The database answers the nodes' claims only after both nodes have assigned the slot without it."""
    first, second = cluster()
    locked = subprocess.Popen(cluster.database.psql("-qc", "begin; lock table callpark_calls in access exclusive mode; select pg_sleep(4); commit"), stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    callers = [phones_of(node)(says=tone).call("do-park-703_main") for node, tone in ((first, 600), (second, 610))]
    assert slots(first) == slots(second) == ["703"] and locked.poll() is None, "the table was not locked during both"
    locked.wait(20)
    both = lambda node: sorted((row["slot"], row["node"]) for row in node.calls()) == sorted(("703", one.name) for one in (first, second))
    assert wait_for(lambda: both(first) and both(second), 10), (first.calls(), second.calls())
    assert wait_for(lambda: "slot was assigned twice" in first.log() + second.log(), 3)
    assert all(caller.audio.hears(MUSIC) for caller in callers)
    for caller in callers:
        caller.hang_up()
    assert wait_for(lambda: sql(cluster.database, "select count(*) from callpark_calls") == "0", 5)


def test_a_frozen_database_delays_no_caller(cluster, phones_of):
    first, second = cluster()
    here = phones_of(first)
    cluster.database.signal_all(signal.SIGSTOP)
    began = time.monotonic()
    caller, _ = park_by_transfer(here, first, "703", caller_says=600)
    assert caller.audio.hears(MUSIC) and time.monotonic() - began < 8
    taker = here("1002", says=900).call("703")
    assert caller.audio.hears(900)
    cluster.database.signal_all(signal.SIGCONT)
    taker.hang_up()
    assert wait_for(lambda: "slot store       answers" in first.api("callpark status"), 20)
    assert wait_for(lambda: sql(cluster.database, "select count(*) from callpark_calls") == "0", 20)
    assert wait_for(lambda: not second.calls(), 5)


def test_a_node_that_was_declared_dead_comes_back_with_its_callers(cluster, phones_of):
    first, second = cluster()
    caller, row = park_by_transfer(phones_of(first), first, "703", caller_says=600)
    assert wait_for(lambda: slots(second) == ["703"], 3)
    first.process.send_signal(signal.SIGSTOP)
    assert wait_for(lambda: not second.calls(), WINDOW + 12), "the slot was not freed"
    first.process.send_signal(signal.SIGCONT)
    assert wait_for(lambda: [(one["slot"], one["node"]) for one in second.calls()] == [("703", first.name)], 6), second.calls()
    assert first.calls()[0]["uuid"] == row["uuid"] and caller.audio.hears(MUSIC)
    taker = phones_of(second)("1002", says=900).call("703")
    assert caller.audio.hears(900)
    taker.hang_up()
    assert wait_for(lambda: sql(cluster.database, "select outcome from callpark_records") == "retrieved", 5), "the history does not have the real outcome"


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
@pytest.mark.parametrize("off", [-3600, 3600])
def test_a_clock_that_is_an_hour_off_changes_no_wait_and_no_timeout(cluster, phones_of, off, monkeypatch):
    """A node whose wall clock is wrong is killed, and the other node takes over its call with the right remaining time."""
    timed = lambda node: node.configure(node.written[0].replace('"park-timeout" value="0"', '"park-timeout" value="300"'), node.written[1])
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME", f"{off:+d}")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    [first] = cluster(1, core=True, prepare=timed)
    for name in ("LD_PRELOAD", "FAKETIME"):
        monkeypatch.delenv(name)
    [second] = cluster(1, core=True, prepare=timed)
    assert abs(float(first.api("strepoch")) - time.time() - off) < 60, "the clock is not wrong"
    caller, row = park_by_transfer(phones_of(first), first, "703", caller_says=600)
    assert wait_for(lambda: slots(second) == ["703"], 4)
    time.sleep(3)
    there = second.calls()[0]
    assert 2500 < there["wait_ms"] < 20_000, "the wait depends on the other node's clock"
    assert 270_000 < there["timeout_at"] - time.time() * 1000 < 300_000
    first.kill()
    caller.phone.server = ("127.0.0.1", second.outside_port)
    second.api("sofia recover")
    assert wait_for(lambda: [(one["slot"], one["state"], one["node"]) for one in second.calls()] == [("703", "parked", second.name)], 10), second.calls()
    back = second.calls()[0]
    assert 2500 < back["wait_ms"] < 60_000 and 230_000 < back["timeout_at"] - time.time() * 1000 < 300_000, back
    assert back["uuid"] == row["uuid"] and caller.audio.hears(MUSIC, within=5)
    assert wait_for(lambda: second.events.of(row["uuid"]), 3)
    time.sleep(1.5)
    assert second.events.of(row["uuid"]) == ["recover"], "the call was due at once"
    caller.hang_up()


def test_a_node_whose_callers_were_recovered_while_it_was_frozen_releases_them(cluster, phones_of):
    first, second = cluster(core=True)
    caller, row = park_by_transfer(phones_of(first), first, "703", caller_says=600)
    time.sleep(3)
    first.process.send_signal(signal.SIGSTOP)
    caller.phone.server = ("127.0.0.1", second.outside_port)
    second.api("sofia recover")
    here = lambda node: [(one["slot"], one["node"]) for one in node.calls()]
    assert wait_for(lambda: second.events.of(row["uuid"]) == ["recover"], 10), second.calls()
    first.process.send_signal(signal.SIGCONT)
    assert wait_for(lambda: here(first) == here(second) == [("703", second.name)], 8), (first.calls(), second.calls())
    time.sleep(3)
    assert here(first) == here(second) == [("703", second.name)], "the call is on two nodes or on none"
    assert caller.audio.hears(MUSIC) and not caller.over.is_set()
    taker = phones_of(second)("1002", says=900).call("703")
    assert caller.audio.hears(900) and taker.audio.hears(600)
    taker.hang_up()
    caller.hang_up()
    rows = lambda: sql(cluster.database, f"select outcome from callpark_records where uuid = '{row['uuid']}'")
    assert wait_for(lambda: rows() == "retrieved", 5), rows()


def test_the_history_has_the_real_outcome_of_a_caller_who_is_recovered_late(cluster, phones_of):
    first, second = cluster(core=True)
    caller, row = park_by_transfer(phones_of(first), first, "703", caller_says=600)
    time.sleep(3)
    first.kill()
    assert wait_for(lambda: not second.calls(), WINDOW + 12), "the slot was not freed"
    rows = lambda: sql(cluster.database, f"select outcome from callpark_records where uuid = '{row['uuid']}'")
    assert wait_for(lambda: rows() == "abandoned", 5)
    caller.phone.server = ("127.0.0.1", second.outside_port)
    second.api("sofia recover")
    assert wait_for(lambda: slots(second) == ["703"], 10) and caller.audio.hears(MUSIC, within=5)
    taker = phones_of(second)("1002", says=900).call("703")
    assert caller.audio.hears(900)
    taker.hang_up()
    caller.hang_up()
    assert wait_for(lambda: rows() == "retrieved", 5), rows()


def test_callers_who_are_recovered_while_the_slot_store_is_blocked_are_kept(cluster, phones_of):
    """The new node's claims are late. The dead node's rows must not count as newer than they are."""
    first, second = cluster(core=True)
    callers = [phones_of(first)(says=600).call(f"do-park-{slot}_main") for slot in range(701, 706)]
    assert wait_for(lambda: len(slots(second)) == 5, 5)
    time.sleep(3)
    first.kill()
    for caller in callers:
        caller.phone.server = ("127.0.0.1", second.outside_port)
    locked = subprocess.Popen(cluster.database.psql("-qc", "begin; lock table callpark_calls in access exclusive mode; select pg_sleep(4); commit"), stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    second.api("sofia recover")
    assert wait_for(lambda: sum(one["node"] == second.name and one["state"] == "parked" for one in second.calls()) == 5, 10), second.calls()
    locked.wait(20)
    time.sleep(WINDOW + 8)  # until the dead node's rows have been deleted
    assert [(one["slot"], one["node"]) for one in second.calls()] == [(str(slot), second.name) for slot in range(701, 706)]
    assert all(caller.audio.hears(MUSIC, within=5) for caller in callers)
    assert not [e for e in second.events.all if e["CallPark-Action"] == "abandon"]
    for caller in callers:
        caller.hang_up()
    assert wait_for(lambda: sql(cluster.database, "select count(*) from callpark_calls") == "0", 5)


def test_a_node_with_a_frozen_database_ends_within_28_s(cluster):
    [node] = cluster(1)
    park_some(node, 20)
    assert wait_for(lambda: len(node.calls()) == 20, 5)
    cluster.database.signal_all(signal.SIGSTOP)
    time.sleep(1)
    began = time.monotonic()
    try:
        assert node.stop() == 0, "the node did not end by itself"
        print(f"{time.monotonic() - began:.1f} s")
        assert time.monotonic() - began < 28
    finally:
        cluster.database.signal_all(signal.SIGCONT)


def test_a_caller_without_a_slot_gets_the_one_that_another_node_frees(cluster, phones_of):
    def with_one_slot(node):
        lots, settings, _, extensions = node.written
        node.configure(lots.replace("701-790", "701"), settings, extensions=extensions)

    first, second = cluster(prepare=with_one_slot)
    second.api("bgapi originate null/x &callpark_park(auto)")
    assert wait_for(lambda: slots(first) == ["701"], 5)
    phones = phones_of(first)
    desk = phones("1001")
    desk.on_ring = 0
    caller = phones(says=600).call("1001")
    leg = desk.wait_call()
    assert leg.answered.wait(5)
    desk.on_ring = 486
    leg.refer("700")
    leg.hang_up()
    shown = lambda node, slot: [(row["node"], row["slot"], row["state"]) for row in node.calls() if row["slot"] == slot]
    everywhere = lambda slot, state: all(shown(node, slot) == [(first.name, slot, state)] for node in (first, second))
    assert wait_for(lambda: everywhere("", "waiting-for-slot"), 6), (first.calls(), second.calls())
    second.api("hupall")
    assert wait_for(lambda: everywhere("701", "parked"), 10), (first.calls(), second.calls())
    assert caller.audio.hears(MUSIC)
    caller.hang_up()
    assert wait_for(lambda: not first.calls() and not second.calls(), 8)
