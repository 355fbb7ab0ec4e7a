"""A colleague picks up the ringing phone of a recall, in the ways in which installations find the leg to intercept."""

import pytest

from phone import DOMAIN
from switch import wait_for
from test_complaints import extension
from test_identity_cases import PICK, actions, has_the_caller, recall


def with_dialplan(switch, extensions):
    lots, settings, phrases, _ = switch.written
    assert switch.reload(lots, settings, phrases, extensions).startswith("+OK")


def ringing_leg(switch):
    """As FusionPBX's intercept.lua looks for it."""
    def found():
        return [row for row in switch.legs() if row["presence_id"] == f"1001@{DOMAIN}" and row["callstate"] in ("RINGING", "EARLY")]

    rows = wait_for(found)
    assert len(rows) == 1
    return rows[0]


# As in FreeSWITCH's own dialplan: one extension, the group, anybody (886 there; three digits are a slot here).
VANILLA = "".join(
    extension(number, ("answer", ""), ("intercept", f"${{hash(select/${{domain_name}}-last_dial_ext/{whom})}}"), ("sleep", "2000"))
    for number, whom in ((r"\*\*(\d+)", "$1"), (r"\*8", "${callgroup}"), ("anybody", "global")))


def last_dialled(switch):
    found = [switch.api(f"hash select/{DOMAIN}-last_dial_ext/{whom}").strip() for whom in ("1001", "techsupport", "global")]
    return [uuid.replace("-ERR no reply", "") for uuid in found]


@pytest.mark.parametrize("number", ["**1001", "*8", "anybody"])
def test_the_pickup_of_the_stock_dialplan_gets_the_caller_of_a_recall(switch, phones, number):
    """Before: it found no leg, and the colleague was hung up after two seconds."""
    caller, ringing, _ = recall(switch, phones, ("fallback", "tone-1300"))
    with_dialplan(switch, VANILLA)
    uuid = switch.calls()[0]["uuid"]
    assert last_dialled(switch) == [uuid] * 3
    taker = phones("1002", says=900).call(number)
    has_the_caller(switch, caller, taker, ringing, uuid)
    wait_for(lambda: not any(last_dialled(switch)))


def test_the_stock_pickup_finds_nobody_after_the_recall(switch, phones):
    """The caller waits on, and no phone rings that could be picked up; a later call to the same user is found as ever."""
    caller, ringing, _ = recall(switch, phones, ("ringback-timeout", "2"))
    uuid = switch.calls()[0]["uuid"]
    assert switch.api(f"hash insert/{DOMAIN}-last_dial_ext/global/another").startswith("+OK")
    switch.events.wait("ringback-failed")
    wait_for(lambda: last_dialled(switch) == ["", "", "another"])
    assert switch.calls()[0]["uuid"] == uuid
    switch.api(f"hash delete/{DOMAIN}-last_dial_ext/global")
    caller.hang_up()


def test_fusionpbx_finds_the_caller_by_the_ringing_legs_row(switch, phones):
    """Its intercept.lua looks for a leg that rings for an extension, and intercepts what that row names as its call. Before: that was
    the ringing leg itself."""
    caller, ringing, _ = recall(switch, phones, ("fallback", "tone-1300"))
    with_dialplan(switch, PICK)
    uuid = switch.calls()[0]["uuid"]
    found = ringing_leg(switch)["call_uuid"]
    assert found == uuid
    taker = phones("1002", says=900).call(f"pick-{found}")
    has_the_caller(switch, caller, taker, ringing, uuid)


def test_pickup_beside_the_recalled_phone_gets_the_caller(switch, phones):
    """Before: it counted as the parker's answer."""
    caller, ringing, _ = recall(switch, phones, ("fallback", "tone-1300"), ("ringback", f"user/1001@{DOMAIN},pickup/desk"))
    with_dialplan(switch, extension("pick-up", ("pickup", "desk")))
    taker = phones("1002", says=900).call("pick-up")
    has_the_caller(switch, caller, taker, ringing, "")
