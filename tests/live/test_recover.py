"""FreeSWITCH dies with callers parked, is started again, and `sofia recover` brings them back: as if nothing had happened."""

import os
import time

import pytest

from conftest import LOTS, MUSIC, ROOT
from phone import Failed
from switch import Switch, find_prefix, wait_for

WINDOW = 8
SETTINGS = f'<param name="recover-window" value="{WINDOW}"/>'
TIMED = f"""
<lot name="main" domain="callpark.test">
  <param name="slots" value="701-790"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="60"/>
</lot>
<lot name="quick" domain="callpark.test">
  <param name="slots" value="801-820"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="3"/>
  <param name="ringback-timeout" value="60"/>
</lot>
"""


@pytest.fixture
def mortal():
    """A FreeSWITCH of the test's own, to be killed."""
    module = os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so")
    switch = Switch(module, find_prefix())
    switch.configure(TIMED, SETTINGS)
    try:
        yield switch.start()
    finally:
        switch.keep = True
        switch.stop()


def known(row):
    return {name: row[name] for name in ("lot", "slot", "state", "parked_at", "timeout_at", "caller_number", "parker", "label", "uuid")}


def test_one_caller_comes_back(mortal, phones_of):
    phones = phones_of(mortal)
    parker = phones("1001")
    parker.on_ring = 0
    caller = phones().call("1001")
    parker.wait_call().refer("703")
    row = wait_for(mortal.calls)[0]
    mortal.api(f"callpark label 703 Mr Chen, invoice <b>")
    row = mortal.calls()[0]
    time.sleep(1)
    mortal.kill()
    time.sleep(1)
    mortal.start()
    assert [(held["slot"], held["state"]) for held in mortal.calls()] == [("703", "reserved")]
    assert mortal.api("sofia recover")
    assert wait_for(lambda: [one["state"] for one in mortal.calls()] == ["parked"], 8), mortal.calls()
    back = mortal.calls()[0]
    assert {**known(back), "timeout_at": 0} == {**known(row), "timeout_at": 0}
    assert abs(back["timeout_at"] - row["timeout_at"]) < 1500
    assert back["wait_ms"] > 1000
    assert wait_for(lambda: caller.audio.hears(MUSIC), 5)
    assert wait_for(lambda: mortal.events.of(row["uuid"]) == ["recover"], 3)
    taker = phones("1002", says=900).call("703")
    assert wait_for(lambda: caller.audio.hears(900), 5)
    taker.hang_up()
    assert caller.wait_over()
