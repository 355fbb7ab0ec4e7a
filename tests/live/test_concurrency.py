"""Tests many calls at the same time."""

import json
import threading
import time

from conftest import ANYBODY, LOTS
from parking import park_by_transfer
from phone import Failed
from switch import wait_for

# A retriever who does not get the caller is hung up on.
RACE = """
  <extension name="race"><condition field="destination_number" expression="^race-(.*)$">
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="callpark_retrieve" data="$1"/>
    <action application="hangup" data="CALL_REJECTED"/>
  </condition></extension>"""
RACERS = 200


def test_two_hundred_users_dial_one_slot_and_one_gets_the_caller(switch, phones):
    assert switch.reload(ANYBODY, extensions=RACE).startswith("+OK")
    caller, row = park_by_transfer(phones, switch)
    racers = [phones() for _ in range(RACERS)]
    start, lock, connected, failed = threading.Barrier(RACERS), threading.Lock(), [], []

    def race(phone):
        start.wait(20)
        try:
            call = phone.call("race-701", timeout=40)
        except (Failed, TimeoutError) as why:
            with lock:
                failed.append(why)
            return
        with lock:
            connected.append(call)

    threads = [threading.Thread(target=race, args=(phone,)) for phone in racers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(connected) + len(failed) == RACERS
    unanswered = [why for why in failed if isinstance(why, TimeoutError)]
    assert not unanswered, f"{len(unanswered)} were never answered"
    assert wait_for(lambda: sum(not call.over.is_set() for call in connected) == 1, 20), "not exactly one got the caller"
    assert switch.events.of(row["uuid"]) == ["park", "retrieve"]
    winner = next(call for call in connected if not call.over.is_set())
    assert winner.audio.hears(600)
    caller.hang_up()
    assert winner.wait_over()


def test_thirty_callers_at_once_for_ten_slots_get_each_slot_once(switch, phones):
    assert switch.reload(LOTS).startswith("+OK")
    for _ in range(30):
        switch.api("bgapi originate loopback/do-park-auto_main/default &park")
    assert wait_for(lambda: len(switch.calls("main")) == 10, 10)
    assert wait_for(lambda: len([e for e in switch.events.all if e["CallPark-Action"] == "full"]) == 20, 10)
    slots = [row["slot"] for row in switch.calls("main")]
    assert sorted(slots) == [str(slot) for slot in range(701, 711)]
    switch.api("hupall")
    assert switch.wait_idle(20)


def test_a_retrieval_and_a_hangup_at_the_same_time(switch, phones):
    """The caller hangs up a little before or after the retrieval. Each call has one outcome, both outcomes occur, and no call is left."""
    assert switch.reload(ANYBODY).startswith("+OK")
    ends = []
    for turn in range(25):
        switch.events.clear()
        switch.api("bgapi originate loopback/do-park-702/default &park")
        row = wait_for(switch.calls)[0]
        switch.api("bgapi originate loopback/do-retrieve-702/default &park")
        time.sleep(turn * 0.01)
        switch.api(f"uuid_kill {row['uuid']}")
        assert wait_for(lambda: len(switch.events.of(row["uuid"])) == 2, 5), (turn, switch.events.of(row["uuid"]))
        ends.append(switch.events.of(row["uuid"])[1])
        switch.api("hupall")
        assert switch.wait_idle()
        assert json.loads(switch.api("callpark list as json")) == []
    assert set(ends) == {"retrieve", "abandon"}, ends
