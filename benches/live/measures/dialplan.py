"""Measures what the dialplan `callpark` costs a call to a number that belongs to no lot.

A call is transferred to a number that only the XML dialplan knows, with a list of dialplans that asks `callpark` many times before it. The same
call without those questions is subtracted."""

import sipp
from callers import HERE
from modules import QUESTIONS
from results import Row
from switch import wait_for

CALLS = 1000
RATE = 100  # calls per second
ROUNDS = 4
GOAL = 20  # µs


def points(settings):
    return ["one question"]


def take(bench, module, _):
    if module.name != "callpark":
        return {}
    environment = bench.environment()
    # In turn, because what came before a measurement may change it.
    times = [(_time_of_calls(environment, 0), _time_of_calls(environment, QUESTIONS)) for _ in range(ROUNDS + 1)][1:]
    # Other load of the machine only adds to the time.
    without, asked = (min(of) for of in zip(*times))
    cost = (asked - without) / CALLS / QUESTIONS * 1_000_000
    return {Row("CPU of a question to the dialplan callpark", "µs", limit=GOAL, note=True): [cost]}


def _time_of_calls(environment, questions):
    """Returns FreeSWITCH's processor time for the calls, in seconds."""
    switch = environment.switch
    scenario = (HERE / "refused_callers.xml").read_text().replace("@NUMBER@", f"asks-{questions}")
    before = switch.cpu_seconds()
    phones = sipp.Sipp(switch, f"asks-{questions}-{before}", scenario, f"127.0.0.1:{switch.outside_port}", "-r", RATE, "-m", CALLS)
    phones.end(CALLS / RATE + 30)
    counts = phones.counts()
    if counts["well"] != CALLS or not wait_for(lambda: switch.sessions() == 0, 30, 0.1):
        raise RuntimeError(f"{counts} of {CALLS} calls, {switch.sessions()} sessions are left")
    return switch.cpu_seconds() - before
