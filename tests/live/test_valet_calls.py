"""Calls that `valet_park` has parked are parked calls of the module, with all that it adds to mod_valet_parking."""

import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from conftest import MUSIC, stopped_after
from parking import call_on_hold, extension, lot
from phone import DOMAIN
from switch import find_prefix, free_port, module_dir, wait_for
from test_web import ALL, Site
from valet import LOTS, THEIRS, new_valet_switch, park

LOT = "valet_parking_lot"
PHRASES = "".join(f'<macro name="callpark_{name}"><input pattern="(.*)"><match><action function="play-file" data="tone_stream://%(900,0,{tone})"/></match></input></macro>'
                  for name, tone in (("denied", 1500), ("taken", 1500), ("invalid", 1500), ("ask_pin", 1200)))
DIALPLAN = "".join([
    extension("(60[0-9][0-9])", ("answer", ""), ("valet_park", f"{LOT} $1")),
    extension("orbit-(.*)", ("answer", ""), ("set", "valet_parking_timeout=20"), ("set", "valet_parking_orbit_exten=tone-1300"),
              ("set", "valet_hold_music=tone_stream://%(1000,0,950);loops=-1"), ("valet_park", f"own@{DOMAIN} $1")),
    extension("late-(.*)", ("answer", ""), ("set", "valet_parking_timeout=2"), ("valet_park", f"own@{DOMAIN} $1")),
    extension("named-(.*)", ("answer", ""), ("valet_park", f"{LOT} $1")),
    extension("bad-(.*)", ("answer", ""), ("valet_park", "$1")),
])


@pytest.fixture(scope="module")
def own_switch(failures):
    switch = new_valet_switch()
    switch.configure(LOTS, "", PHRASES, DIALPLAN)
    with stopped_after(switch, failures):
        yield switch.start()


@pytest.fixture
def switch(own_switch):
    if own_switch.written != (LOTS, "", PHRASES, DIALPLAN):
        assert own_switch.reload(LOTS, "", phrases=PHRASES, extensions=DIALPLAN).startswith("+OK")
    own_switch.events.clear()
    own_switch.valet.clear()
    yield own_switch
    own_switch.api("hupall")
    assert own_switch.wait_idle(), own_switch.api("show channels")
    assert wait_for(lambda: own_switch.calls() == [] and not own_switch.parked())
    assert own_switch.process.poll() is None


@pytest.fixture
def phones(switch, phones_of):
    return phones_of(switch)


def test_it_is_in_all_lists_and_in_the_history(switch, phones):
    caller = park(phones, switch, "6001")
    (row,) = switch.calls()
    assert (row["slot"], row["lot"], row["domain"], row["parker"], row["state"]) == ("6001", LOT, DOMAIN, f"1001@{DOMAIN}", "parked")
    assert switch.parked() == {(LOT, "6001"): row["uuid"]}
    assert switch.json("show 6001")["caller_number"] == caller.phone.user
    (of_lot,) = [row for row in switch.json("lots") if row["lot"] == LOT]
    assert of_lot["used"] == 1
    assert switch.api("callpark label 6001 Mr Chen").startswith("+OK")
    taker = phones("1002", says=900).call("6001")
    assert taker.audio.hears(600)
    assert switch.events.wait("retrieve")["CallPark-Retriever"] == f"1002@{DOMAIN}"
    last = wait_for(lambda: next((past for past in switch.json(f"history 5 {LOT}") if past["uuid"] == row["uuid"]), None))
    assert (last["slot"], last["outcome"], last["label"], last["retriever"]) == ("6001", "retrieved", "Mr Chen", f"1002@{DOMAIN}")
    caller.hang_up()


def test_it_is_in_the_metrics_and_in_the_http_api(switch, phones):
    """And the dashboard's actions work on it."""
    port, tokens = free_port(), switch.dir / "tokens"
    tokens.write_text(f"{ALL} view,act *\n")
    tokens.chmod(0o600)
    settings = f'<param name="http-listen" value="127.0.0.1:{port}"/><param name="http-token-file" value="{tokens}"/>'
    assert switch.reload(LOTS, settings, phrases=PHRASES, extensions=DIALPLAN).startswith("+OK")
    site = Site(port)

    def value(name, **labels):
        samples = [sample for family in text_string_to_metric_families(site.ask("/metrics")[1]) for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == name and {"lot": LOT, "domain": DOMAIN, **labels}.items() <= sample.labels.items())

    before = value("freeswitch_callpark_ended_total", outcome="transferred")
    caller = park(phones, switch, "6008")
    (row,) = site.get("calls")
    assert (row["slot"], row["lot"], row["domain"], row["parker"]) == ("6008", LOT, DOMAIN, f"1001@{DOMAIN}")
    (of_lot,) = [lot for lot in site.get("lots") if lot["lot"] == LOT and lot["domain"] == DOMAIN]
    # The dashboard lists calls that are in none of the lot's slots after these.
    assert of_lot["used"] == 1 and of_lot["slots"] == []
    assert value("freeswitch_callpark_calls") == 1 and value("freeswitch_callpark_parked_total") >= 1
    status, answer = site.act("6008", "label", {"text": "Mr Chen"})
    assert status == 200 and switch.calls()[0]["label"] == "Mr Chen", answer
    status, answer = site.act("6008", "transfer", {"extension": "tone-1300"})
    assert status == 200 and caller.audio.hears(1300), answer
    assert value("freeswitch_callpark_calls") == 0
    assert wait_for(lambda: value("freeswitch_callpark_ended_total", outcome="transferred") == before + 1)
    last = wait_for(lambda: next((past for past in site.get(f"history?count=5&lot={LOT}") if past["uuid"] == row["uuid"]), None))
    assert (last["slot"], last["outcome"], last["label"]) == ("6008", "transferred", "Mr Chen")
    caller.hang_up()


def test_a_call_that_another_application_parked_is_in_valet_info(switch, phones):
    """With the lot's name and domain, which is how FusionPBX asks for it."""
    caller = phones(says=600).call("do-park-701_main")
    uuid = switch.wait_parked()[(f"main@{DOMAIN}", "701")]
    assert switch.info(f"main@{DOMAIN}") == {f"main@{DOMAIN}": {"701": uuid}}
    assert switch.valet.wait("hold", Valet_Lot_Name=f"main@{DOMAIN}", Valet_Extension="701")["Unique-ID"] == uuid
    caller.hang_up()


@pytest.mark.parametrize("lot", ["a\x01b", "x" * 5000])
def test_a_lot_that_is_refused_leaves_no_trace_in_valet_info(switch, phones, lot):
    """Before: the whole answer was no XML any more, for as long as the module ran."""
    caller = phones(says=600).call("tone-1300")
    uuid = switch.leg(direction="inbound")
    switch.api(f"uuid_setvar {uuid} hostile {lot} 6001")
    switch.reload(LOTS, "", PHRASES, DIALPLAN + extension("hostile", ("answer", ""), ("valet_park", "${hostile}"), ("playback", "tone_stream://%(60000,0,1700)")))
    assert switch.api(f"uuid_transfer {uuid} hostile").startswith("+OK") and caller.audio.hears(1700, within=6)
    assert switch.var(uuid, "callpark_result") == "invalid" and lot not in switch.info("")
    caller.hang_up()


def test_who_holds_another_call_reserves_the_slot_and_programs_see_it(switch, phones):
    parker, call, other = call_on_hold(phones)
    consultation = parker.call("6002")
    (uuid,) = switch.wait_parked().values()
    assert switch.calls()[0]["state"] == "reserved" and switch.valet.wait("hold", Valet_Extension="6002")["Unique-ID"] == uuid
    consultation.hang_up()
    switch.valet.wait("exit", Valet_Extension="6002")
    assert switch.wait_parked(0) == {}
    call.hang_up()


def test_a_slot_may_be_a_name(switch, phones):
    """As the dialplan writes it; also for lamps, commands and an attended transfer."""
    parker, call, other = call_on_hold(phones)
    consultation = parker.call("named-front-desk")
    switch.wait_parked()
    call.refer("named-front-desk", replaces=consultation)
    assert wait_for(lambda: [row["state"] for row in switch.calls()] == ["parked"])
    assert [slot for _, slot in switch.parked()] == ["front-desk"] and switch.json("show front-desk")["slot"] == "front-desk"
    lamp = phones("1003").subscribe("park+front-desk")
    assert lamp.shows("confirmed")
    taker = phones("1000", says=900).call("named-front-desk")
    assert taker.audio.hears(600) and lamp.shows("terminated")
    taker.hang_up()


def test_a_leg_of_no_user_retrieves_nobody(switch, phones):
    caller = park(phones, switch, "6003")
    stranger = phones(says=650).call("6003")
    assert stranger.audio.hears(1500) and caller.audio.hears(MUSIC) and len(switch.parked()) == 1
    switch.events.wait("denied")
    stranger.hang_up()
    caller.hang_up()


def test_tenants_do_not_share_a_lot_without_a_domain(switch, phones):
    caller = park(phones, switch, "6004")
    other = phones("2000", domain="other.test", says=750).call("6004")
    assert other.audio.hears(MUSIC) and caller.audio.hears(MUSIC)
    assert sorted(row["domain"] for row in switch.calls()) == [DOMAIN, "other.test"]
    assert len(switch.info(LOT)[LOT]) == 1 or len(switch.calls(f"{LOT}@other.test")) == 1
    other.hang_up()
    caller.hang_up()


def test_a_user_whom_a_command_sends_to_an_occupied_slot_retrieves(switch, phones):
    caller = park(phones, switch, "6005")
    user = phones("1002", says=900)
    user.on_ring = 0.1
    assert switch.api(f"bgapi originate user/1002@{DOMAIN} 6005 XML default")
    call = user.wait_call()
    assert call.audio.hears(600, within=5) and caller.audio.hears(900)
    call.hang_up()
    caller.hang_up()


def test_a_caller_whose_time_is_over_and_who_has_nowhere_to_go_is_returned(switch, phones):
    """Where the dialplan ends, mod_valet_parking would hang up."""
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    caller = phones(says=600).call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5)
    call.refer("late-6006")
    call.hang_up()
    back = parker.wait_call(timeout=10)
    assert back.audio.hears(600, within=5) and caller.audio.hears(700)
    assert switch.events.of(switch.events.wait("return")["Unique-ID"]) == ["park", "ringback", "return"]
    caller.hang_up()


def test_a_parker_who_is_not_known_gets_no_caller_back_and_the_caller_waits_on(switch, phones):
    caller = phones(says=600).call("late-6007")
    switch.wait_parked()
    time.sleep(3)
    assert not caller.over.is_set() and caller.audio.hears_sound() and len(switch.parked()) == 1
    caller.hang_up()


@pytest.mark.parametrize("data", ["", LOT, "a/b 6001", f"{LOT} auto up 1 2", f"{LOT} 6O01"])
def test_data_that_cannot_be_read_is_refused(switch, phones, data):
    """A caller who was transferred there goes back to the parker."""
    stray = phones(says=600).call(f"bad-{data}".replace(" ", "%20"))
    assert stray.audio.hears(1500)
    stray.hang_up()


def test_the_parameters_of_a_configured_lot_hold(switch, phones):
    """Its slots, its PIN, and who may retrieve."""
    configured = lot(("park-timeout", "0"), ("retrieve-pin", "4711"), slots="6001-6003").replace('name="main"', f'name="{LOT}"')
    assert switch.reload(LOTS + configured, "", phrases=PHRASES, extensions=DIALPLAN).startswith("+OK")
    caller = park(phones, switch, "6001")
    taker = phones("1002", says=900).call("6001")
    assert taker.audio.hears(1200)
    taker.press("4711#")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
    outside = phones(says=600).call("6009")
    assert outside.audio.hears(1500), "the lot has no such slot"
    outside.hang_up()


def test_a_call_survives_a_crash_with_its_time_out_and_its_orbit(failures, phones_of):
    switch = new_valet_switch()
    switch.configure(LOTS, "", PHRASES, DIALPLAN)
    with stopped_after(switch, failures):
        switch.start()
        phones = phones_of(switch)
        parker = phones("1001")
        parker.on_ring = 0.1
        caller = phones(says=600).call("1001")
        call = parker.wait_call()
        assert call.answered.wait(5)
        call.refer("orbit-6001")
        (uuid,) = switch.wait_parked().values()
        call.hang_up()
        before = switch.calls()[0]
        time.sleep(2)  # the core stores its recovery data in the background
        switch.kill()
        switch.start()
        switch.api("sofia recover")
        # Until the leg is back, its slot is reserved, with another time-out.
        assert wait_for(lambda: [row["state"] for row in switch.calls()] == ["parked"], 10)
        assert switch.parked() == {(f"own@{DOMAIN}", "6001"): uuid}
        after = switch.calls()[0]
        assert [after[key] for key in ("lot", "slot", "parker", "parked_at")] == [before[key] for key in ("lot", "slot", "parker", "parked_at")]
        assert abs(after["timeout_at"] - before["timeout_at"]) < 2500
        assert switch.valet.wait("hold", Valet_Extension="6001")["Unique-ID"] == uuid
        assert caller.audio.hears(950, within=5)
        assert caller.audio.hears(1300, within=25), "the orbit"
        caller.hang_up()
        assert switch.wait_idle()


# --- the setting


def offers(switch):
    return switch.api("valet_info").startswith("<lots>")


@pytest.mark.parametrize("setting, modules, offered, is_ours", [
    ("false", ["mod_callpark"], False, False), ("true", ["mod_callpark"], True, True),
    ("auto", [THEIRS, "mod_callpark"], True, False), ("true", [THEIRS, "mod_callpark"], True, False)])
def test_the_setting_decides_who_offers_the_interface(failures, phones_of, setting, modules, offered, is_ours):
    if THEIRS in modules and not (module_dir(find_prefix()) / f"{THEIRS}.so").exists():
        pytest.skip("FreeSWITCH without mod_valet_parking")
    switch = new_valet_switch('"/><load module="'.join(modules))
    switch.configure(LOTS, f'<param name="valet-compat" value="{setting}"/>', PHRASES, DIALPLAN)
    with stopped_after(switch, failures):
        switch.start()
        assert offers(switch) == offered
        if offered:
            caller = phones_of(switch)(says=600).call("6001")
            switch.wait_parked()
            assert len(switch.calls()) == is_ours
            caller.hang_up()
            assert switch.wait_idle()
        else:
            assert "valet_info Command not found" in switch.api("valet_info")
        refused = "valet_park is not offered" in switch.log()
        assert refused == (setting == "true" and THEIRS in modules)
