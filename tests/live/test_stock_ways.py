"""Each way to park, to retrieve and to watch a slot on FreeSWITCH's stock configuration, in which only the lines are changed that the installation names.

Before, on that configuration: `park+703` led into a queue of the stock dialplan, `**701` to its pickup of ringing calls, and `*5` to nobody."""

import re
import threading

import pytest

from conftest import EXPECTED, MUSIC, new_switch, stopped_after
from parking import call_on_hold, conversation, park_by_transfer
from phone import Failed, Phone
from sounds import heard, write_sounds, write_tone
from stock import PASSWORD, StockSwitch, follow
from switch import malformed_lines, wait_for

DIGITS = [f"digits/{digit}.wav" for digit in range(10)]
ASK_SLOT, ASK_VALET = "ivr/ivr-enter_ext.wav", "ivr/ivr-enter_ext_pound.wav"
VALET_LOT = "valet_parking_lot"
# The stock configuration makes the address of the machine the domain. In test_install.py it has a name.
DOMAIN = "127.0.0.1"


@pytest.fixture(scope="module")
def installed(failures):
    switch = new_switch(StockSwitch, domain=DOMAIN)
    # FreeSWITCH's packages of sounds: its music, and the English prompts.
    write_tone(switch.dir / "sounds/music/8000/music.wav", MUSIC, seconds=20)
    switch.sounds = write_sounds(switch.dir / "sounds/en/us/callie", [*DIGITS, ASK_SLOT, ASK_VALET])
    with stopped_after(switch, failures):
        follow(switch.install())
        switch.start()
        assert wait_for(lambda: switch.api("module_exists mod_sofia") == "true")
        status, said = switch.doctor()
        assert status == 0, said
        yield switch


@pytest.fixture
def switch(installed):
    """The running FreeSWITCH, in which nothing must be left after the test."""
    installed.events.clear()
    before = len(installed.log())
    yield installed
    if not installed.wait_idle():
        left = installed.api("show channels")
        installed.api("hupall")
        pytest.fail(f"channels left:\n{left}")
    assert wait_for(lambda: installed.calls() == [] and all(lot["used"] == 0 for lot in installed.json("lots")))
    assert "uuid" not in installed.api("valet_info")
    log = installed.log()[before:]
    errors = [line for line in log.splitlines() if re.search(r"\[(ERR|CRIT|ALERT)\] \w+\.rs:", line) and not EXPECTED.search(line)]
    assert not errors and not malformed_lines(log), errors
    assert re.search(r"panics caught\s+0", installed.api("callpark status"))


@pytest.fixture
def phones(switch):
    made = []

    def make(user="", **more):
        phone = Phone(switch, user, password=PASSWORD, domain=DOMAIN, **more)
        made.append(phone)
        return phone.register() if user else phone

    yield make
    for phone in made:
        phone.close()


# --- ways to park. Each returns the parked call, the phone that parked it, and its calls, which must end.


def blind(to, after_host=""):
    """1001 transfers a caller from outside."""
    def park(phones):
        caller, call = conversation(phones)
        call.refer_to(f"sip:{to}@{DOMAIN}{after_host}")
        return caller, call.phone, [call]
    return park


def by_the_calling_user(act):
    """1001 parks the user whom 1001 has called."""
    def park(phones):
        callee = phones("1003", says=600)
        callee.on_ring = 0.1
        call = phones("1001", says=700).call("1003")
        assert call.audio.hears(600)
        act(call)
        return callee.wait_call(), call.phone, [call]
    return park


def blind_between_users(phones):
    caller, phone = phones("1003", says=600), phones("1001", says=700)
    phone.on_ring = 0.1
    calling = caller.call("1001")
    call = phone.wait_call()
    assert calling.audio.hears(700)
    call.refer("park+704")
    return calling, phone, [call]


def attended(to, holds=True):
    """1001 calls the number while a caller from outside waits, hears the slot, and transfers the caller there."""
    def park(phones):
        caller, call = conversation(phones)
        if holds:
            call.hold()
        consultation = call.phone.call(to)
        assert consultation.answered.wait(5)
        call.refer(to, replaces=consultation)
        return caller, call.phone, [call, consultation]
    return park


def code_of_the_called_user(phones):
    caller, call = conversation(phones)
    call.press("*5")
    return caller, call.phone, [call]


def in_a_group(how):
    """1001 answers a call of the group 2000, which FreeSWITCH calls by the contacts of the phones."""
    def park(phones):
        phone = phones("1001", says=700)
        phone.on_ring = 0.1
        caller = phones("1005", says=600).call("2000")
        call = phone.wait_call()
        assert caller.audio.hears(700) and call.audio.hears(600)
        how(call)
        return caller, phone, [call]
    return park


def from_the_queue(how):
    """1001 takes a call from the queue of the stock dialplan."""
    def park(phones):
        caller, call = conversation(phones)
        call.refer("5900")
        assert caller.audio.hears(MUSIC, within=5)
        assert call.wait_over()
        taker = phones("1001", says=700).call("5901")
        assert taker.audio.hears(600, within=5) and caller.audio.hears(700)
        how(taker)
        return caller, taker.phone, [taker]
    return park


def picked_up(how):
    """1001 picks up a call that rings 1003, by `**1003` of the stock dialplan."""
    def park(phones):
        ringing = phones("1003")
        made, calling = [], phones(says=600, name="Alice")
        thread = threading.Thread(target=lambda: made.append(calling.call("1003")))
        thread.start()
        assert ringing.wait_call()
        taker = phones("1001", says=700).call("**1003")
        thread.join(10)
        assert made[0].audio.hears(700) and taker.audio.hears(600)
        how(taker)
        return made[0], taker.phone, [taker]
    return park


def transfers(call):
    call.refer("700")


def presses_the_code(call):
    call.press("*5")


def diversion(to, host=DOMAIN):
    """The phone of 1001 diverts a call that it rings with (302)."""
    def park(phones):
        phone = phones("1001", says=700)
        phone.on_ring = f"sip:{to}@{host}"
        made, calling = [], phones(says=600, name="Alice")
        thread = threading.Thread(target=lambda: made.append(calling.call("1001")))
        thread.start()
        thread.join(15)
        return made[0], phone, []
    return park


def uuid_transfer(to):
    def park(phones):
        caller, call = conversation(phones)
        switch = call.phone.switch
        switch.api(f"uuid_transfer {switch.leg(direction='inbound')} {to}")
        return caller, call.phone, [call]
    return park


WAYS = {
    "700": (blind("700"), "701"),
    "park+main": (blind("park+main"), "701"),
    "704": (blind("704"), "704"),
    "+705": (blind("+705"), "705"),
    "park+703": (blind("park+703"), "703"),
    "callpark;orbit=": (blind("callpark;orbit=706"), "706"),
    "callpark@;orbit=": (blind("callpark", ";orbit=706"), "706"),
    "by the calling user": (by_the_calling_user(lambda call: call.refer("704")), "704"),
    "between users": (blind_between_users, "704"),
    "attended to 700": (attended("700"), "701"),
    "attended to park+703": (attended("park+703"), "703"),
    "attended without hold": (attended("700", holds=False), "701"),
    "*5 of the called user": (code_of_the_called_user, "701"),
    "*5 of the calling user": (by_the_calling_user(lambda call: call.press("*5")), "701"),
    "in a group": (in_a_group(transfers), "701"),
    "*5 in a group": (in_a_group(presses_the_code), "701"),
    "from the queue": (from_the_queue(transfers), "701"),
    "*5 after a pickup": (picked_up(presses_the_code), "701"),
    "302 to 700": (diversion("700"), "701"),
    "302 to 704": (diversion("704", "127.0.0.1"), "704"),
    "uuid_transfer": (uuid_transfer("704"), "704"),
    "uuid_transfer to callpark": (uuid_transfer("704 callpark,XML default"), "704"),
    "6001": (blind("6001"), "6001"),
    "attended to 6002": (attended("6002"), "6002"),
}


def parks(switch, phones, way):
    """Parks in this way, and checks what is said of the call. Returns the parked call, its row, and the phone that parked it."""
    park, slot = WAYS[way]
    parked, parker, calls = park(phones)
    assert wait_for(lambda: [row["state"] for row in switch.calls()] == ["parked"]), switch.calls()
    (row,) = switch.calls()
    lot = VALET_LOT if slot.startswith("60") else "main"
    assert (row["slot"], row["lot"], row["domain"], row["parker"]) == (slot, lot, DOMAIN, f"1001@{DOMAIN}")
    assert all(call.wait_over(8) for call in calls)
    return parked, row, parker


@pytest.mark.parametrize("way", WAYS)
def test_a_way_to_park(switch, phones, way):
    slot = WAYS[way][1]
    lamp = phones("1005").subscribe(f"park+{slot}")
    assert lamp.shows("terminated")
    parked, row, _ = parks(switch, phones, way)
    assert parked.audio.hears(MUSIC, within=5) and lamp.shows("confirmed")
    assert not set(DIGITS) & set(heard(parked.audio, switch.sounds)), "the slot is for the parker"
    taker = phones("1002", says=900).call(slot)
    assert taker.audio.hears(600) and parked.audio.hears(900) and lamp.shows("terminated")
    parked.hang_up()
    assert taker.wait_over() and switch.events.of(row["uuid"]) == ["park", "retrieve"]


@pytest.fixture
def with_fallback(switch):
    """The fallback that docs/install.md recommends."""
    file = switch.conf / "autoload_configs/callpark.conf.xml"
    original = file.read_text()
    line = '<param name="fallback" value="1000 XML default"/>'
    assert f"<!-- {line} -->" in original
    file.write_text(original.replace(f"<!-- {line} -->", line))
    switch.api("reloadxml")
    assert switch.api("callpark reload").startswith("+OK")
    yield
    file.write_text(original)
    switch.api("reloadxml")
    switch.api("callpark reload")


@pytest.mark.parametrize("way", ["park+703", "attended to 700", "*5 of the called user", "*5 of the calling user", "302 to 700"])
def test_the_recall_and_the_fallback_after_a_way_to_park(switch, phones, with_fallback, way):
    """The parker declines the recall, and the fallback answers."""
    reception = phones("1000", says=800)
    reception.on_ring = 0.1
    parked, row, parker = parks(switch, phones, way)
    parker.on_ring = 603
    assert switch.api(f"callpark ringback {row['slot']}").startswith("+OK")
    answered = reception.wait_call()
    assert answered.audio.hears(600, within=6) and parked.audio.hears(800)
    parked.hang_up()
    assert wait_for(lambda: switch.events.of(row["uuid"]) == ["park", "ringback", "ringback-failed", "fallback"]), switch.events.of(row["uuid"])


def test_a_diversion_in_a_profile_with_manual_redirect(switch, phones):
    """FreeSWITCH looks up any diversion then, where the variables of the leg to the phone say."""
    changes = {
        "sip_profiles/internal.xml": ('<!--<param name="manual-redirect" value="true"/> -->', '<param name="manual-redirect" value="true"/>'),
        "directory/default.xml": ("{^^:sip_invite_domain", "{^^:sip_redirect_dialplan=callpark,XML:sip_redirect_context=default:sip_invite_domain"),
    }
    originals = {file: (switch.conf / file).read_text() for file in changes}
    try:
        for file, (old, new) in changes.items():
            assert old in originals[file]
            (switch.conf / file).write_text(originals[file].replace(old, new))
        switch.api("reloadxml")
        assert "+OK" in switch.api("sofia profile internal rescan")
        caller, _, _ = diversion("704", "elsewhere.test")(phones)
        assert [(row["slot"], row["parker"]) for row in switch.calls()] == [("704", f"1001@{DOMAIN}")] and caller.audio.hears(MUSIC)
        caller.hang_up()
    finally:
        for file, text in originals.items():
            (switch.conf / file).write_text(text.replace('<!--<param name="manual-redirect" value="true"/> -->', '<param name="manual-redirect" value="false"/>'))
        switch.api("reloadxml")
        switch.api("sofia profile internal rescan")


@pytest.mark.parametrize("number, spoken", [("700", "701"), ("705", "705")])
def test_the_slot_is_said_in_an_attended_transfer(switch, phones, number, spoken):
    parker, call, other = call_on_hold(phones)
    consultation = parker.call(number)
    wanted = [f"digits/{digit}.wav" for digit in spoken]
    assert wait_for(lambda: wanted == [name for name in heard(consultation.audio, switch.sounds) if name in DIGITS]), heard(consultation.audio, switch.sounds)
    assert [(row["slot"], row["state"]) for row in switch.calls()] == [(spoken, "reserved")]
    consultation.hang_up()
    assert wait_for(lambda: switch.calls() == [])
    call.hang_up()


# --- ways to retrieve


def dials(number, parameters="", keys="", asks=""):
    def retrieve(phone):
        call = phone.call(number, parameters=parameters)
        if keys:
            assert wait_for(lambda: asks in heard(call.audio, phone.switch.sounds)), heard(call.audio, phone.switch.sounds)
            call.press(keys)
        return call
    return retrieve


SPELLINGS = ["703", "+703", "**703", "park+703", "pickup;orbit=703", "721", "park+main"]
RETRIEVALS = {
    **{number: dials(number) for number in SPELLINGS},
    "pickup@;orbit=": dials("pickup", ";orbit=703"),
    "722": dials("722", keys="703", asks=ASK_SLOT),
}


def connects(parked, taker):
    assert taker.audio.hears(600) and parked.audio.hears(900)
    parked.hang_up()
    assert taker.wait_over()


@pytest.mark.parametrize("way", RETRIEVALS)
def test_a_way_to_retrieve(switch, phones, way):
    parked, row = park_by_transfer(phones, switch, "703")
    taker = RETRIEVALS[way](phones("1002", says=900))
    connects(parked, taker)
    retrieve = switch.events.wait("retrieve")
    assert (retrieve["CallPark-Retriever"], retrieve["Unique-ID"]) == (f"1002@{DOMAIN}", row["uuid"])


@pytest.mark.parametrize("way", [dials("6003"), dials("6000", keys="6003#", asks=ASK_VALET), dials("park+6003"), dials("**6003")],
                         ids=["6003", "6000", "park+6003", "**6003"])
def test_a_way_to_retrieve_from_the_stock_valet_lot(switch, phones, way):
    parked, _ = park_by_transfer(phones, switch, "6003")
    connects(parked, way(phones("1002", says=900)))


# --- lamps


@pytest.mark.parametrize("target, shows_caller", [("703", False), ("park+703", False), ("park+main", False), ("703", True), ("park+703", True), ("park+main", True)])
def test_a_lamp_and_its_key(switch, phones, target, shows_caller):
    """A user presses the key of the lit lamp: the phone dials the target that the NOTIFY names, if it names one."""
    if shows_caller:
        switch.edit("autoload_configs/callpark.conf.xml", r'<param name="announce"', '<param name="lamp-caller-id" value="true"/><param name="announce"')
        switch.api("reloadxml")
        assert switch.api("callpark reload").startswith("+OK")
    try:
        lamp = phones("1005").subscribe(target)
        assert lamp.shows("terminated")
        parked, _ = park_by_transfer(phones, switch, "703")
        assert lamp.shows("confirmed")
        named = lamp.dialog().find("{*}dialog/{*}remote/{*}target")
        pressed = target if named is None else re.match(r"sip:([^@]+)@", named.get("uri")).group(1)
        taker = phones("1002", says=900).call(pressed)
        assert taker.audio.hears(600), f"{pressed} is not connected to the call"
        assert parked.audio.hears(900) and lamp.shows("terminated")
        parked.hang_up()
    finally:
        if shows_caller:
            switch.edit("autoload_configs/callpark.conf.xml", r'<param name="lamp-caller-id" value="true"/>', "")
            switch.api("reloadxml")
            switch.api("callpark reload")


# --- everything else reaches the stock dialplan


def test_users_call_each_other(switch, phones):
    phone, other = phones("1002", says=900), phones("1001", says=700)
    other.on_ring = 0.1
    call = phone.call("1001")
    assert call.audio.hears(700) and other.wait_call().audio.hears(900)
    call.hang_up()


def test_other_numbers_are_those_of_the_stock_dialplan(switch, phones):
    """Music on hold, dialled, and echo, as the destination of a transfer."""
    call = phones("1002", says=900).call("9664")
    assert call.audio.hears(MUSIC, within=5)
    call.hang_up()
    caller, transferring = conversation(phones)
    transferring.refer("9196")
    assert caller.audio.hears(600, within=5) and switch.calls() == []
    caller.hang_up()


@pytest.mark.parametrize("to", ["5900", "park+5900"])
def test_the_queue_of_the_stock_dialplan(switch, phones, to):
    """`park+` and a number that is no slot is the extension of the stock dialplan for Snom."""
    caller, call = conversation(phones)
    call.refer(to)
    assert caller.audio.hears(MUSIC, within=5) and switch.calls() == []
    taker = phones("1002", says=900).call("5901")
    assert taker.audio.hears(600, within=5) and caller.audio.hears(900)
    caller.hang_up()


def test_the_pickup_of_ringing_calls_of_the_stock_dialplan(switch, phones):
    """`**1003` is a user, and not a slot."""
    ringing = phones("1003", says=700)
    made, calling = [], phones("1001", says=600)
    thread = threading.Thread(target=lambda: made.append(calling.call("1003")))
    thread.start()
    assert ringing.wait_call()
    taker = phones("1002", says=900).call("**1003")
    thread.join(10)
    assert made[0].audio.hears(900) and taker.audio.hears(600)
    taker.hang_up()


def test_the_keys_of_the_stock_dialplan_work_beside_the_feature_code(switch, phones):
    """`*1` of the called user begins a transfer: a dial tone of 350 and 440 Hz."""
    caller, call = conversation(phones)
    call.press("*1")
    assert call.audio.hears(350, share=0.3) and switch.calls() == []
    call.press("9196#")
    assert caller.audio.hears(600, within=8)
    caller.hang_up()


@pytest.mark.parametrize("number", ["700", "park+701"])
def test_outside_callers_do_not_reach_the_numbers(switch, phones, number):
    parked, _ = park_by_transfer(phones, switch, "701")
    with pytest.raises(Failed):
        phones(says=650).call(number)
    assert [row["slot"] for row in switch.calls()] == ["701"] and parked.audio.hears(MUSIC)
    parked.hang_up()
