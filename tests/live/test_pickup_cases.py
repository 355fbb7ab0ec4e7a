"""Tests that a colleague can pick up a ringing recall, by each method with which installations find the leg to intercept."""

import time

import pytest

from conftest import MUSIC
from parking import conversation, extension, lot, park_by_transfer, with_lot
from phone import DOMAIN
from switch import wait_for
from test_identity_cases import PICK, has_the_caller, recall, replaces


def with_dialplan(switch, extensions):
    lots, settings, phrases, _ = switch.written
    assert switch.reload(lots, settings, phrases, extensions).startswith("+OK")


def ringing_leg(switch):
    """The row of the ringing leg, by the criteria of FusionPBX's intercept.lua."""
    def found():
        rows = [row for row in switch.legs() if row["presence_id"] == f"1001@{DOMAIN}" and row["callstate"] in ("RINGING", "EARLY")]
        return [row for row in rows if is_there(switch, row["uuid"])]

    rows = wait_for(found)
    assert len(rows) == 1, rows
    return rows[0]


# The pickup extensions of FreeSWITCH's stock dialplan: of one extension, of the group, of any phone. (The last is 886 there, which would be
# a slot here.)
VANILLA = "".join(
    extension(number, ("answer", ""), ("intercept", f"${{hash(select/${{domain_name}}-last_dial_ext/{whom})}}"), ("sleep", "2000"))
    for number, whom in ((r"\*\*(\d+)", "$1"), (r"\*8", "${callgroup}"), ("anybody", "global")))


def last_dialled(switch):
    found = [switch.api(f"hash select/{DOMAIN}-last_dial_ext/{whom}").strip() for whom in ("1001", "techsupport", "global")]
    return [uuid.replace("-ERR no reply", "") for uuid in found]


@pytest.mark.parametrize("number", ["**1001", "*8", "anybody"])
def test_the_pickup_of_the_stock_dialplan_gets_the_caller_of_a_recall(switch, phones, number):
    """Before: the extension found no leg, and hung up the colleague after two seconds."""
    caller, ringing, _ = recall(switch, phones, ("fallback", "tone-1300"))
    with_dialplan(switch, VANILLA)
    uuid = switch.calls()[0]["uuid"]
    assert last_dialled(switch) == [uuid] * 3
    taker = phones("1002", says=900).call(number)
    has_the_caller(switch, caller, taker, ringing, uuid)
    assert wait_for(lambda: not any(last_dialled(switch))), last_dialled(switch)


def test_the_stock_pickup_finds_no_leg_after_the_recall(switch, phones):
    """After the recall no phone rings, so the module deletes its entries. It keeps an entry of a later call."""
    caller, ringing, _ = recall(switch, phones, ("ringback-timeout", "2"))
    uuid = switch.calls()[0]["uuid"]
    assert switch.api(f"hash insert/{DOMAIN}-last_dial_ext/global/another").startswith("+OK")
    switch.events.wait("ringback-failed")
    assert wait_for(lambda: last_dialled(switch) == ["", "", "another"]), last_dialled(switch)
    assert switch.calls()[0]["uuid"] == uuid
    switch.api(f"hash delete/{DOMAIN}-last_dial_ext/global")
    caller.hang_up()


def test_fusionpbx_finds_the_caller_by_the_ringing_legs_row(switch, phones):
    """FusionPBX's intercept.lua looks for a leg that rings for an extension, and intercepts the leg in that row's `call_uuid`. Before: that
    was the ringing leg itself."""
    caller, ringing, _ = recall(switch, phones, ("fallback", "tone-1300"))
    with_dialplan(switch, PICK)
    uuid = switch.calls()[0]["uuid"]
    found = ringing_leg(switch)["call_uuid"]
    assert found == uuid
    taker = phones("1002", says=900).call(f"pick-{found}")
    has_the_caller(switch, caller, taker, ringing, uuid)


def test_pickup_beside_the_recalled_phone_gets_the_caller(switch, phones):
    """Before: the pickup counted as the parker's answer, or it took a second."""
    caller, ringing, _ = recall(switch, phones, ("fallback", "tone-1300"), ("ringback", f"user/1001@{DOMAIN},pickup/desk"))
    with_dialplan(switch, extension("pick-up", ("pickup", "desk")))
    began = time.monotonic()
    taker = phones("1002", says=900).call("pick-up")
    assert wait_for(lambda: any(event["CallPark-Action"] == "retrieve" for event in switch.events.all), 2, 0.01)
    assert time.monotonic() - began < 0.5
    has_the_caller(switch, caller, taker, ringing, "")


@pytest.mark.parametrize("way", ["dialled number", "row of the ringing leg", "ringing leg", "pickup", "Replaces"])
def test_the_recall_for_a_caller_without_a_slot_is_picked_up(switch, phones, way):
    """The lot is full. Before: the colleague heard an error, by all ways but the first, because the call was named by its slot."""
    beside = [("ringback", f"user/1001@{DOMAIN},pickup/desk")] if way == "pickup" else []
    caller, ringing = recall_without_slot(switch, phones, ("fallback", "tone-1300"), *beside)
    with_dialplan(switch, VANILLA + PICK.replace("pick-(.*)", "pick-([0-9a-f-]+)") + extension("desk", ("pickup", "desk")))
    uuid = next(row["uuid"] for row in switch.calls() if row["state"] != "parked")
    dialled = {"dialled number": lambda: "**1001", "row of the ringing leg": lambda: "pick-" + ringing_leg(switch)["call_uuid"],
               "ringing leg": lambda: "pick-" + ringing_leg(switch)["uuid"], "pickup": lambda: "desk", "Replaces": lambda: "1001"}[way]()
    taker = phones("1002", says=900).call(dialled, headers=[replaces(ringing)] if way == "Replaces" else [])
    assert taker.audio.hears(600) and caller.audio.hears(900) and ringing.wait_over()
    event = switch.events.wait("retrieve")
    assert (event["Unique-ID"], event["CallPark-Retriever"]) == (uuid, f"1002@{DOMAIN}")
    caller.hang_up()


def recall_without_slot(switch, phones, *params):
    """Lets 1001 transfer a caller to a lot that is full. Returns the caller's call and the ringing call of 1001's phone."""
    assert switch.reload(lot(("ringback-timeout", "9"), *params, slots="701"), extensions=extension("first", ("callpark_park", "701"))).startswith("+OK")
    assert phones().call("first").audio.hears(MUSIC)
    caller, call = conversation(phones)
    phones.made[-2].on_ring = None
    switch.events.clear()
    call.refer("700")
    return caller, phones.made[-2].rang.get(timeout=5)


def is_there(switch, uuid):
    """Whether the channel exists. The core's table of channels is updated a moment later."""
    return switch.api(f"uuid_exists {uuid}") == "true"


@pytest.mark.parametrize("first", ["at once", "answers first"])
@pytest.mark.parametrize("ringback", ["user", "two users", "a phone"])
def test_intercept_of_the_ringing_leg_gets_the_caller(switch, phones, ringback, first):
    """An operator panel does so with a leg from `show channels`. Before: the colleague was hung up on within 40 ms, and the recall failed."""
    desk = phones("1003")
    way = {"user": [], "two users": [("ringback", f"user/1001@{DOMAIN},user/1003@{DOMAIN}")],
           "a phone": [("ringback", f"sofia/internal/sip:1003@127.0.0.1:{desk.port}")]}[ringback]
    with_lot(switch, ("park-timeout", "0"), ("fallback", "tone-1300"), *way)
    caller, _ = park_by_transfer(phones, switch)
    parker = next(phone for phone in phones.made if phone.user == "1001")
    parker.on_ring = None
    switch.events.clear()
    assert switch.api("callpark ringback 701").startswith("+OK")
    ringing = (desk if ringback == "a phone" else parker).rang.get(timeout=5)
    leg = wait_for(lambda: next((row["uuid"] for row in switch.legs() if row["callstate"] == "RINGING" and is_there(switch, row["uuid"])), None))
    before = [("answer", ""), ("sleep", "100")] if first == "answers first" else []
    with_dialplan(switch, extension("pick-(.*)", *before, ("intercept", "$1")))
    taker = phones("1002", says=900).call(f"pick-{leg}")
    has_the_caller(switch, caller, taker, ringing, "")


def test_an_intercept_of_a_recall_does_not_bypass_the_pin(switch, phones):
    """A colleague who intercepts the leg is asked for the PIN. Without it the caller goes to the fallback, as after a failed recall."""
    caller, ringing, _ = recall(switch, phones, ("retrieve-pin", "42"), ("fallback", "tone-1300"))
    leg = ringing_leg(switch)["uuid"]
    with_dialplan(switch, PICK)
    taker = phones("1002", says=900).call(f"pick-{leg}")
    assert ringing.wait_over() and caller.audio.hears(1300, within=6)
    taker.hang_up()
    caller.hang_up()
