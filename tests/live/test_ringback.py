"""Tests timeouts, the recall and the fallback."""

import json
import time

import pytest

from conftest import MUSIC
from parking import lot, park_by_transfer, with_lot
from phone import DOMAIN
from switch import wait_for


def parked_by(phones, switch, reacts):
    """Lets 1001 park a caller, and sets what 1001's phone does when it rings (see `Phone.on_ring`). Returns the phone, the caller's call and the
    row."""
    caller, row = park_by_transfer(phones, switch)
    parker = phones.made[0]
    parker.on_ring = reacts
    return parker, caller, row


def test_a_parker_who_answers_the_recall_is_connected(switch, phones):
    with_lot(switch, ("ringback-alert-info", "park-recall"))
    parker, caller, row = parked_by(phones, switch, 0.5)
    call = parker.wait_call(6)
    assert call.caller_name == "Park 701: Alice"
    assert call.invite_headers["alert-info"].strip("<>") == "park-recall"
    assert caller.audio.hears(MUSIC)
    assert call.audio.hears(600)
    assert switch.calls() == []
    assert wait_for(lambda: switch.events.of(row["uuid"]) == ["park", "ringback", "return"])
    done = switch.events.wait("return")
    assert done["CallPark-Attempt"] == "1" and done["variable_callpark_outcome"] == "returned"
    call.hang_up()
    assert caller.wait_over()


@pytest.mark.parametrize("reaction, cause", [(486, "USER_BUSY"), (603, "CALL_REJECTED"), (None, "NO_ANSWER")])
def test_no_answer_leads_to_the_fallback(switch, phones, reaction, cause):
    with_lot(switch, ("fallback", "tone-1300"))
    parker, caller, row = parked_by(phones, switch, reaction)
    assert caller.audio.hears(1300, within=9)
    assert switch.events.of(row["uuid"]) == ["park", "ringback", "ringback-failed", "fallback"]
    assert switch.events.wait("ringback-failed")["CallPark-Cause"] == cause
    caller.hang_up()


def test_the_recall_of_an_unregistered_parker_leads_to_the_fallback(switch, phones):
    with_lot(switch, ("fallback", "tone-1300"))
    caller, row = park_by_transfer(phones, switch)
    phones.made[0].unregister()
    assert caller.audio.hears(1300, within=6)
    assert switch.events.wait("ringback-failed")["CallPark-Cause"] == "USER_NOT_REGISTERED"
    caller.hang_up()


def test_without_a_fallback_waiting_and_recall_alternate(switch, phones):
    with_lot(switch, ("park-timeout", "1"))
    parker, caller, row = parked_by(phones, switch, 486)
    assert wait_for(lambda: switch.events.of(row["uuid"]).count("ringback") >= 3, 10)
    assert caller.audio.hears(MUSIC) and switch.calls()[0]["slot"] == "701"
    caller.hang_up()


def test_ringback_attempts_is_the_number_of_recalls(switch, phones):
    with_lot(switch, ("park-timeout", "1"), ("ringback-attempts", "2"), ("fallback", "tone-1300"))
    parker, caller, row = parked_by(phones, switch, 486)
    assert caller.audio.hears(1300, within=8)
    assert switch.events.of(row["uuid"]) == ["park", *["ringback", "ringback-failed"] * 2, "fallback"]
    caller.hang_up()


def test_a_retrieval_ends_the_recall(switch, phones):
    with_lot(switch)
    parker, caller, row = parked_by(phones, switch, None)
    ringing = parker.wait_call(6)
    assert wait_for(lambda: switch.calls()[0]["state"] == "ringing-back")
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600) and ringing.wait_over(3)
    assert switch.events.of(row["uuid"]) == ["park", "ringback", "retrieve"]
    caller.hang_up()


def test_a_caller_who_hangs_up_ends_the_recall(switch, phones):
    with_lot(switch)
    parker, caller, row = parked_by(phones, switch, None)
    ringing = parker.wait_call(6)
    caller.hang_up()
    assert ringing.wait_over(3)
    assert wait_for(lambda: switch.events.of(row["uuid"]) == ["park", "ringback", "abandon"])


@pytest.mark.parametrize("delay", [0, 0.02, 1])
def test_a_parker_who_answers_the_recall_and_hangs_up_at_once(switch, phones, delay):
    """Either the two were connected and the call has ended as `returned`, or the caller is still parked. After a second they were connected."""
    with_lot(switch)
    parker, caller, row = parked_by(phones, switch, None)
    ringing = parker.wait_call(6)
    ringing.answer()
    time.sleep(delay)
    ringing.hang_up()
    assert wait_for(lambda: caller.over.is_set() or (switch.calls() and caller.audio.hears(MUSIC, 0.5)), 6)
    returned = caller.over.is_set()
    if not returned:
        assert delay < 1, "the caller was not connected"
        assert [(call["slot"], call["caller_name"]) for call in switch.calls()] == [("701", "Alice")]
    caller.hang_up()
    outcomes = lambda: [action for action in switch.events.of(row["uuid"]) if not action.startswith("ringback")]
    assert wait_for(lambda: outcomes() == ["park", "return" if returned else "abandon"]), outcomes()


@pytest.mark.parametrize("fallback, missing", [("nowhere", "no extension nowhere"), ("broken", "frobnicate")])
def test_without_the_extension_of_the_fallback_the_caller_stays_parked(switch, phones, fallback, missing):
    with_lot(switch, ("ringback", "none"), ("fallback", fallback))
    before = len(switch.log())
    caller, row = park_by_transfer(phones, switch)
    assert wait_for(lambda: missing in switch.log()[before:], 6)
    assert switch.calls()[0]["slot"] == "701" and caller.audio.hears(MUSIC)
    assert switch.events.of(row["uuid"]) == ["park"]
    caller.hang_up()


def test_max_park_time_leads_to_the_fallback(switch, phones):
    with_lot(switch, ("park-timeout", "0"), ("max-park-time", "2"), ("fallback", "tone-1300"))
    caller, row = park_by_transfer(phones, switch)
    assert caller.audio.hears(1300, within=5)
    assert switch.events.of(row["uuid"]) == ["park", "fallback"]
    caller.hang_up()


def test_extend_ringback_and_transfer_by_command(switch, phones):
    with_lot(switch, ("park-timeout", "60"))
    parker, caller, row = parked_by(phones, switch, 486)
    before = switch.calls()[0]["timeout_at"]
    assert switch.api("callpark extend 701 30").startswith("+OK")
    assert abs(switch.calls()[0]["timeout_at"] - before - 30000) < 100
    # Before: only the event stream of the HTTP API had this event.
    event = switch.events.wait("extend", CallPark_Slot="701")
    assert event["Unique-ID"] == row["uuid"] and int(event["CallPark-Wait-Ms"]) > 0
    assert switch.api("callpark label 701 Mr Chen, invoice").startswith("+OK")
    assert switch.events.wait("label")["CallPark-Label"] == "Mr Chen, invoice" == switch.calls()[0]["label"]
    assert switch.api("callpark ringback 701").startswith("+OK")
    switch.events.wait("ringback-failed", CallPark_Cause="USER_BUSY")
    assert switch.api("callpark transfer 701 nowhere").startswith("-ERR no extension")
    assert switch.api("callpark transfer 701 tone-1300 XML default").startswith("+OK")
    assert caller.audio.hears(1300)
    caller.hang_up()
    assert switch.events.of(row["uuid"])[-1] == "transfer"


def test_freeswitch_400_comfort_file_and_exit_key(switch, phones):
    with_lot(switch, ("comfort-file", "tone_stream://%(1200,0,1000)"), ("comfort-interval", "1"), ("exit-key", "9"),
             ("exit-destination", "tone-1300"), ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    assert caller.audio.hears(1000, within=4) and caller.audio.hears(MUSIC, within=4)
    caller.press("5")
    assert switch.calls()
    caller.press("9")
    assert caller.audio.hears(1300)
    caller.hang_up()
    assert switch.events.of(row["uuid"]) == ["park", "transfer"]


def test_a_full_lot_overflows(switch, phones):
    assert switch.reload(lot(("overflow-lot", "more"), ("park-timeout", "0"), slots="701")
                         + '<lot name="more" domain="*"><param name="slots" value="801"/></lot>').startswith("+OK")
    first = phones().call("do-park-auto")
    second = phones().call("do-park-auto")
    assert [row["slot"] for row in switch.calls()] == ["701", "801"]
    third = phones().call("do-park-auto")
    assert third.audio.hears(1700), "the dialplan did not continue"
    switch.events.wait("full", CallPark_Lot="main")
    for call in (first, second, third):
        call.hang_up()


def test_a_full_lot_rings_the_parker_at_once(switch, phones):
    with_lot(switch, ("park-timeout", "0"), slots="701")
    first = phones().call("do-park-auto")
    parker = phones("1001")
    parker.on_ring = 0.1
    caller = phones(says=600, name="Bob").call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5)
    parker.on_ring = 0.5
    call.refer("700")
    call.hang_up()
    assert caller.audio.hears(MUSIC)
    back = parker.wait_call(6)
    assert back.caller_name == "full: Bob" and back.audio.hears(600, within=6)
    assert [row["slot"] for row in switch.calls()] == ["701"]
    back.hang_up()
    first.hang_up()


def test_a_full_lot_and_no_parker_leads_to_the_fallback(switch, phones):
    with_lot(switch, ("fallback", "tone-1300"), ("park-timeout", "0"), slots="701")
    first = phones().call("do-park-auto")
    parker = phones("1001")
    parker.on_ring = 0.1
    caller = phones(says=600, name="Bob").call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5)
    parker.on_ring = 486
    call.refer("700")
    call.hang_up()
    assert caller.audio.hears(1300, within=6)
    caller.hang_up()
    first.hang_up()


def test_park_limit_per_user(switch, phones):
    with_lot(switch, ("park-limit-per-user", "1"), ("park-timeout", "0"))
    first, _ = park_by_transfer(phones, switch)
    parker = phones.made[0]
    parker.on_ring = 0.1
    phones(says=900, name="Bob").call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5)
    parker.on_ring = 0.2
    call.refer("700")
    call.hang_up()
    back = parker.wait_call(6)
    assert back.caller_name == "limit: Bob" and back.audio.hears(900, within=6)
    assert switch.events.wait("denied")["CallPark-Cause"]
    back.hang_up()
    first.hang_up()


def test_a_reload_changes_the_timers_of_new_calls_only(switch, phones):
    with_lot(switch, ("park-timeout", "60"))
    parker, caller, row = parked_by(phones, switch, 486)
    with_lot(switch, ("park-timeout", "1"))
    time.sleep(2.5)
    assert switch.events.of(row["uuid"]) == ["park"]
    assert switch.api("callpark reload apply").startswith("+OK")
    assert wait_for(lambda: "ringback" in switch.events.of(row["uuid"]), 4)
    caller.hang_up()


def test_a_removed_lot_keeps_its_calls(switch, phones):
    with_lot(switch, ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    assert switch.reload('<lot name="other" domain="*"><param name="slots" value="801"/></lot>').startswith("+OK")
    assert switch.calls()[0]["slot"] == "701" and caller.audio.hears(MUSIC)
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600)
    taker.hang_up()
    assert wait_for(lambda: [lot["lot"] for lot in switch.json("lots") if lot["domain"] == DOMAIN] == ["other"])


def test_a_slot_that_does_not_exist_rings_the_parker(switch, phones):
    with_lot(switch, ("park-timeout", "0"))
    parker = phones("1001")
    parker.on_ring = 0.1
    phones(says=600, name="Bob").call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5)
    parker.on_ring = 0.3
    call.refer("799")
    call.hang_up()
    back = parker.wait_call(6)
    assert back.caller_name == "invalid: Bob" and back.audio.hears(600, within=6)
    back.hang_up()


@pytest.mark.parametrize("ignored, heard", [("true", 1300), ("false", 999)])
def test_ringback_ignore_voicemail_decides_whether_a_302_is_followed(switch, phones, ignored, heard):
    with_lot(switch, ("ringback-ignore-voicemail", ignored), ("fallback", "tone-1300"))
    parker, caller, row = parked_by(phones, switch, None)
    mailbox = phones("1003", says=999)
    mailbox.on_ring = 0
    parker.on_ring = f"sip:1003@127.0.0.1:{mailbox.port}"
    assert caller.audio.hears(heard, within=9)
    ends = ["ringback-failed", "fallback"] if ignored == "true" else ["return"]
    assert switch.events.of(row["uuid"]) == ["park", "ringback", *ends]
    assert (mailbox.rang.qsize() == 0) == (ignored == "true")
    caller.hang_up()


def answered_by(phones, switch, phone, number, bridge, *params):
    """Lets a caller dial `number`, which rings `bridge`; `phone` answers and has a feature code. Returns the caller's call and the phone's."""
    extension = f"""<extension name="{number}"><condition field="destination_number" expression="^{number}$">
      <action application="bind_meta_app" data="5 b s callpark_park::auto"/>
      <action application="bridge" data="{bridge}"/></condition></extension>"""
    assert switch.reload(lot(*params), extensions=extension).startswith("+OK")
    phone.on_ring = 0.1
    caller = phones(says=600, name="Alice").call(number)
    call = phone.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(phone.says)
    return caller, call


def check_recall(switch, phone, caller, parker):
    """Asserts that the call is parked with this parker, and that the recall rings the phone and connects it to the caller."""
    assert wait_for(lambda: [row["state"] for row in switch.calls()] == ["parked"], 8)
    assert switch.calls()[0]["parker"] == parker
    back = phone.wait_call(12)
    assert back.audio.hears(600, within=6) and caller.audio.hears(phone.says)
    assert switch.events.wait("return")["CallPark-Parker"] == parker
    caller.hang_up()


@pytest.mark.parametrize("way", ["feature code", "transfer"])
def test_the_member_of_a_group_who_answered_is_the_parker(switch, phones, way):
    others = phones("1001")
    phone = phones("1002", says=700)
    caller, call = answered_by(phones, switch, phone, "group", "user/1001@callpark.test,user/1002@callpark.test")
    if way == "transfer":
        call.refer("700")
    else:
        call.press("*5")
    if way == "transfer":
        call.hang_up()
    assert call.wait_over(8)
    rings = others.rang.qsize()
    check_recall(switch, phone, caller, f"1002@{DOMAIN}")
    assert others.rang.qsize() == rings, "another member of the group was rung"


def test_an_external_parker_is_rung_in_the_way_in_which_they_were_called(switch, phones):
    mobile = phones(says=700)
    way = f"sofia/external/sip:{mobile.user}@127.0.0.1:{mobile.port}"
    caller, call = answered_by(phones, switch, mobile, "mobile", way)
    call.press("*5")
    check_recall(switch, mobile, caller, f"{mobile.user}@{DOMAIN}")


def test_an_external_parker_is_not_rung_with_ringback_none(switch, phones):
    mobile = phones(says=700)
    way = f"sofia/external/sip:{mobile.user}@127.0.0.1:{mobile.port}"
    caller, call = answered_by(phones, switch, mobile, "mobile", way, ("ringback", "none"), ("fallback", "tone-1300"))
    call.press("*5")
    assert caller.audio.hears(1300, within=9)
    assert [event["CallPark-Action"] for event in switch.events.all][-2:] == ["park", "fallback"]
    caller.hang_up()


@pytest.mark.parametrize("by", ["1001@127.0.0.1", "1001@pbx.elsewhere.test"])
def test_a_host_name_in_referred_by_is_not_used_as_the_domain(switch, phones, by):
    """Phones write the name of the server with which they are registered. In a lot of that domain nobody would find the caller."""
    with_lot(switch)
    parker = phones("1001")
    parker.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5)
    call.refer("700", referred_by=by)
    row = wait_for(switch.calls)[0]
    assert (row["parker"], row["domain"]) == (f"1001@{DOMAIN}", DOMAIN)
    call.hang_up()
    assert parker.wait_call(12).audio.hears(600, within=6)
    caller.hang_up()


def moved_by_script(switch, phones, number):
    """A caller in an IVR whom a script transfers to `number`, so that the parker is unknown. Returns the caller's call."""
    caller = phones(says=600, name="Bob").call("tone-1200")
    assert caller.audio.hears(1200)
    rows = json.loads(switch.api("show channels as json"))["rows"]
    uuid = next(row["uuid"] for row in rows if row["dest"] == "tone-1200")
    assert switch.api(f"uuid_transfer {uuid} {number}").startswith("+OK")
    return caller


@pytest.mark.parametrize("fallback, number, heard", [("tone-1300", "700", 1300), ("", "do-park-auto", 1700), ("", "700", MUSIC)])
def test_a_full_lot_without_a_known_parker_hangs_up_nobody(switch, phones, fallback, number, heard):
    """The caller goes to the fallback. Without one, the dialplan continues. If it has no further action, the caller waits for a free slot."""
    with_lot(switch, ("fallback", fallback), ("park-timeout", "0"), slots="701")
    first = phones().call("do-park-auto")
    assert wait_for(switch.calls)
    caller = moved_by_script(switch, phones, number)
    assert caller.audio.hears(heard, within=6)
    assert switch.events.wait("full")["variable_callpark_result"] == "full"
    time.sleep(1)
    assert not caller.over.is_set()
    first.hang_up()
    caller.hang_up()


def test_slot_taken_next_parks_in_the_next_free_slot(switch, phones):
    with_lot(switch, ("slot-taken", "next"), ("park-timeout", "0"))
    first, _ = park_by_transfer(phones, switch, "702")
    parker = phones("1003")
    parker.on_ring = 0
    second = phones(says=900, name="Bob").call("1003")
    call = parker.wait_call()
    assert call.answered.wait(5)
    call.refer("702")
    assert wait_for(lambda: {row["slot"]: row["caller_name"] for row in switch.calls()} == {"701": "Bob", "702": "Alice"})
    assert second.audio.hears(MUSIC) and not first.audio.hears(900, within=0.5)
    for leg in (call, first, second):
        leg.hang_up()


def test_park_tone_and_retrieve_tone(switch, phones):
    with_lot(switch, ("park-tone", "tone_stream://%(1500,0,2100)"), ("retrieve-tone", "tone_stream://%(1500,0,2300)"),
             ("park-timeout", "0"))
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    caller = phones(says=600).call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.press("*5")
    assert call.audio.hears(2100) and call.wait_over(8)
    taker = phones("1002", says=900).call("701")
    assert caller.audio.hears(2300)
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
