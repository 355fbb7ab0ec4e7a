"""Callers are parked, taken and hang up, while FreeSWITCH and the database are killed, frozen and blocked, the clock is set and the
callers' media is disturbed at random, all on loopback: first one FreeSWITCH; then two that share their lots in a PostgreSQL, each of which recovers its own callers; then two that share the
core's tables too, so that one takes over the other's callers. After each fault every caller must be where they were: in the same
slot of the same lot, with the same parker, label, parking time and time-out, with music, and on one node only. A caller who is not is
lost; one who hears nothing for longer than SILENT_AFTER seconds is silent. Of both there may be none.

    chaos.py <minutes> [<seed>] [--callers <n>] [--only <fault>,<fault>] [--without <fault>,<fault>]

The seed decides who does what and which faults strike; not how the processes are timed, so no two runs are the same.
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
from phone import DOMAIN, Failed, Phone
from switch import ROOT, Switch, find_prefix, module_dir, wait_for
from test_history import BIN, Postgres
from fake_clock import FAKETIME, Clock

# The core writes what it would recover of a call behind its back; a call younger than this may be unknown to it.
SETTLED = 2.5
# Between the last sign of life of a node and the moment when the others take it for dead.
SILENCE = 5
WINDOW = 10
# Seconds without a sound after which a caller is called silent. Where FreeSWITCH stood still, or was told to be quiet, they begin when that
# is over.
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


# Of each stage: how many FreeSWITCHes, whether they share the core's tables, and what happens. With shared tables `sofia recover` takes
# over every call that is not the node's own, also those of a node that lives: there, a node that died does not recover itself.
ALWAYS = ("freeze", *DATABASE, *CLOCK, *MEDIA)
CRASHES = ("crash", "crash_twice", "crash_without_database")
STAGES = {
    "one": (1, False, (*CRASHES, *ALWAYS)),
    "cluster": (2, False, (*CRASHES, *ALWAYS, "taken_for_dead")),
    "failover": (2, True, (*ALWAYS, "failover", "failover", "failover", "taken_for_dead")),
}


class Node(Switch):
    """A FreeSWITCH that is reached, and called, by its outside port."""

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
        """With the time-outs as they would be by a clock that nobody has set."""
        rows = super().calls(lot)
        ahead_ms = 1000 * self.clock.ahead if self.clock else 0
        return [{**row, "timeout_at": row["timeout_at"] and row["timeout_at"] - ahead_ms} for row in rows]

    def own_calls(self):
        return {row["uuid"]: row for row in self.calls() if row["node"] == self.name and row["state"] != "reserved"}


class Caller:
    """Somebody outside, who is parked and waits."""

    def __init__(self, node, phone, call):
        self.node, self.phone, self.call, self.since, self.row = node, phone, call, time.monotonic(), None
        self.meter = call.audio.meter = SoundMeter()
        # Slots are given twice while two nodes cannot see each other; then who dials gets their own node's caller.
        self.doubled = False

    def find(self):
        """Their row, once the slot is theirs: before, another node may still be quicker."""
        rows = [row for row in self.node.own_calls().values() if row["caller_number"] == self.phone.user]
        return rows[0] if rows and "park" in self.node.events.of(rows[0]["uuid"]) else None


class Chaos(Disturbances):
    """One run on one FreeSWITCH, or on two. `faults`: those that may strike, of the stage's; None: all."""

    def __init__(self, module, prefix, stage, callers=24, seed=None, faults=None):
        nodes, shared, kinds = STAGES[stage]
        self.kinds = [kind for kind in kinds if faults is None or kind in faults]
        self.dice = random.Random(seed)
        self.wanted, self.callers, self.phones = callers, [], []
        self.held = self.survived = self.silent = self.parks = self.taken = self.hung_up = self.doubled = 0
        self.faults, self.wrong, self.outcomes, self.longest, self.quietest = Counter(), [], {}, 0.0, 0.0
        # Calls of a node that was taken for dead and was not: of these it was told that they are lost.
        self.presumed_lost = set()
        self.database = Postgres()
        # The core's own tables are kept apart: what the core does without them is not the question here.
        self.core = Postgres() if shared else None
        self.nodes = [Node(module, prefix, self.database, nodes > 1, self.core) for _ in range(nodes)]
        self.desks, self.began, self.freed = {}, time.monotonic(), deque(maxlen=8)

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", flush=True)

    # --- what people do

    def phone(self, node, user="", **more):
        phone = Phone(node, user, **more)
        self.phones.append(phone)
        return phone.register() if user else phone

    def desk(self, node):
        """The phone at which calls come in, and the one that is rung in vain."""
        if node not in self.desks:
            self.desks[node] = self.phone(node, "1001", says=700)
            self.desks[node].on_ring = 0
            self.phone(node, "1003")
        return self.desks[node]

    def put_through(self, node, phone):
        """A caller who talks to the desk: their call, and the desk's."""
        desk = self.desk(node)
        call = phone.call("1001")
        other = desk.wait_call()
        if not other.answered.wait(8):
            raise Failed(408)
        time.sleep(0.3)  # nobody transfers before the other end has heard that the call is answered
        return call, other

    def park(self, node):
        phone = self.phone(node, says=TONE)
        way = self.dice.choice(["dialled", "dialled", "chosen", "transferred", "by command", "ringing back"])
        # Of a slot that came free on the other node, this one knows a moment later.
        taken = {caller.row["slot"] for caller in self.callers if caller.row} | set(self.freed)
        slot = self.dice.choice([number for number in range(750, 791) if str(number) not in taken])
        if way == "dialled":
            call = phone.call("do-park-auto_main")
        elif way == "chosen":
            call = phone.call(f"do-park-{slot}_main")
        elif way == "ringing back":
            call = phone.call("quick")
        else:
            call, other = self.put_through(node, phone)
            if way == "transferred":
                other.refer(self.dice.choice(["700", str(slot)]))
            else:
                node.api(f"callpark park {wait_for(lambda: self.legs_of(node, phone))[0]} auto")
        caller = Caller(node, phone, call)
        caller.row = wait_for(caller.find, 8, 0.2)
        if caller.row is None:
            self.wrong.append(f"{phone.user} was never parked ({way})")
            return
        if self.dice.random() < 0.3:
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
        """Somebody dials the slot on a node, the two talk, and one hangs up."""
        # Nodes hear of each other's calls within two seconds, also that one which was kept a slot is there again.
        known = lambda: any(row["uuid"] == caller.row["uuid"] and row["state"] in WAITING for row in node.calls())
        if not wait_for(known, 4):
            self.wrong.append(f"{caller.row['slot']} of {caller.node.name} is not listed on {node.name}")
        taker = self.phone(node, "1002", says=TAKER)
        try:
            call = taker.call(caller.row["slot"], timeout=20)
        except Failed as why:
            self.wrong.append(f"{caller.row['slot']} of {caller.node.name} could not be taken on {node.name}: {why}")
            return
        deaf = [who for who, audio, tone in (("the caller", caller.call.audio, TAKER), ("who took it", call.audio, TONE)) if not audio.hears(tone, 15)]
        if deaf:
            self.wrong.append(f"{caller.row['slot']} of {caller.node.name} was taken on {node.name}, and {' and '.join(deaf)} hears nothing")
        self.ended(caller, "retrieve")
        self.taken += 1
        call.hang_up()
        caller.call.hang_up()
        taker.close()
        caller.phone.close()

    def traffic(self, nodes, turns, together=True):
        """Some come and some go. `together`: the nodes know of each other."""
        for _ in range(turns):
            node = self.dice.choice(nodes)
            here = [caller for caller in self.callers if not caller.doubled and (together or caller.node is node) and caller.node in nodes]
            chance = self.dice.random()
            if len(self.callers) < self.wanted or not here:
                self.park(node)
            elif chance < 0.6:
                self.take(self.dice.choice(here), node)
            elif chance < 0.8:
                caller = self.dice.choice(here)
                self.ended(caller, "abandon")
                self.hung_up += 1
                caller.call.hang_up()
            else:
                self.park(node)

    # --- faults

    def die(self, node):
        node.events.close()
        node.kill()

    def rise(self, node):
        node.start()
        self.rooms_hear(node)

    def rooms_hear(self, node):
        """Collects what the node tells, for the end."""
        node.history = getattr(node, "history", [])
        node.history.append(node.events)

    def crash(self):
        node = self.dice.choice(self.nodes)
        self.die(node)
        time.sleep(self.dice.uniform(0, 2))
        self.rise(node)
        node.api("sofia recover")

    def crash_twice(self):
        """Dead again while the callers are being recovered."""
        node = self.dice.choice(self.nodes)
        self.die(node)
        self.rise(node)
        node.api("bgapi sofia recover")
        time.sleep(self.dice.uniform(0, 1.5))
        self.die(node)
        self.rise(node)
        node.api("sofia recover")

    def crash_without_database(self):
        node = self.dice.choice(self.nodes)
        self.database.kill()
        self.die(node)
        self.rise(node)
        node.api("sofia recover")
        time.sleep(self.dice.uniform(1, 4))
        self.database.start()

    def freeze(self):
        node = self.dice.choice(self.nodes)
        node.process.send_signal(signal.SIGSTOP)
        time.sleep(self.dice.uniform(0.5, 4))
        node.process.send_signal(signal.SIGCONT)

    def taken_for_dead(self):
        """Frozen for longer than its slots are kept."""
        node, *others = self.dice.sample(self.nodes, len(self.nodes))
        self.presumed_lost.update(caller.row["uuid"] for caller in self.callers if caller.node is node)
        node.process.send_signal(signal.SIGSTOP)
        time.sleep(SILENCE + WINDOW + 3)
        self.traffic(others, 2)
        node.process.send_signal(signal.SIGCONT)

    def failover(self):
        """One node dies, and the other takes its callers over; at times without the database."""
        dead, heir = self.dice.sample(self.nodes, 2)
        blocked = self.dice.random() < 0.4
        self.die(dead)
        if blocked:
            self.database.freeze()
        moved = [caller for caller in self.callers if caller.node is dead]
        for caller in moved:
            # An address that moves with the service would be the same for the caller; here their phone is told.
            caller.phone.server, caller.node = ("127.0.0.1", heir.outside_port), heir
        heir.api("sofia recover")
        if blocked:
            time.sleep(self.dice.uniform(1, 4))
            self.database.thaw()
        self.traffic([heir], 2)
        wait_for(lambda: len(heir.own_calls()) == len(self.callers), 20)
        self.rise(dead)

    # --- the run

    def run(self, seconds, faults=()):
        """Faults for so long; at least the named ones, in any order."""
        for node in self.nodes:
            node.start()
            self.rooms_hear(node)
        self.began = time.monotonic()
        first = list(faults)
        self.dice.shuffle(first)
        until = time.monotonic() + seconds
        while first or time.monotonic() < until:
            self.traffic(self.nodes, max(4, self.wanted - len(self.callers)))
            self.strike(first.pop() if first else self.dice.choice(self.kinds))
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
        """Looks for everybody who waited when the fault struck, and has not been taken since; and for those who came meanwhile."""
        wait_for(lambda: not self.misplaced(self.callers), 40, 0.3)
        took = time.monotonic() - began
        # Until then, whoever is on the other node cannot be taken.
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
        """Whoever is not where they were, and why. `fresh`: what is seen is what is to be kept."""
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
                # Of two with one slot, the second gets another when one node takes over the other's callers.
                caller.row = rows[0]
        return found

    def changed(self, caller, row):
        """What about a call is not as it was."""
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
            self.wrong.append(f"{left()} rows are left in the register")
        self.check_events()
        self.check_records()
        for node in self.nodes:
            self.wrong += [f"{node.name}: {line}" for line in node.log().splitlines() if "bug in mod_callpark" in line]
            # One that the driver froze and left so would not end.
            node.keep = bool(self.wrong)
            if (status := node.stop()) != 0:
                self.wrong.append(f"{node.name} did not end by itself: status {status}")
        return {
            "faults": dict(self.faults), "parked": self.parks, "taken": self.taken, "hung up": self.hung_up, "slots given twice": self.doubled,
            "held": self.held, "survived": self.survived, "lost": self.held - self.survived, "silent": self.silent,
            "longest silence s": round(self.quietest, 1), "longest until all was well s": round(self.longest, 1),
        }, self.wrong

    def check_events(self):
        """Of each call at most one park and one outcome were told. A node that is killed may have died before it told."""
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
        """One row for each call, with its own outcome."""
        words = {"retrieve": "retrieved", "abandon": "abandoned"}
        def rows():
            found = [line.split("|") for line in self.sql("SELECT uuid, outcome FROM callpark_records").splitlines()]
            return {uuid: outcome for uuid, outcome in found} if len(found) == len({uuid for uuid, _ in found}) else {}
        expected = {uuid: words[action] for uuid, action in self.outcomes.items()}
        if not wait_for(lambda: rows() == expected, 15, 0.5):
            there = rows()
            odd = [f"{uuid}: {there.get(uuid)}, not {word}" for uuid, word in expected.items() if there.get(uuid) != word]
            more = [uuid for uuid in there if uuid not in expected]
            self.wrong.append(f"records: {len(there)} for {len(expected)} calls; {odd[:5]}; of nobody: {more[:5]}")

    def sql(self, query):
        done = subprocess.run(self.database.psql("-tAc", query),
                              capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def close(self):
        """Leaves nothing running, whatever happened."""
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
    """Whether this machine has what it takes."""
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
