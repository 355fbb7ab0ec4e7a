"""Tests timeouts, the recall and the fallback."""

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


def test_a_recall_has_the_alert_info_of_the_lot(switch, phones):
    with_lot(switch, ("ringback-alert-info", "park-recall"))
    parker, caller, _ = parked_by(phones, switch, 0.5)
    assert parker.wait_call(6).invite_headers["alert-info"].strip("<>") == "park-recall"
    assert wait_for(lambda: switch.calls() == [])
    caller.hang_up()


def test_extend_and_label_by_command(switch, phones):
    with_lot(switch, ("park-timeout", "60"))
    caller, row = park_by_transfer(phones, switch)
    assert switch.api("callpark extend 701 30").startswith("+OK")
    assert abs(switch.calls()[0]["timeout_at"] - row["timeout_at"] - 30000) < 100
    # Before: only the event stream of the HTTP API had this event.
    event = switch.events.wait("extend", CallPark_Slot="701")
    assert event["Unique-ID"] == row["uuid"] and int(event["CallPark-Wait-Ms"]) > 0
    assert switch.api("callpark label 701 Mr Chen, invoice").startswith("+OK")
    assert switch.events.wait("label")["CallPark-Label"] == "Mr Chen, invoice" == switch.calls()[0]["label"]
    caller.hang_up()



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
