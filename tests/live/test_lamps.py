"""Tests lamps: phones subscribe to slots and lots, and the tests read the XML of the NOTIFYs."""

import threading
import time
import urllib.parse
from xml.etree import ElementTree

import pytest

from conftest import LOTS, new_switch
from parking import lot, park_by_transfer, with_lot
from phone import DOMAIN, Phone
from switch import EventSocket, wait_for

ON, OFF, BLINKS = "confirmed", "terminated", "early"


@pytest.fixture
def watcher(phones):
    return phones("1003")


def test_a_lamp_shows_whether_its_slot_is_occupied(switch, phones, watcher):
    lamp, other = watcher.subscribe("park+701"), watcher.subscribe("park+702")
    assert lamp.shows(OFF) and other.shows(OFF), "a new subscription did not get the present state"
    # A FreeSWITCH that has just started sends the state of every lamp once more.
    time.sleep(0.5)
    lamp.bodies.clear()
    caller, _ = park_by_transfer(phones, switch)
    assert lamp.shows(ON)
    root = lamp.dialog()
    assert root.get("entity") == f"sip:park+701@{DOMAIN}" and root.get("state") == "full"
    assert root.find("{*}dialog/{*}remote/{*}target").get("uri") == f"sip:park+701@{DOMAIN}"
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600) and lamp.shows(OFF)
    caller.hang_up()
    time.sleep(0.3)
    assert lamp.states == [ON, OFF] and set(other.states) == {OFF}
    versions = [int(ElementTree.fromstring(body).get("version")) for body in lamp.bodies]
    assert versions == sorted(set(versions)), "a version is not higher than the one before, so phones would drop the NOTIFY"


def ends_by_hanging_up(switch, caller, row):
    caller.hang_up()


def ends_by_transfer(switch, caller, row):
    assert switch.api("callpark transfer 701 tone-1300").startswith("+OK")


def ends_by_script(switch, caller, row):
    switch.api(f"uuid_transfer {row['uuid']} tone-1300")


def ends_by_kill(switch, caller, row):
    switch.api(f"uuid_kill {row['uuid']}")


@pytest.mark.parametrize("end", [ends_by_hanging_up, ends_by_transfer, ends_by_script, ends_by_kill])
def test_a_lamp_is_off_after_every_end_of_a_call(switch, phones, watcher, end):
    lamp = watcher.subscribe("park+701")
    caller, row = park_by_transfer(phones, switch)
    assert lamp.shows(ON)
    end(switch, caller, row)
    assert lamp.shows(OFF)
    caller.hang_up()


@pytest.mark.parametrize("reacts, after", [(0.5, OFF), (486, ON)])
def test_a_lamp_blinks_during_a_recall(switch, phones, watcher, reacts, after):
    with_lot(switch, ("park-timeout", "2"))
    lamp = watcher.subscribe("park+701")
    caller, _ = park_by_transfer(phones, switch)
    phones.made[1].on_ring = reacts
    assert lamp.shows(ON) and lamp.shows(BLINKS, within=4) and lamp.shows(after, within=4)
    assert lamp.states[:3] == [OFF, ON, BLINKS]
    caller.hang_up()
    assert lamp.shows(OFF)


def test_a_lamp_is_off_after_the_fallback(switch, phones, watcher):
    with_lot(switch, ("ringback", "none"), ("fallback", "tone-1300"))
    lamp = watcher.subscribe("park+701")
    caller, _ = park_by_transfer(phones, switch)
    assert lamp.shows(ON) and lamp.shows(OFF, within=6) and caller.audio.hears(1300)
    caller.hang_up()


def test_a_late_or_refreshed_subscription_gets_the_present_state(switch, phones, watcher):
    caller, _ = park_by_transfer(phones, switch)
    late = watcher.subscribe("park+701")
    assert late.shows(ON)
    late.bodies.clear()
    late.subscribe()
    assert late.shows(ON), "a refreshed subscription did not get the state"
    late.subscribe(0)
    time.sleep(0.3)  # for the NOTIFY that ends the subscription
    late.bodies.clear()
    caller.hang_up()
    time.sleep(0.5)
    assert late.states == [], "a NOTIFY after the end of the subscription"


def test_a_lot_has_a_lamp_with_a_count(switch, phones, watcher):
    lamp, note = watcher.subscribe("park+main"), watcher.subscribe("park+main", event="presence")
    said = lambda: note.bodies and note.dialog().findtext("{*}person/{*}note")
    assert lamp.shows(OFF)
    callers = [phones(says=600 + 100 * n).call("do-park-auto") for n in range(2)]
    assert lamp.shows(ON)
    assert wait_for(lambda: said() == "Active (2 callers)"), note.bodies
    callers[0].hang_up()
    assert wait_for(lambda: said() == "Active (1 caller)") and lamp.state == ON
    callers[1].hang_up()
    assert lamp.shows(OFF) and wait_for(lambda: said() != "Active (1 caller)"), note.bodies


def test_all_lamps_are_right_after_many_changes_at_once(switch, phones, watcher):
    """There are more changes than the module sends at once, and slots that are free again before it sends theirs."""
    with_lot(switch, ("slots", "701-780"))
    lamps = [watcher.subscribe(f"park+{slot}") for slot in range(701, 781, 4)] + [watcher.subscribe("park+main")]
    assert all(lamp.shows(OFF) for lamp in lamps)
    for _ in range(2):
        for _ in range(80):
            switch.api("bgapi originate null/x &callpark_park(auto)")
        assert wait_for(lambda: len(switch.calls()) == 80, 10)
        assert all(lamp.shows(ON, within=2) for lamp in lamps)
        switch.api("hupall")
        assert wait_for(lambda: not switch.calls(), 10)
        assert all(lamp.shows(OFF, within=2) for lamp in lamps)
    switch.api("bgapi originate null/x &callpark_park(auto)")
    assert lamps[0].shows(ON, within=1) and lamps[-1].shows(ON, within=1)
    switch.api("hupall")
    assert wait_for(lambda: not switch.calls(), 10)


def test_a_plain_number_through_the_presence_map(switch, phones, watcher):
    lamp = watcher.subscribe("701")
    assert lamp.shows(OFF)
    caller, _ = park_by_transfer(phones, switch)
    assert lamp.shows(ON)
    root = lamp.dialog()
    assert root.get("entity") == f"sip:701@{DOMAIN}"
    assert root.find("{*}dialog/{*}remote/{*}target").get("uri") == f"sip:701@{DOMAIN}"
    caller.hang_up()
    assert lamp.shows(OFF)


@pytest.mark.parametrize("target", ["park+799", "park+nowhere", "799", "park+%3C&%3E"])
@pytest.mark.parametrize("event", ["dialog", "presence"])
def test_a_subscription_to_an_unknown_slot_or_lot_gets_a_state(switch, watcher, target, event):
    """Before: there was no NOTIFY with a state, and phones show such a key as out of order."""
    lamp = watcher.subscribe(target, event=event)
    assert wait_for(lambda: lamp.bodies, 2), "there was no NOTIFY with a state"
    if event == "dialog" and "%" not in target:
        assert lamp.states == [OFF] and lamp.dialog().get("entity") == f"sip:{target}@{DOMAIN}"


def test_a_subscription_in_a_domain_without_lots_gets_a_state(switch, phones, watcher):
    assert switch.reload(LOTS.replace('domain="*"', f'domain="{DOMAIN}"')).startswith("+OK")
    lamp = phones("2000", domain="other.test").subscribe("park+701")
    assert lamp.shows(OFF)
    caller, _ = park_by_transfer(phones, switch)
    assert watcher.subscribe("park+701").shows(ON) and lamp.states == [OFF]
    caller.hang_up()


def test_a_reload_that_adds_and_removes_slots_leaves_every_lamp_right(switch, phones, watcher):
    with_lot(switch, ("park-timeout", "0"), slots="701-704")
    lamps = {name: watcher.subscribe(f"park+{name}") for name in ("702", "703", "704", "705", "main", "more")}
    assert all(lamp.shows(OFF) for lamp in lamps.values()), {name: lamp.states for name, lamp in lamps.items()}
    first, second = (phones(says=600).call(f"do-park-{slot}") for slot in ("702", "703"))
    assert lamps["702"].shows(ON) and lamps["703"].shows(ON) and lamps["main"].shows(ON)
    for lamp in lamps.values():
        lamp.bodies.clear()
    # Slot 703 is removed while it is occupied, 704 while it is free. Slot 705 and the lot `more` are added.
    more = lot(("park-timeout", "0"), slots="801-802").replace('"main"', '"more"')
    assert switch.reload(lot(("park-timeout", "0"), slots="701-702,705") + more).startswith("+OK")
    fresh = {name: phones("1002").subscribe(f"park+{name}") for name in lamps}
    expected = {"702": ON, "703": ON, "704": OFF, "705": OFF, "main": ON, "more": OFF}
    assert all(lamp.shows(expected[name]) for name, lamp in fresh.items()), {name: lamp.states for name, lamp in fresh.items()}
    wrong = {name: lamp.states for name, lamp in lamps.items() if lamp.bodies and lamp.state != expected[name]}
    assert not wrong, f"the states of the earlier subscriptions are {wrong}"
    third, fourth = phones(says=700).call("do-park-705"), phones(says=800).call("do-park-auto_more")
    assert lamps["705"].shows(ON) and lamps["more"].shows(ON), "the lamp of an added slot or lot does not work"
    second.hang_up()
    assert lamps["703"].shows(OFF) and fresh["703"].shows(OFF), "the lamp of a removed slot is left on"
    assert set(lamps["702"].states) <= {ON}, "slot 702 has not changed"
    assert fresh["702"].state == ON
    for call in (first, third, fourth):
        call.hang_up()
    assert all(lamp.shows(OFF) for name, lamp in lamps.items() if name != "704")


def test_many_spellings_of_a_domain_do_not_multiply_the_events(switch, phones, watcher):
    """Before: 50 spellings in SUBSCRIBE, each for any lamp, made 51 events of each change of every lamp."""
    usual = [watcher.subscribe(f"park+{slot}", domain="CALLPARK.test") for slot in ("701", "702")]
    stranger = phones("1002")
    for n in range(1, 51):
        odd = "".join(c.upper() if n >> i & 1 else c for i, c in enumerate(DOMAIN))
        stranger.subscribe("park+701", domain=odd)
    for lamp in usual:
        lamp.subscribe()
    events = presence_events(switch)
    callers = [phones(says=600).call(f"do-park-{slot}") for slot in ("701", "702")]
    assert all(lamp.shows(ON) for lamp in usual), "a phone that refreshes its subscription gets no state"
    for caller in callers:
        caller.hang_up()
    assert all(lamp.shows(OFF) for lamp in usual)
    count = lambda slot: sum(event["from"].lower() == f"{slot}@{DOMAIN}" for event in events)
    assert wait_for(lambda: count("702") == 4, 2), f"{count('702')} events for two changes in two spellings"
    time.sleep(0.3)  # for events that should not come
    assert count("702") == 4
    assert count("701") <= 8, f"{count('701')} events for two changes"


def presence_events(switch):
    """A list to which all PRESENCE_IN events are added from now on. mod_sofia makes a NOTIFY of each."""
    events, line = [], EventSocket(switch.esl_port)
    line.command("event plain PRESENCE_IN")
    line.socket.settimeout(None)

    def listen():
        for body in line.events():
            event = dict(row.split(": ", 1) for row in body.decode("utf-8", "replace").splitlines() if ": " in row)
            if event.get("proto") == "park":
                events.append({name: urllib.parse.unquote(value) for name, value in event.items()})

    threading.Thread(target=listen, daemon=True).start()
    return events


def test_fusionpbx_5606_starred_slots_have_lamps(switch, phones, watcher):
    """There automatic parking did not work with slots that begin with a star, and neither did their lamps."""
    lamp = watcher.subscribe("park+*5901")
    assert lamp.shows(OFF)
    caller = phones(says=600).call("do-park-auto_star")
    assert lamp.shows(ON)
    caller.hang_up()
    assert lamp.shows(OFF)


def test_valet_a_lamp_belongs_to_one_domain(switch, phones, watcher):
    """mod_valet_parking compares substrings, and FusionPBX had the same fault (519627b8e5): a tenant's call lit another tenant's lamp."""
    here, there = watcher.subscribe("park+701"), phones("2000", domain="other.test").subscribe("park+701")
    assert here.shows(OFF) and there.shows(OFF)
    caller, _ = park_by_transfer(phones, switch)
    assert here.shows(ON)
    stranger = phones("2000", says=800, domain="other.test").call("do-park-701")
    assert there.shows(ON)
    stranger.hang_up()
    assert there.shows(OFF) and here.state == ON and here.states == [OFF, ON]
    caller.hang_up()
    assert here.shows(OFF) and there.states == [OFF, ON, OFF]


@pytest.mark.parametrize("name", ["Alice", "A&T <\"'%s", "Zoë ${x}", "]]>\tx"])
def test_freeswitch_234_and_mikopbx_1059_the_lamp_shows_who_is_parked(switch, phones, watcher, name):
    """There the remote identity was missing in the dialog-info document, or it was not escaped and broke the XML."""
    with_lot(switch, ("lamp-state", "early"), ("lamp-caller-id", "true"), ("park-timeout", "0"))
    lamp = watcher.subscribe("park+701")
    caller = phones(says=600, name="x").call("do-park-701", name=name.replace('"', '\\"'))
    assert lamp.shows(BLINKS)
    shown = switch.calls()[0]["caller_name"]
    remote = lamp.dialog().find("{*}dialog/{*}remote")
    assert remote.find("{*}identity").get("display") == " ".join(shown.splitlines()).replace("\t", " ")
    assert remote.find("{*}target").get("uri") == f"sip:**701@{DOMAIN}"
    caller.hang_up()
    assert lamp.shows(OFF)


def test_freeswitch_2741_no_lamp_is_left_on_where_early_is_disabled(switch, phones):
    """There lamps stayed on with presence-disable-early, which the outside profile of these tests has."""
    with_lot(switch, ("lamp-state", "confirmed"), ("park-timeout", "0"))
    lamp = phones().subscribe("park+701")
    assert lamp.shows(OFF)
    caller = phones(says=600).call("do-park-701")
    assert lamp.shows(ON)
    caller.hang_up()
    assert lamp.shows(OFF)


def test_a_reload_leaves_lamps_right(switch, phones, watcher):
    lamp = watcher.subscribe("park+701")
    caller, _ = park_by_transfer(phones, switch)
    assert lamp.shows(ON)
    with_lot(switch, ("lamp-state", "early"), ("park-timeout", "0"))
    assert lamp.state == ON, "a parked call did not keep its settings"
    assert switch.api("callpark reload apply").startswith("+OK") and lamp.shows(BLINKS)
    assert switch.reload(lot(slots="801-802")).startswith("+OK") and lamp.state != OFF
    caller.hang_up()
    assert lamp.shows(OFF), "the lamp of a removed slot is left on"


def test_subscriptions_from_before_the_load_of_the_module_get_the_state_after_it(switch, watcher):
    before = watcher.subscribe("park+701")
    assert before.shows(OFF)
    before.bodies.clear()
    assert switch.api("unload mod_callpark").startswith("+OK")
    meanwhile = watcher.subscribe("park+702")
    assert not meanwhile.shows(OFF, within=0.5)
    assert "+OK" in switch.api("load mod_callpark")
    assert before.shows(OFF) and meanwhile.shows(OFF)


def test_a_consultation_lights_the_lamp_until_it_ends(switch, phones, watcher):
    lamp = watcher.subscribe("park+703")
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    caller = phones(says=600).call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.hold()
    consultation = parker.call("703")
    assert lamp.shows(ON)
    consultation.hang_up()
    assert lamp.shows(OFF, within=1)
    caller.hang_up()


@pytest.fixture
def own():
    switch = new_switch()
    yield switch
    switch.stop()


def test_the_lamps_of_other_modules_are_left_alone(own, phones_of):
    """mod_valet_parking serves its own park+<slot>, and mod_fifo serves queue+<name>. This module serves only its own slots and lots."""
    run = lambda name, application, data: f"""<extension name="{name}"><condition field="destination_number" expression="^{name}$">
      <action application="answer"/><action application="{application}" data="{data}"/></condition></extension>"""
    own.more = '<configuration name="fifo.conf"><settings/><fifos/></configuration>'
    own.configure(lot(("park-timeout", "0")), '<param name="valet-compat" value="false"/>', extensions=run("valet", "valet_park", f"theirs@{DOMAIN} 6001") + run("fifo", "fifo", "line in"))
    own.start()
    assert all("-ERR" not in own.api(f"load mod_{name}") for name in ("valet_parking", "fifo"))
    phones = phones_of(own)
    watcher = phones("1003")
    lamps = {name: watcher.subscribe(name) for name in ("park+6001", "park+theirs", "queue+line")}
    assert lamps["park+6001"].shows(OFF) and lamps["park+theirs"].shows(OFF)
    callers = [phones(says=600).call(name) for name in ("valet", "fifo")]
    assert all(lamp.shows(ON) for lamp in lamps.values()), {name: lamp.states for name, lamp in lamps.items()}
    fresh = {name: phones("1002").subscribe(name) for name in lamps}
    assert all(lamp.shows(ON) for lamp in fresh.values()), {name: lamp.states for name, lamp in fresh.items()}
    assert own.api("callpark reload").startswith("+OK")
    time.sleep(1.2)
    assert all(lamp.state == ON for lamp in (*lamps.values(), *fresh.values())), "this module has turned a lamp of another module off"
    assert all(set(lamp.states) == {ON} for lamp in fresh.values())
    for caller in callers:
        caller.hang_up()
    assert all(lamp.shows(OFF) for lamp in (*lamps.values(), *fresh.values()))


def test_no_lamp_is_left_on_after_a_restart_and_the_log_names_mod_valet_parking(own):
    own.configure(lot(("park-timeout", "0"), slots="701-703"), '<param name="recover-window" value="3"/><param name="valet-compat" value="false"/>')
    own.start()
    watcher = Phone(own, "1003").register()
    lamp = watcher.subscribe("park+701")
    caller = Phone(own, says=600)
    caller.call("do-park-701")
    assert lamp.shows(ON)
    own.process.kill()
    own.process.wait()
    caller.close()
    own.start()
    assert lamp.state == ON, "the slot is not reserved for its caller"
    assert lamp.shows(OFF, within=15), "the lamp still shows what was before the restart"
    assert "mod_valet_parking" not in own.log()
    assert "-ERR" not in own.api("load mod_valet_parking")
    own.api("reloadxml")
    assert wait_for(lambda: "answers every subscription to park+<slot>" in own.log())
    watcher.close()
