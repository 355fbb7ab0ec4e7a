"""The feature code in calls that came about in other ways than by a plain bridge, beside other users of digits, and in applications.

The first part of each test makes the call. The code must park the other party for the user who pressed it, and ring that user back; every other digit must
arrive unchanged and in order.
"""

import math
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from audio import FRAME, RATE, _encode
from conftest import MUSIC, new_switch, stopped_after
from parking import extension, lot
from phone import DOMAIN
from proxy import ADDRESS, Proxy
from switch import find_prefix, module_dir, wait_for
from test_interworking import CONFIGURATION

DENIED = 1500
MENU = 1600
PHRASES = "".join(f'<macro name="{name}"><input pattern="(.*)"><match><action function="play-file" data="tone_stream://%(900,0,{tone})"/></match></input></macro>'
                  for name, tone in (("callpark_denied", DENIED), ("voicemail_enter_pass", 1200), ("voicemail_message_count", MENU), ("voicemail_menu", MENU), ("voicemail_fail_auth", 1250)))
LOTS = lot(("park-timeout", "0"), ("ringback-timeout", "10"))
SETTINGS = f'<param name="feature-code" value="*5"/><param name="trusted-proxies" value="{ADDRESS}/32"/>'
USERS = f"user/$1@{DOMAIN}"
DIALPLAN = "".join([
    extension("plain-(1\\d\\d\\d)", ("set", "hangup_after_bridge=true"), ("bridge", USERS)),
    extension("pick-(.*)", ("answer", ""), ("intercept", "$1")),
    extension("queue", ("answer", ""), ("callcenter", "support")),
    extension("line", ("answer", ""), ("fifo", "line in undef tone_stream://%(1000,0,1100);loops=-1")),
    extension("agent", ("answer", ""), ("fifo", "line out wait undef tone_stream://%(1000,0,1200);loops=-1")),
    extension("inband-(1\\d\\d\\d)", ("start_dtmf", ""), ("set", "bridge_pre_execute_bleg_app=start_dtmf"), ("bridge", USERS)),
    extension("passing-(1\\d\\d\\d)", ("export", "pass_rfc2833=true"), ("bridge", USERS)),
    extension("proxied-(1\\d\\d\\d)", ("set", "proxy_media=true"), ("bridge", USERS)),
    extension("trunk-(\\d+)", ("bridge", "sofia/external/sip:mobile@127.0.0.1:$1")),
    extension("meta-(1\\d\\d\\d)", ("bind_meta_app", "1 a s playback::tone_stream://%(700,0,1300)"), ("bind_meta_app", "1 b s playback::tone_stream://%(700,0,1400)"),
              ("bridge", USERS)),
    extension("ask", ("answer", ""), ("read", "1 20 silence_stream://200 choice 6000 #"), ("set", "chosen=${choice}"), ("playback", "tone_stream://%(60000,0,1900)")),
    extension("box", ("bridge", "{loopback_bowout=false}loopback/ask/default")),
    extension("messages", ("answer", ""), ("voicemail", f"check default {DOMAIN} 1000")),
    extension("room", ("answer", ""), ("conference", "room@default")),
])


@pytest.fixture(scope="module")
def own_switch(failures):
    switch = new_switch()
    switch.users_profile = '<param name="liberal-dtmf" value="true"/>'
    switch.more = CONFIGURATION.replace('<group name="default"/>', '<group name="default"><control action="mute" digits="*5"/><control action="deaf mute" digits="*7"/></group>')
    switch.configure(LOTS, SETTINGS, PHRASES, DIALPLAN)
    with stopped_after(switch, failures):
        yield switch.start()


@pytest.fixture
def switch(own_switch):
    if own_switch.written != (LOTS, SETTINGS, PHRASES, DIALPLAN):
        assert own_switch.reload(LOTS, SETTINGS, PHRASES, DIALPLAN).startswith("+OK")
    own_switch.events.clear()
    yield own_switch
    own_switch.api("hupall")
    assert own_switch.wait_idle(), own_switch.api("show channels")
    assert wait_for(lambda: all(row["used"] == 0 for row in own_switch.json("lots")))
    assert re.search(r"panics caught\s+0", own_switch.api("callpark status"))


def need(switch, module):
    if not (module_dir(find_prefix()) / f"mod_{module}.so").exists():
        pytest.skip(f"mod_{module} is not installed")
    if switch.api(f"module_exists mod_{module}") != "true":
        assert "-ERR" not in switch.api(f"load mod_{module}")


def talk(caller, callee, number, says=600):
    """Lets `caller` dial `number`, which the phone `callee` answers. Returns the calls of both."""
    callee.on_ring = 0.1
    calling = caller.call(number)
    called = callee.wait_call()
    assert called.answered.wait(5) and called.audio.hears(says)
    return calling, called


def parks_and_is_rung_back(switch, other, presser, phone, user=None, keys="*5", press=None):
    """The user of `phone` presses the code in the call `presser`; the party of the call `other` is parked for that user, and the recall connects the two."""
    heard = other.digits()
    (press or presser.press)(keys)
    assert other.audio.hears(MUSIC, within=5) and presser.wait_over(8)
    [row] = switch.calls()
    assert (row["slot"], row["parker"], row["state"]) == ("701", user or f"{phone.user}@{DOMAIN}", "parked")
    assert switch.events.of(row["uuid"]) == ["park"] and other.digits() == heard
    phone.on_ring = 0.1
    domain = row["domain"]
    assert switch.api(f"callpark ringback 701 main@{domain}").startswith("+OK")
    back = phone.wait_call()
    assert other.audio.hears(phone.says) and back.audio.hears(other.phone.says)
    assert switch.events.wait("return")["Unique-ID"] == row["uuid"]
    other.hang_up()
    assert back.wait_over()


def are_digits(switch, call, other, keys="*5"):
    """The keys arrive at the other party, and nobody is parked."""
    call.press(keys)
    assert wait_for(lambda: other.digits() == keys), other.digits()
    assert switch.calls() == [] and other.audio.hears(call.phone.says)


# --- how the call came about


def transferred(phones, caller):
    """The caller calls 1001, who asks 1002 and transfers the call (attended). Returns the calls of the caller and of 1002, and the phone of 1002."""
    first, second = phones("1001", says=700), phones("1002", says=900)
    calling, called = talk(caller, first, "plain-1001", caller.says)
    called.hold()
    consultation, asked = talk(first, second, "plain-1002", 700)
    called.refer("plain-1002", replaces=consultation)
    assert calling.audio.hears(900, within=5) and asked.audio.hears(caller.says)
    assert called.wait_over() and consultation.wait_over()
    return calling, asked, second


def test_after_an_attended_transfer_the_asked_user_parks_the_caller(switch, phones):
    calling, asked, second = transferred(phones, phones(says=600))
    are_digits(switch, calling, asked)
    parks_and_is_rung_back(switch, calling, asked, second)


def test_after_an_attended_transfer_the_transferred_user_parks_the_other_one(switch, phones):
    user = phones("1003", says=600)
    calling, asked, _ = transferred(phones, user)
    parks_and_is_rung_back(switch, asked, calling, user)


@pytest.mark.parametrize("caller_presses", [False, True])
@pytest.mark.parametrize("pause", [0, 0.02, 0.1, 0.3])
def test_a_user_who_presses_the_code_and_hangs_up_at_once(switch, phones, pause, caller_presses):
    """Before: FreeSWITCH starts an application in a conversation after 0.1 s. A user who hung up meanwhile ended the call of the other party."""
    phone, other = phones("1002", says=900), phones("1001", says=700)
    if caller_presses:
        presser, waiting = talk(phone, other, "plain-1001", 900)
    else:
        waiting, presser = talk(other, phone, "plain-1002", 700)
    presser.info("*")
    presser.info("5")
    time.sleep(pause)
    presser.hang_up()
    assert waiting.audio.hears(MUSIC, within=5), "the other party was hung up"
    [row] = switch.calls()
    assert (row["slot"], row["parker"], row["state"]) == ("701", f"1002@{DOMAIN}", "parked")
    taker = phones("1000", says=1300).call("701")
    assert waiting.audio.hears(1300) and taker.audio.hears(waiting.phone.says)
    # The next conversation ends as any other.
    taker.hang_up()
    assert waiting.wait_over() and switch.calls() == []


@pytest.mark.parametrize("key", ["transfer_after_bridge", "park_after_bridge"])
def test_what_the_dialplan_does_after_the_conversation_remains(switch, phones, key):
    """The parked party returns to the parker, and at the end of that conversation goes where the dialplan says."""
    phone, other = phones("1002", says=900), phones("1001", says=700)
    waiting, presser = talk(other, phone, "plain-1002", 700)
    uuid = switch.leg(direction="inbound")
    value = "ask:XML:default" if key == "transfer_after_bridge" else "true"
    switch.api(f"uuid_setvar {uuid} {key} {value}")
    presser.press("*5")
    assert waiting.audio.hears(MUSIC, within=5) and presser.wait_over(8)
    assert switch.api(f"uuid_getvar {uuid} {key}") == value
    waiting.hang_up()


@pytest.mark.parametrize("caller_parks", [False, True])
def test_after_an_intercept(switch, phones, caller_parks):
    """1002 takes the call that rings at 1001."""
    caller, taker = phones("1003", says=600) if caller_parks else phones(says=600), phones("1002", says=900)
    phones("1001", says=700)
    with ThreadPoolExecutor() as pool:
        calling = pool.submit(caller.call, "plain-1001")
        taken = taker.call(f"pick-{switch.leg(dest='plain-1001')}")
        calling = calling.result(5)
    assert calling.audio.hears(900, within=5) and taken.audio.hears(600)
    if caller_parks:
        parks_and_is_rung_back(switch, taken, calling, caller)
    else:
        are_digits(switch, calling, taken)
        parks_and_is_rung_back(switch, calling, taken, taker)


def test_an_agent_of_a_callcenter_queue_parks_the_member(switch, phones):
    need(switch, "callcenter")
    agent = phones("1002", says=900)
    agent.on_ring = 0.1
    calling = phones(says=600).call("queue")
    call = agent.wait_call()
    assert call.audio.hears(600, within=5) and calling.audio.hears(900)
    are_digits(switch, calling, call)
    parks_and_is_rung_back(switch, calling, call, agent)


def test_an_agent_of_a_fifo_parks_the_caller(switch, phones):
    """The first digit of the code is also the key by which mod_fifo lets the agent leave the caller: it gets that key when it was no code."""
    need(switch, "fifo")
    agent = phones("1002", says=900)
    calling = phones(says=600).call("line")
    call = agent.call("agent")
    assert call.audio.hears(600, within=5) and calling.audio.hears(900)
    are_digits(switch, calling, call)
    parks_and_is_rung_back(switch, calling, call, agent)
    calling = phones(says=600).call("line")
    call = agent.call("agent")
    assert call.audio.hears(600, within=5)
    call.press("*")
    assert calling.wait_over(), "the key of mod_fifo has no effect"
    assert not call.over.is_set()
    assert switch.calls() == []


def test_a_user_behind_a_trusted_proxy(switch, phones):
    proxy = Proxy(switch)
    try:
        assert switch.api(f"global_setvar proxy={proxy.name}").startswith("+OK")
        user = phones(says=900)
        user.user, user.domain = "3001", "proxied.test"
        proxy.connect(user)
        other = phones("1001", says=700)
        calling, called = talk(user, other, "plain-1001", 900)
        parks_and_is_rung_back(switch, called, calling, user, user="3001@proxied.test")
        stranger = phones(says=800)
        stranger.user, stranger.domain = "3009", "proxied.test"
        calling, called = talk(proxy.connect(stranger), other, "plain-1001", 800)
        are_digits(switch, calling, called)
    finally:
        proxy.close()


def test_the_far_end_of_a_trunk_cannot_use_the_code_and_can_be_parked(switch, phones):
    far, user = phones(says=700), phones("1001", says=900)
    calling, called = talk(user, far, f"trunk-{far.port}", 900)
    are_digits(switch, called, calling, "*5**5#")
    parks_and_is_rung_back(switch, called, calling, user)


# --- how the digits come


def burst(digit, ms=120):
    """The packets of a DTMF digit in the audio, with silence after it, for the queue of keys of `Audio`."""
    low, high = {"*": (941, 1209), "5": (770, 1336), "4": (770, 1209), "1": (697, 1209)}[digit]
    angle = 2 * math.pi / RATE
    sound = bytes(_encode(int(6000 * (math.sin(low * angle * n) + math.sin(high * angle * n)))) for n in range(RATE * ms // 1000))
    sound += bytes([_encode(0)]) * len(sound)
    return [(0, sound[at:at + FRAME], 0) for at in range(0, len(sound), FRAME)]


@pytest.mark.parametrize("caller_parks", [False, True])
def test_digits_in_the_audio(switch, phones, caller_parks):
    def press(keys):
        for key in keys:
            presser.audio.keys.extend(burst(key))
        assert wait_for(lambda: not presser.audio.keys)

    caller, callee = phones("1003" if caller_parks else "", says=600), phones("1001", says=500)  # 700 Hz is near a tone of DTMF
    calling, called = talk(caller, callee, "inband-1001")
    presser, other, phone = (calling, called, caller) if caller_parks else (called, calling, callee)
    press("*4*1")
    assert wait_for(lambda: other.digits() == "*4*1"), other.digits()
    parks_and_is_rung_back(switch, other, presser, phone, press=press)


@pytest.mark.parametrize("number", ["passing-1001", "proxied-1001"])
def test_rfc2833_that_is_forwarded_unread(switch, phones, number):
    """FreeSWITCH does not see these digits; the code comes by INFO."""
    user = phones("1001", says=700)
    calling, called = talk(phones(says=600), user, number)
    called.press("12")
    assert wait_for(lambda: calling.digits() == "12"), calling.digits()
    called.press("*5")
    assert wait_for(lambda: calling.digits() == "12*5") and switch.calls() == []

    def by_info(keys):
        for key in keys:
            called.info(key)

    parks_and_is_rung_back(switch, calling, called, user, press=by_info)


# --- who may not park


def test_a_user_without_permission_hears_so_and_the_conversation_continues(switch, phones):
    assert switch.reload(lot(("park-timeout", "0"), ("park-groups", "sales")), SETTINGS, PHRASES, DIALPLAN).startswith("+OK")
    caller, user, member = phones(says=600), phones("1001", says=700), phones("1002", says=900)
    calling, called = talk(caller, user, "plain-1001")
    called.press("*5")
    assert called.audio.hears(DENIED) and switch.events.wait("denied")["CallPark-Cause"]
    assert called.audio.hears(600) and calling.audio.hears(700) and switch.calls() == [] and calling.digits() == ""
    are_digits(switch, called, calling, "7")
    calling.hang_up()
    calling, called = talk(caller, member, "plain-1002")
    parks_and_is_rung_back(switch, calling, called, member)


# --- applications that read digits


def entered(switch, call, keys):
    call.press(keys + "#")
    assert call.audio.hears(1900, within=5)
    return [switch.var(row["uuid"], "chosen") for row in switch.legs() if switch.var(row["uuid"], "chosen")]


@pytest.mark.parametrize("number", ["ask", "box"])
def test_a_menu_gets_all_digits_in_order(switch, phones, number):
    """Directly, and at the far end of a loopback channel, to which the user is bridged."""
    call = phones("1001", says=700).call(number)
    time.sleep(0.3)
    assert entered(switch, call, "1*52**5*") == ["1*52**5*"]
    assert switch.calls() == []


def test_a_conference_gets_its_own_keys(switch, phones):
    need(switch, "conference")
    member, other = phones("1001", says=700).call("room"), phones("1002", says=900).call("room")
    assert other.audio.hears(700) and member.audio.hears(900)
    member.press("*5")
    assert wait_for(lambda: not other.audio.hears(700, within=0)), "the key of the conference has no effect"
    assert switch.calls() == [] and member.audio.hears(900)
    member.press("*5")
    assert other.audio.hears(700)


def test_a_mailbox_gets_a_password_that_has_the_code(switch, phones):
    need(switch, "voicemail")
    path = switch.dir / "conf/freeswitch.xml"
    path.write_text(path.read_text().replace('<param name="password" value="1000"/>', '<param name="password" value="1000"/><param name="vm-password" value="1*52"/>', 1))
    switch.api("reloadxml")
    call = phones("1001", says=700).call("messages")
    assert call.audio.hears(1200, within=5)
    call.press("1*52#")
    assert call.audio.hears(MENU, within=5), "the mailbox did not get the password"
    assert switch.calls() == []


@pytest.mark.parametrize("caller_presses", [True, False])
def test_keys_of_bind_meta_app_on_the_same_leg(switch, phones, caller_presses):
    """Each gets its own digits, in any order, and the other party hears none of them."""
    caller, callee = phones("1003", says=600), phones("1001", says=700)
    calling, called = talk(caller, callee, "meta-1001")
    presser, other, phone, tone = (calling, called, caller, 1300) if caller_presses else (called, calling, callee, 1400)
    for _ in range(2):
        presser.press("*1")
        assert presser.audio.hears(tone), "the application of the dialplan did not run"
        assert presser.audio.hears(other.phone.says)
    presser.press("47")
    assert wait_for(lambda: other.digits() == "47"), other.digits()
    parks_and_is_rung_back(switch, other, presser, phone)


# --- the pace of all other digits


def arrivals(call, count, within=6.0):
    """The times at which the digits of a call arrive."""
    times, until = [], time.monotonic() + within
    while len(times) < count and time.monotonic() < until:
        times += [time.monotonic()] * (len(call.digits()) - len(times))
        time.sleep(0.005)
    return times


PRESSED_EVERY = 0.35  # seconds, in Call.press
MAX_PAUSE = 1.5  # how long a digit may wait for the next one of the code


@pytest.mark.parametrize("keys, waits", [("1234", [0, 0, 0, 0]), ("*4", [1, 0]), ("**6", [1, 1, 0]), ("*#*", [1, 0, None])])
def test_digits_that_are_no_code_keep_their_order_and_pace(switch, phones, keys, waits):
    """A digit that may begin the code arrives with the next one (1), or after a pause if there is none (None); all others at once (0)."""
    calling, called = talk(phones(says=600), phones("1001", says=700), "plain-1001")
    pressing = threading.Thread(target=called.press, args=(keys,))
    began = time.monotonic()
    pressing.start()
    times = [at - began for at in arrivals(calling, len(keys))]
    pressing.join()
    assert calling.digits() == keys and switch.calls() == []
    due = [PRESSED_EVERY * n + (MAX_PAUSE if wait is None else PRESSED_EVERY * wait) for n, wait in enumerate(waits)]
    # A digit lasts 120 ms at either side.
    assert all(-0.05 < at - then < 0.6 for at, then in zip(times, due, strict=True)), (times, due)
