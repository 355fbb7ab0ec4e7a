"""Tests the HTTP API, the metrics, and their access rules."""

import hashlib
import http.client
import json
import socket
import threading
import time
import urllib.parse

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from conftest import LOTS, MUSIC
from parking import lot, park_by_transfer
from switch import free_port, wait_for

ALL, LOOK, OTHER, ACT = "all-may-0123456789", "look-only-0123456789", "other-domain-0123456789", "act-only-0123456789"


class Site:
    """A client of the module's HTTP server."""

    def __init__(self, port):
        self.port = port

    def ask(self, path, token=ALL, method="GET", body=None, headers=()):
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        more = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            more["Content-Type"] = "application/json"
            body = json.dumps(body) if not isinstance(body, (str, bytes)) else body
        line.request(method, path, body, {**more, **dict(headers)})
        answer = line.getresponse()
        text = answer.read().decode()
        line.close()
        return answer.status, (json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text), answer.headers

    def get(self, path, token=ALL):
        status, body, _ = self.ask(f"/api/v1/{path}", token)
        assert status == 200, body
        return body

    def act(self, slot, verb, body=None, token=ALL, domain="callpark.test", **more):
        return self.ask(f"/api/v1/calls/{domain}/{urllib.parse.quote(slot, safe='')}/{verb}", token, "POST", body or {}, **more)[:2]


@pytest.fixture
def site(switch):
    port = free_port()
    tokens = switch.dir / "tokens"
    hashed = hashlib.sha256(LOOK.encode()).hexdigest()
    tokens.write_text(f"# desks\n{ALL} view,act *\nsha256:{hashed} view *\n{OTHER} view,act other.test\n{ACT} act *\n")
    tokens.chmod(0o600)
    settings = f'<param name="http-listen" value="127.0.0.1:{port}"/><param name="http-token-file" value="{tokens}"/>'
    assert switch.reload(LOTS, settings).startswith("+OK")
    yield Site(port)
    assert switch.reload(LOTS).startswith("+OK")


def test_the_api_has_the_same_values_as_the_command(switch, phones, site):
    caller, row = park_by_transfer(phones, switch, name="A&T <'%s")
    [by_api] = site.get("calls")
    [by_command] = switch.calls()
    assert abs(by_api.pop("wait_ms") - by_command.pop("wait_ms")) < 2000
    assert by_api == by_command
    main = next(lot for lot in site.get("lots") if (lot["lot"], lot["domain"]) == ("main", "callpark.test"))
    assert (main["used"], main["free"], main["service_level"]) == (1, 9, 60) and [s["slot"] for s in main["slots"]][0] == "701"
    assert site.get("me") == {"rights": ["view", "act"], "domain": "*"}
    caller.hang_up()
    assert wait_for(lambda: site.get("calls") == [])
    record = wait_for(lambda: site.get("history?count=1"))[0]
    assert record["uuid"] == row["uuid"] and record["outcome"] == "abandoned"
    assert sum(tally["parked"] for tally in site.get("stats?days=1")) >= 1


def test_the_actions_on_a_call(switch, phones, site):
    assert switch.reload(lot(("park-timeout", "60")), switch.written[1]).startswith("+OK")
    caller, row = park_by_transfer(phones, switch)
    status, call = site.act("701", "label", {"text": "Mr Chen"})
    assert (status, call["label"]) == (200, "Mr Chen") and switch.calls()[0]["label"] == "Mr Chen"
    before = call["timeout_at"]
    status, call = site.act("701", "extend", {"seconds": 100})
    assert status == 200 and abs(call["timeout_at"] - before - 100_000) < 2000
    phones.made[0].on_ring = None
    status, call = site.act("701", "ringback")
    assert (status, call["state"], call["attempt"]) == (200, "ringing-back", 1) and switch.calls()[0]["state"] == "ringing-back"
    assert site.act("701", "transfer", {"extension": "tone-1300"})[0] == 200 and caller.audio.hears(1300)
    assert site.act("701", "ringback") == (404, {"error": "nobody is parked in slot 701"})
    caller.hang_up()


@pytest.mark.parametrize("slot, verb, body, status", [
    ("701", "label", {}, 400), ("701", "label", {"text": "x" * 201}, 400), ("701", "extend", {"seconds": 0}, 400),
    ("701", "extend", {"seconds": "x"}, 422), ("701", "transfer", {"extension": "no-such-extension"}, 409),
    ("701", "explode", {}, 404), ("7x1", "label", {"text": "x"}, 400), ("799", "label", {"text": "x"}, 404),
    ("701", "label", "{", 400), ("701", "label", {"text": "x" * 9000}, 413)])
def test_a_bad_request_is_refused_and_changes_nothing(switch, phones, site, slot, verb, body, status):
    caller = phones(says=600).call("do-park-701")
    assert wait_for(switch.calls)
    assert site.act(slot, verb, body)[0] == status
    assert caller.audio.hears(MUSIC) and switch.calls()[0]["label"] == ""
    caller.hang_up()


def test_the_rights_and_the_domain_of_a_token(switch, phones, site):
    caller = phones(says=600).call("do-park-701")
    assert wait_for(switch.calls)
    for path in ("me", "calls", "lots", "stats", "history", "events"):
        for token in (None, "", "wrong-0123456789", ALL + "x"):
            assert site.ask(f"/api/v1/{path}", token)[0] == 401, path
    assert site.ask("/api/v1/me", None, headers={"Authorization": f"bearer {LOOK}"})[0] == 200, "the authentication scheme is not case-insensitive"
    assert site.ask("/api/v1/me", None, headers={"Authorization": f"Basic {LOOK}"})[0] == 401
    assert site.get("me", LOOK)["rights"] == ["view"] and len(site.get("calls", LOOK)) == 1
    assert site.act("701", "label", {"text": "x"}, LOOK) == (403, {"error": "this token may only look"})
    assert site.get("calls", OTHER) == [] and site.get("me", OTHER)["domain"] == "other.test"
    theirs = phones("2000", domain="other.test").call("do-park-702")
    assert wait_for(lambda: [(call["slot"], call["domain"]) for call in site.get("calls", OTHER)] == [("702", "other.test")])
    assert {lot["domain"] for lot in site.get("lots", OTHER)} == {"other.test"}
    theirs.hang_up()
    assert site.act("701", "label", {"text": "x"}, OTHER)[0] == 403
    assert {site.ask(f"/api/v1/{path}", ACT)[0] for path in ("calls", "lots", "stats", "history", "events")} == {403}
    assert site.act("701", "label", {"text": "y"}, ACT)[0] == 200
    assert site.act("701", "label", {"text": "x"}, headers={"Origin": "https://evil.example"})[0] == 403
    assert site.act("701", "label", {"text": "x"}, headers={"Origin": f"http://127.0.0.1:{site.port}"})[0] == 200
    secrets = [token for token in (ALL, LOOK, OTHER) if token in switch.log()]
    assert not secrets, "a token is in the log"
    caller.hang_up()


def test_the_lots_of_a_domain_that_has_not_used_one_yet_are_shown(switch, phones, site):
    """Also after a reload. Before: the dashboard of such a domain had no slots until a call or a lamp asked for one."""
    phones("2000", domain="other.test").call("do-park-702").hang_up()
    assert switch.wait_idle() and switch.api("callpark reload").startswith("+OK")
    for _ in range(2):
        assert [(lot["lot"], lot["domain"], lot["used"]) for lot in site.get("lots", OTHER)] == [("main", "other.test", 0)]
    assert "701" in [slot["slot"] for slot in site.get("lots", OTHER)[0]["slots"]]


def test_a_token_of_one_domain_counts_that_domain_only(switch, phones, site):
    for phone in (phones(), phones("2000", domain="other.test")):
        phone.call("do-park-701").hang_up()
    domains = lambda path, token: {row["domain"] for row in site.get(path, token)}
    assert wait_for(lambda: {"callpark.test", "other.test"} <= domains("history", ALL))
    for path in ("history", "stats?days=2"):
        assert {"callpark.test", "other.test"} <= domains(path, ALL) and domains(path, OTHER) == {"other.test"}, path


def listen(site, token=ALL):
    """Opens the stream of events. Returns the list to which they are added, each with its time, and the connection."""
    heard, line = [], http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    line.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {token}"})
    answer = line.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"

    def read():
        try:
            while text := answer.readline().decode():
                if text.startswith("data: "):
                    heard.append((time.monotonic(), json.loads(text[6:])))
        except (OSError, ValueError, AttributeError):
            pass

    threading.Thread(target=read, daemon=True).start()
    return heard, line


def test_the_event_stream_is_immediate_and_of_the_tokens_domain(switch, phones, site):
    heard, line = listen(site)
    foreign, other_line = listen(site, OTHER)
    caller = phones(says=600).call("do-park-701")
    assert wait_for(lambda: [e["action"] for _, e in heard] == ["park"], 1), heard
    assert heard[0][1]["call"]["slot"] == "701" and heard[0][1]["domain"] == "callpark.test"
    caller.hang_up()
    assert wait_for(lambda: [e["action"] for _, e in heard] == ["park", "abandon"], 1)
    theirs = phones("2000", domain="other.test").call("do-park-702")
    assert wait_for(lambda: foreign, 1), "the other token gets no events"
    theirs.hang_up()
    assert wait_for(lambda: [(e["action"], e["domain"]) for _, e in foreign] == [("park", "other.test"), ("abandon", "other.test")], 1), foreign
    line.close()
    other_line.close()


def test_reservations_are_in_the_event_stream_only(switch, phones, site):
    """The reservation of a slot for a consultation has no `callpark::info` event. An extended timeout has one."""
    assert switch.reload(lot(("park-timeout", "60")), switch.written[1]).startswith("+OK")
    caller, _ = park_by_transfer(phones, switch)
    switch.events.wait("park")
    switch.events.clear()
    heard, line = listen(site)
    actions = lambda: [event["action"] for _, event in heard]
    assert site.act("701", "extend", {"seconds": 30})[0] == 200
    assert wait_for(lambda: actions() == ["extend"], 2), heard
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    second = phones(says=800).call("1001")
    call = parker.wait_call()
    assert call.answered.wait(5) and second.audio.hears(700)
    call.hold()
    consultation = parker.call("703")
    assert wait_for(lambda: actions() == ["extend", "reserve"], 2), heard
    assert heard[1][1]["call"]["state"] == "reserved" and heard[1][1]["slot"] == "703"
    consultation.hang_up()
    assert wait_for(lambda: actions() == ["extend", "reserve", "release"], 2), heard
    assert [event["CallPark-Action"] for event in switch.events.all] == ["extend"]
    line.close()
    for end in (second, caller):
        end.hang_up()


def test_the_metrics_are_openmetrics(switch, phones, site):
    def value(name, **labels):
        samples = [s for f in text_string_to_metric_families(site.ask("/metrics", token=None)[1]) for s in f.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    before = value("freeswitch_callpark_ended_total", outcome="abandoned")
    caller = phones(says=600).call("do-park-701")
    assert wait_for(lambda: value("freeswitch_callpark_calls", lot="main", domain="callpark.test") == 1)
    assert value("freeswitch_callpark_slots", lot="main", domain="callpark.test") == 10
    caller.hang_up()
    assert wait_for(lambda: value("freeswitch_callpark_ended_total", outcome="abandoned") == before + 1)
    assert value("freeswitch_callpark_calls") == 0 and value("freeswitch_callpark_panics_caught_total") == 0
    assert value("freeswitch_callpark_wait_seconds_count", lot="main") >= 1
    assert 10_000 < value("freeswitch_callpark_memory_bytes") < 100e6
    held = value("freeswitch_callpark_lock_held_seconds_count")
    assert held > 10 and value("freeswitch_callpark_lock_held_seconds_bucket", le="+Inf") >= held  # each request locks, too
    longest = value("freeswitch_callpark_lock_held_longest_seconds")
    assert longest >= value("freeswitch_callpark_lock_work_longest_seconds") > 0
    names = {s.name for f in plain_families(site.ask("/metrics", token=None)[1]) for s in f.samples}
    assert {"freeswitch_callpark_parked_total", "freeswitch_callpark_calls", "freeswitch_callpark_wait_seconds_bucket"} <= names, "a name is missing for readers of the older Prometheus format"
    families = [f for f in text_string_to_metric_families(site.ask("/metrics", token=None)[1])]
    assert len(families) >= 9 and all(f.documentation and f.name.startswith("freeswitch_callpark_") for f in families), [f.name for f in families]


def test_a_thousand_idle_clients_do_not_delay_calls(switch, phones, site):
    def idle():
        line = socket.create_connection(("127.0.0.1", site.port))
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        return line

    lines = [idle() for _ in range(1000)]
    began = time.monotonic()
    caller = phones(says=600).call("do-park-701")
    assert wait_for(switch.calls) and caller.audio.hears(MUSIC)
    assert time.monotonic() - began < 3
    for line in lines:
        line.close()
    assert wait_for(lambda: answers(site), 20, 0.2), "the server does not answer after the clients have disconnected"
    status, _, headers = site.ask("/api/v1/me", headers={"X-Long": "x" * 20_000})
    assert status == 431
    caller.hang_up()


def answers(site):
    try:
        return site.ask("/healthz", token=None)[1] == "ok"
    except (OSError, http.client.HTTPException):
        return False


@pytest.mark.parametrize("listen_at, mode, text, why", [
    ("127.0.0.1:{port}", 0o644, f"{ALL} view *", "make it 0600"), ("127.0.0.1:{port}", 0o600, "short view *", "line 1: a token of fewer"),
    ("0.0.0.0:{port}", 0o600, "", "outside this machine it needs tokens")])
def test_the_server_does_not_start_with_an_unsafe_configuration(switch, listen_at, mode, text, why):
    port = free_port()
    tokens = switch.dir / "bad-tokens"
    tokens.write_text(text)
    tokens.chmod(mode)
    before = len(switch.log())
    assert switch.reload(LOTS, f'<param name="http-listen" value="{listen_at.format(port=port)}"/><param name="http-token-file" value="{tokens}"/>').startswith("+OK")
    assert wait_for(lambda: why in switch.log()[before:])
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    assert switch.reload(LOTS).startswith("+OK")


def test_the_page_is_served_with_a_strict_policy(switch, site):
    status, page, headers = site.ask("/", token=None)
    assert status == 200 and page.startswith("<!doctype html>") and "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    status, _, headers = site.ask("/main.js", token=None)
    assert status == 200 and headers["Content-Type"].startswith("text/javascript")
    assert site.ask("/../Cargo.toml", token=None)[0] == 404 and site.ask("/secret", token=None)[0] == 404


def test_a_reload_without_http_changes_does_not_end_the_event_stream(switch, site):
    heard, line = listen(site)
    for _ in range(3):
        switch.api("reloadxml")
        assert switch.api("callpark reload").startswith("+OK")
    assert wait_for(lambda: [event["action"] for _, event in heard].count("reload") >= 6), "the stream has ended"
    (switch.dir / "tokens").write_text(f"{LOOK} view *\n")
    assert switch.api("callpark reload").startswith("+OK")
    assert site.ask("/api/v1/me")[0] == 401 and site.ask("/api/v1/me", LOOK)[0] == 200
    count = len(heard)
    assert switch.api("callpark reload").startswith("+OK") and not wait_for(lambda: len(heard) > count, 0.5), "the stream of a removed token gets events"
    line.close()


def test_unload_with_an_open_event_stream(switch, site):
    heard, line = listen(site)
    assert switch.api("unload mod_callpark").startswith("+OK")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", site.port), timeout=1)
    assert "+OK" in switch.api("load mod_callpark") and wait_for(lambda: answers(site))
    line.close()
