"""Runs each scenario of tests/scenarios.toml on a real FreeSWITCH, with phones that listen; tests/shared_scenarios runs the same scenarios on
the simulator. docs/testing.md describes the table."""

import re
import threading
import time
import tomllib
from dataclasses import dataclass, field
from unittest.mock import MagicMock

import pytest

from audio import SoundMeter
from phone import DOMAIN, Call, Failed
from switch import ROOT

CALLERS = {"Alice": 600, "Bob": 800, "Carol": 1100}  # the tone that each of them says
USERS = {"1001": 700, "1002": 900, "1003": 1200}
SOUNDS = {"music": 440, "comfort": 1000, "reception": 1300, "onward": 1700}
PHONES = {"answers": 0.1, "rings": None, "busy": 486, "rejects": 603}  # what a phone does when it rings
OUTCOMES = {"retrieve": "retrieved", "return": "returned", "fallback": "fallback", "transfer": "transferred", "abandon": "abandoned"}
MAX_SILENCE = 1  # seconds


@dataclass
class Scenario:
    name: str
    about: str
    steps: str
    lots: dict = field(default_factory=lambda: {"main": {}})

    def configuration(self, defaults):
        def lot(name, own):
            params = "".join(f'<param name="{param}" value="{value}"/>' for param, value in {**defaults, **own}.items())
            return f'<lot name="{name}" domain="*">{params}</lot>'

        return "".join(lot(name, own) for name, own in self.lots.items())


def table(text):
    """The defaults of lots, and the scenarios."""
    def sections(defaults, scenario):
        return defaults, [Scenario(name, **row) for name, row in scenario.items()]

    return sections(**tomllib.loads(text))


DEFAULTS, SCENARIOS = table((ROOT / "tests/scenarios.toml").read_text())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario(scenario, switch, phones):
    answer = switch.reload(scenario.configuration(DEFAULTS))
    assert answer.startswith("+OK"), answer
    stage = Stage(switch, phones, scenario.steps)
    steps = [(f"step {number}, `{step.strip()}`", lambda step=step: stage.step(step.strip()))
             for number, step in enumerate(re.split("[\n;]", scenario.steps.strip()), 1)]
    for at, run in [*steps, ("at its end", stage.close)]:
        try:
            run()
        except Exception as why:
            pytest.fail(f"scenario {scenario.name} ({scenario.about}), {at}: {type(why).__name__}: {why}")


def test_mistyped_words_are_named():
    for text, named in [("default = {}", "default"), ("defaults = {}\n[scenario.x]\nstep = ''", "step")]:
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{named}'"):
            table(text)
    for step, named in [("Alice phones 1001", "Alice phones 1001"), ("Alcie calls 1001", "Alcie"), ("phone 1001 sleeps", "sleeps"),
                        ("listed nobdy", "nobdy"), ("lamp 701 is dark", "lamp 701 is dark"), ("Alice hears musik", "musik")]:
        with pytest.raises((ValueError, KeyError)) as wrong:
            Stage(MagicMock(), MagicMock(), "").step(step)
        assert named in str(wrong.value)


def known(who):
    if who not in CALLERS and who not in USERS:
        raise ValueError(f"nobody is called {who!r}; there are {[*CALLERS, *USERS]}")
    return who


def agree(fields, get):
    """Checks fields, each written as slot=701."""
    for name, value in (field.split("=", 1) for field in fields):
        wanted = f"{value}@{DOMAIN}" if name in ("parker", "retriever") and value else value
        assert str(get(name)) == wanted, f"{name} is {get(name)!r}, expected {wanted!r}"


class Stage:
    """Carries out the steps of a scenario."""

    def __init__(self, switch, phones, steps):
        self.switch, self.phones, self.people, self.callers, self.dialled = switch, phones, {}, [], {}
        for user in USERS:
            if user in steps.split():  # its phone is to ring
                self.phone(user)
        watched = re.findall(r"lamp (\S+) is", steps)
        self.lamps = {slot: phones("1000").subscribe(f"park+{slot}") for slot in watched}
        self.logged = len(switch.log())

    def step(self, line):
        """`act` and `expect` in tests/shared_scenarios/steps.rs do the same on the simulator."""
        if not self.act(line):
            self.eventually(lambda: self.expect(line))

    def act(self, line):
        """What people and administrators do. False if the step is an expectation."""
        match line.split():
            case [who, "calls", number]:
                self.call(who, number)
            case [user, "answers"]:
                self.eventually(lambda: self.ringing(user)).answer()
            case [user, "transfers", who, "to", number] if user != "script":
                self.step(f"{user} talks to {who}")
                call = self.calls(user)[-1]
                call.refer(number)
                call.hang_up()
            case [user, "parks", who, "at", number]:
                for step in (f"{who} calls {user}", f"{user} answers", f"{user} transfers {who} to {number}", f"{who} hears music"):
                    self.step(step)
            case [user, "completes", "the", "transfer"]:
                call, consultation = self.calls(user)
                call.refer(self.dialled[consultation], replaces=consultation)
                assert call.wait_over() and consultation.wait_over(), "the phone is still in a call"
            case [user, "holds"]:
                self.calls(user)[-1].hold()
            case [user, "resumes"]:
                self.calls(user)[-1].resume()
            case [who, "presses", keys]:
                self.eventually(lambda: self.calls(who))[-1].press(keys)
            case [who, "hangs", "up"]:
                self.eventually(lambda: self.calls(who))[-1].hang_up()
            case ["phone", user, "away"]:
                self.phone(user).unregister()
            case ["phone", user, state]:
                self.phone(user).on_ring = PHONES[state]
            case ["script", "transfers", who, "to", number]:
                self.admin(f"uuid_transfer {{{who}}} {number} -> +OK")
            case ["admin", *_]:
                self.admin(line.removeprefix("admin "))
            case [count, "second" | "seconds", "passes" | "pass"]:
                time.sleep(int(count))
            case _:
                return False
        return True

    def expect(self, line):
        match line.split():
            case [user, "rings"]:
                self.ringing(user)
            case [one, "talks", "to", other]:
                assert self.heard(one, other) and self.heard(other, one)
            case [who, "hears", what]:
                assert self.heard(who, what)
            case [who, "never", "hears", what]:
                assert not self.heard(who, what, within=0.5)
            case [who, "is", "gone"]:
                assert not self.phone(who).calls
            case [who, "sees", *_]:
                assert line.split(" sees ")[1] in self.shown(who)
            case [who, "has", "result", word]:
                assert self.switch.var(self.uuid(who), "callpark_result") == word
            case ["listed", "nobody"]:
                assert self.switch.calls() == []
            case ["listed", who, *fields]:
                rows = {row["caller_name"]: row for row in self.switch.calls()}
                assert known(who) in rows
                agree(fields, rows[who].__getitem__)
            case ["events", who, *actions]:
                assert [event["CallPark-Action"] for event in self.events(who)] == actions
            case ["event", who, action, *fields]:
                events = [event for event in self.events(who) if event["CallPark-Action"] == action]
                assert events
                # A field is a variable of the leg, or a header of the module's own.
                agree(fields, lambda name: events[0][f"variable_{name}" if name.startswith("callpark_") else f"CallPark-{name.title()}"])
            case ["lamp", slot, "is", "on" | "off" as state]:
                assert self.lamps[slot].state is not None and (self.lamps[slot].state == "terminated") == (state == "off")
            case ["log", "says", *_]:
                assert line.split(" says ")[1] in self.switch.log()[self.logged:]
            case _:
                raise ValueError(f"no step has the form {line!r}")

    @staticmethod
    def eventually(check):
        """Repeats a check until it succeeds. It has failed if it does not within ten seconds."""
        until = time.monotonic() + 10
        while True:
            try:
                return check()
            except AssertionError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.05)

    def admin(self, text):
        """`<command> -> <beginning of the answer>`, in which {Alice} is the UUID of her leg."""
        command, wanted = text.split(" -> ")
        answer = self.switch.api(re.sub(r"\{(\w+)\}", lambda name: self.uuid(name[1]), command))
        assert answer.startswith(wanted), answer

    def phone(self, who):
        if known(who) not in self.people:
            user = {"user": who} if who in USERS else {"name": who}
            self.people[who] = self.phones(**user, says={**CALLERS, **USERS}[who])
        return self.people[who]

    def call(self, who, number):
        call = Call(self.phone(who))
        self.dialled[call] = number
        if who in CALLERS:
            call.audio.meter = SoundMeter()
            self.callers.append((who, call))

        def dial():
            try:
                call.invite(number, timeout=30, headers=(), name=None, parameters="")
            except (Failed, TimeoutError):
                pass  # the call is over, and later steps say whether it should be

        threading.Thread(target=dial, daemon=True).start()

    def calls(self, who):
        """The calls of a person that are answered and not over, in the order in which they came."""
        calls = [call for call in list(self.phone(who).calls.values()) if call.answered.is_set()]
        assert calls, f"{who} is in no call"
        return calls

    def ringing(self, user):
        calls = [call for call in list(self.phone(user).calls.values()) if call.invite_headers and not call.answered.is_set()]
        assert calls, f"the phone of {user} does not ring"
        return calls[0]

    def heard(self, who, what, within=0.1):
        tone = SOUNDS.get(what) or {**CALLERS, **USERS}[known(what)]
        return any(call.audio.hears(tone, within) for call in self.calls(who))

    def shown(self, who):
        calls = list(self.phone(who).calls.values())
        assert calls, f"{who} is in no call"
        return [getattr(calls[-1], "caller_name", None), *(name for name, _ in calls[-1].shown)]

    def uuid(self, who):
        call = self.calls(who)[-1]
        legs = [row["uuid"] for row in self.switch.legs() if self.switch.var(row["uuid"], "sip_call_id") == call.id]
        assert legs, f"{who} has no leg"
        return legs[0]

    def events(self, who):
        return [event for event in list(self.switch.events.all) if event.get("Caller-Caller-ID-Name") == known(who)]

    def close(self):
        """Everybody hangs up. Then each parked call has one outcome, no caller has sat in silence, and nothing is left."""
        for who, call in self.callers:
            self.check_silence(who, call)
        for phone in self.people.values():
            for call in list(phone.calls.values()):
                call.hang_up()
        self.step("listed nobody")
        for who in [*CALLERS, *USERS]:
            self.eventually(lambda who=who: self.check_outcomes(who))
        for slot, lamp in self.lamps.items():
            assert lamp.shows("terminated"), f"lamp {slot} is on"

    def check_outcomes(self, who):
        waits, events = False, self.events(who)
        told = [event["CallPark-Action"] for event in events]
        for event, action in zip(events, told):
            if action in OUTCOMES:
                assert waits, f"{who} has two outcomes: {told}"
                assert event["variable_callpark_outcome"] == OUTCOMES[action], event["variable_callpark_outcome"]
                waited = int(event["Event-Date-Timestamp"]) // 1000 - int(event["CallPark-Parked-At"])
                assert abs(waited - int(event["CallPark-Wait-Ms"])) < 300, f"a wait of {waited} ms is told as {event['CallPark-Wait-Ms']} ms"
            waits = action in ("park", "no-slot") or waits and action not in OUTCOMES
        assert not waits, f"{who} has no outcome: {told}"

    def check_silence(self, who, call):
        """From the moment when the caller was parked."""
        parked = [int(event["Event-Date-Timestamp"]) / 1e6 for event in self.events(who) if event["CallPark-Action"] in ("park", "no-slot")]
        if parked:
            since, meter = time.monotonic() - (time.time() - parked[0]), call.audio.meter
            spans = [*meter.silences, *([] if call.over.is_set() else [(meter.last, time.monotonic())])]
            longest = max((end - max(begin, since) for begin, end in spans), default=0)
            assert longest < MAX_SILENCE, f"{who} heard nothing for {longest:.1f} s"
