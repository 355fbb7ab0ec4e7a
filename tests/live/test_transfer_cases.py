"""Cases from public reports about transfers to a slot, out of it and between slots: no caller is lost."""

import re
import threading
import time
from types import SimpleNamespace

import pytest

from conftest import LOTS, MUSIC
from parking import lot
from phone import DOMAIN, Failed
from switch import wait_for

OUTCOMES = {"retrieve", "return", "fallback", "transfer", "abandon"}


def actions(switch):
    """The `park` events and the outcomes of all calls, in order."""
    return [event["CallPark-Action"] for event in switch.events.all if event["CallPark-Action"] in OUTCOMES | {"park"}]


def talk(phones, switch, who="user", extensions="", lots=LOTS):
    """Connects Alice with a parker, without hold. `who` is "user" for a phone that authenticates, or "stranger" for one that is registered
    elsewhere. The context of Alice's leg has no extension, so that she reaches only what the module tells the core."""
    if who == "user":
        phone, bridge = phones("1001", says=700), "user/1001@callpark.test"
    else:
        phone = phones(says=700)
        bridge = f"sofia/external/sip:{phone.user}@127.0.0.1:{phone.port}"
    call = f"""<extension name="to the parker"><condition field="destination_number" expression="^parker$">
      <action application="set" data="force_transfer_context=nowhere"/><action application="set" data="hangup_after_bridge=true"/>
      <action application="bridge" data="{bridge}"/></condition></extension>"""
    assert switch.reload(lots, extensions=call + extensions).startswith("+OK")
    phone.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("parker")
    call = phone.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    return SimpleNamespace(phone=phone, caller=caller, call=call)


def check_retrieval(phones, switch, caller, slot):
    """Asserts that the call is parked in the slot with music, and that 1002 retrieves it."""
    assert caller.audio.hears(MUSIC, within=5), "the caller hears no music"
    assert [(row["slot"], row["state"]) for row in switch.calls()] == [(slot, "parked")]
    taker = phones("1002", says=900).call(slot)
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
    assert wait_for(lambda: actions(switch)[-1:] == ["retrieve"])


# --- attended transfer


@pytest.mark.parametrize("order", ["first", "next", "longest-free"])
@pytest.mark.parametrize("who", ["user", "stranger"])
def test_freeswitch_2244_attended_transfer_to_700_without_hold(switch, phones, who, order):
    """Before: the parker was parked and heard 701. The caller got another slot, or was hung up on if the context has no 700."""
    talking = talk(phones, switch, who, lots=LOTS.replace('value="701-710"/>', f'value="701-710"/><param name="slot-order" value="{order}"/>', 1))
    consultation = talking.phone.call("700")
    slot = wait_for(switch.calls)[0]["slot"]
    assert consultation.shown[0] == (f"Park {slot}", slot)
    talking.call.refer("700", replaces=consultation)
    assert consultation.wait_over() and talking.call.wait_over()
    check_retrieval(phones, switch, talking.caller, slot)
    assert actions(switch) == ["park", "retrieve"]


@pytest.mark.parametrize("who", ["user", "stranger"])
@pytest.mark.parametrize("number", ["703", "*5901", "do-park-703"])
def test_attended_transfer_to_a_slot_without_hold(switch, phones, who, number):
    """Before: the parker was told that the slot is empty, and the consultation ended."""
    talking = talk(phones, switch, who)
    slot = number.removeprefix("do-park-")
    consultation = talking.phone.call(number)
    assert wait_for(lambda: [row["slot"] for row in switch.calls()] == [slot])
    talking.call.refer(number, replaces=consultation)
    assert consultation.wait_over() and talking.call.wait_over()
    check_retrieval(phones, switch, talking.caller, slot)
    assert actions(switch) == ["park", "retrieve"]


@pytest.mark.parametrize("who", ["user", "stranger"])
def test_a_refer_in_the_consultation_that_replaces_the_call_without_hold(switch, phones, who):
    """Some phones transfer this way round."""
    talking = talk(phones, switch, who)
    consultation = talking.phone.call("700")
    assert wait_for(switch.calls)
    consultation.refer("x", replaces=talking.call)
    assert consultation.wait_over() and talking.call.wait_over()
    check_retrieval(phones, switch, talking.caller, "701")
    assert actions(switch) == ["park", "retrieve"]


def test_a_transfer_after_a_long_consultation(switch, phones):
    """The consultation is longer than the 10 s for which a slot is reserved for a leg that has not arrived."""
    talking = talk(phones, switch)
    consultation = talking.phone.call("700")
    assert wait_for(switch.calls)
    time.sleep(11)
    talking.call.refer("700", replaces=consultation)
    check_retrieval(phones, switch, talking.caller, "701")
    assert actions(switch) == ["park", "retrieve"]


@pytest.mark.parametrize("who", ["user", "stranger"])
def test_the_end_of_a_consultation_without_hold_frees_the_slot(switch, phones, who):
    talking = talk(phones, switch, who)
    consultation = talking.phone.call("700")
    assert wait_for(switch.calls)
    consultation.hang_up()
    assert wait_for(lambda: switch.calls() == [], timeout=2)
    assert talking.caller.audio.hears(700), "the conversation did not continue"
    assert wait_for(lambda: actions(switch) == ([] if who == "user" else ["park", "abandon"])), actions(switch)
    talking.caller.hang_up()


@pytest.mark.parametrize("who", ["user", "stranger"])
def test_the_caller_hangs_up_during_the_consultation(switch, phones, who):
    talking = talk(phones, switch, who)
    consultation = talking.phone.call("700")
    assert wait_for(switch.calls)
    talking.caller.hang_up()
    assert talking.call.wait_over()
    with pytest.raises((Failed, TimeoutError)):
        talking.call.refer("700", replaces=consultation)
    consultation.hang_up()
    assert wait_for(lambda: switch.calls() == [], timeout=2)
    assert wait_for(lambda: actions(switch) == ([] if who == "user" else ["park", "abandon"])), actions(switch)


@pytest.mark.parametrize("who", ["user", "stranger"])
def test_the_caller_hangs_up_while_being_transferred(switch, phones, who):
    """The caller hangs up at different times. The slot is free again, and every call with a `park` event has one outcome."""
    results = []
    for lead in (-0.3, 0, 0.02, 0.3):  # seconds from the transfer to the end
        talking = talk(phones, switch, who)
        switch.events.clear()
        consultation = talking.phone.call("700")
        assert wait_for(switch.calls)
        hang_up = threading.Timer(max(lead, 0), talking.caller.hang_up)
        hang_up.start()
        time.sleep(max(-lead, 0))
        try:
            talking.call.refer("700", replaces=consultation)
        except Failed:
            consultation.hang_up()  # the caller had hung up before, so the transfer was refused
        hang_up.join()
        assert wait_for(lambda: switch.calls() == [], timeout=13)
        assert wait_for(lambda: actions(switch) in ([], ["park", "abandon"])), actions(switch)
        results.append(actions(switch))
        talking.call.hang_up()
    # The consultation of a stranger is parked itself until the transfer.
    assert results[0] == ([] if who == "user" else ["park", "abandon"]) and results[-1] == ["park", "abandon"], results


def invite_replacing(phone, number, replaced):
    """Sends an INVITE with a Replaces header for another call."""
    tag = replaced.remote.split("tag=")[1].split(";")[0].split(">")[0]
    return phone.call(number, headers=[f"Replaces: {replaced.id};to-tag={tag};from-tag={replaced.tag}"])


@pytest.mark.parametrize("who", ["user", "stranger"])
def test_an_invite_with_replaces_takes_over_the_slot(switch, phones, who):
    """A caller replaces the parker's consultation. Before: the caller was parked in another slot."""
    talking = talk(phones, switch, who)
    consultation = talking.phone.call("700")
    assert wait_for(switch.calls)
    bob = invite_replacing(phones(says=600, name="Bob"), "700", consultation)
    assert consultation.wait_over()
    check_retrieval(phones, switch, bob, "701")
    assert actions(switch) == ["park", "retrieve"]
    talking.caller.hang_up()


def test_a_parked_user_who_transfers_another_call_there_hands_over_the_slot(switch, phones):
    """User 1003 is parked, has a second call meanwhile, and transfers that call to the parked leg. Before: the second call was sent to the
    number that 1003's leg had dialled at first."""
    receptionist = phones("1001", says=700)
    receptionist.on_ring = 0.1
    own = phones("1003", says=650)
    waiting = own.call("1001")
    call = receptionist.wait_call()
    assert call.answered.wait(5)
    call.refer("705")
    assert waiting.audio.hears(MUSIC, within=5)
    other = phones(says=600, name="Alice")
    other.on_ring = 0.1
    extension = f"""<extension name="alice"><condition field="destination_number" expression="^alice$">
      <action application="bridge" data="sofia/external/sip:{other.user}@127.0.0.1:{other.port}"/></condition></extension>"""
    assert switch.reload(LOTS, extensions=extension).startswith("+OK")
    second = own.call("alice")
    alice = other.wait_call()
    assert alice.answered.wait(5) and second.audio.hears(600)
    second.refer("x", replaces=waiting)
    assert waiting.wait_over() and second.wait_over()
    check_retrieval(phones, switch, alice, "705")
    assert actions(switch) == ["park", "retrieve"]
    assert switch.events.wait("retrieve")["CallPark-Parker"] == f"1001@{DOMAIN}"


# --- invalid application data


@pytest.mark.parametrize("application, data", [("callpark_park", "autto!"), ("callpark_slot", "7o1"), ("callpark_park", "701 main too much")])
def test_mistyped_data_after_a_transfer_rings_the_parker(switch, phones, application, data):
    """Before: the caller was hung up on, and the parker was not rung."""
    typo = f"""<extension name="typo"><condition field="destination_number" expression="^typo$">
      <action application="{application}" data="{data}"/></condition></extension>"""
    assert switch.reload(LOTS, extensions=typo).startswith("+OK")
    phone = phones("1001", says=700)
    phone.on_ring = 0.1
    caller = phones(says=600, name="Bob").call("1001")
    call = phone.wait_call()
    assert call.answered.wait(5)
    phone.on_ring = 0.2
    call.refer("typo")
    call.hang_up()
    back = phone.wait_call(6)
    assert back.caller_name == "invalid: Bob" and back.audio.hears(600, within=6) and caller.audio.hears(700)
    caller.hang_up()


def test_after_mistyped_data_the_dialplan_of_a_dialling_leg_continues(switch, phones):
    phone = phones("1002").call("do-park-7o!")
    assert phone.audio.hears(1700)
    assert switch.calls() == []
    phone.hang_up()


def test_a_leg_that_still_rings_is_not_parked(switch, phones):
    """Before: the command answered the leg and parked it."""
    phone = phones("1001")
    phone.on_ring = None
    switch.api("bgapi originate user/1001@callpark.test &park()")
    ringing = phone.wait_call()
    uuid = switch.leg(direction="outbound")
    answer = switch.api(f"callpark park {uuid} 701")
    assert answer.startswith("-ERR") and "not answered" in answer
    assert not ringing.answered.is_set() and switch.calls() == []
    switch.api(f"uuid_kill {uuid}")
    assert ringing.wait_over()


# --- diversion by the phone that rings


@pytest.mark.parametrize("to, slot", [("700", "701"), ("704", "704")])
def test_fusionpbx_5948_a_ringing_phone_diverts_to_a_slot(switch, phones, to, slot):
    """The phone answers with a 302. Before: the caller was told that the slot is empty, or was parked without a parker and so without a recall."""
    assert switch.reload(LOTS.replace('name="park-timeout" value="0"', 'name="park-timeout" value="1"')).startswith("+OK")
    phone = phones("1001", says=700)
    phone.on_ring = f"sip:{to}@127.0.0.1"
    calling = phones(says=600, name="Alice")
    made = []
    thread = threading.Thread(target=lambda: made.append(calling.call("1001")))
    thread.start()
    row = wait_for(switch.calls)[0]
    thread.join()
    caller = made[0]
    assert (row["slot"], row["parker"]) == (slot, f"1001@{DOMAIN}") and caller.audio.hears(MUSIC)
    phone.on_ring = 0.2
    back = phone.wait_call(8)
    assert back.audio.hears(600, within=6) and caller.audio.hears(700)
    caller.hang_up()
    assert wait_for(lambda: actions(switch) == ["park", "return"])


# --- a script that continues after its bridge


def with_script(switch, after):
    """Adds an extension with a Lua script that bridges the call and runs `after` when the bridge has ended."""
    script = switch.dir / "bridge-and-go-on.lua"
    script.write_text(f"""
        session:setAutoHangup(false)
        session:execute("set", "hangup_after_bridge=false")
        session:execute("bind_meta_app", "5 b s callpark_park::auto")
        session:execute("bridge", "user/1001@callpark.test")
        {after}
    """)
    call = f"""<extension name="script"><condition field="destination_number" expression="^script$">
      <action application="lua" data="{script}"/></condition></extension>"""
    switch.more = '<configuration name="lua.conf"><settings/></configuration>'
    assert switch.reload(LOTS, extensions=call).startswith("+OK")
    switch.api("load mod_lua")
    switch.more = ""


def parked_by_key_out_of_a_script(switch, phones):
    phone = phones("1001", says=700)
    phone.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("script")
    call = phone.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.press("*5")
    return caller


def test_fusionpbx_fbaf548be0_a_script_that_transfers_after_its_bridge(switch, phones):
    """Before: the slot was reserved for 10 s, and the caller was at the extension of the script."""
    with_script(switch, 'session:transfer("tone-1300", "XML", "default")')
    caller = parked_by_key_out_of_a_script(switch, phones)
    assert wait_for(lambda: [row["state"] for row in switch.calls()] == ["parked"], 8), switch.calls()
    check_retrieval(phones, switch, caller, "701")
    assert actions(switch) == ["park", "retrieve"]


def test_a_caller_whom_a_script_keeps_has_a_park_failed_event(switch, phones):
    """The script lasts longer than both attempts to send the leg to the slot. Before: there was only a line in the log."""
    with_script(switch, "freeswitch.msleep(15000)")
    caller = parked_by_key_out_of_a_script(switch, phones)
    event = switch.events.wait("park-failed", timeout=15)
    assert (event["CallPark-Slot"], event["CallPark-Cause"], event["CallPark-Parker"]) == ("701", "went elsewhere", f"1001@{DOMAIN}")
    assert event["Caller-Caller-ID-Name"] == "Alice" and switch.calls() == [] and actions(switch) == []
    caller.hang_up()


# --- the context of a destination


@pytest.mark.parametrize("way", ["fallback", "exit key", "command"])
def test_a_destination_is_looked_up_where_the_core_sends_the_caller(switch, phones, way):
    """The leg has force_transfer_context. Before: the destination was looked up in one context and the caller was sent to another, and then
    hung up on."""
    forced = """<extension name="forced"><condition field="destination_number" expression="^forced$">
      <action application="set" data="force_transfer_context=elsewhere"/>
      <action application="callpark_park" data="701"/></condition></extension>
      <extension name="wrong"><condition field="destination_number" expression="^desk$">
      <action application="answer"/><action application="playback" data="tone_stream://%(60000,0,1900)"/></condition></extension>
      </context><context name="elsewhere"><extension name="right"><condition field="destination_number" expression="^there$">
      <action application="answer"/><action application="playback" data="tone_stream://%(60000,0,1300)"/></condition></extension>"""
    params = {"fallback": [("fallback", "there"), ("park-timeout", "1"), ("ringback", "none")],
              "exit key": [("exit-key", "9"), ("exit-destination", "there"), ("park-timeout", "0")], "command": [("park-timeout", "0")]}[way]
    assert switch.reload(lot(*params), extensions=forced).startswith("+OK")
    caller = phones(says=600).call("forced")
    assert wait_for(switch.calls)
    if way == "exit key":
        time.sleep(0.5)
        caller.press("9")
    elif way == "command":
        assert switch.api("callpark transfer 701 desk").startswith("-ERR no extension"), "an extension of the context that is not used was found"
        assert switch.api("callpark transfer 701 there").startswith("+OK")
    assert caller.audio.hears(1300, within=8)
    caller.hang_up()
    assert wait_for(lambda: actions(switch) == ["park", "fallback" if way == "fallback" else "transfer"])


INLINE = """<extension name="counts" continue="true"><condition field="destination_number" expression="^(there|gone)$">
  <action application="set" data="looked=yes" inline="true"/><action application="log" data="WARNING inline ran for $1" inline="true"/></condition></extension>
  <extension name="depends"><condition field="destination_number" expression="^there$"/><condition field="${looked}" expression="^yes$">
  <action application="answer"/><action application="playback" data="tone_stream://%(60000,0,1300)"/></condition></extension>
  <extension name="missing inline"><condition field="destination_number" expression="^missing$">
  <action application="frobnicate" inline="true"/><action application="answer"/></condition></extension>"""


def test_looking_for_a_fallback_does_not_run_it(switch, phones):
    """Actions with inline="true" run only once, when the caller is transferred, and the conditions after them see what they set."""
    assert switch.reload(lot(("fallback", "there"), ("park-timeout", "1"), ("ringback", "none")), extensions=INLINE).startswith("+OK")
    before = len(switch.log())
    caller = phones(says=600).call("do-park-701")
    assert caller.audio.hears(1300, within=8)
    caller.hang_up()
    assert len(re.findall(r"\[WARNING\].*inline ran for there", switch.log()[before:])) == 1
    assert wait_for(lambda: actions(switch) == ["park", "fallback"])


@pytest.mark.parametrize("to, why", [("gone", "no extension gone"), ("missing", "frobnicate")])
def test_a_fallback_that_is_not_there_is_not_run_in_part(switch, phones, to, why):
    """Before: the caller was hung up on if an inline action had an application that does not exist."""
    assert switch.reload(lot(("fallback", to), ("park-timeout", "1"), ("ringback", "none")), extensions=INLINE).startswith("+OK")
    before = len(switch.log())
    caller = phones(says=600).call("do-park-701")
    assert wait_for(lambda: why in switch.log()[before:], 8)
    assert switch.api(f"callpark transfer 701 {to}").startswith("-ERR")
    assert caller.audio.hears(MUSIC) and [row["state"] for row in switch.calls()] == ["parked"]
    assert "inline ran for" not in switch.log()[before:]
    caller.hang_up()
    assert wait_for(lambda: actions(switch) == ["park", "abandon"])


# --- slots with a hash sign


@pytest.mark.parametrize("application", ["callpark_park", "callpark_slot"])
def test_a_slot_with_a_hash_as_a_refer_writes_it(switch, phones, application):
    """The Metaswitch guide has %23701. Before: the caller was hung up on."""
    hashed = f"""<extension name="hash"><condition field="destination_number" expression="^((?:#|%23)7\\d\\d)$">
      <action application="{application}" data="$1"/></condition></extension>"""
    before = len(switch.log())
    assert switch.reload(lot(("park-timeout", "0"), slots="#701-#703"), extensions=hashed).startswith("+OK")
    assert "%23" in switch.log()[before:], "no warning that the dialplan must match the escaped form of these slots"
    phone = phones("1001")
    phone.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("1001")
    call = phone.wait_call()
    assert call.answered.wait(5)
    call.refer("%23702")
    call.hang_up()
    assert caller.audio.hears(MUSIC, within=5) and switch.calls()[0]["slot"] == "#702"
    caller.hang_up()
    assert wait_for(lambda: actions(switch) == ["park", "abandon"])
