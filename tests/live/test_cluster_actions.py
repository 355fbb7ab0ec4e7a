"""Tests that each action on a parked call works on every node of a cluster, whichever node has the call."""

import signal
import threading
import time

import pytest

from conftest import MUSIC
from parking import conversation, park_by_transfer
from phone import DOMAIN
from switch import wait_for
from test_cluster import cluster  # noqa: F401  (a fixture)
from test_history import postgres  # noqa: F401  (a fixture)
from test_take_by_click import COLLEAGUE, MINE, OTHER, TENANT, TOKENS
from test_web import Site

FIRST = "of-user-1001-0123456789"


@pytest.fixture
def nodes(cluster):  # noqa: F811
    """Two nodes with the HTTP API, whose lot has a time-out, so that it can be postponed."""
    def prepare(node):
        tokens = node.dir / "tokens"
        tokens.write_text(f"{TOKENS}{FIRST} view,act {DOMAIN} 1001\n")
        tokens.chmod(0o600)
        lots, settings, phrases, extensions = node.written
        lots = lots.replace('"park-timeout" value="0"', '"park-timeout" value="300"').replace("</lot>", '<param name="ringback-timeout" value="8"/></lot>')
        node.configure(lots, f'{settings}<param name="http-token-file" value="{tokens}"/>', phrases, extensions)
        node.site = Site(node.http)

    return cluster(prepare=prepare)


def park_on(first, second, phones, slot="703"):
    """Parks a caller on the first node, and waits until the second one knows it."""
    caller, row = park_by_transfer(phones, first, slot)
    assert wait_for(lambda: [call["uuid"] for call in second.calls()] == [row["uuid"]], 4)
    return caller, row


def state(node):
    return [call["state"] for call in node.calls()]


def test_each_action_works_on_a_call_of_the_other_node(nodes, phones_of):
    """Before: 409, `the call in slot 703 waits on node ...`."""
    first, second = nodes
    here = phones_of(first)
    caller, row = park_on(first, second, here)
    here.made[0].on_ring = None  # the parker's phone
    act = lambda verb, body=None, token=TENANT: second.site.act("703", verb, body, token)
    began = time.monotonic()
    status, call = act("label", {"text": "Mr Chen"}, MINE)
    assert (status, call["label"], call["node"]) == (200, "Mr Chen", first.name) and first.calls()[0]["label"] == "Mr Chen", call
    print(f"an action on the other node took {time.monotonic() - began:.2f} s")
    assert first.events.wait("label")["CallPark-Actor"] == f"1002@{DOMAIN}"
    before = first.calls()[0]["timeout_at"]
    status, call = act("extend", {"seconds": 100})
    assert status == 200 and abs(first.calls()[0]["timeout_at"] - before - 100_000) < 2000, call
    status, call = act("ringback")
    assert (status, call["state"]) == (200, "ringing-back") and first.events.wait("ringback")["CallPark-Actor"].startswith("token:"), call
    for verb, body, wanted in [("ringback", {}, 409), ("transfer", {"extension": "no-such-extension"}, 409), ("transfer", {"extension": "x y"}, 400)]:
        status, answer = act(verb, body)
        assert status == wanted and answer["error"], (verb, answer)
    assert act("label", {"text": "x"}, OTHER)[0] == 403
    assert second.api("callpark label 703 by command").startswith("+OK") and first.calls()[0]["label"] == "by command"
    assert "waits on node" in second.api("callpark transfer 703 tone-1300 XML default"), "a node may name no dialplan to another"
    status, call = act("transfer", {"extension": "tone-1300"}, MINE)
    assert status == 200 and caller.audio.hears(1300), call
    assert first.events.wait("transfer")["CallPark-Actor"] == f"1002@{DOMAIN}"
    record = wait_for(lambda: [one for one in second.site.get("history?count=5") if one["uuid"] == row["uuid"]], 6)[0]
    assert (record["outcome"], record["actor"]) == ("transferred", f"1002@{DOMAIN}")
    caller.hang_up()


@pytest.mark.parametrize("registered", ["on the other node", "on the node of the call"])
def test_a_call_of_the_other_node_is_taken_by_a_click(nodes, phones_of, registered):
    """Before: the phone rang while others could take the call, and only if it was registered on the node of the click."""
    first, second = nodes
    here, there = phones_of(first), phones_of(second)
    caller, row = park_on(first, second, here)
    phone = (there if registered == "on the other node" else here)("1002", says=900)
    status, call = second.site.act("703", "retrieve", {}, MINE)
    assert (status, call["state"], call["uuid"]) == (200, "retrieving", row["uuid"]), call
    ringing = phone.wait_call()
    assert state(first) == ["retrieving"] and caller.audio.hears(MUSIC)
    for node in nodes:
        status, answer = node.site.act("703", "retrieve", {}, COLLEAGUE)
        assert status == 409, answer
    refused = here("1003").call("do-retrieve-703")
    assert refused.audio.hears(1700), "another user got the call"
    refused.hang_up()
    ringing.answer()
    assert caller.audio.hears(900, 5) and ringing.audio.hears(600)
    told = first.events.wait("retrieve")
    assert (told["CallPark-Retriever"], told["CallPark-Actor"]) == (f"1002@{DOMAIN}", f"1002@{DOMAIN}")
    assert wait_for(lambda: not second.calls() and not first.calls(), 4)
    caller.hang_up()
    assert ringing.wait_over()


@pytest.mark.parametrize("why", ["rejects", "does not answer", "not registered", "the caller hangs up"])
def test_a_caller_of_the_other_node_waits_on_if_nobody_answers(nodes, phones_of, why):
    first, second = nodes
    caller, row = park_on(first, second, phones_of(first))
    if why != "not registered":
        phone = phones_of(second)("1002")
        phone.on_ring = 603 if why == "rejects" else None
    status, answer = second.site.act("703", "retrieve", {}, MINE)
    if why == "the caller hangs up":
        ringing = phone.wait_call()
        caller.hang_up()
        assert ringing.wait_over(4), "the phone still rings"
        assert first.events.of(row["uuid"]) == ["park", "abandon"]
        return
    assert status == (200 if why == "does not answer" else 409), answer
    failed = first.events.wait("retrieve-failed", timeout=13)
    assert (failed["CallPark-Retriever"], failed["CallPark-Actor"]) == (f"1002@{DOMAIN}", f"1002@{DOMAIN}") and failed["CallPark-Cause"]
    assert wait_for(lambda: state(first) == state(second) == ["parked"], 4) and caller.audio.hears(MUSIC)
    taker = phones_of(first)("1003", says=900).call("703")
    assert caller.audio.hears(900)
    taker.hang_up()
    caller.hang_up()


def test_of_two_clicks_on_two_nodes_one_wins(nodes, phones_of):
    first, second = nodes
    here, there = phones_of(first), phones_of(second)
    here("1003")
    there("1002")
    caller, _ = park_on(first, second, here)
    answers = []
    clicks = [threading.Thread(target=lambda node=node, token=token: answers.append(node.site.act("703", "retrieve", {}, token)[0]))
              for node, token in ((first, COLLEAGUE), (second, MINE))]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert sorted(answers) == [200, 409]
    caller.hang_up()
    assert wait_for(lambda: not first.calls() and not second.calls(), 4)


def test_a_conversation_on_the_other_node_is_parked(nodes, phones_of):
    """Before: 404, there was no such path."""
    first, second = nodes
    caller, call = conversation(phones_of(first))
    [mine] = wait_for(lambda: first.site.get("channels", FIRST))
    park = lambda token, **body: second.site.ask("/api/v1/park", token, "POST", body)[:2]
    assert park(COLLEAGUE, uuid=mine["uuid"])[0] == park(FIRST, uuid="no-such-channel")[0] == 404
    assert park(FIRST, uuid=mine["uuid"], slot="799")[0] == 404
    status, parked = park(FIRST, uuid=mine["uuid"], slot="705")
    assert (status, parked["slot"], parked["node"], parked["parker"]) == (200, "705", first.name, f"1001@{DOMAIN}"), parked
    assert caller.audio.hears(MUSIC) and first.events.wait("park")["CallPark-Actor"] == f"1001@{DOMAIN}"
    caller.hang_up()


def test_an_action_on_a_frozen_node_is_answered_in_time(nodes, phones_of):
    first, second = nodes
    caller, _ = park_on(first, second, phones_of(first))
    first.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    status, answer = second.site.act("703", "label", {"text": "x"}, TENANT)
    took = time.monotonic() - began
    first.process.send_signal(signal.SIGCONT)
    assert status == 503 and first.name in answer["error"] and took < 9, (status, answer, took)
    time.sleep(2)
    assert first.calls()[0]["label"] == "", "the node carried out a request that nobody waits for"
    caller.hang_up()


def test_a_call_that_is_held_for_a_node_which_dies_is_released(nodes, phones_of):
    first, second = nodes
    caller, row = park_on(first, second, phones_of(first))
    phone = phones_of(second)("1002")
    assert second.site.act("703", "retrieve", {}, MINE)[0] == 200
    assert phone.wait_call() and state(first) == ["retrieving"]
    second.kill()
    assert wait_for(lambda: state(first) == ["parked"], 27) and caller.audio.hears(MUSIC)
    caller.hang_up()
