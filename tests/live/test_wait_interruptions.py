"""Tests what can interrupt a parked call: applications that are started on its leg, media bugs, and a parker who hangs up during a phrase."""

import threading
import time

import pytest

from conftest import ANYBODY, MUSIC
from parking import lot, park_by_transfer
from switch import wait_for
from test_phrases import macro

REASON = 1150
FIRST = """<extension name="first"><condition field="destination_number" expression="^first$">
<action application="set" data="callpark_timeout=0"/><action application="callpark_park" data="701"/></condition></extension>"""


def application_was_refused(switch, uuid):
    refusal = "leg waits in its slot, it runs no application beside that slot=701"
    return any(line.startswith(uuid) and refusal in line for line in switch.log().splitlines())


@pytest.mark.parametrize("application", [
    "callpark_park::auto", "callpark_park::703", "callpark_slot::701", "callpark_slot::704", "callpark_retrieve::701", "callpark_retrieve::oldest",
    "callpark_retrieve::ask",
])
def test_an_application_of_the_module_on_a_parked_leg_is_refused(switch, phones, application):
    """Before: the caller was refused a second slot and sent back to the parker while still occupying the first. Or the call could not be
    retrieved any more."""
    caller, row = park_by_transfer(phones, switch)
    assert caller.audio.hears(MUSIC)
    assert switch.api(f"uuid_broadcast {row['uuid']} {application} aleg").startswith("+OK")
    assert wait_for(lambda: application_was_refused(switch, row["uuid"]))
    assert [(call["slot"], call["state"]) for call in switch.calls()] == [("701", "parked")]
    assert caller.audio.hears(MUSIC, within=3)
    taker = phones("1002", says=900).call("do-retrieve-701")
    assert caller.audio.hears(900) and not switch.calls()
    taker.hang_up()


def test_a_feature_code_of_a_parked_user_does_not_park_them_again(switch, phones):
    """The dialplan of a user has bound a feature code to `callpark_park`. The other party parks the user, who presses the code."""
    desk = phones("1002", says=900)
    desk.on_ring = 0
    user = phones("1001", says=600).call("1002")
    leg = desk.wait_call()
    assert leg.answered.wait(5) and user.audio.hears(900)
    leg.refer("700")
    uuid = wait_for(switch.calls)[0]["uuid"]
    leg.hang_up()
    assert user.audio.hears(MUSIC)
    user.press("*6")
    assert wait_for(lambda: application_was_refused(switch, uuid))
    assert [(call["slot"], call["state"]) for call in switch.calls()] == [("701", "parked")]
    phones("1003", says=1100).call("do-retrieve-701")
    assert user.audio.hears(1100)


@pytest.mark.parametrize("fallback", [True, False])
def test_a_parker_who_hangs_up_during_the_phrase_does_not_lose_the_caller(switch, phones, fallback):
    """The parker of a caller without a slot answers the recall and hangs up during the phrase with the reason. Before: the caller heard music
    without end and was in no list."""
    more = [("fallback", "tone-1300")] if fallback else []
    lots = lot(*more, ("park-timeout", "3"), ("ringback-timeout", "3"), slots="701")
    reason = f'<macro name="callpark_full"><input pattern="(.*)"><match><action function="play-file" data="tone_stream://%(4000,0,{REASON})"/></match></input></macro>'
    assert switch.reload(lots, phrases=reason + macro("callpark_announce_slot", ("(.*)", 2100)), extensions=FIRST).startswith("+OK")
    phones().call("first")
    parker = phones("1001")
    parker.on_ring = 0
    caller = phones(says=1100).call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5)
    parker.on_ring = None
    call.refer("700")
    back = parker.wait_call(6)
    call.hang_up()
    back.answer()
    assert back.audio.hears(REASON, within=4)
    back.hang_up()
    if fallback:
        assert caller.audio.hears(1300, within=4)
    else:
        assert parker.wait_call(40), "the parker was not rung again"
        assert caller.audio.hears(MUSIC)
    assert not caller.over.is_set()


def test_the_label_of_a_slot_does_not_follow_the_caller(switch, phones):
    """Before: a caller kept the label of a slot in later slots."""
    lots = lot().replace("</lot>", '<slot number="701" label="Front desk"/></lot>')
    assert switch.reload(lots).startswith("+OK")
    caller = phones(says=600).call("do-park-701")
    assert wait_for(lambda: [row["label"] for row in switch.calls()] == ["Front desk"])
    uuid = switch.calls()[0]["uuid"]
    switch.api(f"uuid_transfer {uuid} callpark_park:702 inline")
    assert wait_for(lambda: [(row["slot"], row["label"]) for row in switch.calls()] == [("702", "")]), switch.calls()
    caller.hang_up()


def test_a_header_of_the_caller_in_ringback_runs_no_application(switch, phones):
    """Before: with a variable for a header in `ringback`, a caller could run an application by `loopback/<application>/default/inline`."""
    assert switch.reload(lot(("ringback", "${sip_h_X-Ring}"), ("park-timeout", "1"))).startswith("+OK")
    before = len(switch.log())
    caller = phones(says=600).call("do-park-auto", headers=["X-Ring: loopback/log:CRIT-EXECUTED/default/inline"])
    assert switch.events.wait("ringback-failed", 6)
    log = switch.log()[before:]
    assert "EXECUTE [depth=0] loopback" not in log and "log(CRIT-EXECUTED" not in log
    caller.hang_up()


@pytest.mark.flaky(reruns=0)
@pytest.mark.parametrize("bug", ["uuid_record", "eavesdrop"])
def test_a_media_bug_during_a_reinvite_does_not_stop_the_music(switch, phones, bug):
    """Before: the thread that sends shared music and the leg's own thread deadlocked, and the music of all callers stopped."""
    assert switch.reload(ANYBODY).startswith("+OK")
    bystander = phones().call("do-park-701")
    assert bystander.audio.hears(MUSIC)
    for turn in range(16):
        call = phones(says=600).call("do-park-auto")
        uuid = next(row["uuid"] for row in switch.calls() if row["slot"] != "701")
        time.sleep(0.25)
        # The two start within a few milliseconds, in both orders.
        hold = threading.Thread(target=lambda: (time.sleep(max(0, 0.002 * (turn - 8))), call._reinvite("sendonly")))
        hold.start()
        time.sleep(max(0, 0.002 * (8 - turn)))
        if bug == "uuid_record":
            assert switch.api(f"uuid_record {uuid} start {switch.dir}/recordings/{turn}.wav").startswith("+OK")
        else:
            switch.api(f"bgapi originate loopback/tone-1300/default &eavesdrop({uuid})")
        hold.join()
        assert bystander.audio.hears(MUSIC, within=3), f"turn {turn}"
        call.hang_up()
        switch.api("hupall normal_clearing direction outbound")
        assert wait_for(lambda: len(switch.calls()) == 1)
