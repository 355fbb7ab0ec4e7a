"""FreeSWITCH dies with callers parked, is started again, and `sofia recover` brings them back: as if nothing had happened."""

import os
import sqlite3
import time

import pytest

from conftest import MUSIC, ROOT
from switch import Switch, find_prefix, wait_for

WINDOW = 20
QUICK = """
  <extension name="quick"><condition field="destination_number" expression="^quick-(.*)$">
    <action application="set" data="callpark_parker=1003@callpark.test"/>
    <action application="callpark_park" data="$1 quick"/>
  </condition></extension>"""
SETTINGS = f'<param name="recover-window" value="{WINDOW}"/>'
TIMED = f"""
<lot name="main" domain="callpark.test">
  <param name="slots" value="701-799"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="300"/>
</lot>
<lot name="quick" domain="callpark.test">
  <param name="slots" value="801-820"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="2"/>
  <param name="ringback-timeout" value="60"/>
</lot>
"""


@pytest.fixture
def mortal(failures):
    """A FreeSWITCH of the test's own, to be killed."""
    switch, failed = Switch(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), find_prefix()), failures()
    switch.configure(TIMED, SETTINGS, extensions=QUICK)
    try:
        yield switch.start()
    finally:
        switch.keep = failures() > failed
        switch.stop()


def known(row):
    return {name: row[name] for name in ("lot", "slot", "parked_at", "caller_name", "caller_number", "parker", "label", "uuid")}


def die_and_rise(switch, pause=0.5):
    time.sleep(2)  # the core writes what it would recover behind the calls' backs
    switch.kill()
    time.sleep(pause)
    switch.start()


class Desk:
    """The receptionist's one phone, and callers who are put through to it."""

    def __init__(self, phones, switch):
        self.phones, self.switch = phones, switch
        self.phone = phones("1001", says=700)
        self.phone.on_ring = 0

    def talk(self, says=0):
        caller = self.phones(says=says).call("1001")
        leg = self.phone.wait_call()
        assert leg.answered.wait(5)
        return caller, leg

    def blind(self, to):
        caller, leg = self.talk()
        leg.refer(to)
        return caller

    def attended(self, to):
        caller, leg = self.talk()
        leg.hold()
        leg.refer(to, replaces=self.phone.call(to))
        return caller

    def by_key(self):
        caller, leg = self.talk()
        time.sleep(0.3)
        leg.press("*5")
        return caller

    def by_command(self, to):
        caller, _ = self.talk()
        leg = self.switch.leg(direction="inbound", cid_num=caller.phone.user)
        assert self.switch.api(f"callpark park {leg} {to}").startswith("+OK")
        return caller


def test_a_hundred_callers_come_back(mortal, phones_of):
    phones = phones_of(mortal)
    desk = Desk(phones, mortal)
    callers = []

    def parked(new):
        callers.extend(new)
        assert wait_for(lambda: len(mortal.calls()) == len(callers), 10), (len(mortal.calls()), len(callers))

    parked([phones().call("do-park-auto_main") for _ in range(35)])
    parked([phones().call(f"do-park-{slot}_main") for slot in range(760, 780)])
    for number in range(10):
        parked([desk.blind("700")])
    for number in range(5):
        parked([desk.blind(str(790 + number))])
    for number in range(6):
        parked([desk.attended("700" if number % 2 else str(780 + number))])
    for number in range(6):
        parked([desk.by_key()])
    for number in range(6):
        parked([desk.by_command("auto" if number % 2 else str(785 + number))])
    somebody_else = phones("1003")  # whose phone rings and is not answered
    parked([phones().call(f"quick-{slot}") for slot in range(801, 813)])
    assert len(callers) == 100 and wait_for(lambda: sum(row["state"] == "ringing-back" for row in mortal.calls()) == 12, 8)
    mortal.api("callpark label 701 Mr Chen, invoice <b>")
    before = {row["uuid"]: row for row in mortal.calls()}
    die_and_rise(mortal)
    kept = mortal.calls()
    assert len(kept) == 100 and {row["state"] for row in kept} == {"reserved"}, "every slot is kept"
    newcomer = phones().call("do-park-auto_main")
    assert wait_for(lambda: len(mortal.calls()) == 101), "a new caller finds a slot that is nobody's"
    newcomer.hang_up()
    impatient = phones("1002").call("do-park-701_main")
    assert impatient.audio.hears(1700, within=6), "a slot that is kept was given to somebody else"
    impatient.hang_up()
    mortal.api("sofia recover")
    assert wait_for(lambda: sum(row["state"] != "reserved" for row in mortal.calls()) == 100, 20), "not all came back"
    after = {row["uuid"]: row for row in mortal.calls()}
    assert {uuid: known(row) for uuid, row in after.items()} == {uuid: known(row) for uuid, row in before.items()}
    for uuid, row in before.items():
        if row["lot"] == "main":
            assert abs((after[uuid]["timeout_at"] or 0) - (row["timeout_at"] or 0)) < 2000, (row, after[uuid])
    for uuid in before:
        assert wait_for(lambda: mortal.events.of(uuid)[:1] == ["recover"], 3)
        told = mortal.events.of(uuid)
        assert told.count("recover") == 1 and set(told) <= {"recover", "ringback"}, told
    silent = [call for call in callers if not call.audio.hears(MUSIC, within=6)]
    assert not silent, f"{len(silent)} hear no music"
    # One of each way in which they were parked.
    slots = {row["caller_number"]: row["slot"] for row in after.values()}
    taken = [callers[index] for index in (0, 35, 55, 65, 70, 76, 82, 88)]
    for call in taken:
        taker = phones("1002", says=900).call(slots[call.phone.user])
        assert call.audio.hears(900, within=6), slots[call.phone.user]
        taker.hang_up()
    assert wait_for(lambda: len(mortal.calls()) == 100 - len(taken))
    somebody_else.close()
    for call in callers:
        call.hang_up()
    assert wait_for(lambda: not mortal.calls(), 10)
    rows = lambda: mortal.json("history 1000")
    assert wait_for(lambda: len(rows()) == 101, 10)
    found = {row["uuid"]: row for row in rows()}
    assert all(found[uuid]["parked_at"] == row["parked_at"] for uuid, row in before.items()), "a record is not whole"
    assert all(found[uuid]["wait_ms"] >= 2500 for uuid in before)
    numbers = {call.phone.user for call in taken}
    for uuid, row in before.items():
        expected = ("retrieved", "1002@callpark.test") if row["caller_number"] in numbers else ("abandoned", "")
        assert (found[uuid]["outcome"], found[uuid]["retriever"]) == expected, found[uuid]
        assert all(found[uuid][name] == row[name] for name in ("lot", "slot", "parker", "label", "caller_number")), found[uuid]
    print(f"held 100, survived {len(after)}, lost {100 - len(after)}")


def test_a_ring_back_that_was_cut_short_is_made_up_for(mortal, phones_of):
    phones = phones_of(mortal)
    desk = Desk(phones, mortal)
    caller = desk.blind("801")
    desk.phone.on_ring = None
    assert desk.phone.wait_call(8)
    assert wait_for(lambda: [row["state"] for row in mortal.calls()] == ["ringing-back"])
    die_and_rise(mortal)
    desk.phone.on_ring = 0
    mortal.api("sofia recover")
    again = desk.phone.wait_call(10)
    assert again.answered.wait(5) and caller.audio.hears(700, within=5)
    uuid = mortal.events.wait("return")["Unique-ID"]
    assert [action for action in mortal.events.of(uuid) if action != "ringback"] == ["recover", "return"]
    caller.hang_up()


def test_slots_of_callers_whom_nobody_recovers_come_free(mortal, phones_of):
    mortal.configure(TIMED, '<param name="recover-window" value="3"/>')
    caller = phones_of(mortal)().call("do-park-703_main")
    assert wait_for(mortal.calls)
    die_and_rise(mortal)
    assert [(row["slot"], row["state"]) for row in mortal.calls()] == [("703", "reserved")]
    assert wait_for(lambda: not mortal.calls(), 8)
    lost = mortal.events.wait("abandon")
    assert (lost["CallPark-Slot"], lost["CallPark-Cause"]) == ("703", "not recovered")
    assert wait_for(lambda: [row["outcome"] for row in mortal.json("history")] == ["abandoned"], 5)
    caller.hang_up()


def test_a_retrieved_call_comes_back_as_a_conversation(mortal, phones_of):
    phones = phones_of(mortal)
    caller = phones(says=600).call("do-park-703_main")
    assert wait_for(mortal.calls)
    taker = phones("1002", says=900).call("703")
    assert caller.audio.hears(900)
    die_and_rise(mortal)
    mortal.api("sofia recover")
    assert caller.audio.hears(900, within=8) and taker.audio.hears(600, within=8)
    assert mortal.calls() == []
    caller.hang_up()
    assert taker.wait_over()


@pytest.mark.parametrize("after", [0, 0.3])
def test_dead_again_while_callers_are_recovered(mortal, phones_of, after):
    """The core forgets those whom it recovers before it knows them again (`switch_core_recovery_recover`)."""
    phones = phones_of(mortal)
    callers = [phones().call("do-park-auto_main") for _ in range(12)]
    assert wait_for(lambda: len(mortal.calls()) == 12)
    before = {row["uuid"]: known(row) for row in mortal.calls()}
    die_and_rise(mortal)
    mortal.api("sofia recover")
    time.sleep(after)
    mortal.kill()
    mortal.start()
    mortal.api("sofia recover")
    assert wait_for(lambda: [row["state"] for row in mortal.calls()] == ["parked"] * 12, 15), "not all came back"
    assert {row["uuid"]: known(row) for row in mortal.calls()} == before
    silent = [call for call in callers if not call.audio.hears(MUSIC, within=6)]
    assert not silent, f"{len(silent)} hear no music"
    # What was kept of them for that is gone: the core knows them again.
    assert wait_for(lambda: copies(mortal) == 0, 8)
    assert notes(mortal) == 12


@pytest.mark.parametrize("leg", ["inbound", "outbound"])
def test_a_caller_is_recovered_after_a_reinvite_each_way(mortal, phones_of, leg):
    """Before: once both sides had sent a re-INVITE, mod_sofia recovered the dialog with From and To exchanged; a phone answers 481 to that,
    and the caller was gone."""
    phones = phones_of(mortal)
    if leg == "inbound":
        call = phones(says=600).call("do-park-704_main")
    else:
        phone = phones("1002", says=600)
        phone.on_ring = 0
        mortal.api("bgapi originate user/1002@callpark.test &callpark_park(704 main)")
        call = phone.wait_call()
    row = wait_for(mortal.calls)[0]
    ask = lambda: (mortal.api(f"uuid_media off {row['uuid']}"), time.sleep(0.3), mortal.api(f"uuid_media {row['uuid']}"), time.sleep(0.3))
    for first, second in ((ask, call.move), (call.move, ask)):
        first()
        second()
        assert call.audio.hears(MUSIC, within=5)
        for _ in range(2):
            die_and_rise(mortal)
            mortal.api("sofia recover")
            assert wait_for(lambda: [row["state"] for row in mortal.calls()] == ["parked"], 8), mortal.calls()
            assert call.audio.hears(MUSIC, within=8)
    assert not call.over.is_set()
    call.hang_up()
    assert wait_for(lambda: not mortal.calls()), "the hang-up was not understood"


def test_who_came_back_and_hung_up_does_not_come_back_again(mortal, phones_of):
    phones = phones_of(mortal)
    callers = [phones().call("do-park-auto_main") for _ in range(6)]
    assert wait_for(lambda: len(mortal.calls()) == 6)
    die_and_rise(mortal)
    assert copies(mortal) == 6
    mortal.api("sofia recover")
    assert wait_for(lambda: [row["state"] for row in mortal.calls()] == ["parked"] * 6, 15)
    for call in callers[:3]:
        call.hang_up()
    assert wait_for(lambda: len(mortal.calls()) == 3 and copies(mortal) <= 3 and notes(mortal) == 3)
    mortal.kill()
    mortal.start()
    mortal.api("sofia recover")
    assert wait_for(lambda: [row["state"] for row in mortal.calls()] == ["parked"] * 3, 15)
    assert {row["caller_number"] for row in mortal.calls()} == {call.phone.user for call in callers[3:]}
    assert wait_for(lambda: mortal.sessions() == 3)


def copies(switch):
    return count(switch, "callpark_recovery")


def notes(switch):
    return count(switch, "recovery")


def count(switch, table):
    """Rows of one of the core's tables."""
    return sqlite3.connect(switch.dir / "db/core.db").execute(f"SELECT count(*) FROM {table}").fetchone()[0]
