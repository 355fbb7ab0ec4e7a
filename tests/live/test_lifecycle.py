"""Start, stop and reload of the whole."""

import os

import pytest

from conftest import LOTS, MUSIC
from phone import DOMAIN, Phone
from switch import ROOT, Switch, find_prefix, wait_for


@pytest.fixture
def own(request):
    """A FreeSWITCH of its own, not yet started."""
    switch = Switch(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), find_prefix())
    switch.configure(LOTS)
    yield switch
    if switch.process and switch.process.poll() is None:
        switch.stop()


def test_freeswitch_ends_cleanly_with_callers_parked(own):
    own.start()
    calls = [Phone(own, says=600).call("do-park-auto") for _ in range(3)]
    assert wait_for(lambda: len(own.calls()) == 3)
    assert all(call.audio.hears(MUSIC) for call in calls)
    assert own.stop() == 0, "it did not end by itself within 20 s, or crashed"
    assert all(call.wait_over(1) for call in calls), "a caller was left without a BYE"


def test_a_faulty_file_at_start_leaves_nobody_without_a_slot(own):
    own.configure('<lot name="main" domain="*"><param name="slots" value="70x"/></lot>')
    own.start()
    assert "slots=\"70x\"" in own.log() and "in every domain" in own.log()
    phone = Phone(own)
    call = phone.call("do-park-auto")
    assert wait_for(lambda: [row["slot"] for row in own.calls()] == ["701"])
    phone.close()
    assert call.over.is_set() and own.wait_idle()
    assert own.stop() == 0


def test_reloadxml_alone_is_enough(switch, phones):
    parked = phones(says=600).call("do-park-701")
    assert wait_for(switch.calls)
    switch.configure('<lot name="main" domain="*"><param name="slots" value="701-702"/></lot>')
    switch.api("reloadxml")
    size = lambda: next(lot["size"] for lot in switch.json("lots") if (lot["lot"], lot["domain"]) == ("main", DOMAIN))
    assert wait_for(lambda: size() == 2)
    assert switch.calls()[0]["slot"] == "701" and not parked.over.is_set()
    switch.configure('<lot name="main" domain="*"><param name="slots" value="nonsense"/></lot>')
    before = len(switch.log())
    switch.api("reloadxml")
    assert wait_for(lambda: "nothing changed" in switch.log()[before:])
    assert size() == 2
    parked.hang_up()


def test_a_reload_while_calls_come_and_go_loses_none(switch, phones):
    callers = [phones(says=600).call("do-park-auto") for _ in range(4)]
    assert wait_for(lambda: len(switch.calls()) == 4)
    for turn in range(20):
        wide = LOTS if turn % 2 else LOTS.replace("701-710", "701-712")
        assert switch.reload(wide).startswith("+OK")
        assert len(switch.calls()) == 4
    for slot, caller in zip(["701", "702", "703", "704"], callers):
        taker = phones("1002", says=900).call(slot)
        assert taker.audio.hears(600) and caller.audio.hears(900)
        taker.hang_up()
        caller.hang_up()
