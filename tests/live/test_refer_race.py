"""Tests a REFER at the same time as the answer of the call, and right after a retrieval."""

import random
import threading
import time

import pytest

from conftest import new_switch, stopped_after
from parking import MUSIC, lot, park_by_transfer
from phone import DOMAIN, Failed
from switch import wait_for

TRIES = 30


@pytest.mark.parametrize("who", ["user", "outsider"])
def test_a_refer_right_after_the_answer_parks_the_caller_with_the_parker(switch, phones, who):
    """The REFER is from a user of this server, or from a phone outside. Before: of the latter, every second call had no parker."""
    if who == "user":
        parker, number, name, extensions = phones("1001", says=700), "1001", f"1001@{DOMAIN}", ""
    else:
        parker = phones(says=700)
        number, name = "trunk", None
        extensions = (f'<extension name="trunk"><condition field="destination_number" expression="^trunk$">'
                      f'<action application="bridge" data="sofia/external/sip:{parker.user}@127.0.0.1:{parker.port}"/></condition></extension>')
    assert switch.reload(lot(("park-timeout", "0")), extensions=extensions).startswith("+OK")
    chance, wrong = random.Random(7), []
    calling = phones(says=600, name="Alice")
    for n in range(TRIES):
        delay, made = chance.uniform(0, 0.04), []
        thread = threading.Thread(target=lambda made=made: made.append(calling.call(number)))
        thread.start()
        call = parker.rang.get(timeout=5)
        call.answer()
        time.sleep(delay)
        refused = None
        try:
            call.refer("700")
        except (Failed, TimeoutError) as why:
            refused = repr(why)
        thread.join(5)
        rows = wait_for(lambda: [row for row in switch.calls() if row["state"] == "parked"], 3)
        if not rows or not rows[0]["parker"] or (name and rows[0]["parker"] != name):
            wrong.append((n, round(delay * 1000, 1), refused, [row["parker"] for row in rows or []], [(leg["application"], leg["dest"], leg["state"]) for leg in switch.legs()]))
        for leg in (call, *made):
            leg.hang_up()
        switch.wait_idle()
        assert wait_for(lambda: switch.calls() == [])
    assert not wrong, "\n".join(map(str, wrong))


@pytest.fixture
def late_events(failures):
    """A FreeSWITCH that is slow to deliver its events, as it is under load: a script runs before each answer is told to the modules."""
    switch = new_switch()
    script = switch.dir / "late.lua"
    script.write_text("freeswitch.msleep(1500)")
    switch.more = f'<configuration name="lua.conf"><settings><hook event="CHANNEL_ANSWER" script="{script}"/></settings></configuration>'
    switch.configure(lot(("park-timeout", "0")))
    with stopped_after(switch, failures):
        yield switch.start()


def test_a_retriever_who_parks_at_once_is_the_parker_though_events_are_late(late_events, phones_of):
    """Before: the retriever was known from the event of the bridge only, and nobody was the parker if that came after the retriever had gone."""
    switch, phones = late_events, phones_of(late_events)
    caller, _ = park_by_transfer(phones, switch, "701")
    assert caller.audio.hears(MUSIC)
    switch.api("load mod_lua")
    call = phones("1002", says=900).call("701")
    assert call.audio.hears(600) and caller.audio.hears(900)
    call.refer("702")
    call.hang_up()
    rows = wait_for(lambda: [row for row in switch.calls() if row["slot"] == "702"], 5)
    assert rows and rows[0]["parker"] == f"1002@{DOMAIN}", switch.calls()
    caller.hang_up()
