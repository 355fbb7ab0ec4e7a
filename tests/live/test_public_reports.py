"""Tests of faults that users of other call parking have reported. The name of each test says where: fusionpbx_N, freeswitch_N, asterisk_N
and so on are the numbers of issues and pull requests there, or the first digits of commits. The docstring says what happened there.

Other files have such tests too, where their subject fits: `pytest -k 'fusionpbx or freeswitch_ or valet or asterisk or freepbx or cloudspire
or issabel or nethserver or sccp or mikopbx'` runs all of them.
"""

import threading

import pytest

from audio import strength
from conftest import LOTS, MUSIC
from parking import conversation, extension, lot, park_by_transfer, with_lot
from phone import DOMAIN
from switch import wait_for


# --- FreeSWITCH's mod_valet_parking, and FusionPBX, which uses it


def test_fusionpbx_8042_two_parked_at_once_are_not_merged(switch, phones):
    """Two outside callers parked automatically within two seconds could talk to each other."""
    tones, talks = [600, 700, 800, 900], []
    for number, tone in zip(range(1000, 1004), tones):
        parker = phones(str(number))
        parker.on_ring = 0.1
        caller = phones(says=tone, name=f"C{tone}").call(str(number))
        call = parker.wait_call()
        assert call.answered.wait(5)
        talks.append((caller, call))
    threads = [threading.Thread(target=call.refer, args=("700",)) for _, call in talks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wait_for(lambda: len(switch.calls()) == 4), switch.calls()
    assert sorted(row["slot"] for row in switch.calls()) == ["701", "702", "703", "704"]
    for (caller, _), tone in zip(talks, tones):
        assert caller.audio.hears(MUSIC)
        assert not any(caller.audio.hears(other, within=0.15) for other in tones if other != tone)
    for caller, call in talks:
        caller.hang_up()
        call.hang_up()


def test_fusionpbx_5929_who_was_called_is_shown_to_the_retriever(switch, phones):
    """The retriever of a parked outbound call sees the callee, not the user who made the call."""
    callee = phones("1002", says=600)
    callee.on_ring = 0.1
    parker = phones("1001", says=700, name="Reception").call("1002")
    assert parker.audio.hears(600)
    parker.refer("701")
    assert callee.wait_call().audio.hears(MUSIC, within=5)
    assert switch.calls()[0]["caller_number"] == "1002"
    taker = phones("1003", says=900).call("701")
    assert taker.audio.hears(600) and taker.shown[0] == ("1002", "1002"), taker.shown
    taker.hang_up()
    parker.hang_up()


def test_fusionpbx_632898d4a9_a_parked_outbound_call_comes_back(switch, phones):
    """There the recall of an outbound call had no parker to ring."""
    callee = phones("1002", says=600)
    callee.on_ring = 0.1
    phone = phones("1001", says=700)
    call = phone.call("1002")
    assert call.audio.hears(600)
    call.refer("701")
    assert wait_for(switch.calls)[0]["parker"] == f"1001@{DOMAIN}"
    call.hang_up()
    phone.on_ring = 0.2
    assert switch.api("callpark ringback 701").startswith("+OK")
    back = phone.wait_call(5)
    assert back.audio.hears(600, within=5) and callee.wait_call().audio.hears(700)
    assert switch.events.wait("return")["CallPark-Parker"] == f"1001@{DOMAIN}"
    back.hang_up()


def test_fusionpbx_74b806a1e9_early_media_is_answered(switch, phones):
    """There a caller who heard early media was parked without an answer, and the provider ended the call."""
    early = extension("early", ("pre_answer", ""), ("playback", "tone_stream://%(300,0,1500)"), ("transfer", "do-park-701"))
    assert switch.reload(LOTS, extensions=early).startswith("+OK")
    caller = phones(says=600).call("early")
    assert caller.answered.is_set() and caller.audio.hears(MUSIC) and switch.calls()[0]["slot"] == "701"
    caller.hang_up()


def test_fusionpbx_c521f874e1_the_time_until_the_recall_is_configurable(switch, phones):
    """There it was a constant: 90 s, then 180 s, then 900 s. Here it is a parameter of the lot, or a variable of one call."""
    assert switch.reload('<lot name="main" domain="*"><param name="slots" value="701-702"/></lot>',
                         extensions=extension("slow", ("set", "callpark_timeout=900"), ("set", f"callpark_parker=1001@{DOMAIN}"),
                                               ("callpark_park", "702"))).startswith("+OK")
    callers = [park_by_transfer(phones, switch, "701")[0], phones().call("slow")]
    assert wait_for(lambda: len(switch.calls()) == 2)
    waits = {row["slot"]: row["timeout_at"] - row["parked_at"] for row in switch.calls()}
    assert abs(waits["701"] - 90_000) < 500 and abs(waits["702"] - 900_000) < 500
    for caller in callers:
        caller.hang_up()


def test_freeswitch_1772_the_target_of_a_lamp_is_a_sip_uri(switch, phones):
    caller, _ = park_by_transfer(phones, switch)
    for target in ("park+701", "701", "park+main"):
        lamp = phones.made[0].subscribe(target)
        assert lamp.shows("confirmed")
        assert lamp.dialog().find("{*}dialog/{*}remote/{*}target").get("uri").startswith("sip:")
    caller.hang_up()


def test_valet_a_slot_is_used_again_while_its_last_call_goes_on(switch, phones):
    """mod_valet_parking gives the old call's token to the new call and then frees it."""
    first, _ = park_by_transfer(phones, switch, "701")
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600)
    second = phones(says=800).call("do-park-701")
    assert second.audio.hears(MUSIC) and [row["slot"] for row in switch.calls()] == ["701"]
    taker.hang_up()
    assert first.wait_over()
    assert [row["slot"] for row in switch.calls()] == ["701"] and second.audio.hears(MUSIC), "the end of the first call freed the second call's slot"
    other = phones("1003", says=1000).call("701")
    assert other.audio.hears(800) and second.audio.hears(1000)
    second.hang_up()


# --- Asterisk, and FreePBX and others, which use it


def test_asterisk_624_a_full_lot_hangs_up_nobody_and_has_an_event(switch, phones):
    parks = extension("parks", ("callpark_park", "auto"), ("answer", ""), ("playback", "tone_stream://%(60000,0,1800)"))
    assert switch.reload(lot(("park-timeout", "0"), slots="701"), extensions=parks).startswith("+OK")
    first = phones().call("parks")
    late = phones("1002").call("parks")
    assert late.audio.hears(1800), "the dialplan did not continue"
    event = switch.events.wait("full", CallPark_Lot="main")
    assert event["variable_callpark_result"] == "full"
    for call in (first, late):
        call.hang_up()


def test_freepbx_1074_no_other_music_before_the_lots(switch, phones):
    """There a caller parked by one key heard other music before the lot's."""
    lots = LOTS.replace(f"0,{MUSIC}", "0,520")
    own = extension("own-1001", ("set", "hold_music=tone_stream://%(1000,0,1600);loops=-1"), ("bridge", f"user/1001@{DOMAIN}"))
    assert switch.reload(lots, extensions=own).startswith("+OK")
    caller, call = conversation(phones, "own-1001")
    call.refer("705")
    assert caller.audio.hears(520)
    samples = caller.audio.samples(4)
    assert max(strength(samples[at:at + 800], 1600) for at in range(0, len(samples) - 800, 400)) < 0.3, "another music was heard"
    assert switch.calls()[0]["slot"] == "705"
    caller.hang_up()
    call.hang_up()


def test_nethserver_7743_a_transfer_to_a_slot_parks_and_retrieves_nobody(switch, phones):
    caller, row = park_by_transfer(phones, switch, "704")
    assert (row["slot"], row["state"]) == ("704", "parked") and caller.audio.hears(MUSIC)
    assert [e["CallPark-Action"] for e in switch.events.all if e["CallPark-Action"] != "reload"] == ["park"]
    caller.hang_up()


def test_cloudspire_74_the_domain_of_a_lamp_is_case_insensitive(switch, phones):
    lamp = phones("1003").subscribe("park+701", domain=DOMAIN.upper())
    assert lamp.shows("terminated")
    caller, _ = park_by_transfer(phones, switch)
    assert lamp.shows("confirmed")
    caller.hang_up()
    assert lamp.shows("terminated")


def test_issabel_43_a_new_slot_works_right_after_the_reload(switch, phones):
    watcher = phones("1003")
    with_lot(switch, ("park-timeout", "0"), slots="701-702")
    with_lot(switch, ("park-timeout", "0"), slots="701-702,750")
    lamp = watcher.subscribe("park+750")
    assert lamp.shows("terminated")
    caller, row = park_by_transfer(phones, switch, "750")
    assert row["slot"] == "750" and lamp.shows("confirmed")
    caller.hang_up()
    assert lamp.shows("terminated")


def test_sccp_139_lamps_show_parked_callers_again_after_the_phone_restarts(switch, phones):
    with_lot(switch, ("lamp-caller-id", "true"), ("park-timeout", "0"))
    callers = [phones(says=600, name=name).call(f"do-park-70{n}") for n, name in enumerate(["Alice", "Bob"], 1)]
    for _ in range(2):  # a phone that restarts subscribes again from another port
        phone = phones("1003")
        for slot, name in (("701", "Alice"), ("702", "Bob")):
            lamp = phone.subscribe(f"park+{slot}")
            assert lamp.shows("confirmed")
            assert lamp.dialog().find("{*}dialog/{*}remote/{*}identity").get("display") == name
        phone.close()
    for caller in callers:
        caller.hang_up()


def test_sccp_528_only_the_parker_sees_the_slot_and_the_recall_shows_the_caller(switch, phones):
    with_lot(switch, ("park-timeout", "2"))
    parker = phones("1001", says=700, agent="Yealink SIP-T54W")
    parker.on_ring = 0.1
    caller = phones(says=600, name="Alice", agent="Yealink SIP-T54W").call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    shown = list(caller.shown)
    parker.on_ring = 0.5
    call.press("*5")
    assert wait_for(lambda: ("Park 701", "701") in call.shown), call.shown
    assert caller.audio.hears(MUSIC) and not any("701" in number or "Park" in name for name, number in caller.shown[len(shown):])
    back = parker.wait_call(8)
    assert back.caller_name == "Park 701: Alice" and back.audio.hears(600)
    back.hang_up()


@pytest.mark.parametrize("says", [None, f"1003@{DOMAIN}", "2000@other.test"], ids=["nothing", "another", "another tenant"])
def test_asterisk_807a70b7ae_the_parker_is_known_whatever_referred_by_says(switch, phones, says):
    """The parker's channel has ended by then, and Referred-By, into which a phone can write anything, is missing or names somebody else."""
    caller, call = conversation(phones)
    call.refer("701", referred_by=says)
    call.hang_up()
    row = wait_for(switch.calls)[0]
    assert row["parker"] == f"1001@{DOMAIN}" and row["domain"] == DOMAIN
    assert switch.events.wait("park")["CallPark-Parker"] == f"1001@{DOMAIN}"
    phones.made[0].on_ring = 0.2
    assert switch.api("callpark ringback 701").startswith("+OK")
    assert phones.made[0].wait_call(5).audio.hears(600, within=5)
    caller.hang_up()


def test_asterisk_c4bed96742_the_parker_of_a_call_that_a_script_parks_is_the_other_party(switch, phones):
    caller, call = conversation(phones)
    switch.api(f"uuid_transfer {switch.leg(direction='inbound')} 702")
    assert wait_for(switch.calls)[0]["parker"] == f"1001@{DOMAIN}"
    caller.hang_up()
    call.hang_up()
