"""Runs chaos.py for a short time with faults of each kind: no caller is lost or silent. `make chaos MINUTES=10` runs it for longer."""

import os
import random

import pytest

from chaos import Chaos, possible
from disturbances import CLOCK, MEDIA
from switch import ROOT, find_prefix


@pytest.mark.flaky(reruns=0)  # one lost caller is a fault
@pytest.mark.parametrize("stage, faults", [
    ("one", ["crash_twice", "crash_without_database", "freeze_database", *MEDIA]),
    ("cluster", ["crash", "stop_database", "freeze", "read_only_database", *CLOCK]),
    ("failover", ["failover", "failover", "lock_tables"]),
])
def test_nobody_is_lost(stage, faults):
    if not possible(find_prefix()):
        pytest.skip("no PostgreSQL, or FreeSWITCH without mod_pgsql")
    module = os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so")
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chaos = Chaos(module, find_prefix(), stage, callers=12, seed=seed)
    try:
        figures, wrong = chaos.run(0, faults)
    finally:
        chaos.close()
    print(figures)
    assert not wrong, "\n".join(wrong)
    assert figures["lost"] == figures["silent"] == 0 and figures["held"] >= 8 * len(faults) and figures["taken"] > 0, figures
