"""The interface of mod_valet_parking: its dialplans and programs run unchanged with mod_callpark in place of that module.

Most tests run twice: with mod_valet_parking, which shows what the dialplan expects, and with mod_callpark. Where the two differ on purpose, the test says
so.
"""

import time

import pytest

from conftest import MUSIC, stopped_after
from parking import call_on_hold, extension
from phone import DOMAIN
from switch import find_prefix, module_dir, wait_for
from valet import LOTS, OURS, PROMPT, THEIRS, new_valet_switch, park

LOT = "valet_parking_lot"
ASK = ("valet_park", f"{LOT} ask 1 11 10000 ivr/ivr-enter_ext_pound.wav")
STOCK = extension("6000", ("answer", ""), ASK) + extension("(60[0-9][0-9])", ("answer", ""), ("valet_park", f"{LOT} $1"))
GOES_ON = ("playback", "tone_stream://%(60000,0,1700)")


def extension_in(name, *actions):
    return extension(name, ("answer", ""), *actions, ("valet_park", f"own@{DOMAIN} auto in 8001 8003"), GOES_ON)


OWN = "".join([
    extension_in("8000"),
    extension_in("8100", ("set", "valet_announce_slot=false")),
    extension("8010", ("answer", ""), ("valet_park", f"own@{DOMAIN} auto out 8001 8003"), GOES_ON),
    extension("(80[0-9][0-9])", ("answer", ""), ("valet_park", f"own@{DOMAIN} $1")),
    extension("orbit-(.*)", ("answer", ""), ("set", "valet_parking_timeout=2"), ("set", "valet_parking_orbit_exten=tone-1300"),
              ("valet_park", f"own@{DOMAIN} $1")),
    extension("key-(.*)", ("answer", ""), ("set", "valet_parking_orbit_exit_key=5"), ("set", "valet_parking_orbit_exten=tone-1300"),
              ("set", "valet_parking_orbit_dialplan=XML"), ("set", "valet_parking_orbit_context=default"), ("valet_park", f"own@{DOMAIN} $1")),
    extension("on-(.*)", ("answer", ""), ("set", "valet_parking_timeout=2"), ("valet_park", f"own@{DOMAIN} $1"), GOES_ON),
    extension("held-(.*)", ("answer", ""), ("set", "valet_parking_timeout=2"), ("set", "valet_parking_orbit_exten=tone-1300"),
              ("set", "valet_hold_music=silence"), ("valet_park", f"own@{DOMAIN} $1")),
    extension("keys-(.*)", ("bind_meta_app", f"3 b s valet_park::own@{DOMAIN} auto in 8001 8003"), ("bridge", f"user/$1@{DOMAIN}")),
    extension("music-(.*)", ("answer", ""), ("set", "valet_hold_music=tone_stream://%(1000,0,950);loops=-1"), ("valet_park", f"own@{DOMAIN} $1")),
    extension("vars", ("answer", ""), ("set", "valet_ext_min=4"), ("set", "valet_ext_max=4"), ("set", "valet_ext_to=3000"),
              ("set", "valet_ext_prompt=tone_stream://%(400,0,1200)"), ("valet_park", f"own@{DOMAIN} ask")),
])
DIALPLAN = STOCK + OWN
ANNOUNCED = '<macro name="valet_announce_ext"><input pattern="(.*)"><match><action function="play-file" data="tone_stream://%(700,0,1500)"/></match></input></macro>' \
            '<macro name="callpark_announce_slot"><input pattern="(.*)"><match><action function="play-file" data="tone_stream://%(700,0,1500)"/></match></input></macro>'


@pytest.fixture(scope="module", params=[THEIRS, OURS])
def side(request, failures):
    if request.param == THEIRS and not (module_dir(find_prefix()) / "mod_valet_parking.so").exists():
        pytest.skip("FreeSWITCH without mod_valet_parking")
    switch = new_valet_switch(request.param)
    switch.configure(LOTS, "", ANNOUNCED, DIALPLAN)
    with stopped_after(switch, failures):
        yield switch.start()


@pytest.fixture
def switch(side):
    side.events.clear()
    side.valet.clear()
    yield side
    side.api("hupall")
    assert side.wait_idle(), side.api("show channels")
    assert wait_for(lambda: not side.parked()), side.api("valet_info")
    assert side.process.poll() is None


@pytest.fixture
def phones(switch, phones_of):
    return phones_of(switch)


@pytest.fixture
def is_ours(switch):
    return switch.provider == OURS


def settle(switch):
    """Waits until mod_valet_parking takes slots as free that calls have left. It looks for them every 5 s."""
    if switch.provider == THEIRS:
        time.sleep(5.1)


# --- data and parking


def test_stock_extensions_park_and_retrieve(switch, phones, is_ours):
    lamp, of_lot = phones("1003").subscribe("park+6001"), phones("1000").subscribe(f"park+{LOT}")
    caller = park(phones, switch, "6001")
    assert caller.audio.hears(MUSIC)
    (uuid,) = switch.parked().values()
    assert switch.info(LOT) == switch.info(LOT.upper()) == {LOT: {"6001": uuid}}
    hold = switch.valet.wait("hold", Valet_Lot_Name=LOT, Valet_Extension="6001")
    assert hold["Unique-ID"] == uuid and hold["Event-Subclass"] == "valet_parking::info"
    assert switch.var(uuid, "valet_lot_extension") == "6001"
    assert lamp.shows("confirmed") and of_lot.shows("confirmed")
    taker = phones("1002", says=900).call("6001")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    bridge = switch.valet.wait("bridge", Valet_Lot_Name=LOT, Valet_Extension="6001")
    assert bridge["Unique-ID"] == uuid and bridge["Bridge-To-UUID"] == switch.leg(initial_dest="6001")
    switch.valet.wait("exit", Valet_Lot_Name=LOT, Valet_Extension="6001")
    assert switch.valet.of(uuid) == ["hold", "bridge", "exit"]
    assert lamp.shows("terminated") and of_lot.shows("terminated")
    # The lot stays in the listing, although it is empty.
    assert wait_for(lambda: switch.info()[LOT] == {})
    if is_ours:
        assert switch.events.of(uuid) == ["park", "retrieve"]
    caller.hang_up()


def test_the_xml_of_valet_info(switch, phones):
    caller = park(phones, switch, "6002")
    (uuid,) = switch.parked().values()
    assert switch.api(f"valet_info {LOT}") == f'<lots>\n  <lot name="{LOT}">\n    <extension uuid="{uuid}">6002</extension>\n  </lot>\n</lots>\n'
    assert switch.api("valet_info other") == "<lots>\n</lots>\n"
    caller.hang_up()


def test_the_stock_extension_that_asks(switch, phones):
    caller = park(phones, switch, "6003")
    taker = phones("1002", says=900).call("6000")
    assert taker.audio.hears(PROMPT)
    taker.press("6003#")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()


def test_the_variables_of_the_question(switch, phones):
    """The prompt, and four digits without #."""
    caller = park(phones, switch, "8001")
    taker = phones("1002", says=900).call("vars")
    assert taker.audio.hears(1200)
    taker.press("8001")
    assert taker.audio.hears(600, within=2)
    caller.hang_up()


def test_who_dials_an_empty_slot_is_parked(switch, phones):
    dialler = phones("1001", says=700).call("6004")
    assert dialler.audio.hears(MUSIC)
    assert list(switch.wait_parked()) == [(LOT, "6004")]
    taker = phones("1002", says=900).call("6004")
    assert taker.audio.hears(700) and dialler.audio.hears(900)
    taker.hang_up()
    assert dialler.wait_over()


def test_auto_takes_the_lowest_free_slot_and_out_the_longest_waiting(switch, phones, is_ours):
    settle(switch)
    callers = [park(phones, switch, "8100", says=says, parker=parker) for says, parker in ((600, "1001"), (650, "1003"))]
    assert [slot for _, slot in switch.parked()] == ["8001", "8002"]
    callers[0].hang_up()
    switch.wait_parked(1)
    settle(switch)
    callers.append(park(phones, switch, "8100", says=550, parker="1000"))
    assert {slot for _, slot in switch.parked()} == {"8001", "8002"}
    taker = phones("1002", says=900).call("8010")
    assert taker.audio.hears(650), "the one in 8002 waits longer"
    assert callers[1].audio.hears(900)
    taker.hang_up()
    for caller in callers:
        caller.hang_up()


def test_auto_without_a_slot_or_a_call_goes_on_in_the_dialplan(switch, phones):
    settle(switch)
    out = phones("1002").call("8010")
    assert out.audio.hears(1700)
    out.hang_up()
    parked = [phones(f"{1000 + n}").call(f"800{n + 1}") for n in range(3)]
    switch.wait_parked(3)
    late = phones().call("8100")
    assert late.audio.hears(1700)
    for call in [*parked, late]:
        call.hang_up()


@pytest.mark.parametrize("number, is_said", [("8000", True), ("8100", False), ("8002", False)])
def test_the_slot_is_said_unless_the_variable_says_no(switch, phones, number, is_said):
    settle(switch)
    dialler = phones("1001").call(number)
    assert dialler.audio.hears(1500, within=3 if is_said else 1.8) == is_said
    assert dialler.audio.hears(MUSIC)
    dialler.hang_up()


def test_the_variable_of_the_hold_music(switch, phones):
    caller = park(phones, switch, "music-8003")
    assert caller.audio.hears(950)
    caller.hang_up()


def test_a_transfer_to_an_occupied_slot(switch, phones, is_ours):
    """mod_valet_parking connects the two callers. Here they are never connected: the parker is rung and gets the second caller back."""
    first = park(phones, switch, "6005", says=600)
    receptionist = phones("1003", says=850)
    receptionist.on_ring = 0.1
    second = phones(says=650).call("1003")
    call = receptionist.wait_call()
    assert call.answered.wait(5)
    call.refer("6005")
    call.hang_up()
    if is_ours:
        back = receptionist.wait_call()
        assert back.answered.wait(5) and back.audio.hears(650, within=8) and second.audio.hears(850)
        assert first.audio.hears(MUSIC) and list(switch.parked()) == [(LOT, "6005")]
    else:
        assert first.audio.hears(650) and second.audio.hears(600)
    first.hang_up()
    second.hang_up()


def test_an_attended_transfer_goes_to_the_slot_that_was_dialled(switch, phones):
    parker, call, other = call_on_hold(phones)
    consultation = parker.call("held-8002")
    switch.wait_parked()
    call.refer("held-8002", replaces=consultation)
    parked = other.wait_call()
    assert wait_for(lambda: consultation.over.is_set() and [slot for _, slot in switch.parked()] == ["8002"])
    # The time-out and the orbit that the dialplan has set for the consultation are those of the call.
    assert parked.audio.hears(1300, within=8)
    parked.hang_up()


def test_an_attended_transfer_hands_the_slot_and_its_music_over(switch, phones):
    """Before: no `exit` told programs that the consultation had left the slot, and their lists kept its leg."""
    parker, call, other = call_on_hold(phones)
    consultation = parker.call("music-8005")
    (asking,) = switch.wait_parked().values()
    call.refer("music-8005", replaces=consultation)
    parked = other.wait_call()
    assert parked.audio.hears(950, within=5)
    caller = wait_for(lambda: next((uuid for uuid in switch.parked().values() if uuid != asking), None))
    actions = lambda: [(event["Action"], event["Unique-ID"]) for event in switch.valet.all if event["Valet-Extension"] == "8005"]
    assert wait_for(lambda: len(actions()) >= 3) and actions() == [("hold", asking), ("exit", asking), ("hold", caller)]
    taker = phones("1003", says=900).call("8005")
    assert taker.audio.hears(600) and parked.audio.hears(900)
    assert wait_for(lambda: actions()[3:] == [("bridge", caller), ("exit", caller)]), actions()
    parked.hang_up()


def test_a_key_parks_the_other_party_and_says_the_slot(switch, phones):
    """`valet_park` with `auto in` on a leg in a conversation, by bind_meta_app."""
    settle(switch)
    user = phones("1001", says=700)
    user.on_ring = 0.1
    caller = phones(says=600).call("keys-1001")
    call = user.wait_call()
    assert call.audio.hears(600)
    call.press("*3")
    assert call.audio.hears(1500, within=4) and call.wait_over()
    assert caller.audio.hears(MUSIC) and [slot for _, slot in switch.wait_parked()] == ["8001"]
    caller.hang_up()


# --- time-outs


def test_the_time_out_leads_to_the_orbit(switch, phones, is_ours):
    caller = park(phones, switch, "orbit-8001")
    assert caller.audio.hears(MUSIC, within=1) and caller.audio.hears(1300, within=5)
    (uuid,) = {event["Unique-ID"] for event in switch.valet.all}
    assert wait_for(lambda: switch.valet.of(uuid) == ["hold", "exit"])
    if is_ours:
        assert switch.events.of(uuid) == ["park", "fallback"], "no recall"
    caller.hang_up()


def test_the_exit_key_leads_to_the_orbit(switch, phones, is_ours):
    caller = park(phones, switch, "key-8001")
    assert caller.audio.hears(MUSIC)
    caller.press("5")
    assert caller.audio.hears(1300, within=4)
    if is_ours:
        assert [event["CallPark-Action"] for event in switch.events.all] == ["park", "transfer"]
    caller.hang_up()


def test_without_an_orbit_the_dialplan_goes_on_after_the_time_out(switch, phones, is_ours):
    caller = phones(says=600).call("on-8001")
    assert caller.audio.hears(MUSIC, within=1) and caller.audio.hears(1700, within=5)
    assert wait_for(lambda: not switch.parked())
    if is_ours:
        assert [event["CallPark-Action"] for event in switch.events.all] == ["park", "fallback"]
    caller.hang_up()


def test_a_caller_without_a_time_out_waits(switch, phones, is_ours):
    caller = park(phones, switch, "6006")
    if is_ours:
        assert switch.calls()[0]["timeout_at"] is None
    caller.hang_up()
    if is_ours:
        switch.events.wait("abandon")
        assert [event["CallPark-Action"] for event in switch.events.all] == ["park", "abandon"]
