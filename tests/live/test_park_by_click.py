"""Tests parking by a click: `GET /api/v1/channels` lists the live calls of the token's user, and `POST /api/v1/park` parks the other party."""

import pytest

from conftest import MUSIC
from parking import conversation
from phone import DOMAIN
from switch import wait_for
from test_take_by_click import ALL, COLLEAGUE, MINE, OTHER, TENANT, click, with_lot  # noqa: F401  (a fixture)

FIRST = "of-user-1001-0123456789"


@pytest.fixture
def desk(switch, click):  # noqa: F811
    """As `click`, with a token of user 1001."""
    tokens = switch.dir / "tokens"
    tokens.write_text(tokens.read_text() + f"{FIRST} view,act {DOMAIN} 1001\n")
    with_lot(switch, ("park-timeout", "0"))
    return click


def park(desk, token=FIRST, **body):
    return desk.ask("/api/v1/park", token, "POST", body)[:2]


def channels(desk, token=FIRST):
    return desk.get("channels", token)


def test_the_user_parks_the_other_party_of_a_call(switch, phones, desk):
    """Before: 404, there were no such paths."""
    assert channels(desk) == []
    caller, call = conversation(phones)
    [mine] = wait_for(lambda: channels(desk))
    assert (mine["user"], mine["caller_name"], mine["direction"], mine["held"]) == (f"1001@{DOMAIN}", "Alice", "incoming", False)
    assert mine["talking_ms"] < 10_000 and [row["uuid"] for row in channels(desk, TENANT)] == [mine["uuid"]]
    call.hold()
    assert wait_for(lambda: channels(desk)[0]["held"])
    call.resume()
    status, parked = park(desk, uuid=mine["uuid"], slot="702")
    assert (status, parked["slot"], parked["state"], parked["caller_name"], parked["parker"]) == (200, "702", "parked", "Alice", f"1001@{DOMAIN}"), parked
    assert caller.audio.hears(MUSIC) and call.wait_over(10), "the user's phone is still in the call"
    told = switch.events.wait("park")
    assert (told["CallPark-Actor"], told["CallPark-Parker"]) == (f"1001@{DOMAIN}", f"1001@{DOMAIN}")
    assert channels(desk) == []
    caller.hang_up()
    record = wait_for(lambda: [one for one in desk.get("history?count=5") if one["uuid"] == parked["uuid"]])[0]
    assert (record["outcome"], record["actor"]) == ("abandoned", f"1001@{DOMAIN}")


def test_the_leg_of_the_other_party_names_the_same_call(switch, phones, desk):
    """The user has called; and no slot is named."""
    callee = phones("1003", says=600)
    callee.on_ring = 0.1
    mine = phones("1001", says=700).call("1003")
    assert mine.audio.hears(600)
    [row] = wait_for(lambda: channels(desk))
    assert row["direction"] == "outgoing"
    other = switch.leg(direction="outbound")
    status, parked = park(desk, uuid=other, lot="main")
    assert (status, parked["slot"], parked["uuid"]) == (200, "701", other), parked
    held = callee.wait_call()
    assert held.audio.hears(MUSIC)
    held.hang_up()


@pytest.mark.parametrize("token", [COLLEAGUE, OTHER])
def test_a_call_of_others_is_refused_as_if_it_did_not_exist(switch, phones, desk, token):
    caller, call = conversation(phones)
    assert wait_for(lambda: channels(desk)) and channels(desk, token) == []
    uuids = [row["uuid"] for row in switch.legs()]
    unknown = park(desk, token, uuid="no-such-channel")
    assert unknown[0] == 404
    for uuid in uuids:
        status, answer = park(desk, token, uuid=uuid)
        assert (status, answer["error"].replace(uuid, "no-such-channel")) == (404, unknown[1]["error"]), answer
    assert not switch.calls() and caller.audio.hears(700)
    caller.hang_up()
    assert call.wait_over()


def test_each_error_says_what_is_wrong(switch, phones, desk):
    caller, call = conversation(phones)
    other = phones(says=500).call("do-park-702")
    [mine] = wait_for(lambda: channels(desk))
    uuid = mine["uuid"]
    for body, status, error in [
        ({}, 400, "uuid is missing"), ({"uuid": 7}, 422, "uuid 7"), ({"uuid": uuid, "slot": "7x"}, 400, "slot"), ({"uuid": uuid, "slot": "702"}, 409, "taken"),
        ({"uuid": uuid, "slot": "799"}, 404, "799"), ({"uuid": uuid, "lot": "nothing"}, 404, "nothing"), ({"uuid": uuid, "lot": "main@other.test"}, 403, "another domain"),
        ({"uuid": uuid, "lot": "a b"}, 400, "lot"), ({"uuid": uuid, "dialplan": "XML"}, 422, "unknown field `dialplan`"), ({"uuid": "${x}"}, 404, "no such channel"),
    ]:
        got, answer = park(desk, **body)
        assert got == status and error in answer["error"], (body, got, answer)
    assert desk.ask("/api/v1/park", None, "POST", {"uuid": uuid})[0] == 401
    assert caller.audio.hears(700) and len(switch.calls()) == 1
    for one in (caller, other):
        one.hang_up()
    assert call.wait_over()


def test_the_colleagues_are_listed_with_their_presence(switch, phones, desk):
    """Before: 404, there was no such path."""
    phones("1004").unregister()
    caller, call = conversation(phones)
    assert wait_for(lambda: channels(desk))
    users = {row["extension"]: row for row in desk.get("users", FIRST)}
    assert len(users) == len(desk.get("users", FIRST)) and users["1001"] == {
        "user": f"1001@{DOMAIN}", "extension": "1001", "name": "1001", "registered": True, "talking": True}
    assert (users["1004"]["registered"], users["1004"]["talking"]) == (False, False)
    assert {row["user"].split("@")[1] for row in desk.get("users", OTHER)} == {"other.test"}
    caller.hang_up()
    assert call.wait_over() and wait_for(lambda: not {row["extension"]: row for row in desk.get("users", FIRST)}["1001"]["talking"])


def test_a_token_without_a_user_also_parks_a_caller_who_talks_to_nobody(switch, phones, desk):
    caller = phones(says=600).call("tone-1300")
    assert caller.audio.hears(1300)
    uuid = switch.leg(direction="inbound")
    assert park(desk, FIRST, uuid=uuid)[0] == park(desk, OTHER, uuid=uuid)[0] == 404
    status, parked = park(desk, ALL, uuid=uuid, slot="703")
    assert (status, parked["slot"]) == (200, "703") and caller.audio.hears(MUSIC)
    assert park(desk, ALL, uuid=uuid)[0] == 409, "parked twice"
    caller.hang_up()
