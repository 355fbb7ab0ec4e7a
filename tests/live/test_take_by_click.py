"""Tests taking a call by a click: `POST .../retrieve` rings the phones of a user, for whom the call is held meanwhile."""

import threading
import time

import pytest

from audio import SoundMeter
from conftest import LOTS, MUSIC
from parking import lot, park_by_transfer
from phone import DOMAIN
from switch import free_port, wait_for
from test_recover import crash_and_restart, crashable  # noqa: F401  (a fixture)
from test_web import ALL, OTHER, Site, listen

ANYWHERE = "of-user-1002-of-all-domains-0123456789"
MINE, COLLEAGUE, TENANT = "of-user-1002-0123456789", "of-user-1003-0123456789", "of-the-domain-0123456789"
TOKENS = f"{ALL} view,act *\n{MINE} view,act {DOMAIN} 1002\n{COLLEAGUE} view,act {DOMAIN} 1003@{DOMAIN}\n{TENANT} view,act {DOMAIN}\n{OTHER} view,act other.test\n{ANYWHERE} view,act * 1002\n"


@pytest.fixture
def click(switch):
    """A client of the HTTP API, with tokens of users."""
    port, tokens = free_port(), switch.dir / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    switch.http = f'<param name="http-listen" value="127.0.0.1:{port}"/><param name="http-token-file" value="{tokens}"/>'
    with_lot(switch, ("park-timeout", "0"), ("ringback-timeout", "12"))
    yield Site(port)
    assert switch.reload(LOTS).startswith("+OK")


def with_lot(switch, *params):
    assert switch.reload(lot(*params), switch.http).startswith("+OK")


def state(switch):
    return [call["state"] for call in switch.calls()]


def waits_on(switch, caller):
    """Whether the caller is parked as before, and hears the music."""
    return wait_for(lambda: state(switch) == ["parked"]) and caller.audio.hears(MUSIC)


@pytest.mark.parametrize("how", ["the token's user", "a user that is named", "a user with the domain"])
def test_the_phone_rings_and_its_user_gets_the_caller(switch, phones, click, how):
    """Before: 404, there was no such action."""
    caller, row = park_by_transfer(phones, switch)
    phone = phones("1002", says=900)
    token, body = {"the token's user": (MINE, {}), "a user that is named": (TENANT, {"to": "1002"}), "a user with the domain": (ALL, {"to": f"1002@{DOMAIN}"})}[how]
    lamp = phones("1004").subscribe("park+701")
    assert lamp.shows("confirmed")
    status, call = click.act("701", "retrieve", body, token)
    assert (status, call["state"], call["uuid"]) == (200, "retrieving", row["uuid"]), call
    ringing = phone.wait_call()
    assert ringing.caller_name == "Alice"
    assert state(switch) == ["retrieving"] and click.get("calls")[0]["state"] == "retrieving"
    assert caller.audio.hears(MUSIC) and lamp.state == "confirmed"
    ringing.answer()
    assert caller.audio.hears(900) and ringing.audio.hears(600)
    told = switch.events.wait("retrieve")
    actor = f"1002@{DOMAIN}" if token == MINE else None
    assert told["CallPark-Retriever"] == f"1002@{DOMAIN}"
    assert told["CallPark-Actor"] == actor if actor else told["CallPark-Actor"].startswith("token:")
    assert switch.events.of(row["uuid"]) == ["park", "retrieve"] and lamp.shows("terminated")
    record = wait_for(lambda: [one for one in click.get("history?count=5") if one["uuid"] == row["uuid"]])[0]
    assert (record["outcome"], record["retriever"], record["actor"]) == ("retrieved", f"1002@{DOMAIN}", told["CallPark-Actor"])
    assert f"actor={told['CallPark-Actor']}" in switch.log()
    caller.hang_up()
    assert ringing.wait_over()


def test_without_a_user_the_request_must_name_one(switch, phones, click):
    caller, _ = park_by_transfer(phones, switch)
    assert click.get("me", ANYWHERE) == {"rights": ["view", "act"], "domain": "*", "user": f"1002@{DOMAIN}"}
    assert click.get("me", MINE)["user"] == f"1002@{DOMAIN}" and "user" not in click.get("me", TENANT)
    status, answer = click.act("701", "retrieve", {}, TENANT)
    assert status == 400 and "no user" in answer["error"], answer
    for to, expected in [("10 02", 400), ("user/1002", 400), ("", 400), (7, 422), ("1002@other.test", 403), ("1099", 400), ("${x}", 400), ("1002@", 400)]:
        status, answer = click.act("701", "retrieve", {"to": to}, TENANT)
        assert status == expected and answer["error"], (to, status, answer)
    assert click.act("701", "retrieve", {"auto_answer": "yes"}, MINE)[0] == 422
    assert click.act("701", "retrieve", {"to": "1002"}, OTHER)[0] == 403
    assert click.act("702", "retrieve", {}, MINE)[0] == 404
    assert waits_on(switch, caller)
    caller.hang_up()


@pytest.mark.parametrize("why", ["not registered", "busy", "rejects", "does not answer"])
def test_the_caller_waits_on_if_nobody_answers(switch, phones, click, why):
    """The music has no gap, and the time-out is the same as before."""
    with_lot(switch, ("park-timeout", "60"), ("ringback-timeout", "2"))
    caller, row = park_by_transfer(phones, switch)
    before = switch.calls()[0]["timeout_at"]
    phone = phones("1002")
    if why == "not registered":
        phone.unregister()
    else:
        phone.on_ring = {"busy": 486, "rejects": 603, "does not answer": None}[why]
    assert caller.audio.hears(MUSIC)
    meter, began = SoundMeter(), time.monotonic()
    caller.audio.meter = meter
    status, answer = click.act("701", "retrieve", {}, MINE)
    if why == "does not answer":
        assert (status, answer["state"]) == (200, "retrieving")
    else:
        assert status == 409 and f"1002@{DOMAIN}" in answer["error"], answer
    failed = switch.events.wait("retrieve-failed", timeout=8)
    assert (failed["CallPark-Retriever"], failed["CallPark-Actor"]) == (f"1002@{DOMAIN}", f"1002@{DOMAIN}") and failed["CallPark-Cause"]
    assert waits_on(switch, caller) and abs(switch.calls()[0]["timeout_at"] - before) < 1500
    assert meter.longest_silence(began) < 0.3, "the music had a gap"
    taker = phones("1003", says=900).call("701")
    assert caller.audio.hears(900)
    assert switch.events.of(row["uuid"]) == ["park", "retrieve-failed", "retrieve"]
    assert "CallPark-Actor" not in switch.events.wait("retrieve")
    taker.hang_up()
    caller.hang_up()


def test_nobody_else_gets_a_call_that_is_held(switch, phones, click):
    caller, row = park_by_transfer(phones, switch)
    heard, line = listen(click)
    phone, other = phones("1002", says=900), phones("1003", says=1000)
    assert click.act("701", "retrieve", {}, MINE)[0] == 200
    ringing = phone.wait_call()
    shown = wait_for(lambda: [event["call"] for _, event in heard if event["action"] == "retrieving"])
    assert [(call["slot"], call["state"]) for call in shown] == [("701", "retrieving")], "the dashboards do not learn that the call is held"
    line.close()
    for verb, body in [("retrieve", {}), ("ringback", {}), ("transfer", {"extension": "tone-1300"})]:
        status, answer = click.act("701", verb, body, COLLEAGUE)
        assert status == 409 and "somebody else" in answer["error"], (verb, answer)
    assert click.act("701", "retrieve", {}, MINE)[0] == 409, "the second click of a double click rang the phone again"
    refused = other.call("do-retrieve-701")
    assert refused.audio.hears(1700), "another user got the call"
    refused.hang_up()
    ringing.answer()
    assert caller.audio.hears(900)
    caller.hang_up()


def test_of_two_clicks_at_once_one_wins(switch, phones, click):
    for user in ("1002", "1003"):
        phones(user, says=int(user) - 100)
    for _ in range(5):
        caller, row = park_by_transfer(phones, switch)
        answers = []
        clicks = [threading.Thread(target=lambda token=token: answers.append(click.act("701", "retrieve", {}, token))) for token in (MINE, COLLEAGUE)]
        for one in clicks:
            one.start()
        for one in clicks:
            one.join()
        assert sorted(status for status, _ in answers) == [200, 409], answers
        caller.hang_up()
        assert wait_for(lambda: not switch.calls()) and switch.wait_idle()


def test_the_phone_stops_ringing_if_the_caller_hangs_up(switch, phones, click):
    caller, row = park_by_transfer(phones, switch)
    phone = phones("1002")
    assert click.act("701", "retrieve", {}, MINE)[0] == 200
    ringing = phone.wait_call()
    caller.hang_up()
    assert ringing.wait_over(), "the phone still rings"
    assert switch.events.wait("abandon") and switch.events.of(row["uuid"]) == ["park", "abandon"]
    record = wait_for(lambda: [one for one in click.get("history?count=5") if one["uuid"] == row["uuid"]])[0]
    assert (record["outcome"], record["actor"]) == ("abandoned", f"1002@{DOMAIN}")


def test_phones_that_can_answer_by_themselves_are_asked_to(switch, phones, click):
    phone = phones("1002", says=900)
    for wanted in (False, True):
        caller, _ = park_by_transfer(phones, switch)
        assert click.act("701", "retrieve", {"auto_answer": wanted}, MINE)[0] == 200
        ringing = phone.wait_call()
        assert ("answer-after=0" in ringing.invite_headers["call-info"]) == wanted
        ringing.answer()
        assert caller.audio.hears(900)
        caller.hang_up()
        assert ringing.wait_over()


def test_the_phone_of_a_colleague_is_not_made_to_answer(switch, phones, click):
    """Before: a user could listen to the room of a colleague, whose phone answered by itself."""
    caller, _ = park_by_transfer(phones, switch)
    phone = phones("1003", says=900)
    status, answer = click.act("701", "retrieve", {"to": "1003", "auto_answer": True}, MINE)
    assert status == 403 and "own user" in answer["error"] and phone.rang.empty() and waits_on(switch, caller)
    assert click.act("701", "retrieve", {"to": "1003", "auto_answer": False}, MINE)[0] == 200
    ringing = phone.wait_call()
    assert "answer-after=0" not in ringing.invite_headers["call-info"]
    ringing.answer()
    assert caller.audio.hears(900)
    caller.hang_up()


def test_a_recall_that_is_due_while_the_call_is_held_follows(switch, phones, click):
    with_lot(switch, ("park-timeout", "2"), ("ringback-timeout", "4"))
    caller, row = park_by_transfer(phones, switch)
    parker, phone = phones.made[0], phones("1002")
    parker.on_ring = 0.1
    assert click.act("701", "retrieve", {}, MINE)[0] == 200
    ringing = phone.wait_call()
    time.sleep(2.5)
    assert state(switch) == ["retrieving"] and not parker.calls, "the parker was called although the call is held"
    assert ringing.wait_over(6) and wait_for(lambda: parker.calls, 3), "no recall"
    assert switch.events.wait("return")
    caller.hang_up()


def test_a_click_during_a_recall_takes_the_call(switch, phones, click):
    with_lot(switch, ("park-timeout", "1"), ("ringback-timeout", "20"))
    caller, row = park_by_transfer(phones, switch)
    parker, phone = phones.made[0], phones("1002", says=900)
    parker.on_ring = None
    recall = parker.wait_call()
    assert state(switch) == ["ringing-back"]
    assert click.act("701", "retrieve", {}, MINE)[0] == 200
    ringing = phone.wait_call()
    assert recall.wait_over(), "the recall still rings"
    ringing.answer()
    assert caller.audio.hears(900)
    caller.hang_up()


def test_the_rules_of_the_lot_apply_to_the_user(switch, phones, click):
    with_lot(switch, ("park-timeout", "0"), ("retrieve-groups", "nobody"))
    caller, _ = park_by_transfer(phones, switch)
    phone = phones("1002")
    status, answer = click.act("701", "retrieve", {}, MINE)
    assert status == 403 and "groups" in answer["error"] and phone.rang.empty()
    assert waits_on(switch, caller)
    caller.hang_up()


def test_a_mailbox_or_a_forwarded_phone_does_not_take_the_caller(switch, phones, click):
    caller, _ = park_by_transfer(phones, switch)
    phones("1002").on_ring = f"sip:tone-1300@{DOMAIN}"
    status, answer = click.act("701", "retrieve", {}, MINE)
    assert status == 409, answer
    assert waits_on(switch, caller)
    caller.hang_up()


def test_phones_that_the_dialplan_wakes_ring_too(switch, phones, click):
    """With `ringback-via` = `dialplan` the extension of the user is called, as for a recall."""
    with_lot(switch, ("park-timeout", "0"), ("ringback-via", "dialplan"))
    caller, row = park_by_transfer(phones, switch)
    phone = phones("1002", says=900)
    assert click.act("701", "retrieve", {}, MINE)[0] == 200
    ringing = phone.wait_call()
    assert state(switch) == ["retrieving"]
    ringing.answer()
    assert caller.audio.hears(900) and ringing.audio.hears(600)
    assert switch.events.wait("retrieve")["CallPark-Actor"] == f"1002@{DOMAIN}"
    caller.hang_up()


def test_a_click_does_not_name_the_actor_of_a_later_retrieval(switch, phones, click):
    """The phone answers and hangs up before it is connected, or does not answer; then another user dials the slot."""
    caller, row = park_by_transfer(phones, switch)
    phones("1002").on_ring = 603
    assert click.act("701", "retrieve", {}, MINE)[0] == 409
    taker = phones("1003", says=900).call("701")
    assert caller.audio.hears(900) and "CallPark-Actor" not in switch.events.wait("retrieve")
    record = wait_for(lambda: [one for one in click.get("history?count=5") if one["uuid"] == row["uuid"]])[0]
    assert (record["retriever"], record["actor"]) == (f"1003@{DOMAIN}", f"1002@{DOMAIN}"), "the history has who acted last by HTTP"
    taker.hang_up()
    caller.hang_up()


def test_the_command_reports_a_phone_that_does_not_answer(switch, phones, click):
    caller, row = park_by_transfer(phones, switch)
    phones("1002").on_ring = 486
    assert switch.api(f"callpark retrieve 701 user/1002@{DOMAIN}") == "-ERR USER_BUSY\n"
    failed = switch.events.wait("retrieve-failed")
    assert failed["CallPark-Cause"] == "USER_BUSY" and "CallPark-Actor" not in failed
    assert waits_on(switch, caller)
    caller.hang_up()


def test_a_reload_does_not_disturb_a_call_that_is_held(switch, phones, click):
    caller, _ = park_by_transfer(phones, switch)
    phone = phones("1002", says=900)
    assert click.act("701", "retrieve", {}, MINE)[0] == 200
    ringing = phone.wait_call()
    assert switch.api("callpark reload apply").startswith("+OK") and state(switch) == ["retrieving"]
    ringing.answer()
    assert caller.audio.hears(900)
    caller.hang_up()


def test_a_caller_who_was_held_when_freeswitch_died_is_parked_again(crashable, phones_of):  # noqa: F811
    port, tokens = free_port(), crashable.dir / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    lots, settings, phrases, extensions = crashable.written
    settings += f'<param name="http-listen" value="127.0.0.1:{port}"/><param name="http-token-file" value="{tokens}"/>'
    assert crashable.reload(lots, settings, phrases, extensions).startswith("+OK")
    phones = phones_of(crashable)
    caller, row = park_by_transfer(phones, crashable, "701")
    phone = phones("1002")
    assert Site(port).act("701", "retrieve", {}, MINE)[0] == 200 and phone.wait_call()
    assert state(crashable) == ["retrieving"]
    crash_and_restart(crashable)
    crashable.api("sofia recover")
    assert wait_for(lambda: state(crashable) == ["parked"], 8) and crashable.calls()[0]["uuid"] == row["uuid"]
    assert caller.audio.hears(MUSIC, within=5)
    taker = phones("1003", says=900).call("701")
    assert caller.audio.hears(900)
    taker.hang_up()
