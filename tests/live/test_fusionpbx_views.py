"""What the pages of FusionPBX read of a parked call, with mod_valet_parking and with mod_callpark: listing, variables, channels, events and call detail
records. `test_fusionpbx_pages.py` has FusionPBX's own classes read the same."""

import re
import time
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from conftest import stopped_after
from parking import extension
from phone import DOMAIN
from switch import find_prefix, module_dir, wait_for
from valet import LOTS, OURS, THEIRS, new_valet_switch, park

LOT = f"park@{DOMAIN}"
# As FusionPBX's park extension does it: the parker is in a variable, and the orbit is the parker.
REFERRER = """<extension name="referrer" continue="true"><condition field="${sip_h_Referred-By}" expression="sip:(.*)@">
  <action application="set" data="referred_by_user=$1" inline="true"/>
</condition></extension>"""
DIALPLAN = f'<extension name="domain" continue="true"><condition><action application="set" data="domain_name={DOMAIN}" inline="true"/></condition></extension>' + REFERRER + extension(
    "(?:park\\+)?(\\*59[0-9][0-9])", ("answer", ""), ("set", "valet_parking_timeout=900"), ("set", "valet_parking_orbit_exten=${referred_by_user}"),
    ("valet_park", f"park@${{domain_name}} $1"))
DIALPLAN += extension("confirm-(.*)", ("answer", ""), ("lua", "confirm.lua $1"))
# As FusionPBX's script for a call of a ring group that must be confirmed.
CONFIRM = """
freeswitch.API():executeString("uuid_bridge " .. session:get_uuid() .. " " .. argv[1])
session:execute("valet_park", "confirm " .. argv[1])
"""
# How the pages take the calls from the answer to `valet_info`.
LISTED = re.compile(r'<extension uuid="(.*?)">(.*?)</extension>', re.S)
# How the dialplan finds the call in a slot.
FOUND = r"extension\suuid=.([0-9a-f-]{{36}})..\*{}..extension"


@pytest.fixture(scope="module", params=[THEIRS, OURS])
def switch(request, failures, tmp_path_factory):
    modules = module_dir(find_prefix())
    if request.param == THEIRS and not (modules / "mod_valet_parking.so").exists():
        pytest.skip("FreeSWITCH without mod_valet_parking")
    switch = new_valet_switch(request.param)
    switch.records = tmp_path_factory.mktemp("cdr")
    if (modules / "mod_xml_cdr.so").exists():
        (switch.dir / "mod/mod_xml_cdr.so").symlink_to(modules / "mod_xml_cdr.so")
    switch.more = f"""<configuration name="xml_cdr.conf"><settings><param name="log-dir" value="{switch.records}"/><param name="log-b-leg" value="true"/>
      <param name="prefix-a-leg" value="true"/><param name="encode" value="true"/></settings></configuration>"""
    switch.configure(LOTS, "", None, DIALPLAN)
    (switch.dir / "scripts/confirm.lua").write_text(CONFIRM)
    with stopped_after(switch, failures):
        yield switch.start()


@pytest.fixture
def phones(switch, phones_of):
    switch.valet.clear()
    yield phones_of(switch)
    switch.api("hupall")
    assert switch.wait_idle(), switch.api("show channels")
    assert wait_for(lambda: not switch.parked(), 8), switch.api("valet_info")


def row(switch, uuid):
    found = next((row for row in switch.legs() if row["uuid"] == uuid), {})
    return {name: found.get(name) for name in ("direction", "state", "callstate", "application", "application_data", "dest", "context")}


def test_the_listing_the_variables_and_the_channel_of_a_parked_call(switch, phones):
    caller = park(phones, switch, "park+*5901")
    ((uuid, slot),) = LISTED.findall(switch.api(f"valet_info {LOT}"))
    assert slot == "*5901" and re.search(FOUND.format("5901"), switch.api(f"valet_info {LOT}"))[1] == uuid
    variables = {name: switch.var(uuid, name) for name in ("caller_id_number", "referred_by_user", "valet_parking_orbit_exten", "valet_parking_timeout", "destination_number")}
    assert variables == {"caller_id_number": caller.phone.user, "referred_by_user": "1001", "valet_parking_orbit_exten": "1001", "valet_parking_timeout": "900",
                         "destination_number": "park+*5901"}
    expected = {"direction": "inbound", "state": "CS_EXECUTE", "callstate": "ACTIVE", "application": "valet_park", "application_data": f"{LOT} *5901",
                "dest": "park+*5901", "context": "default"}
    # The core writes the channels to its table a moment later.
    assert wait_for(lambda: row(switch, uuid) == expected), row(switch, uuid)
    taker = phones("1002", says=900).call("*5901")
    assert taker.audio.hears(600)
    other = switch.leg(initial_dest="*5901")
    # Before, mod_callpark: the two still ran `valet_park`, and the operator panel took their conversation for a parked call.
    for leg, peer in ((uuid, other), (other, uuid)):
        assert wait_for(lambda: (row(switch, leg)["application"], row(switch, leg)["application_data"]) == ("uuid_bridge", peer)), row(switch, leg)
        assert row(switch, leg)["callstate"] == "ACTIVE"
    assert LISTED.findall(switch.api(f"valet_info {LOT}")) == []
    caller.hang_up()


def test_the_headers_of_the_events(switch, phones):
    caller = park(phones, switch, "*5902")
    hold = switch.valet.wait("hold", Valet_Lot_Name=LOT, Valet_Extension="*5902")
    assert {name: hold.get(name) for name in ("Event-Name", "Caller-Context", "Answer-State", "Channel-Call-State", "Call-Direction", "variable_referred_by_user",
                                              "variable_valet_parking_timeout", "Caller-Caller-ID-Number")} == {
        "Event-Name": "CUSTOM", "Caller-Context": "default", "Answer-State": "answered", "Channel-Call-State": "ACTIVE", "Call-Direction": "inbound",
        "variable_referred_by_user": "1001", "variable_valet_parking_timeout": "900", "Caller-Caller-ID-Number": caller.phone.user}
    caller.hang_up()
    assert switch.valet.wait("exit", 8, Valet_Extension="*5902")["Unique-ID"] == hold["Unique-ID"]


def record(switch, uuid):
    """The call detail record of a leg: what FusionPBX takes from it."""
    file = wait_for(lambda: next(iter(switch.records.glob(f"*{uuid}.cdr.xml")), None), 8)
    assert file, f"no record of {uuid} in {list(switch.records.iterdir())}"
    root = wait_for(lambda: whole(file))
    variable = lambda name: unquote(root.findtext(f"variables/{name}") or "")  # noqa: E731
    profiles = [profile.find("caller_profile") for profile in root.findall("callflow")]
    steps = [(unquote(profile.findtext("destination_number") or ""), "park+" in unquote(profile.findtext("transfer_source") or "")) for profile in profiles]
    return {"steps": steps[::-1], **{name: variable(name) for name in ("hangup_cause", "last_app", "last_arg", "referred_by_user", "bridge_uuid")}}


def whole(file):
    try:
        return ElementTree.parse(file).getroot()
    except ElementTree.ParseError:
        return None


def test_the_call_detail_records(switch, phones):
    """FusionPBX shows the way of a call by its profiles: the number dialled and where a transfer came from; and a call as missed unless it was bridged."""
    if "+OK" not in switch.api("load mod_xml_cdr"):
        pytest.skip("FreeSWITCH without mod_xml_cdr")
    caller = park(phones, switch, "park+*5903")
    ((uuid, _),) = LISTED.findall(switch.api(f"valet_info {LOT}"))
    taker = phones("1002", says=900).call("park+*5903")
    assert taker.audio.hears(600)
    other = switch.leg(initial_dest="park+*5903")
    caller.hang_up()
    assert switch.wait_idle()
    of_caller, of_taker = record(switch, uuid), record(switch, other)
    assert of_caller["bridge_uuid"] == other and of_taker["bridge_uuid"] == uuid
    assert of_caller["steps"][:2] == [("1001", False), ("park+*5903", True)] and of_taker["steps"][0] == ("park+*5903", False)
    for of in (of_caller, of_taker):
        assert (of["hangup_cause"], of["last_app"], of["last_arg"]) == ("NORMAL_CLEARING", "valet_park", f"{LOT} *5903")
    assert (of_caller["referred_by_user"], of_taker["referred_by_user"]) == ("1001", "")


def test_a_script_that_connects_a_call_and_then_parks_its_leg_by_the_uuid_of_the_other(switch, phones):
    """The slot is no slot here: it has 36 characters. The two talk to each other all the same, because the leg is taken from the script by then."""
    if "+OK" not in switch.api("load mod_lua"):
        pytest.skip("FreeSWITCH without mod_lua")
    caller = phones(says=600).call("tone-1300")
    assert caller.audio.hears(1300)
    taker = phones("1002", says=900).call(f"confirm-{switch.leg(initial_dest='tone-1300')}")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    time.sleep(1)
    assert taker.audio.hears(600) and caller.audio.hears(900) and switch.channels() == 2
    caller.hang_up()
    assert taker.wait_over()
