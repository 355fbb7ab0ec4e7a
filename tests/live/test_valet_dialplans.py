"""FreeSWITCH's stock dialplan and FusionPBX's, unchanged, with mod_callpark in place of mod_valet_parking.

FreeSWITCH's is read from the installed configuration. FusionPBX's is read from a clone of its repository, bare or not, that the environment variable
FUSIONPBX names. Without it, these tests are skipped, and those of `test_valet_compat.py` have extensions of the same shape.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from conftest import MUSIC, stopped_after
from parking import call_on_hold
from phone import DOMAIN
from switch import find_prefix, wait_for
from valet import LOTS, new_valet_switch, park

LOT = "valet_parking_lot"
FUSIONPBX = "app/dialplans/resources/switch/conf/dialplan/"
LUA = "app/switch/resources/scripts/app/valet_park/index.lua"
PHRASES = '<macro name="callpark_announce_slot"><input pattern="(.*)"><match><action function="play-file" data="tone_stream://%(700,0,1500)"/></match></input></macro>'

# Callers from outside come to these extensions with the domain, which the dialplan for the outside has set.
NAMED = f'<extension name="domain" continue="true"><condition><action application="set" data="domain_name={DOMAIN}" inline="true"/></condition></extension>'


@pytest.fixture(scope="module")
def stock(failures):
    """All extensions of the stock dialplan in their order, in the context `default`, before those of the tests."""
    prefix = find_prefix()
    places = [prefix / "conf/dialplan/default.xml", prefix / "etc/freeswitch/dialplan/default.xml", Path("/etc/freeswitch/dialplan/default.xml")]
    file = next((place for place in places if place.exists()), None)
    if file is None:
        pytest.skip("FreeSWITCH without its stock configuration")
    text = re.sub(r"<!--.*?-->|<X-PRE-PROCESS[^>]*>", "", file.read_text(), flags=re.S)
    text = re.search(r"<context name=\"default\">(.*)</context>", text, re.S).group(1).replace("$${domain}", DOMAIN)
    # These ask for modules that the tests do not load, or are the last resort of the dialplan.
    text = re.sub(r'<extension name="(?:global-intercept|enum|global)"[^>]*>.*?</extension>', "", text, flags=re.S)
    switch = new_valet_switch()
    switch.configure(LOTS, "", PHRASES, NAMED + text)
    with stopped_after(switch, failures):
        yield switch.start()


def is_left_clean(switch):
    switch.api("hupall")
    assert switch.wait_idle(), switch.api("show channels")
    assert wait_for(lambda: switch.calls() == [])


def test_the_stock_extensions_6001_and_6000(stock, phones_of):
    phones = phones_of(stock)
    for number, keys in (("6001", ""), ("6000", "6099#")):
        slot = keys.strip("#") or number
        caller = park(phones, stock, slot)
        assert caller.audio.hears(MUSIC) and list(stock.parked()) == [(LOT, slot)]
        taker = phones("1002", says=900).call(number)
        if keys:
            assert taker.audio.hears_sound()
            taker.press(keys)
        assert taker.audio.hears(600) and caller.audio.hears(900)
        caller.hang_up()
        assert stock.wait_idle()
    is_left_clean(stock)


# --- FusionPBX


def of_fusionpbx(path):
    """A file of FusionPBX, or None."""
    shown = subprocess.run(["git", "-C", os.environ["FUSIONPBX"], "show", f"HEAD:{path}"], capture_output=True, text=True, check=False)
    return shown.stdout if shown.returncode == 0 else None


@pytest.fixture(scope="module")
def fusionpbx(failures):
    """FusionPBX's park extensions, in a context with the name of the domain, and its script."""
    if "FUSIONPBX" not in os.environ:
        pytest.skip("the environment variable FUSIONPBX names no clone of FusionPBX")
    names = ["470_valet_park", "470_valet_park_auto", "474_valet_park_in", "475_valet_park_out"]
    extensions = "".join(re.sub(r"<extension [^>]*>", f'<extension name="{name}">', of_fusionpbx(f"{FUSIONPBX}{name}.xml")) for name in names)
    # FusionPBX leaves out actions that are not enabled when it writes its dialplan.
    extensions = re.sub(r'<action [^>]*enabled="false"[^>]*/>', "", extensions)
    switch = new_valet_switch()
    switch.context = DOMAIN
    switch.configure(LOTS, "", PHRASES, NAMED + extensions)
    script = switch.dir / "scripts/valet_park.lua"
    script.write_text(of_fusionpbx(LUA))
    (switch.dir / "scripts/app.lua").write_text(f'dofile("{script}")')
    with stopped_after(switch, failures):
        switch.start()
        assert "+OK" in switch.api("load mod_lua")
        yield switch


@pytest.mark.parametrize("number", ["*5901", "park+*5902"])
def test_fusionpbx_parks_and_retrieves(fusionpbx, phones_of, number):
    switch, phones = fusionpbx, phones_of(fusionpbx)
    switch.valet.clear()
    slot = number.removeprefix("park+")
    lamp = phones("1003").subscribe(f"park+{slot}")
    caller = park(phones, switch, number)
    (uuid,) = switch.parked().values()
    assert switch.info(f"park@{DOMAIN}") == {f"park@{DOMAIN}": {slot: uuid}}
    hold = switch.valet.wait("hold", Valet_Lot_Name=f"park@{DOMAIN}", Valet_Extension=slot)
    # What FusionPBX's list of active calls shows.
    assert hold["Unique-ID"] == uuid and hold["variable_valet_parking_timeout"] == "900"
    assert 880 < (switch.calls()[0]["timeout_at"] - switch.calls()[0]["parked_at"]) / 1000 < 901
    assert caller.audio.hears(MUSIC) and lamp.shows("confirmed")
    taker = phones("1002", says=900).call(slot)
    assert taker.audio.hears(600) and caller.audio.hears(900) and lamp.shows("terminated")
    caller.hang_up()
    is_left_clean(switch)


def test_fusionpbx_gives_a_second_call_for_a_slot_back_to_the_parker(fusionpbx, phones_of):
    """Its dialplan finds by `valet_info` that the slot is occupied."""
    switch, phones = fusionpbx, phones_of(fusionpbx)
    first = park(phones, switch, "*5903")
    receptionist = phones("1003", says=850)
    receptionist.on_ring = 0.1
    second = phones(says=650).call("1003")
    call = receptionist.wait_call()
    assert call.answered.wait(5)
    call.refer("*5903")
    call.hang_up()
    back = receptionist.wait_call()
    assert back.audio.hears(650, within=8) and second.audio.hears(850) and first.audio.hears(MUSIC)
    for call in (first, second):
        call.hang_up()
    is_left_clean(switch)


def test_fusionpbx_chooses_the_slot_by_its_script(fusionpbx, phones_of):
    """`*5900`: the script reads `valet_info`, and runs `valet_park` itself. Attended, so that the parker's phone shows the slot."""
    switch, phones = fusionpbx, phones_of(fusionpbx)
    parker, call, other = call_on_hold(phones)
    consultation = parker.call("*5900")
    (slot,) = [slot for _, slot in switch.wait_parked(timeout=8)]
    assert slot == "*5901"
    call.refer("*5900", replaces=consultation)
    parked = other.wait_call()
    assert wait_for(lambda: consultation.over.is_set() and [row["state"] for row in switch.calls()] == ["parked"])
    (row,) = switch.calls()
    assert (row["slot"], row["parker"]) == ("*5901", f"1001@{DOMAIN}") and parked.audio.hears_sound()
    taker = phones("1003", says=900).call("*5901")
    assert taker.audio.hears(600) and parked.audio.hears(900)
    parked.hang_up()
    is_left_clean(switch)


def test_fusionpbx_s_range_in_and_out(fusionpbx, phones_of):
    switch, phones = fusionpbx, phones_of(fusionpbx)
    caller = park(phones, switch, "5900")
    assert list(switch.parked()) == [(f"5900@{DOMAIN}", "5901")] and caller.audio.hears(MUSIC)
    taker = phones("1002", says=900).call("5901")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
    is_left_clean(switch)
