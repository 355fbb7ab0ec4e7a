"""Parks and retrieves callers while it kills, freezes and blocks FreeSWITCH and the database, sets the clock and disturbs the callers'
media at random, all on loopback. The stages are one FreeSWITCH; two that share their lots in a PostgreSQL, each of which recovers its own
callers; and two that share the core's tables too, so that one takes over the other's callers.

After each fault every caller must still be in the same slot of the same lot, with the same parker, label, parking time and time-out, with
music, and on one node only. Otherwise the caller counts as lost. A caller who hears nothing for longer than SILENT_AFTER seconds counts as
silent. A run fails if a caller was lost or silent.

    chaos.py <minutes> [<seed>] [--callers <n>] [--only <fault>,<fault>] [--without <fault>,<fault>]

The seed determines the calls and the faults, but not the timing of the processes, so two runs with one seed are not the same.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from pathlib import Path

from audio import SoundMeter
from conftest import MUSIC
from disturbances import CLOCK, DATABASE, MEDIA, QUIET, Disturbances
from fake_clock import FAKETIME, Clock
from phone import DOMAIN, Failed, Phone
from switch import ROOT, Switch, find_prefix, module_dir, wait_for
from test_history import BIN, Postgres

# The core stores its recovery data of a call in the background. A call that is younger than these seconds may not be stored yet.
SETTLED = 2.5
# Seconds from a node's last heartbeat until the others declare it dead, and seconds for which they then keep its slots (`recover-window`).
SILENCE = 5
WINDOW = 10
# Seconds without a sound after which a caller counts as silent. If FreeSWITCH did not run or was told to stop the music, they begin when
# that is over.
SILENT_AFTER = 5
LOTS = f"""
<lot name="main" domain="{DOMAIN}">
  <param name="slots" value="701-790"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="1800"/>
</lot>
<lot name="quick" domain="{DOMAIN}">
  <param name="slots" value="801-820"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="2"/>
  <param name="ringback-timeout" value="1800"/>
</lot>"""
QUICK = f"""
<extension name="quick"><condition field="destination_number" expression="^quick$">
  <action application="set" data="callpark_parker=1003@{DOMAIN}"/>
  <action application="callpark_park" data="auto quick"/>
</condition></extension>"""
TONE, TAKER = 600, 900
OUTCOMES = ("retrieve", "return", "fallback", "transfer", "abandon")
WAITING = ("parked", "ringing-back")
FACTS = ("lot", "slot", "parker", "label", "parked_at", "caller_name", "caller_number", "uuid")


# For each stage: the number of nodes, whether they share the core's tables, and the faults. With shared tables, `sofia recover` takes over
# every call that is not the node's own, also the calls of a running node. So in that stage a killed node does not recover its calls itself.
ALWAYS = ("freeze", *DATABASE, *CLOCK, *MEDIA)
CRASHES = ("crash", "crash_twice", "crash_without_database")
STAGES = {
    "one": (1, False, (*CRASHES, *ALWAYS)),
    "cluster": (2, False, (*CRASHES, *ALWAYS, "taken_for_dead")),
    "failover": (2, True, (*ALWAYS, "failover", "failover", "failover", "taken_for_dead")),
}


class Node(Switch):
    """A FreeSWITCH whose node name is the port of its outside profile."""

    def __init__(self, module, prefix, database, clustered, core):
        super().__init__(module, prefix)
        self.name = str(self.outside_port)
        self.core_dsn = core.dsn if core else ""
        self.clock = Clock(self) if FAKETIME else None
        cluster = """<param name="cluster" value="true"/>
          <param name="cluster-dial" value="sofia/external/${slot}@127.0.0.1:${node}"/>""" if clustered else ""
        self.configure(LOTS, f"""<param name="db-dsn" value="{database.dsn}"/><param name="node-name" value="{self.name}"/>
          <param name="recover-window" value="{WINDOW}"/>{cluster}""", extensions=QUICK)

    def calls(self, lot=""):
        """The parked calls, with the time-outs by the machine's clock."""
        rows = super().calls(lot)
        ahead_ms = 1000 * self.clock.ahead if self.clock else 0
        return [{**row, "timeout_at": row["timeout_at"] and row["timeout_at"] - ahead_ms} for row in rows]

    def own_calls(self):
        return {row["uuid"]: row for row in self.calls() if row["node"] == self.name and row["state"] != "reserved"}


class Caller:
    """An outside caller who is parked."""

    def __init__(self, node, phone, call):
        self.node, self.phone, self.call, self.since, self.row = node, phone, call, time.monotonic(), None
        self.meter = call.audio.meter = SoundMeter()
        # Whether another caller has the same slot. Two nodes can assign a slot twice while they cannot reach the database; a user who dials
        # the slot then gets the caller of the user's own node.
        self.doubled = False

    def find(self):
        """The caller's row, or None until the caller's park event: before that, another node may still get the slot."""
        rows = [row for row in self.node.own_calls().values() if row["caller_number"] == self.phone.user]
        return rows[0] if rows and "park" in self.node.events.of(rows[0]["uuid"]) else None


class Chaos(Disturbances):
    """One run of a stage. `faults` restricts the stage's faults; None allows all."""

    def __init__(self, module, prefix, stage, callers=24, seed=None, faults=None):
        nodes, shared, kinds = STAGES[stage]
        self.kinds = [kind for kind in kinds if faults is None or kind in faults]
        self.random = random.Random(seed)
        self.wanted, self.callers, self.phones = callers, [], []
        self.held = self.survived = self.silent = self.parks = self.taken = self.hung_up = self.doubled = 0
        self.faults, self.wrong, self.outcomes, self.longest, self.quietest = Counter(), [], {}, 0.0, 0.0
        # The calls of a node that was declared dead and was not. Events said that these calls were not recovered.
        self.presumed_lost = set()
        self.database = Postgres()
        # The core's own tables are in another database, so that disturbances of the module's database do not concern the core.
        self.core = Postgres() if shared else None
        self.nodes = [Node(module, prefix, self.database, nodes > 1, self.core) for _ in range(nodes)]
        self.desks, self.began, self.freed = {}, time.monotonic(), deque(maxlen=8)

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", flush=True)

    # --- callers and users

    def phone(self, node, user="", **more):
        phone = Phone(node, user, **more)
        self.phones.append(phone)
        return phone.register() if user else phone

    def desk(self, node):
        """The phone that answers incoming calls. It also registers 1003, who never answers a recall."""
        if node not in self.desks:
            self.desks[node] = self.phone(node, "1001", says=700)
            self.desks[node].on_ring = 0
            self.phone(node, "1003")
        return self.desks[node]

    def put_through(self, node, phone):
        """Connects a caller to the desk's phone. Returns the caller's call and the desk's."""
        desk = self.desk(node)
        call = phone.call("1001")
        other = desk.wait_call()
        if not other.answered.wait(8):
            raise Failed(408)
        time.sleep(0.3)  # a person does not transfer before both ends know that the call is answered
        return call, other

    def park(self, node):
        phone = self.phone(node, says=TONE)
        way = self.random.choice(["dialled", "dialled", "chosen", "transferred", "by command", "ringing back"])
        # A node learns a moment later that a slot became free on the other node.
        taken = {caller.row["slot"] for caller in self.callers if caller.row} | set(self.freed)
        slot = self.random.choice([number for number in range(750, 791) if str(number) not in taken])
        if way == "dialled":
            call = phone.call("do-park-auto_main")
        elif way == "chosen":
            call = phone.call(f"do-park-{slot}_main")
        elif way == "ringing back":
            call = phone.call("quick")
        else:
            call, other = self.put_through(node, phone)
            if way == "transferred":
                other.refer(self.random.choice(["700", str(slot)]))
            else:
                node.api(f"callpark park {wait_for(lambda: self.legs_of(node, phone))[0]} auto")
        caller = Caller(node, phone, call)
        caller.row = wait_for(caller.find, 8, 0.2)
        if caller.row is None:
            self.wrong.append(f"{phone.user} was never parked ({way})")
            return
        if self.random.random() < 0.3:
            node.api(f"callpark label {caller.row['slot']} for {phone.user} <&>")
            caller.row = caller.find()
        self.parks += 1
        self.callers.append(caller)

    def legs_of(self, node, phone):
        rows = json.loads(node.api("show channels as json")).get("rows", [])
        return [row["uuid"] for row in rows if row["cid_num"] == phone.user and row["direction"] == "inbound"]

    def ended(self, caller, action):
        self.callers.remove(caller)
        self.freed.append(caller.row["slot"])
        self.outcomes[caller.row["uuid"]] = action

    def take(self, caller, node):
        """A user dials the slot on a node, is connected to the caller, and hangs up."""
        # Nodes learn of each other's calls within two seconds, also of a call that was recovered.
        known = lambda: any(row["uuid"] == caller.row["uuid"] and row["state"] in WAITING for row in node.calls())
        if not wait_for(known, 4):
            self.wrong.append(f"{caller.row['slot']} of {caller.node.name} is not listed on {node.name}")
        taker = self.phone(node, "1002", says=TAKER)
        try:
            call = taker.call(caller.row["slot"], timeout=20)
        except Failed as why:
            self.wrong.append(f"{caller.row['slot']} of {caller.node.name} could not be taken on {node.name}: {why}")
            return
        deaf = [who for who, audio, tone in (("the caller", caller.call.audio, TAKER), ("the retriever", call.audio, TONE)) if not audio.hears(tone, 15)]
        if deaf:
            self.wrong.append(f"{caller.row['slot']} of {caller.node.name} was taken on {node.name}, and {' and '.join(deaf)} hears nothing")
        self.ended(caller, "retrieve")
        self.taken += 1
        call.hang_up()
        caller.call.hang_up()
        taker.close()
        caller.phone.close()

    def traffic(self, nodes, turns, together=True):
        """Parks, retrieves and abandons some calls at random. `together` says that the nodes can reach the database and know each other's calls."""
        for _ in range(turns):
            node = self.random.choice(nodes)
            here = [caller for caller in self.callers if not caller.doubled and (together or caller.node is node) and caller.node in nodes]
            chance = self.random.random()
            if len(self.callers) < self.wanted or not here:
                self.park(node)
            elif chance < 0.6:
                self.take(self.random.choice(here), node)
            elif chance < 0.8:
                caller = self.random.choice(here)
                self.ended(caller, "abandon")
                self.hung_up += 1
                caller.call.hang_up()
            else:
                self.park(node)

    # --- faults

    def kill(self, node):
        node.events.close()
        node.kill()

    def restart(self, node):
        node.start()
        self.keep_events(node)

    def keep_events(self, node):
        """Keeps the node's events for the checks at the end."""
        node.history = getattr(node, "history", [])
        node.history.append(node.events)

    def crash(self):
        node = self.random.choice(self.nodes)
        self.kill(node)
        time.sleep(self.random.uniform(0, 2))
        self.restart(node)
        node.api("sofia recover")

    def crash_twice(self):
        """The node is killed again while its callers are being recovered."""
        node = self.random.choice(self.nodes)
        self.kill(node)
        self.restart(node)
        node.api("bgapi sofia recover")
        time.sleep(self.random.uniform(0, 1.5))
        self.kill(node)
        self.restart(node)
        node.api("sofia recover")

    def crash_without_database(self):
        node = self.random.choice(self.nodes)
        self.database.kill()
        self.kill(node)
        self.restart(node)
        node.api("sofia recover")
        time.sleep(self.random.uniform(1, 4))
        self.database.start()

    def freeze(self):
        node = self.random.choice(self.nodes)
        node.process.send_signal(signal.SIGSTOP)
        time.sleep(self.random.uniform(0.5, 4))
        node.process.send_signal(signal.SIGCONT)

    def taken_for_dead(self):
        """The node is frozen for longer than its slots are kept."""
        node, *others = self.random.sample(self.nodes, len(self.nodes))
        self.presumed_lost.update(caller.row["uuid"] for caller in self.callers if caller.node is node)
        node.process.send_signal(signal.SIGSTOP)
        time.sleep(SILENCE + WINDOW + 3)
        self.traffic(others, 2)
        node.process.send_signal(signal.SIGCONT)

    def failover(self):
        """One node is killed and the other takes over its callers, sometimes while the database is frozen."""
        dead, successor = self.random.sample(self.nodes, 2)
        blocked = self.random.random() < 0.4
        self.kill(dead)
        if blocked:
            self.database.freeze()
        moved = [caller for caller in self.callers if caller.node is dead]
        for caller in moved:
            # In practice, the service's address moves to the other node. Here the phone uses the other node's address instead.
            caller.phone.server, caller.node = ("127.0.0.1", successor.outside_port), successor
        successor.api("sofia recover")
        if blocked:
            time.sleep(self.random.uniform(1, 4))
            self.database.thaw()
        self.traffic([successor], 2)
        wait_for(lambda: len(successor.own_calls()) == len(self.callers), 20)
        self.restart(dead)

    # --- the run

    def run(self, seconds, faults=()):
        """Strikes with random faults for so many seconds, and at least with the given ones, in any order."""
        for node in self.nodes:
            node.start()
            self.keep_events(node)
        self.began = time.monotonic()
        first = list(faults)
        self.random.shuffle(first)
        until = time.monotonic() + seconds
        while first or time.monotonic() < until:
            self.traffic(self.nodes, max(4, self.wanted - len(self.callers)))
            self.strike(first.pop() if first else self.random.choice(self.kinds))
            if self.wrong:
                break
        return self.end()

    def strike(self, fault):
        time.sleep(SETTLED)
        before = list(self.callers)
        wait_for(lambda: not self.misplaced(before, fresh=True), 5)
        began = time.monotonic()
        self.faults[fault] += 1
        getattr(self, fault)()
        held = [caller for caller in before if caller in self.callers]
        self.settle(fault, held, began, time.monotonic() if fault in QUIET else began)

    def settle(self, fault, held, began, heard_from):
        """Checks all callers: those who waited when the fault struck and have not been retrieved since, and those who came meanwhile."""
        wait_for(lambda: not self.misplaced(self.callers), 40, 0.3)
        took = time.monotonic() - began
        # Before that, callers of the other node cannot be retrieved.
        if not wait_for(lambda: all("slot store       answers" in node.api("callpark status") for node in self.nodes), 15, 0.3):
            self.wrong.append(f"{fault}: the slot store does not come back")
        misplaced = self.misplaced(self.callers)
        for caller, why in misplaced:
            self.wrong.append(f"{fault}: {caller.phone.user} in {caller.row['slot']}: {why}")
        without_music = [caller for caller in self.callers if not caller.call.audio.hears(MUSIC, within=15)]
        self.wrong += [f"{fault}: {caller.phone.user} in {caller.row['slot']} hears no music" for caller in without_music]
        silences = {caller: caller.meter.longest_silence(heard_from) for caller in held}
        silent = {caller: seconds for caller, seconds in silences.items() if seconds > SILENT_AFTER}
        self.wrong += [f"{fault}: {caller.phone.user} in {caller.row['slot']} heard nothing for {seconds:.1f} s" for caller, seconds in silent.items()]
        self.silent += len(silent)
        self.quietest = max([self.quietest, *silences.values()])
        lost = {caller for caller, _ in misplaced} | set(without_music)
        survived = sum(caller not in lost for caller in held)
        self.held += len(held)
        self.survived += survived
        self.longest = max(self.longest, took)
        self.note_doubles()
        self.say(f"{fault.replace('_', ' ')}: held {len(held)}, survived {survived}, lost {len(held) - survived}, silent {len(silent)} "
                 f"({took:.1f} s; longest silence {max(silences.values(), default=0):.1f} s)")

    def misplaced(self, callers, fresh=False):
        """The callers who are not as they were, each with the reason. With `fresh`, the present rows become what is expected."""
        seen = {node: {row["uuid"]: row for row in node.calls()} for node in self.nodes}
        found = []
        for caller in callers:
            rows = [row for row in seen[caller.node].values() if row["caller_number"] == caller.phone.user]
            others = [node.name for node in self.nodes if node is not caller.node
                      and any(row["uuid"] == caller.row["uuid"] and row["node"] == node.name for row in seen[node].values())]
            unseen = [node.name for node in self.nodes if caller.row["uuid"] not in seen[node]]
            if caller.call.over.is_set():
                found.append((caller, "was hung up on"))
            elif len(rows) != 1:
                found.append((caller, f"is in {len(rows)} slots of {caller.node.name}"))
            elif others:
                found.append((caller, f"is on {caller.node.name} and on {others} too"))
            elif unseen:
                found.append((caller, f"is not listed on {unseen}"))
            elif why := self.changed(caller, rows[0]):
                found.append((caller, why))
            elif fresh or caller.doubled:
                # Of two callers with one slot, the second gets another slot when one node takes over the other's callers.
                caller.row = rows[0]
        return found

    def changed(self, caller, row):
        """The first difference between a call's present row and its expected row, or None."""
        if row["node"] != caller.node.name or row["state"] not in WAITING:
            return f"is {row['state']} on {row['node']}, not on {caller.node.name}"
        for fact in FACTS:
            if row[fact] != caller.row[fact] and not (fact == "slot" and caller.doubled):
                return f"{fact} was {caller.row[fact]!r} and is {row[fact]!r}"
        if row["lot"] == "main" and abs((row["timeout_at"] or 0) - (caller.row["timeout_at"] or 0)) > 2500:
            return f"the time-out moved by {(row['timeout_at'] or 0) - (caller.row['timeout_at'] or 0)} ms"
        return None

    def note_doubles(self):
        slots = Counter(caller.row["slot"] for caller in self.callers)
        for caller in self.callers:
            if slots[caller.row["slot"]] > 1 and not caller.doubled:
                caller.doubled = True
                self.doubled += 1

    # --- the end

    def end(self):
        for caller in list(self.callers):
            self.ended(caller, "abandon")
            caller.call.hang_up()
        if not wait_for(lambda: all(not node.calls() for node in self.nodes), 15, 0.2):
            self.wrong.append(f"slots are left taken: {[row['slot'] for node in self.nodes for row in node.calls()]}")
        left = lambda: self.sql("SELECT count(*) FROM callpark_calls")
        if not wait_for(lambda: left() == "0", 10, 0.3):
            self.wrong.append(f"{left()} rows are left in the slot store")
        self.check_events()
        self.check_records()
        for node in self.nodes:
            self.wrong += [f"{node.name}: {line}" for line in node.log().splitlines() if "bug in mod_callpark" in line]

            node.keep = bool(self.wrong)
            if (status := node.stop()) != 0:
                self.wrong.append(f"{node.name} did not end by itself: status {status}")
        return {
            "faults": dict(self.faults), "parked": self.parks, "taken": self.taken, "hung up": self.hung_up, "slots given twice": self.doubled,
            "held": self.held, "survived": self.survived, "lost": self.held - self.survived, "silent": self.silent,
            "longest silence s": round(self.quietest, 1), "longest until all was well s": round(self.longest, 1),
        }, self.wrong

    def check_events(self):
        """Each call had at most one `park` event and at most one outcome. A node that is killed may not have sent an event."""
        told = Counter()
        for event in (event for node in self.nodes for events in node.history for event in list(events.all)):
            presumed = event.get("CallPark-Cause") == "not recovered" and event.get("Unique-ID") in self.presumed_lost
            if not presumed:
                told[event.get("Unique-ID"), event["CallPark-Action"]] += 1
        for uuid, action in self.outcomes.items():
            parks = told[uuid, "park"]
            ends = {end: told[uuid, end] for end in OUTCOMES if told[uuid, end]}
            if parks > 1 or ends not in ({}, {action: 1}):
                self.wrong.append(f"{uuid}: {parks} park and {ends} were told; it ended by {action}")

    def check_records(self):
        """The history has one row for each call, with the call's outcome."""
        words = {"retrieve": "retrieved", "abandon": "abandoned"}
        def rows():
            found = [line.split("|") for line in self.sql("SELECT uuid, outcome FROM callpark_records").splitlines()]
            return {uuid: outcome for uuid, outcome in found} if len(found) == len({uuid for uuid, _ in found}) else {}
        expected = {uuid: words[action] for uuid, action in self.outcomes.items()}
        if not wait_for(lambda: rows() == expected, 15, 0.5):
            there = rows()
            odd = [f"{uuid}: {there.get(uuid)}, not {word}" for uuid, word in expected.items() if there.get(uuid) != word]
            more = [uuid for uuid in there if uuid not in expected]
            self.wrong.append(f"records: {len(there)} for {len(expected)} calls; {odd[:5]}; unknown: {more[:5]}")

    def sql(self, query):
        done = subprocess.run(self.database.psql("-tAc", query),
                              capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def close(self):
        """Stops everything, also after an error."""
        for phone in self.phones:
            phone.close()
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.process.send_signal(signal.SIGCONT)
                node.keep = True
                node.stop()
        for server in filter(None, (self.database, self.core)):
            server.signal_all(signal.SIGCONT)
            server.close()


def possible(prefix):
    """Whether this machine has PostgreSQL and a FreeSWITCH with mod_pgsql."""
    return prefix is not None and BIN is not None and (module_dir(prefix) / "mod_pgsql.so").exists()


def arguments():
    parser = argparse.ArgumentParser(description="Disturbs parked callers at random; nobody may be lost or left in silence.")
    parser.add_argument("minutes", type=float)
    parser.add_argument("seed", type=int, nargs="?", default=random.randrange(1_000_000))
    parser.add_argument("--callers", type=int, default=24)
    names = lambda text: text.split(",")
    every = {kind for _, _, kinds in STAGES.values() for kind in kinds}
    parser.add_argument("--only", type=names, default=sorted(every), metavar="FAULT,...", help=f"of {', '.join(sorted(every))}")
    parser.add_argument("--without", type=names, default=[], metavar="FAULT,...")
    given = parser.parse_args()
    if unknown := set(given.only + given.without) - every:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}; there are {', '.join(sorted(every))}")
    given.faults = set(given.only) - set(given.without)
    return given


def main():
    given = arguments()
    prefix = find_prefix()
    if not possible(prefix):
        print("skipped: no FreeSWITCH with mod_pgsql, or no PostgreSQL")
        return 0
    if not FAKETIME:
        print("without steps of the clock: libfaketime is not installed")
    module = os.environ.get("CALLPARK_MODULE", ROOT / "target/release/libmod_callpark.so")
    print(f"seed {given.seed}", flush=True)
    stages = [stage for stage, (_, _, kinds) in STAGES.items() if given.faults & set(kinds)]
    failed, results = False, {}
    for stage in stages:
        print(f"--- {stage}", flush=True)
        chaos = Chaos(module, prefix, stage, given.callers, given.seed, given.faults)
        try:
            figures, wrong = chaos.run(given.minutes * 60 / len(stages))
        finally:
            chaos.close()
        for name, value in figures.items():
            print(f"{name:<30} {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}")
        for line in wrong:
            print(f"WRONG: {line}")
        failed |= bool(wrong) or figures["lost"] != 0 or figures["silent"] != 0
        results[stage] = {**figures, "wrong": wrong}
    file = Path(os.environ.get("CALLPARK_CHAOS_JSON", ROOT / "target/chaos.json"))
    file.write_text(json.dumps({"seed": given.seed, "minutes": given.minutes, **results}, indent=1) + "\n")
    print(f"seed {given.seed}; as JSON: {file}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
