"""FreeSWITCH is killed while calls are parked and is started again. `sofia recover` must bring back every call as it was."""

import sqlite3
import time

import pytest

from conftest import MUSIC, new_switch, stopped_after
from switch import wait_for

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
def crashable(failures):
    """A FreeSWITCH of the test's own, which the test kills."""
    switch = new_switch()
    switch.configure(TIMED, SETTINGS, extensions=QUICK)
    with stopped_after(switch, failures):
        yield switch.start()


def known(row):
    return {name: row[name] for name in ("lot", "slot", "parked_at", "caller_name", "caller_number", "parker", "label", "uuid")}


def crash_and_restart(switch, pause=0.5):
    time.sleep(2)  # the core stores its recovery data in the background
    switch.kill()
    time.sleep(pause)
    switch.start()


class Desk:
    """The receptionist's phone, and callers who are connected to it and parked in different ways."""

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
        assert caller.audio.hears(700)  # on a busy machine the bridge comes long after the answer
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


def test_a_hundred_callers_come_back(crashable, phones_of):
    phones = phones_of(crashable)
    desk = Desk(phones, crashable)
    callers = []

    def parked(new):
        callers.extend(new)
        assert wait_for(lambda: len(crashable.calls()) == len(callers), 10), (len(crashable.calls()), len(callers))

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
    not_answered = phones("1003")  # the parker of these calls, whose phone only rings
    parked([phones().call(f"quick-{slot}") for slot in range(801, 813)])
    assert len(callers) == 100 and wait_for(lambda: sum(row["state"] == "ringing-back" for row in crashable.calls()) == 12, 8)
    crashable.api("callpark label 701 Mr Chen, invoice <b>")
    before = {row["uuid"]: row for row in crashable.calls()}
    crash_and_restart(crashable)
    kept = crashable.calls()
    assert len(kept) == 100 and {row["state"] for row in kept} == {"reserved"}, "a slot is not reserved"
    newcomer = phones().call("do-park-auto_main")
    assert wait_for(lambda: len(crashable.calls()) == 101), "a new caller got no free slot"
    newcomer.hang_up()
    late = phones("1002").call("do-park-701_main")
    assert late.audio.hears(1700, within=6), "a reserved slot was given to another call"
    late.hang_up()
    crashable.api("sofia recover")
    assert wait_for(lambda: sum(row["state"] != "reserved" for row in crashable.calls()) == 100, 20), "not all calls were recovered"
    after = {row["uuid"]: row for row in crashable.calls()}
    assert {uuid: known(row) for uuid, row in after.items()} == {uuid: known(row) for uuid, row in before.items()}
    for uuid, row in before.items():
        if row["lot"] == "main":
            assert abs((after[uuid]["timeout_at"] or 0) - (row["timeout_at"] or 0)) < 2000, (row, after[uuid])
    for uuid in before:
        assert wait_for(lambda: crashable.events.of(uuid)[:1] == ["recover"], 3)
        events = crashable.events.of(uuid)
        assert events.count("recover") == 1 and set(events) <= {"recover", "ringback"}, events
    silent = [call for call in callers if not call.audio.hears(MUSIC, within=6)]
    assert not silent, f"{len(silent)} hear no music"
    # One call of each way of parking.
    slots = {row["caller_number"]: row["slot"] for row in after.values()}
    taken = [callers[index] for index in (0, 35, 55, 65, 70, 76, 82, 88)]
    for call in taken:
        taker = phones("1002", says=900).call(slots[call.phone.user])
        assert call.audio.hears(900, within=6), slots[call.phone.user]
        taker.hang_up()
    assert wait_for(lambda: len(crashable.calls()) == 100 - len(taken))
    not_answered.close()
    for call in callers:
        call.hang_up()
    assert wait_for(lambda: not crashable.calls(), 10)
    rows = lambda: crashable.json("history 1000")
    assert wait_for(lambda: len(rows()) == 101, 10)
    found = {row["uuid"]: row for row in rows()}
    assert all(found[uuid]["parked_at"] == row["parked_at"] for uuid, row in before.items()), "a row of the history has another time of parking"
    assert all(found[uuid]["wait_ms"] >= 2500 for uuid in before)
    numbers = {call.phone.user for call in taken}
    for uuid, row in before.items():
        expected = ("retrieved", "1002@callpark.test") if row["caller_number"] in numbers else ("abandoned", "")
        assert (found[uuid]["outcome"], found[uuid]["retriever"]) == expected, found[uuid]
        assert all(found[uuid][name] == row[name] for name in ("lot", "slot", "parker", "label", "caller_number")), found[uuid]
    print(f"held 100, survived {len(after)}, lost {100 - len(after)}")


def test_a_recall_that_a_crash_ended_is_repeated(crashable, phones_of):
    phones = phones_of(crashable)
    desk = Desk(phones, crashable)
    caller = desk.blind("801")
    desk.phone.on_ring = None
    assert desk.phone.wait_call(8)
    assert wait_for(lambda: [row["state"] for row in crashable.calls()] == ["ringing-back"])
    crash_and_restart(crashable)
    desk.phone.on_ring = 0
    crashable.api("sofia recover")
    again = desk.phone.wait_call(10)
    assert again.answered.wait(5) and caller.audio.hears(700, within=5)
    uuid = crashable.events.wait("return")["Unique-ID"]
    assert [action for action in crashable.events.of(uuid) if action != "ringback"] == ["recover", "return"]
    caller.hang_up()


def test_slots_of_calls_that_are_not_recovered_become_free(crashable, phones_of):
    crashable.configure(TIMED, '<param name="recover-window" value="3"/>')
    caller = phones_of(crashable)().call("do-park-703_main")
    assert wait_for(crashable.calls)
    crash_and_restart(crashable)
    assert [(row["slot"], row["state"]) for row in crashable.calls()] == [("703", "reserved")]
    assert wait_for(lambda: not crashable.calls(), 8)
    lost = crashable.events.wait("abandon")
    assert (lost["CallPark-Slot"], lost["CallPark-Cause"]) == ("703", "not recovered")
    assert wait_for(lambda: [row["outcome"] for row in crashable.json("history")] == ["abandoned"], 5)
    caller.hang_up()


def test_a_retrieved_call_comes_back_as_a_conversation(crashable, phones_of):
    phones = phones_of(crashable)
    caller = phones(says=600).call("do-park-703_main")
    assert wait_for(crashable.calls)
    taker = phones("1002", says=900).call("703")
    assert caller.audio.hears(900)
    crash_and_restart(crashable)
    crashable.api("sofia recover")
    assert caller.audio.hears(900, within=8) and taker.audio.hears(600, within=8)
    assert crashable.calls() == []
    caller.hang_up()
    assert taker.wait_over()


@pytest.mark.parametrize("after", [0, 0.3])
def test_a_second_crash_during_the_recovery(crashable, phones_of, after):
    """The core deletes its recovery data of a call before it stores them again (`switch_core_recovery_recover`)."""
    phones = phones_of(crashable)
    callers = [phones().call("do-park-auto_main") for _ in range(12)]
    assert wait_for(lambda: len(crashable.calls()) == 12)
    before = {row["uuid"]: known(row) for row in crashable.calls()}
    crash_and_restart(crashable)
    crashable.api("sofia recover")
    time.sleep(after)
    crashable.kill()
    crashable.start()
    crashable.api("sofia recover")
    assert wait_for(lambda: [row["state"] for row in crashable.calls()] == ["parked"] * 12, 15), "not all calls were recovered"
    assert {row["uuid"]: known(row) for row in crashable.calls()} == before
    silent = [call for call in callers if not call.audio.hears(MUSIC, within=6)]
    assert not silent, f"{len(silent)} hear no music"
    # The module deletes its copies as soon as the core has stored the calls again.
    assert wait_for(lambda: copies(crashable) == 0, 8)
    assert core_rows(crashable) == 12


@pytest.mark.parametrize("leg", ["inbound", "outbound"])
def test_a_caller_is_recovered_after_a_reinvite_each_way(crashable, phones_of, leg):
    """Before: after both sides had sent a re-INVITE, mod_sofia recovered the dialog with From and To exchanged. A phone answers that with 481,
    and the call ended."""
    phones = phones_of(crashable)
    if leg == "inbound":
        call = phones(says=600).call("do-park-704_main")
    else:
        phone = phones("1002", says=600)
        phone.on_ring = 0
        crashable.api("bgapi originate user/1002@callpark.test &callpark_park(704 main)")
        call = phone.wait_call()
    row = wait_for(crashable.calls)[0]
    ask = lambda: (crashable.api(f"uuid_media off {row['uuid']}"), time.sleep(0.3), crashable.api(f"uuid_media {row['uuid']}"), time.sleep(0.3))
    for first, second in ((ask, call.move), (call.move, ask)):
        first()
        second()
        assert call.audio.hears(MUSIC, within=5)
        for _ in range(2):
            crash_and_restart(crashable)
            crashable.api("sofia recover")
            assert wait_for(lambda: [row["state"] for row in crashable.calls()] == ["parked"], 8), crashable.calls()
            assert call.audio.hears(MUSIC, within=8)
    assert not call.over.is_set()
    call.hang_up()
    assert wait_for(lambda: not crashable.calls()), "the BYE did not end the call"


def test_a_recovered_call_that_has_ended_is_not_recovered_again(crashable, phones_of):
    phones = phones_of(crashable)
    callers = [phones().call("do-park-auto_main") for _ in range(6)]
    assert wait_for(lambda: len(crashable.calls()) == 6)
    crash_and_restart(crashable)
    assert copies(crashable) == 6
    crashable.api("sofia recover")
    assert wait_for(lambda: [row["state"] for row in crashable.calls()] == ["parked"] * 6, 15)
    for call in callers[:3]:
        call.hang_up()
    assert wait_for(lambda: len(crashable.calls()) == 3 and copies(crashable) <= 3 and core_rows(crashable) == 3)
    crashable.kill()
    crashable.start()
    crashable.api("sofia recover")
    assert wait_for(lambda: [row["state"] for row in crashable.calls()] == ["parked"] * 3, 15)
    assert {row["caller_number"] for row in crashable.calls()} == {call.phone.user for call in callers[3:]}
    assert wait_for(lambda: crashable.sessions() == 3)


def copies(switch):
    return count(switch, "callpark_recovery")


def core_rows(switch):
    return count(switch, "recovery")


def count(switch, table):
    """The number of rows in this table of the core's database."""
    return sqlite3.connect(switch.dir / "db/core.db").execute(f"SELECT count(*) FROM {table}").fetchone()[0]
