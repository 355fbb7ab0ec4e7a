"""A thousand parked calls, and more that come and go: none is lost, nothing grows. `make soak MINUTES=10` is the same for long."""

import os

from soak import Soak
from switch import ROOT, find_prefix


def test_a_thousand_wait_while_fifty_a_second_come_and_go():
    module = os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so")
    soak = Soak(module, find_prefix(), parked=1000, rate=50, fill=100)
    try:
        figures, wrong = soak.run(0.25)
    finally:
        soak.close()
    print(figures)
    assert not wrong, "\n".join(wrong)
    # Not how many: that is the machine's to say. But each kind of end must have been among them.
    ended = figures["outcomes"]
    assert figures["lost"] == 0 and ended["retrieved"] > 50 and ended["abandoned"] > 50, figures
    assert all(figures["fates"].get(kind) for kind in ("dialled", "raced for", "parked again", "gives up")), figures["fates"]
