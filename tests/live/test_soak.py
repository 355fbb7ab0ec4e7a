"""Runs soak.py for a short time: no call is lost and the process does not grow. `make soak MINUTES=10` runs it for longer."""

import os

from soak import Soak
from switch import ROOT, find_prefix


def test_a_thousand_calls_are_parked_while_fifty_a_second_come_and_go():
    module = os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so")
    soak = Soak(module, find_prefix(), parked=1000, rate=50, fill=100)
    try:
        figures, wrong = soak.run(0.25)
    finally:
        soak.close()
    print(figures)
    assert not wrong, "\n".join(wrong)
    # The numbers depend on the machine, but each kind of end must have occurred.
    ended = figures["outcomes"]
    assert figures["lost"] == 0 and ended["retrieved"] > 50 and ended["abandoned"] > 50, figures
    assert all(figures["fates"].get(kind) for kind in ("dialled", "raced for", "parked again", "gives up")), figures["fates"]
