"""Tests callers who were transferred and get no slot: these calls are in the state `waiting-for-slot`."""

from conftest import MUSIC
from parking import lot
from switch import wait_for
from test_history import history, own  # noqa: F401  (a fixture)
from test_recover import crash_and_restart, crashable  # noqa: F401  (a fixture)

FIRST = """<extension name="first"><condition field="destination_number" expression="^first$">
<action application="set" data="callpark_timeout=0"/><action application="callpark_park" data="701"/></condition></extension>"""
WAITING = "waiting-for-slot"


def full(switch, phones, *more, **params):
    """Occupies the only slot of a lot, and lets 1001 transfer another caller there. Returns the first caller's call, 1001's phone, and the
    second caller's call."""
    lots = lot(*params.items(), *more, slots="701")
    if switch.process:
        assert switch.reload(lots, extensions=FIRST).startswith("+OK")
    else:
        switch.configure(lots, extensions=FIRST)
        switch.start()
    first = phones().call("first")
    parker = phones("1001", says=700)
    parker.on_ring = 0
    caller = phones(says=1100, name="Bob").call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5)
    parker.on_ring = None
    call.refer("700")
    call.hang_up()
    return first, parker, caller


def waiting(switch):
    return [row for row in switch.calls() if row["state"] == WAITING]


def test_the_call_is_in_the_history(own, phones_of):  # noqa: F811
    own.configure(lot(slots="701"), f'<param name="db-dsn" value="sqlite://{own.dir}/db/own.db"/>', extensions=FIRST)
    own.start()
    phones = phones_of(own)
    _, _, caller = full(own, phones)
    assert wait_for(lambda: waiting(own), 3)
    uuid = waiting(own)[0]["uuid"]
    caller.hang_up()
    rows = wait_for(lambda: [row for row in history(own) if row["uuid"] == uuid], 5)
    assert rows and (rows[0]["slot"], rows[0]["outcome"]) == ("", "abandoned")


def test_the_call_is_recovered_after_a_crash(crashable, phones_of):  # noqa: F811
    """Before: the call was recovered as a new one, and the parker was unknown."""
    phones = phones_of(crashable)
    first, _, caller = full(crashable, phones, **{"ringback-timeout": "3"})
    assert wait_for(lambda: waiting(crashable), 3)
    before = waiting(crashable)[0]
    crash_and_restart(crashable)
    crashable.api("sofia recover")
    assert wait_for(lambda: waiting(crashable), 8), crashable.calls()
    after = waiting(crashable)[0]
    assert {name: after[name] for name in ("uuid", "parked_at", "parker", "lot", "slot")} == {
        name: before[name] for name in ("uuid", "parked_at", "parker", "lot", "slot")}
    assert caller.audio.hears(MUSIC, within=8)
    first.hang_up()
    assert wait_for(lambda: [(row["slot"], row["uuid"]) for row in crashable.calls()] == [("701", before["uuid"])], 20), crashable.calls()
