"""Tests all methods to park a call: that each parks the right leg, and what the displays show."""

import time
import wave

import pytest

from audio import strength
from conftest import ANYBODY, LOTS, MUSIC
from parking import conversation, park_by_transfer
from phone import DOMAIN
from switch import SHIPPED_DIALPLAN, wait_for


@pytest.fixture
def shipped(switch):
    """Adds the shipped dialplan as a context of its own, and extensions that lead into it."""
    enter = """<extension name="digits"><condition field="destination_number" expression="^digits-(1\\d\\d\\d)$">
      <action application="bind_digit_action" data="park,~^\\*7$,exec:callpark_park,auto,peer,peer"/>
      <action application="bind_digit_action" data="park,~^\\*8$,exec:callpark_park,auto,self,self"/>
      <action application="digit_action_set_realm" data="park"/>
      <action application="bridge" data="user/$1@callpark.test"/></condition></extension>
      <extension name="feature"><condition field="destination_number" expression="^feature-(1\\d\\d\\d)$">
      <action application="execute_extension" data="$1 XML shipped"/><action application="bridge" data="user/$1@callpark.test"/>
      </condition></extension>
      <extension name="to shipped"><condition field="destination_number" expression="^(callpark.*|pickup.*|park\\+.*|\\*\\*.*)$">
      <action application="transfer" data="$1 XML shipped"/></condition></extension>
      </context><context name="shipped">"""
    assert switch.reload(LOTS, extensions=enter + SHIPPED_DIALPLAN.read_text()).startswith("+OK")


@pytest.mark.parametrize("to, slot", [("park+main", "701"), ("callpark;orbit=704", "704"), ("**park+705", "705")])
def test_a_transfer_by_the_park_key_of_a_phone(shipped, switch, phones, to, slot):
    caller, row = park_by_transfer(phones, switch, to)
    assert (row["slot"], row["parker"]) == (slot, f"1001@{DOMAIN}") and caller.audio.hears(MUSIC)
    caller.hang_up()


def test_the_orbit_of_linksys_phones_is_a_uri_parameter(shipped, switch, phones):
    caller, call = conversation(phones)
    call.refer_to(f"sip:callpark@{DOMAIN};orbit=706")
    assert caller.audio.hears(MUSIC, within=5) and switch.calls()[0]["slot"] == "706"
    call.hang_up()
    taker = phones("1002", says=900).call("pickup", parameters=";orbit=706")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()


def test_a_key_for_the_lot_retrieves_the_longest_waiting_call(shipped, switch, phones):
    callers = [phones(says=500 + 100 * n).call("do-park-auto") for n in range(2)]
    taker = phones("1002", says=900).call("park+main")
    assert taker.audio.hears(500)
    for caller in callers:
        caller.hang_up()


@pytest.mark.parametrize("who", ["callee", "caller"])
def test_the_shipped_feature_code_from_either_leg(shipped, switch, phones, who):
    """The code works for users of this server."""
    phone = phones("1001", says=700)
    phone.on_ring = 0.1
    caller = phones("1002" if who == "caller" else "", says=600, name="Alice").call("feature-1001")
    call = phone.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    presses, parked = (call, caller) if who == "callee" else (caller, call)
    presses.press("*5")
    assert parked.audio.hears(MUSIC, within=5) and presses.wait_over(8)
    row = switch.calls()[0]
    assert (row["caller_name"] == "Alice") == (who == "callee"), row
    parked.hang_up()


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
@pytest.mark.parametrize("who, keys", [("callee", "*7"), ("caller", "*8")])
def test_a_digit_action_parks_the_other_party(shipped, switch, phones, direction, who, keys):
    """The action works on either leg, in a call from outside and in a call between users."""
    phone = phones("1001", says=700)
    phone.on_ring = 0.1
    caller = phones("1002" if direction == "outbound" else "", says=600, name="Alice").call("digits-1001")
    call = phone.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    presses, parked = (call, caller) if who == "callee" else (caller, call)
    presses.press(keys)
    assert parked.audio.hears(MUSIC, within=5), "the other party is not parked"
    row = switch.calls()[0]
    assert (row["caller_name"] == "Alice") == (who == "callee"), row
    assert row["parker"] == {"callee": f"1001@{DOMAIN}", "caller": f"{caller.phone.user}@{DOMAIN}"}[who]
    assert presses.wait_over(8)
    parked.hang_up()


@pytest.mark.parametrize("leg, parks", [("", "caller"), ("-bleg ", "callee")])
def test_fusionpbx_7939_the_command_parks_the_leg_that_it_names(switch, phones, leg, parks):
    caller, call = conversation(phones)
    uuid = switch.leg(direction="inbound")
    assert switch.api(f"callpark park {uuid} {leg}703").startswith("+OK")
    parked = caller if not leg else call
    assert parked.audio.hears(MUSIC, within=5)
    row = switch.calls()[0]
    name, number = {"caller": ("Alice", caller.phone.user), "callee": ("1001", "1001")}[parks]
    assert (row["slot"], row["caller_name"], row["caller_number"]) == ("703", name, number)
    parked.hang_up()


@pytest.mark.parametrize("leg, tone", [("", 600), ("-bleg ", 700)])
def test_uuid_transfer_parks_the_leg_that_it_names(switch, phones, leg, tone):
    caller, call = conversation(phones)
    uuid = switch.leg(direction="inbound")
    switch.api(f"uuid_transfer {uuid} {leg}704")
    parked = call if leg else caller
    assert parked.audio.hears(MUSIC, within=5) and switch.calls()[0]["slot"] == "704"
    taker = phones("1002", says=900).call("704")
    assert taker.audio.hears(tone) and parked.audio.hears(900)
    parked.hang_up()


def recorded(file, tones):
    """The tones of these that are in a recording."""
    with wave.open(str(file)) as sound:
        channels, frames = sound.getnchannels(), sound.readframes(sound.getnframes())
    samples = [int.from_bytes(frames[n:n + 2], "little", signed=True) for n in range(0, len(frames), 2 * channels)]
    return {tone for at in range(0, len(samples) - 2400, 1200) for tone in tones if strength(samples[at:at + 2400], tone) > 0.2}


def test_a_recording_continues_while_the_call_is_parked(switch, phones):
    caller, call = conversation(phones)
    uuid = switch.leg(direction="inbound")
    file = switch.dir / "recordings/call.wav"
    assert "+OK" in switch.api(f"uuid_record {uuid} start {file}")
    time.sleep(1.5)
    call.refer("701")
    assert caller.audio.hears(MUSIC, within=5)
    call.hang_up()
    time.sleep(1)
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    time.sleep(1)
    caller.hang_up()
    assert switch.wait_idle()
    heard = recorded(file, (600, 700, 900, MUSIC))
    assert heard == {600, 700, 900, MUSIC}, "a part of the call is missing in the recording"


@pytest.mark.parametrize("how", ["feature code", "command", "transfer"])
def test_a_recording_of_the_parkers_leg_follows_the_caller(switch, phones, how):
    """With `recording_follow_transfer`, parking moves the recording to the caller's leg, as FreeSWITCH's own transfers do."""
    file = switch.dir / f"recordings/{how.split()[0]}.wav"
    record = f"""<extension name="recorded"><condition field="destination_number" expression="^recorded$">
      <action application="set" data="recording_follow_transfer=true"/><action application="set" data="hangup_after_bridge=true"/>
      <action application="bind_meta_app" data="6 a s callpark_park::auto"/>
      <action application="record_session" data="{file}"/>
      <action application="bridge" data="user/1002@callpark.test"/></condition></extension>"""
    assert switch.reload(LOTS, extensions=record).startswith("+OK")
    callee = phones("1002", says=600)
    callee.on_ring = 0.1
    parker = phones("1001", says=700).call("recorded")
    call = callee.wait_call()
    assert parker.audio.hears(600)
    time.sleep(1)
    if how == "feature code":
        parker.press("*6")
    elif how == "command":
        assert switch.api(f"callpark park {switch.leg(direction='inbound')} -bleg 701").startswith("+OK")
    else:
        parker.refer("701")
    assert call.audio.hears(MUSIC, within=5)
    parker.hang_up()
    time.sleep(1)
    taker = phones("1003", says=900).call("701")
    assert taker.audio.hears(600) and call.audio.hears(900)
    time.sleep(1)
    call.hang_up()
    assert switch.wait_idle()
    assert recorded(file, (600, 700, 900, MUSIC)) == {600, 700, 900, MUSIC}


@pytest.mark.parametrize("how", ["command", "uuid_transfer"])
def test_a_call_on_hold_that_a_command_parks_has_audio_afterwards(switch, phones, how):
    caller, call = conversation(phones)
    leg = switch.leg(direction="inbound")
    call.hold()
    time.sleep(0.5)
    switch.api(f"callpark park {leg} 701" if how == "command" else f"uuid_transfer {leg} 701")
    assert caller.audio.hears(MUSIC, within=5)
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    for _ in range(2):
        taker.hold()
        time.sleep(0.3)
        taker.resume()
        assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
    call.hang_up()


@pytest.mark.parametrize("name", ["A&T <x>", "O'Neil; \"x\"", "${domain}", "Zoë 王"])
def test_a_hostile_name_is_shown_unchanged(switch, phones, name):
    caller = phones(says=600, name="x").call("do-park-701", name=name.replace('"', '\\"'))
    known = switch.calls()[0]["caller_name"]
    taker = phones("1002", says=900, agent="Yealink SIP-T54W").call("701")
    assert taker.audio.hears(600)
    # The core writes the name into the header without escaping it, where a quote would end the name.
    assert taker.shown and {name for name, _ in taker.shown} == {known.replace('"', "'").replace("\\", "'")}, taker.shown
    caller.hang_up()


def test_sccp_302_the_parkers_display_shows_the_slot(switch, phones):
    caller, call = conversation(phones, agent="Yealink SIP-T54W")
    call.press("*5")
    assert wait_for(lambda: ("Park 701", "701") in call.shown), call.shown
    caller.hang_up()


def test_fusionpbx_2356_and_freepbx_714_each_sees_the_other_after_retrieval(switch, phones):
    """There the retriever saw the slot, and the caller saw nobody."""
    caller = phones(says=600, name="Alice", agent="Yealink SIP-T54W").call("do-park-701")
    taker = phones("1002", says=900, name="Bob").call("701")
    assert taker.audio.hears(600)
    assert taker.shown[0][0] == "Alice", taker.shown
    assert wait_for(lambda: caller.shown and caller.shown[-1][0] == "Bob"), caller.shown
    caller.hang_up()


@pytest.mark.parametrize("who", ["callee", "caller"])
def test_a_user_leaves_a_conversation_for_a_parked_call(switch, phones, who):
    """A feature code on either leg does so. The other party continues in the dialplan, as after any bridge."""
    extension = """<extension name="takes"><condition field="destination_number" expression="^takes-(.*)$">
      <action application="bind_meta_app" data="7 ab s callpark_retrieve::701"/>
      <action application="bind_meta_app" data="8 ab s callpark_retrieve::702"/>
      <action application="bridge" data="user/$1@callpark.test"/>
      <action application="playback" data="tone_stream://%(60000,0,1700)"/></condition></extension>"""
    assert switch.reload(ANYBODY, extensions=extension).startswith("+OK")
    parked = phones(says=1100).call("do-park-701")
    assert wait_for(switch.calls)
    caller, call = conversation(phones, "takes-1001")
    taker, other, says = (call, caller, 700) if who == "callee" else (caller, call, 600)
    taker.press("*8")
    assert other.audio.hears(says, within=4), "702 is empty, but the conversation did not continue"
    taker.press("*7")
    assert taker.audio.hears(1100) and parked.audio.hears(says)
    assert switch.calls() == []
    assert other.audio.hears(1700) if who == "callee" else other.wait_over()
    for leg in (taker, other, parked):
        leg.hang_up()
