"""Keeps a thousand calls parked on a private FreeSWITCH, while others come and go. At the end every call must have had exactly one
outcome, and the process must not have grown since its first minutes.

The thousand waiting callers are SIP calls (SIPp, with packets of 120 ms) that receive their music as RTP and send it back. Of the calls
that come and go, a tenth are SIP calls. The others are legs that commands make in the core: these have a thread and music, but no
network, so that two processors suffice for the rate. Without SIPp, all calls are such legs.

    soak.py <minutes> [<parked calls> [<a second>]]
"""

import heapq
import json
import os
import platform
import random
import re
import statistics
import sys
import threading
import time
import urllib.parse
import urllib.request
import uuid
from collections import Counter, deque
from pathlib import Path

import sipp
from switch import ROOT, EventSocket, Switch, find_prefix, free_port, wait_for

SLOTS = range(3000, 5000)
OUTCOMES = {"retrieve": "retrieved", "return": "returned", "fallback": "fallback", "transfer": "transferred", "abandon": "abandoned"}
LOT = f"""
<lot name="main" domain="*">
  <param name="retrieve-anonymous" value="true"/>
  <param name="slots" value="{SLOTS[0]}-{SLOTS[-1]}"/>
  <param name="hold-music" value="tone_stream://%(1000,0,440);loops=-1"/>
  <param name="park-timeout" value="0"/>
</lot>"""
RECEPTION = """
<extension name="reception"><condition field="destination_number" expression="^reception-(\\d+)$">
  <action application="set" data="hangup_after_bridge=true"/>
  <action application="bridge" data="sofia/external/reception@127.0.0.1:$1"/>
</condition></extension>"""
# What happens to a parked call that is chosen, as relative weights.
FATES = {"retrieved": 60, "dialled": 15, "raced for": 8, "retriever hangs up at once": 9, "both hang up": 8}
GIVES_UP, TRANSFERRED_AGAIN, SIP_SHARE = 0.1, 0.15, 0.1
# The number of the core's own legs that wait at a time, while there are others: each of them plays its music itself.
OWN_WAITING = 15
# The number of retrievals by which the run is ahead of its rate, because some of them fail.
AHEAD = 50
# Seconds for which a caller who was chosen is not chosen again.
BUSY = 3
# The maximum number of commands without an answer. With more, no new commands are sent.
MOST_WAITING = 200

WANTED = re.compile(rb"^(CallPark-Action|CallPark-Slot|CallPark-Retriever-UUID|Unique-ID): (.*)$", re.MULTILINE)


class Ledger:
    """Follows each call by its `callpark::info` events, and notes contradictions between them."""

    def __init__(self, port, connected):
        self.socket, self.connected = EventSocket(port), connected
        self.lock, self.changed_at = threading.Lock(), time.monotonic()
        self.waiting, self.seen = {}, set()
        self.actions, self.wrong = Counter(), []
        self.socket.command("event plain CUSTOM callpark::info")
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for body in self.socket.events():
            event = {name.decode(): value.decode() for name, value in WANTED.findall(body)}
            self._note(event.get("CallPark-Action"), event.get("Unique-ID"), event)

    def _note(self, action, leg, event):
        with self.lock:
            self.actions[action] += 1
            self.changed_at = time.monotonic()
            if action == "park":
                if leg in self.waiting:
                    self.wrong.append(f"{leg} is parked twice")
                self.waiting[leg] = event["CallPark-Slot"]
                self.seen.add(leg)
            elif action in OUTCOMES and self.waiting.pop(leg, None) is None:
                self.wrong.append(f"{leg}: {action} of a call that is not parked")
        if action == "retrieve":
            self.connected(leg, urllib.parse.unquote(event.get("CallPark-Retriever-UUID", "")))

    def pick(self, own, busy):
        """A random waiting call that is not in `busy`. Calls of `own` come first, so that few of them wait."""
        with self.lock:
            waiting = self.waiting
            legs = [leg for leg in own if leg in waiting and leg not in busy]
            if len(legs) < OWN_WAITING or not legs:
                legs = [leg for leg in waiting if leg not in busy]
            if not legs:
                return None
            leg = random.choice(legs)
            return leg, waiting[leg]

    def outcomes(self):
        with self.lock:
            return {word: self.actions[action] for action, word in OUTCOMES.items()}

    def count(self):
        with self.lock:
            return len(self.waiting)

    def taken(self):
        return self.actions["retrieve"] + self.actions["return"]


class Orders:
    """Sends commands without waiting for their answers, so that a busy FreeSWITCH does not slow down the run."""

    def __init__(self, port):
        self.socket = EventSocket(port)
        self.given = self.done = 0
        threading.Thread(target=self._collect, daemon=True).start()

    def give(self, command):
        with self.socket.lock:
            self.given += 1
            self.socket.socket.sendall(command.encode() + b"\n\n")

    def _collect(self):
        while True:
            try:
                self.socket.read()
            except (OSError, EOFError, ValueError):
                return
            self.done += 1

    def waiting(self):
        return self.given - self.done


class Soak:
    """One run on one FreeSWITCH."""

    def __init__(self, module, prefix, parked=1000, rate=50, fill=50):
        self.parked, self.rate, self.fill_rate = parked, rate, fill
        self.switch = Switch(module, prefix)
        self.switch.lamps_outside = False
        self.http = free_port()
        self.switch.configure(LOT, f'<param name="http-listen" value="127.0.0.1:{self.http}"/>', extensions=RECEPTION)
        self.made, self.left_early, self.busy = [], set(), {}
        self.recent = deque(maxlen=500)
        self.fates, self.samples, self.later, self.phones = Counter(), [], [], []
        self.later_lock = threading.Lock()

    # --- actions on calls

    def do(self, command):
        self.orders.give(f"bgapi {command}")

    def in_a_while(self, seconds, *commands):
        with self.later_lock:
            heapq.heappush(self.later, (time.monotonic() + seconds, commands))

    def park(self):
        leg = str(uuid.uuid4())
        self.made.append(leg)
        self.recent.append(leg)
        self.do(f"originate {{origination_uuid={leg}}}null/caller 'callpark_park:auto' inline")
        return leg

    def take(self, slot, application="callpark_retrieve"):
        leg = str(uuid.uuid4())
        self.do(f"originate {{origination_uuid={leg}}}null/taker '{application}:{slot}' inline")
        # The leg ends in any case, also if it did not get the caller.
        self.in_a_while(4, f"uuid_kill {leg}")
        return leg

    def connected(self, caller, taker):
        """A caller was retrieved: after a moment one of the two hangs up, or the caller is parked again."""
        if random.random() < TRANSFERRED_AGAIN:
            self.fates["parked again"] += 1
            self.in_a_while(random.uniform(0.3, 1.5), f"uuid_transfer {taker} -bleg 'callpark_park:auto' inline")
        else:
            self.in_a_while(random.uniform(0.2, 1), f"uuid_kill {random.choice([caller, taker])}")
        self.in_a_while(4, f"uuid_kill {taker}")

    def depart(self):
        victim = self.ledger.pick(self.recent, self.busy)
        if victim is None:
            return
        leg, slot = victim
        # A caller who is still parked after that time can be chosen again.
        self.busy[leg] = time.monotonic() + BUSY
        fate = random.choices(list(FATES), FATES.values())[0]
        self.fates[fate] += 1
        taker = self.take(slot, "callpark_slot" if fate == "dialled" else "callpark_retrieve")
        if fate == "raced for":
            self.take(slot)
            self.take(slot)
        elif fate == "retriever hangs up at once":
            self.in_a_while(random.uniform(0, 0.08), f"uuid_kill {taker}")
        elif fate == "both hang up":
            self.in_a_while(random.uniform(0, 0.08), f"uuid_kill {leg}", f"uuid_kill {taker}")

    def give_up(self):
        if random.random() < 0.2:
            # The leg may be killed before it is parked. Then it rightly has no park event.
            self.fates["gives up at once"] += 1
            leg = self.park()
            self.left_early.add(leg)
            self.in_a_while(random.uniform(0, 0.1), f"uuid_kill {leg}")
        elif victim := self.ledger.pick(self.recent, self.busy):
            self.fates["gives up"] += 1
            self.do(f"uuid_kill {victim[0]}")

    # --- the run

    def run(self, minutes):
        """Runs everything. Returns the measured figures and the list of faults."""
        switch = self.switch
        switch.start()
        switch.events.close()
        switch.api("fsctl loglevel warning")
        self.orders = Orders(switch.esl_port)
        self.ledger = Ledger(switch.esl_port, self.connected)
        self.idle = self.sample()
        said = time.monotonic()
        self.fill()
        print(f"{self.ledger.count()} parked within {time.monotonic() - said:.1f} s", flush=True)
        self.rest = self.settle()
        self.come_and_go(minutes * 60)
        return self.end()

    def fill(self):
        if sipp.SIPP:
            self.phones.append(sipp.phones(self.switch, "population", "do-park-auto", {86400: 1}, self.fill_rate, self.parked, ptime=120))
        else:
            for _ in range(self.parked):
                self.park()
        if not wait_for(lambda: self.ledger.count() >= self.parked, 90, 0.2):
            self.ledger.wrong.append(f"{self.ledger.count()} of {self.parked} calls are parked after 90 s")

    def settle(self, seconds=6):
        """Measures for some seconds, while calls are parked and nothing else happens."""
        time.sleep(1)
        before, began = self.switch.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        used = (self.switch.cpu_seconds() - before) / (time.monotonic() - began)
        return {**self.sample(), "cpu": round(used, 3)}

    def start_phones(self):
        if not sipp.SIPP:
            print("no SIPp: all legs are the core's own", flush=True)
            return
        rate, switch = self.rate * SIP_SHARE, self.switch
        desk = sipp.reception(switch)
        self.phones += [
            desk,
            sipp.phones(switch, "callers", "do-park-auto", {3600: 0.8, 20: 0.1, 3: 0.1}, rate / 2, ptime=120),
            sipp.phones(switch, "transferred", f"reception-{desk.port}", {3600: 0.8, 20: 0.1, 3: 0.1}, rate / 2, ptime=120),
            # These dial any slot, as colleagues do. One in ten hangs up as soon as the call is answered.
            sipp.phones(switch, "takers", "", {2: 0.5, 1: 0.4, 0.02: 0.1}, rate, slots=SLOTS),
        ]

    def come_and_go(self, seconds):
        self.start_phones()
        by_command = self.rate * ((1 - SIP_SHARE) if sipp.SIPP else 1)
        began = self.began = time.monotonic()
        turns, sampled, told = 0, began, began
        while (now := time.monotonic()) - began < seconds and self.switch.process.poll() is None:
            due = int((now - began) * by_command)
            # Calls that could not be made in time are left out, so that a busy machine does not get more load.
            for _ in range(min(due - turns, 5)):
                if self.orders.waiting() < MOST_WAITING:
                    self.turn()
            turns = due
            self.do_what_is_due()
            if now - sampled >= min(5, seconds / 10):
                sampled = now
                self.samples.append(self.sample())
            if now - told >= 60:
                told = now
                print(self.progress(), flush=True)
            time.sleep(0.005)
        self.lasted = time.monotonic() - began

    def turn(self):
        """Parks one call and retrieves one, or two where the number of parked calls is too low or too high."""
        missing = self.parked - self.ledger.count()
        self.park()
        if missing > 0:
            self.park()
        if missing < 50:
            self.depart()
        # Not every retrieval succeeds.
        due = self.rate * (time.monotonic() - self.began) + AHEAD
        if missing < -50 or self.ledger.taken() < due:
            self.depart()
        if random.random() < GIVES_UP:
            self.give_up()
        now = time.monotonic()
        while self.busy and (oldest := next(iter(self.busy))) and self.busy[oldest] < now:
            del self.busy[oldest]

    def do_what_is_due(self):
        now = time.monotonic()
        while True:
            with self.later_lock:
                if not self.later or self.later[0][0] > now:
                    return
                _, commands = heapq.heappop(self.later)
            for command in commands:
                self.orders.give(f"api {command}")

    def sample(self):
        switch = self.switch
        return {
            "at": round(time.monotonic() - getattr(self, "began", time.monotonic()), 1), "memory_mb": round(switch.memory_kb() / 1024, 1),
            "own_kb": int(self.status("memory").split()[0]),
            "open_files": switch.open_files(), "threads": switch.threads(), "sessions": switch.sessions(),
            "parked": self.ledger.count(), "cpu_seconds": switch.cpu_seconds(),
        }

    def progress(self):
        at, ended = self.samples[-1], self.ledger.outcomes()
        return (f"{at['at'] / 60:4.0f} min: {at['parked']} parked, {self.ledger.actions['park']} parks, {ended}, {at['memory_mb']} MB, "
                f"{at['open_files']} files, {at['threads']} threads; {self.lock_held()}")

    def lock_held(self):
        return self.status("lock held")

    def status(self, name):
        """The value of this line of `callpark status`."""
        return re.search(rf"^{name}\s+(.*)", self.switch.api("callpark status"), re.MULTILINE).group(1)

    def lock_shares(self):
        of, upto = self.metrics()("lock_held_seconds_count"), self.metrics()('lock_held_seconds_bucket.*le="0.001"')
        return {"locks": of, "locks held over 1 ms": round(max(0, 1 - upto / of), 6)}

    # --- the end

    def end(self):
        switch, ledger = self.switch, self.ledger
        for phone in self.phones:
            phone.stop()
        until = time.monotonic() + 10
        while self.later and time.monotonic() < until:
            self.do_what_is_due()
            time.sleep(0.02)
        still = ledger.count()
        listed = wait_for(lambda: len(switch.calls()) == ledger.count(), 10)
        figures = {"left parked at the end": still}
        began, there = time.monotonic(), self.legs()
        switch.api("hupall")
        wait_for(lambda: not there & self.legs(), 30, 0.1)
        kept = there & self.legs()
        # `hupall` is repeated, because legs that were requested before may appear only now on a busy machine.
        quiet = wait_for(lambda: switch.api("hupall") and switch.sessions() == 0 and switch.channels() == 0, 30, 0.1)
        figures["hupall to 0 channels s"] = round(time.monotonic() - began, 1)
        wait_for(lambda: re.search(r"records waiting\s+0\n", switch.api("callpark status")) and not ledger.count(), 15, 0.2)
        for phone in self.phones:
            phone.end(3)
        wrong = list(ledger.wrong)
        if not listed:
            wrong.append("callpark list and the events do not agree on who is parked")
        if kept:
            wrong.append(f"{len(kept)} legs are left 30 s after hupall: {sorted(kept)[:5]}")
        if not quiet:
            wrong.append(f"{switch.sessions()} sessions and {switch.channels()} channels are left after hupall: a lock is still held")
        wrong += self.account(figures)
        wrong += self.flatness(figures)
        figures |= self.figures()
        status = switch.api("callpark status")
        wrong += [f"{name} {count}" for name, count in re.findall(r"(records dropped|panics caught)\s+([1-9]\d*)", status)]
        bad = [line for line in switch.log().splitlines() if re.search(r"\[(ERR|CRIT|ALERT)\].* callpark: ", line)]
        wrong += bad[:5]
        began = time.monotonic()
        switch.keep = bool(wrong)
        ended = switch.stop()
        figures["shutdown s"] = round(time.monotonic() - began, 1)
        if ended != 0:
            wrong.append(f"FreeSWITCH did not end by itself: status {ended}")
        return figures, wrong

    def legs(self):
        return {leg["uuid"] for leg in self.switch.legs()}

    def account(self, figures):
        """Compares parks and outcomes in the events, the history and the metrics: each park has exactly one outcome."""
        ledger, switch = self.ledger, self.switch
        parks, ended = ledger.actions["park"], ledger.outcomes()
        tallies = switch.json("stats 2")
        rows = {word: sum(tally[word] for tally in tallies) for word in OUTCOMES.values()}
        metrics = self.metrics()
        counted = {word: metrics(f"ended_total.*outcome=\"{word}\"") for word in OUTCOMES.values()}
        unseen = [leg for leg in self.made if leg not in ledger.seen and leg not in self.left_early]
        used = sum(lot["used"] for lot in switch.json("lots"))
        figures |= {"parks": parks, "outcomes": ended, "lost": parks - sum(ended.values()), "slots taken": used, "full": ledger.actions["full"]}
        wrong = []
        if parks != sum(ended.values()):
            wrong.append(f"{parks} parks, but {sum(ended.values())} outcomes; without one: {sorted(ledger.waiting)[:5]}")
        if rows != ended or sum(tally["parked"] for tally in tallies) != parks:
            wrong.append(f"the records say {rows}, the events {ended}")
        if counted != ended or metrics("parked_total") != parks:
            wrong.append(f"the metrics say {counted} of {metrics('parked_total')}, the events {ended} of {parks}")
        if used:
            wrong.append(f"{used} slots are taken and no call is parked")
        if len(unseen) != ledger.actions["full"]:
            wrong.append(f"{len(unseen)} callers were never parked: {unseen[:5]}")
        return wrong

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return lambda name: sum(int(float(line.split()[-1])) for line in lines if re.match(f"freeswitch_callpark_{name}", line))

    def close(self):
        """Stops everything, also after an error."""
        for phone in self.phones:
            phone.end(0)
        if self.switch.process and self.switch.process.poll() is None:
            self.switch.keep = True
            self.switch.stop()

    def flatness(self, figures):
        """Compares the resources in the second fifth of the run with those in the last: they must not have grown."""
        wrong, samples, switch = [], self.samples, self.switch
        fifth = max(1, len(samples) // 5)
        early, late = samples[fifth:2 * fifth], samples[-fifth:]
        for name, share, more in [("memory_mb", 0.1, 20), ("own_kb", 0.1, 200), ("open_files", 0.15, 40), ("threads", 0.15, 60), ("sessions", 0.15, 60)]:
            first, last = (statistics.median(sample[name] for sample in part) for part in (early, late))
            # Files, threads and sessions grow with the number of calls, which is not exactly constant.
            first_calls, last_calls = (statistics.median(sample["sessions"] for sample in part) for part in (early, late))
            allowed = first * (1 + share) + more + (max(0, last_calls - first_calls) * 2 if name not in ("memory_mb", "own_kb") else 0)
            figures[name] = {"idle": self.idle[name], "parked only": self.rest[name], "plateau": first, "end": last,
                             "after hupall": self.sample()[name]}
            if last > allowed:
                wrong.append(f"{name} is not flat: {first} on the plateau, {last} at the end")
        # The core closes the last sockets a little later.
        wait_for(lambda: switch.open_files() <= self.idle["open_files"] + 40, 30, 0.5)
        after = figures["open_files"]["after hupall"] = switch.open_files()
        if after > self.idle["open_files"] + 40:
            wrong.append(f"{after} files are open without a call, {self.idle['open_files']} were before the first")
        return wrong

    def figures(self):
        ended, lasted = self.ledger.outcomes(), self.lasted
        first, last = self.samples[0], self.samples[-1]
        own = {phone.name: phone.counts() for phone in self.phones}
        of_sip = sum(own[name]["calls"] for name in own if name in ("population", "callers", "transferred"))
        taken = ended["retrieved"] + ended["returned"]
        return {
            "seconds": round(lasted), "parks a second": round((self.ledger.actions["park"] - self.parked) / lasted, 1),
            "retrievals a second": round(taken / lasted, 1), "fates": dict(self.fates),
            "SIP share of parked callers": round(of_sip / max(1, len(self.made) + of_sip), 2), "SIPp": own,
            "CPUs used, parked only": self.rest["cpu"],
            "CPUs used, coming and going": round((last["cpu_seconds"] - first["cpu_seconds"]) / max(0.1, last["at"] - first["at"]), 2),
            "kB per parked call": round((self.rest["memory_mb"] - self.idle["memory_mb"]) * 1024 / self.parked),
            "lock held": self.lock_held(), **self.lock_shares(), "longest lock work us": int(re.search(r"work (\d+) us", self.lock_held()).group(1)),
            "FreeSWITCH": self.switch.api("version").split(" ")[2], "machine": f"{os.cpu_count()} x {platform.machine()}",
        }


def main():
    minutes = float(sys.argv[1])
    prefix = find_prefix()
    if prefix is None:
        print("skipped: no FreeSWITCH")
        return 0
    module = os.environ.get("CALLPARK_MODULE", ROOT / "target/release/libmod_callpark.so")
    soak = Soak(module, prefix, *map(int, sys.argv[2:4]))
    try:
        figures, wrong = soak.run(minutes)
    finally:
        soak.close()
    # The lock should be held for less than a millisecond. The limits are higher, because the time that a virtual machine measures includes
    # the time in which other machines ran.
    if figures["longest lock work us"] > 5000 or figures["locks held over 1 ms"] > 0.001:
        wrong.append(f"the lock is held too long: {figures['lock held']}, {figures['locks held over 1 ms']:.3%} over a millisecond")
    for name, value in figures.items():
        print(f"{name:<28} {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}")
    file = Path(os.environ.get("CALLPARK_SOAK_JSON", ROOT / "target/soak.json"))
    file.write_text(json.dumps({**figures, "wrong": wrong, "samples": soak.samples}, indent=1) + "\n")
    print(f"as JSON: {file}")
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
