"""Tests the start, the end and the reload of FreeSWITCH with the module."""

import re
import shutil
import sqlite3
import time

import pytest

from conftest import LOTS, MUSIC, new_switch
from phone import DOMAIN, Phone
from switch import Switch, wait_for


@pytest.fixture
def own(request):
    """A FreeSWITCH of the test's own, which is not started."""
    switch = new_switch()
    switch.configure(LOTS)
    yield switch
    if switch.process and switch.process.poll() is None:
        switch.stop()


def test_freeswitch_ends_cleanly_with_callers_parked(own):
    own.start()
    calls = [Phone(own, says=600).call("do-park-auto") for _ in range(3)]
    assert wait_for(lambda: len(own.calls()) == 3)
    assert all(call.audio.hears(MUSIC) for call in calls)
    assert own.stop() == 0, "FreeSWITCH did not end by itself, or crashed"
    assert all(call.wait_over(1) for call in calls), "a caller got no BYE"


WIDE = LOTS.replace("701-710", "3000-3299")


def make_legs(switch, count, application, variables=""):
    """Makes legs in the core that need no phone."""
    for _ in range(count):
        switch.api(f"bgapi originate {variables}null/caller '{application}' inline")


def test_a_reload_of_the_module_with_fifty_parked_calls_is_refused_without_harm(own, phones_of):
    own.configure(WIDE)
    own.start()
    phones = phones_of(own)
    caller = phones(says=600).call("do-park-3000")
    make_legs(own, 49, "callpark_park:auto")
    assert wait_for(lambda: len(own.calls()) == 50)
    before = {row["uuid"]: row["slot"] for row in own.calls()}
    assert "in use" in own.api("reload mod_callpark")
    assert {row["uuid"]: row["slot"] for row in own.calls()} == before
    assert caller.audio.hears(MUSIC), "no music after the refusal"
    taker = phones("1002", says=900).call("3000")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    other = phones(says=700).call("do-park-3100")
    assert wait_for(lambda: len(own.calls()) == 50), "nobody can be parked after the refusal"
    for call in (taker, other):
        call.hang_up()
    own.api("hupall")
    assert own.wait_idle(15)
    assert wait_for(lambda: "in use" not in own.api("reload mod_callpark"), 5, 0.5)
    assert own.calls() == []


PARKED, RINGING = 200, 20


def ended_in(switch, how):
    """Ends FreeSWITCH in this way. Returns the seconds that it took, and the exit status."""
    began = time.monotonic()
    if how == "SIGTERM":
        switch.process.terminate()
    else:
        try:
            switch.api("fsctl shutdown")
        except (OSError, EOFError):
            pass  # FreeSWITCH ended before it answered
    status = switch.process.wait(60)
    return time.monotonic() - began, status


@pytest.mark.parametrize("how", ["SIGTERM", "fsctl shutdown"])
def test_an_end_with_two_hundred_parked_calls_takes_no_longer_and_records_each(own, phones_of, how):
    """It may take five seconds longer than with as many calls of the core's own `park` application."""
    plain = Switch(own.module, own.prefix)
    plain.configure(WIDE)
    plain.start()
    try:
        make_legs(plain, PARKED - RINGING, "park")
        phones_of(plain)("1001")
        make_legs(plain, RINGING, "bridge:user/1001@callpark.test")
        assert wait_for(lambda: plain.channels() >= PARKED + RINGING, 15)
        usual, status = ended_in(plain, how)
        assert status == 0
    finally:
        plain.stop()

    own.configure(WIDE)
    own.start()
    phones_of(own)("1001")
    make_legs(own, PARKED - RINGING, "callpark_park:auto")
    make_legs(own, RINGING, "callpark_park:auto", "{callpark_timeout=1,callpark_ringback=user/1001@callpark.test}")
    assert wait_for(lambda: sum(row["state"] == "ringing-back" for row in own.calls()) == RINGING, 20)
    parked = {row["uuid"] for row in own.calls()}
    assert len(parked) == PARKED
    own.keep = True  # for the database, which is read afterwards
    try:
        took, status = ended_in(own, how)
        assert status == 0, "FreeSWITCH crashed"
        rows = sqlite3.connect(own.dir / "db/callpark.db").execute("SELECT uuid, outcome FROM callpark_records").fetchall()
        assert len(rows) == PARKED and {uuid for uuid, _ in rows} == parked, f"{len(rows)} rows"
        assert {outcome for _, outcome in rows} == {"abandoned"}
        print(f"{how}: {took:.1f} s, without the module's calls {usual:.1f} s")
        assert took < usual + 5
    finally:
        shutil.rmtree(own.dir, ignore_errors=True)


def test_with_a_faulty_file_at_start_callers_are_parked_in_a_default_lot(own):
    own.configure('<lot name="main" domain="*"><param name="slots" value="70x"/></lot>')
    own.start()
    assert re.search(r'callpark: configuration error file=callpark\.conf\.xml (line=\d+ )?lot=main@\* key=slots value=70x cause="\'70x\' is not a slot', own.log())
    assert "in every domain" in own.log()
    phone = Phone(own)
    phone.call("do-park-auto")
    assert wait_for(lambda: [row["slot"] for row in own.calls()] == ["701"])
    phone.close()
    assert own.wait_idle()
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


def test_twenty_reloads_lose_no_parked_call(switch, phones):
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


def test_callpark_reload_alone_is_enough(switch, phones):
    parked = phones(says=600).call("do-park-701")
    assert wait_for(switch.calls)
    switch.configure('<lot name="main" domain="*"><param name="slots" value="701-702"/></lot>')
    assert switch.api("callpark reload") == "+OK\n"
    size = lambda: next(lot["size"] for lot in switch.json("lots") if (lot["lot"], lot["domain"]) == ("main", DOMAIN))
    assert size() == 2 and switch.calls()[0]["slot"] == "701"
    file = switch.dir / "conf/freeswitch.xml"
    good = file.read_text()
    file.write_text(good.replace("</document>", "<oops>").replace("701-702", "701-703"))
    answer = switch.api("callpark reload")
    assert answer.startswith("-ERR nothing changed: ") and "oops" in answer
    assert size() == 2
    file.write_text(good.replace("701-702", "701-703"))
    switch.api("reloadxml")
    assert wait_for(lambda: size() == 3), "`reloadxml` has no effect after a failed `callpark reload`"
    parked.hang_up()


@pytest.mark.parametrize("domain", ["*", "office.test"])
def test_a_server_without_a_domain_variable_parks_in_a_default_domain(own, domain):
    """The default domain is then the server's address, as in the vanilla configuration, or the only domain that has a lot."""
    own.configure(f'<lot name="main" domain="{domain}"><param name="slots" value="701-702"/></lot>')
    file = own.dir / "conf/freeswitch.xml"
    file.write_text(file.read_text().replace('<X-PRE-PROCESS cmd="set" data="domain=callpark.test"/>', ""))
    own.start()
    assert "callpark.test" not in own.api("global_getvar domain")
    own.api("originate loopback/do-park-auto/default &park")
    row = wait_for(own.calls)[0]
    assert row["domain"] == (own.api("global_getvar local_ip_v4").strip() if domain == "*" else domain)
    assert own.api("callpark label 701 x").startswith("+OK 701 main@")
    assert own.api("callpark retrieve 701 loopback/tone-1300/default").startswith("+OK")
    assert wait_for(lambda: own.events.of(row["uuid"]) == ["park", "label", "retrieve"]), own.events.of(row["uuid"])
