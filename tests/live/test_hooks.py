"""Tests hooks against receivers that take each message, are slow, gone, or answer with something else. Before: nobody outside the phones was told."""

import hashlib
import hmac
import json
import re
import threading
import time

import pytest

from conftest import MUSIC, new_switch
from parking import lot, park_by_transfer
from phone import DOMAIN
from receiver import Receiver, certificate, silent_port
from switch import free_port, wait_for

FIELDS = ("id event outcome at lot domain slot state wait_ms parked_at timeout_at late caller_name caller_number parker label attempt uuid node "
          "retriever cause link").split()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def hooked(switch):
    """Gives FreeSWITCH hooks, and takes them away after the test."""
    def configure(*hooks, lots=None, settings=""):
        switch.hooks = "".join(f"<hook {hook}/>" for hook in hooks)
        return switch.reload(lots or lot(("park-timeout", "0")), settings)

    yield configure
    switch.hooks = ""
    assert switch.reload(lot(("park-timeout", "0"))).startswith("+OK")


def status(switch, name="chat"):
    found = re.search(rf"^hook {name} +(\d+) sent, (\d+) waiting, (\d+) retried, (\d+) failed(.*)$", switch.api("callpark status"), re.M)
    return found and (*map(int, found.groups()[:4]), found.group(5))


def unload(switch):
    """Unloads the module when no leg uses it any more. Returns the seconds that it took."""
    def unloads():
        began = time.monotonic()
        in_use = "in use" in switch.api("unload mod_callpark")
        return not in_use and time.monotonic() - began

    took = wait_for(unloads, 15, 0.2)
    assert took, "the module stays in use"
    return took


def park_at_once(switch, number):
    for _ in range(number):
        switch.api("bgapi originate null/x &callpark_park(auto)")
    assert wait_for(lambda: len(switch.calls()) == number)


def test_each_event_of_a_call_is_posted_in_order(switch, phones, hooked, receiver):
    lots = lot(("park-timeout", "0"), ("remind-after", "2"))
    assert hooked(f'name="chat" url="{receiver.url}" secret="s3cret"', lots=lots, settings='<param name="http-url" value="https://park.example.com/"/>') == "+OK\n"
    caller, row = park_by_transfer(phones, switch, name="A&T <x>")
    switch.api("callpark label 701 Mr Chen, invoice")
    receiver.wait(2)
    taker = phones("1002", says=900).call("701")
    park, remind, retrieved = receiver.wait(3)
    assert list(park) == FIELDS
    assert [told["event"] for told in receiver.bodies] == ["park", "remind", "retrieved"]
    for name in ("lot", "domain", "slot", "caller_name", "caller_number", "parker", "parked_at", "uuid", "node"):
        assert park[name] == remind[name] == retrieved[name] == row[name], name
    assert (park["outcome"], park["late"], park["caller_name"], park["retriever"], park["state"]) == (None, False, "A&T <x>", "", "parked")
    assert remind["late"] is True and abs(remind["wait_ms"] - 2000) < 1300 and remind["label"] == "Mr Chen, invoice"
    assert (retrieved["outcome"], retrieved["retriever"], retrieved["timeout_at"]) == ("retrieved", "1002@callpark.test", None)
    assert park["link"] == "https://park.example.com/?lot=main&slot=701"
    assert len({told["id"] for told in receiver.bodies}) == 3
    for _, path, headers, body in receiver.requests:
        digest = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        assert headers["X-CallPark-Signature"] == f"sha256={digest}" and headers["Content-Type"] == "application/json"
        assert path == "/hooks/of-the-team" and headers["User-Agent"].startswith("mod_callpark/")
    assert status(switch) == (3, 0, 0, 0, "")
    taker.hang_up()
    assert "s3cret" not in switch.log() and "of-the-team" not in switch.log()


@pytest.mark.parametrize("params, events, parked, expected", [
    ((), 'events="abandoned"', 1, ["abandoned"]),
    ((), 'events="no-slot,park"', 2, ["park", "no-slot"]),
    ((), 'lots="other"', 1, []),
    ((("notify", "hook:chat"),), 'events=""', 1, ["park"]),
    ((("notify", "hook:chat"), ("notify-on", "abandoned")), 'events="park"', 1, ["park", "abandoned"]),
    ((("notify", "hook:chat"),), "", 1, ["park", "abandoned"]),
])
def test_a_hook_gets_its_events_and_those_that_lots_send(switch, phones, hooked, receiver, params, events, parked, expected):
    lots = lot(("park-timeout", "0"), *params, slots="701") + '<lot name="other" domain="*"><param name="slots" value="801"/></lot>'
    assert hooked(f'name="chat" url="{receiver.url}" {events}', lots=lots) == "+OK\n"
    callers = [park_by_transfer(phones, switch)[0]]
    if parked == 2:
        phones.made[0].on_ring = 0.1
        caller = phones(says=650).call("1001")
        phones.made[0].wait_call().refer("700")
        callers.append(caller)
        assert wait_for(lambda: len(switch.calls()) == 2)
    else:
        callers[0].hang_up()
        switch.events.wait("abandon")
    assert wait_for(lambda: [told["event"] for told in receiver.bodies] == expected), receiver.bodies
    time.sleep(0.3)
    assert [told["event"] for told in receiver.bodies] == expected, "told twice"
    for caller in callers:
        caller.hang_up()


@pytest.mark.parametrize("format, where", [
    ("slack", lambda body: body["blocks"][0]["text"]["text"]),
    ("mattermost", lambda body: body["attachments"][0]["text"]),
    ("teams", lambda body: body["attachments"][0]["content"]["body"][0]["text"]),
])
def test_a_card_has_the_facts_and_text_of_the_caller_is_data(switch, phones, hooked, receiver, format, where):
    assert hooked(f'name="chat" url="{receiver.url}" format="{format}" events="park"', settings='<param name="http-url" value="https://park.example.com"/>') == "+OK\n"
    caller, row = park_by_transfer(phones, switch, name="<!channel> *b* [x](http://evil.test) @all")
    body = receiver.wait(1)[0]
    text = json.dumps(body, ensure_ascii=False)
    assert "701" in where(body) and row["caller_number"] in text and "https://park.example.com/?lot=main&slot=701" in text
    assert "1001" in text and "main@" in text
    for markup in {"slack": ["<!channel", "*b*"]}.get(format, ["*b*", "[x](", "http://evil.test", "@all"]):
        assert markup not in text, (markup, text)
    caller.hang_up()


@pytest.mark.parametrize("privacy, name, number", [("full", "Alice 5", None), ("masked", "*****", "*"), ("none", "", "")])
def test_record_privacy_covers_hooks(switch, phones, hooked, receiver, privacy, name, number):
    assert hooked(f'name="crm" url="{receiver.url}"', settings=f'<param name="record-privacy" value="{privacy}"/>') == "+OK\n"
    caller, row = park_by_transfer(phones, switch, name="Alice 5")
    told = receiver.wait(1)[0]
    assert told["caller_name"].startswith(name) and (privacy == "full") == (told["caller_number"] == row["caller_number"])
    assert told["caller_number"].startswith(row["caller_number"] if number is None else number)
    caller.hang_up()


def test_a_receiver_that_fails_gets_each_message_later_in_order(switch, hooked, receiver):
    """It answers with errors, closes the connection, and sends nothing. Nothing is lost, and nobody waits."""
    def closes(request):
        request.connection.close()

    receiver.answers = [500, 200, closes, 503, 200]
    assert hooked(f'name="chat" url="{receiver.url}" events="park"') == "+OK\n"
    park_at_once(switch, 3)
    receiver.wait(6, 15)
    told = receiver.bodies
    ids = list(dict.fromkeys(body["id"] for body in told))
    assert [ids.index(body["id"]) for body in told] == [0, 0, 1, 1, 1, 2], "not in order, or not with the same id"
    assert told[0] == told[1], "the repeated message is another one"
    assert wait_for(lambda: status(switch) == (3, 0, 3, 0, ""))
    pauses = [later - earlier for (earlier, *_), (later, *_) in zip(receiver.requests, receiver.requests[1:])]
    assert pauses[0] > 0.9 and pauses[3] > 1.9, f"the pauses do not grow: {pauses}"
    assert "hook does not take messages" in switch.log() and "hook takes messages again" in switch.log()
    switch.api("hupall")


def test_a_receiver_that_is_gone_gets_everything_when_it_is_back(switch, hooked):
    port = free_port()
    assert hooked(f'name="chat" url="http://127.0.0.1:{port}/x" events="park,abandoned"') == "+OK\n"
    park_at_once(switch, 2)
    assert wait_for(lambda: (status(switch) or [0, 0, 0])[2] >= 1)
    sent, waiting, _, failed, now = status(switch)
    assert (sent, waiting, failed) == (0, 2, 0) and "takes nothing since" in now and "refused" in now.lower(), now
    switch.api("hupall")
    assert wait_for(lambda: status(switch)[1] == 4)
    back = Receiver(port)
    back.wait(4, 15)
    assert [event for event, _ in back.events()] == ["park", "park", "abandoned", "abandoned"]
    assert status(switch)[0] == 4
    back.close()


def test_a_redirect_is_not_followed(switch, hooked, receiver):
    inside = Receiver()

    def redirects(request):
        request.send_response(307)
        request.send_header("Location", inside.url)
        request.send_header("Content-Length", "0")
        request.end_headers()

    receiver.answers = [redirects, redirects]
    assert hooked(f'name="chat" url="{receiver.url}" events="park"') == "+OK\n"
    park_at_once(switch, 1)
    receiver.wait(3, 8)
    assert not inside.requests, "the redirect was followed"
    assert 'cause="answered 307, and redirects are not followed"' in switch.log()
    assert wait_for(lambda: status(switch) == (1, 0, 2, 0, ""))
    inside.close()
    switch.api("hupall")


@pytest.mark.parametrize("answer", ["long", "endless", "slow"])
def test_of_an_answer_little_is_read(switch, hooked, receiver, answer):
    sent = []

    def answers(request):
        request.send_response(200)
        if answer == "long":
            request.send_header("Content-Length", str(10_000_000))
        request.end_headers()
        try:
            for _ in range(10_000 if answer != "slow" else 600):
                request.wfile.write(b"x" * (1000 if answer != "slow" else 1))
                sent.append(1)
                if answer == "slow":
                    time.sleep(0.1)
        except OSError:
            pass

    receiver.answers = [answers]
    assert hooked(f'name="chat" url="{receiver.url}" events="park"') == "+OK\n"
    before = switch.memory_kb()
    park_at_once(switch, 2)
    receiver.wait(2, 20)
    assert wait_for(lambda: status(switch) == (2, 0, 0, 0, "")), status(switch)
    assert switch.memory_kb() - before < 8000 and len(sent) < 10_000
    switch.api("hupall")


def test_what_a_receiver_refuses_is_lost_and_told(switch, hooked, receiver):
    def refuses(request):
        request.send_response(400)
        request.end_headers()
        request.wfile.write(b"invalid_payload\r\n${x}")

    receiver.answers = [refuses]
    assert hooked(f'name="chat" url="{receiver.url}" events="park"') == "+OK\n"
    park_at_once(switch, 2)
    receiver.wait(2)
    lost = switch.events.wait("hook-failed", CallPark_Hook="chat")
    slot = receiver.bodies[0]["slot"]
    assert (lost["CallPark-Slot"], lost["CallPark-Domain"]) == (slot, "callpark.test") and "answered 400: invalid_payload" in lost["CallPark-Cause"]
    assert wait_for(lambda: status(switch) == (1, 0, 0, 1, ""))
    assert f'message of hook is lost hook=chat event=park slot={slot}' in switch.log()
    switch.api("hupall")


def test_no_call_waits_for_a_receiver_that_does_not_answer(switch, phones, hooked, receiver):
    """One receiver accepts no connection, and one never answers. A third gets its messages at once."""
    listener, port = silent_port()
    receiver_slow = Receiver()
    receiver_slow.answers = [lambda request: time.sleep(60)] * 5
    assert hooked(f'name="silent" url="http://127.0.0.1:{port}/"', f'name="slow" url="{receiver_slow.url}"', f'name="chat" url="{receiver.url}"',
                  lots=lot(("park-timeout", "0"), slots="701-790")) == "+OK\n"
    took = []
    for n in range(20):
        began = time.monotonic()
        assert switch.api("originate null/x &callpark_park(auto)").startswith("+OK")
        assert wait_for(lambda: len(switch.calls()) == n + 1, 2, 0.01)
        took.append(time.monotonic() - began)
    receiver.wait(20, 5)
    assert sorted(took)[-2] < 0.5, f"parking waited: {took}"
    caller, _ = park_by_transfer(phones, switch)
    assert caller.audio.hears(MUSIC)
    slot = wait_for(lambda: [call["slot"] for call in switch.calls() if call["caller_name"] == "Alice"])[0]
    taker = phones("1002", says=900).call(slot)
    assert caller.audio.hears(900)
    assert status(switch, "silent")[1] == status(switch, "slow")[1] == 22
    taker.hang_up()
    switch.api("hupall")
    listener.close()
    receiver_slow.close()


def test_a_queue_is_bounded(switch, hooked, receiver):
    """A thousand messages wait. What comes then is counted and told; the others arrive in order when the receiver is back."""
    held = threading.Event()
    receiver.answers = [lambda request: held.wait(30)]
    assert hooked(f'name="chat" url="{receiver.url}" events="abandoned"', lots=lot(("park-timeout", "0"), slots="1000-1099")) == "+OK\n"
    for round in range(11):
        for _ in range(100):
            switch.api("bgapi originate {hangup_after_bridge=true}null/x &callpark_park(auto)")
        assert wait_for(lambda: len(switch.calls()) == 100, 20), len(switch.calls())
        switch.api("hupall")
        assert wait_for(lambda: not switch.calls(), 20)
    sent, waiting, _, failed, _ = status(switch)
    assert (sent, waiting, failed) == (0, 1000, 100)
    assert switch.events.wait("hook-failed")["CallPark-Cause"] == "1000 messages wait already"
    held.set()
    assert wait_for(lambda: status(switch)[1] == 0, 30), status(switch)


def test_a_reload_keeps_what_waits_and_removed_hooks_send_it(switch, hooked, receiver):
    port = free_port()
    dead = f"http://127.0.0.1:{port}/"
    both = (f'name="chat" url="{dead}" events="park"', f'name="old" url="{dead}" events="park"')
    assert hooked(*both) == "+OK\n"
    park_at_once(switch, 2)
    assert wait_for(lambda: all((status(switch, name) or [0] * 3)[2] >= 2 for name in ("chat", "old")), 10)
    began = time.monotonic()
    assert hooked(f'name="chat" url="{receiver.url}" events="park"') == "+OK\n"
    receiver.wait(2)
    assert time.monotonic() - began < 1.5, "new settings are used only after the pause of the old ones"
    # Two calls that are parked at the same time may be told in either order.
    assert sorted(receiver.events()) == [("park", "701"), ("park", "702")] and status(switch, "old") is None
    back = Receiver(port)
    back.wait(2, 12)
    assert sorted(back.events()) == [("park", "701"), ("park", "702")], "what waited for the removed hook is lost"
    back.close()
    switch.api("hupall")


def test_tls_with_a_certificate_that_the_system_trusts_and_one_that_it_does_not(failures, phones_of, tmp_path):
    file, context = certificate(tmp_path)
    trusted, failed = Receiver(tls=context), failures()
    for trusts in (True, False):
        before = len(trusted.requests)
        switch = new_switch()
        switch.environment = {"SSL_CERT_FILE": str(file)} if trusts else {}
        switch.hooks = f'<hook name="chat" url="{trusted.url}" events="park"/>'
        switch.configure(lot(("park-timeout", "0")))
        try:
            switch.start()
            park_at_once(switch, 1)
            assert wait_for(lambda: status(switch)[0 if trusts else 2] >= 1)
            assert (len(trusted.requests) > before) == trusts
            assert trusts or "certificate" in status(switch)[4].lower(), status(switch)
            switch.api("hupall")
            assert switch.wait_idle()
            assert unload(switch) < 6
            assert trusts or "messages of a hook are lost, the module is unloaded hook=chat messages=1" in switch.log()
        finally:
            switch.keep = failures() > failed
            assert switch.stop() == 0
    trusted.close()


def test_a_proxy_is_used_as_the_environment_says(failures, phones_of):
    """The proxy of the test is a receiver that gets the request for the other host."""
    proxy, failed, switch = Receiver(), failures(), new_switch()
    switch.environment = {"http_proxy": f"http://127.0.0.1:{proxy.port}", "no_proxy": "", "all_proxy": "", "https_proxy": ""}
    switch.hooks = '<hook name="chat" url="http://chat.invalid/hooks/1" events="park"/>'
    switch.configure(lot(("park-timeout", "0")))
    proxy.seen = []

    def tunnels(request):
        proxy.seen.append(request.path)
        request.send_error(403)

    proxy.server.RequestHandlerClass.do_CONNECT = tunnels
    try:
        switch.start()
        park_at_once(switch, 1)
        assert wait_for(lambda: proxy.seen or proxy.requests), status(switch)
        assert "chat.invalid" in (proxy.seen or [proxy.requests[0][1]])[0]
    finally:
        switch.keep = failures() > failed
        assert switch.stop() == 0
        proxy.close()


def test_unload_ends_with_a_receiver_that_does_not_answer(failures):
    slow, failed, switch = Receiver(), failures(), new_switch()
    slow.answers = [lambda request: time.sleep(60)]
    switch.hooks = f'<hook name="chat" url="{slow.url}" events="park"/>'
    switch.configure(lot(("park-timeout", "0")))
    try:
        switch.start()
        park_at_once(switch, 1)
        slow.wait(1)
        switch.api("hupall")
        assert switch.wait_idle()
        assert unload(switch) < 8
        assert wait_for(lambda: "module is unloaded hook=chat messages=1" in switch.log())
        time.sleep(0.5)
        assert switch.process.poll() is None
    finally:
        switch.keep = failures() > failed
        assert switch.stop() == 0
        slow.close()


@pytest.mark.parametrize("hook, why", [
    ('name="a" url="ftp://x/"', 'hook a: url="ftp://x/": expected http:// or https://'),
    ('name="a" url="http://x" format="xml" secret="hush"', 'hook a: format="xml": expected one of json, slack, mattermost, teams'),
    ('name="a" url="http://x" events="gone"', 'hook a: events="gone": "gone" is not some of park'),
    ('name="a" url="http://x" lots="more"', 'hook a: lots="more": no lot has the name more'),
])
def test_a_faulty_hook_changes_nothing(switch, hooked, receiver, hook, why):
    assert hooked(f'name="chat" url="{receiver.url}" events="park"') == "+OK\n"
    before = len(switch.log())
    answer = hooked(hook)
    assert answer.startswith("-ERR") and why in answer and "hush" not in answer, answer
    assert "hook=a" in switch.log()[before:] and "hush" not in switch.log()
    park_at_once(switch, 1)
    receiver.wait(1)
    switch.api("hupall")


def test_a_withheld_number_stays_withheld(switch, phones, hooked, receiver):
    slack = Receiver()
    assert hooked(f'name="crm" url="{receiver.url}"', f'name="chat" url="{slack.url}" format="slack"') == "+OK\n"
    caller = phones(says=600, name="Alice Secret").call("do-park-701", headers=["Privacy: id", f"P-Asserted-Identity: <sip:030123456@{DOMAIN}>"])
    told = receiver.wait(1)[0]
    assert (told["caller_number"], told["caller_name"]) == ("anonymous", "Anonymous")
    slack.wait(1)
    for body in (*receiver.requests, *slack.requests):
        assert b"030123456" not in body[3] and b"Alice" not in body[3], body[3]
    caller.hang_up()
    slack.close()
