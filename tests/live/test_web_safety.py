"""Tests which data the HTTP server gives without a token, and the server without its port or its database."""

import http.client
import signal
import socket
import threading
import time

from conftest import LOTS
from parking import lot
from switch import free_port, wait_for
from test_history import own, postgres  # noqa: F401  (fixtures)
from test_web import ALL, LOOK, OTHER, answers, listen, Site, site  # noqa: F401  (a fixture)

DIRECT = [{}, {"Host": "localhost"}, {"Host": "[::1]:80"}]
INDIRECT = [{"Host": "pbx.example.com"}, {"Host": "evil.test:8099"}, {"Host": "127.0.0.1.evil.test"}, {"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"},
            {"X-Real-IP": "203.0.113.9"}, {"Via": "1.1 proxy"}, {"X-Forwarded-Proto": "https", "Host": "127.0.0.1"}]


def test_metrics_without_a_token_are_for_loopback_only(site):  # noqa: F811
    """Before: anybody could read them through the proxy that the manual shows, and any web page by DNS rebinding."""
    for headers in DIRECT + INDIRECT:
        status, answer, _ = site.ask("/metrics", token=None, headers=headers)
        has_metrics = "freeswitch_callpark_calls" in str(answer)
        assert (status, has_metrics) == ((200, True) if headers in DIRECT else (401, False)), headers
        assert site.ask("/metrics", token=LOOK, headers=headers)[0] == 200, f"a valid token was refused: {headers}"
        assert site.ask("/metrics", token=OTHER, headers=headers)[0] == (200 if headers in DIRECT else 403), headers


def test_a_port_that_is_in_use_is_tried_again(switch):
    """Before: only a reload tried again, and a FreeSWITCH that was started too early had no dashboard."""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        reports = lambda: switch.log().count("Address already in use")
        before = reports()
        assert switch.reload(LOTS, f'<param name="http-listen" value="{port}"/>').startswith("+OK")
        assert wait_for(lambda: reports() > before)
        time.sleep(1.5)  # until the core has sent the event of the last reloadxml
        before = reports()
        time.sleep(3.5)
        assert reports() == before, "the fault is logged at each attempt"
    assert wait_for(lambda: answers(Site(port)), 10), "the server does not use the port, which is free"
    assert switch.reload(LOTS).startswith("+OK")
    assert wait_for(lambda: not answers(Site(port)), 2)


def test_a_refusal_without_a_lot_is_not_in_another_tenants_event_stream(switch, phones, site):  # noqa: F811
    """Before: tokens of all domains got the event of a refusal without a lot, with the name of the refused party."""
    assert switch.reload(lot(("park-limit-per-user", "1")), switch.written[1]).startswith("+OK")
    own_events, line = listen(site)
    foreign, other_line = listen(site, OTHER)
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    callers = []
    for _ in range(2):
        callers.append(phones(says=600).call("1001"))
        call = parker.wait_call()
        assert call.answered.wait(5) and call.audio.hears(600)
        call.press("*5")
    assert wait_for(lambda: "denied" in [event["action"] for _, event in own_events]), own_events
    assert switch.api("callpark reload").startswith("+OK")
    assert wait_for(lambda: "reload" in [event["action"] for _, event in foreign]), "the other tenant does not get the event of a reload"
    assert [event["action"] for _, event in foreign] == ["reload"]
    for end in (line, other_line):
        end.close()
    for caller in callers:
        caller.hang_up()


def test_freeswitch_ends_while_a_request_waits_for_the_database(own, postgres):  # noqa: F811
    """Before: the thread of the request lived longer than the module, and FreeSWITCH crashed when the thread returned to the module's code."""
    port, tokens = free_port(), own.dir / "tokens"
    tokens.write_text(f"{ALL} view *\n")
    tokens.chmod(0o600)
    own.configure(LOTS, f'<param name="http-listen" value="127.0.0.1:{port}"/><param name="http-token-file" value="{tokens}"/>'
                        f'<param name="db-dsn" value="{postgres.dsn}"/>')
    own.start()
    assert "+OK" in own.api("load mod_pgsql")
    assert wait_for(lambda: Site(port).ask("/api/v1/history")[0] == 200, 10)
    postgres.signal_all(signal.SIGSTOP)

    def ask():
        try:
            Site(port).ask("/api/v1/history?count=10")
        except (OSError, http.client.HTTPException):
            pass  # the server has closed the connection

    waiting = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for one in waiting:
        one.start()
    time.sleep(0.5)
    assert all(one.is_alive() for one in waiting), "no request waits for the database"
    # The database answers again while FreeSWITCH ends, after the module was unloaded.
    threading.Timer(4, lambda: postgres.signal_all(signal.SIGCONT)).start()
    assert own.stop() == 0, "FreeSWITCH did not end by itself"


def test_no_action_waits_for_a_database_that_hangs(own, postgres, phones_of):  # noqa: F811
    """Many dashboards ask for the history of a database that does not answer. Before: an action waited for 12 s and more, or failed."""
    port, tokens = free_port(), own.dir / "tokens"
    tokens.write_text(f"{ALL} view,act *\n")
    tokens.chmod(0o600)
    own.configure(LOTS, f'<param name="http-listen" value="127.0.0.1:{port}"/><param name="http-token-file" value="{tokens}"/>'
                        f'<param name="db-dsn" value="{postgres.dsn}"/>')
    own.start()
    site = Site(port)  # noqa: F811
    assert "+OK" in own.api("load mod_pgsql") and wait_for(lambda: site.ask("/api/v1/history")[0] == 200, 10)
    caller = phones_of(own)(says=600).call("do-park-701")
    assert wait_for(own.calls)
    postgres.freeze()
    answered = []

    def ask(path):
        try:
            answered.append(site.ask(f"/api/v1/{path}")[0])
        except OSError:
            answered.append(None)  # the client has given up

    paths = [path for number in range(2, 8) for path in (f"history?count={number}", f"stats?days={number}", f"report?from={number}d")]
    waiting = [threading.Thread(target=ask, args=(path,), daemon=True) for path in paths]
    for one in waiting:
        one.start()
    time.sleep(0.5)
    assert any(one.is_alive() for one in waiting), "no request waits for the database"
    for text in ("first", "second"):
        began = time.monotonic()
        assert site.act("701", "label", {"text": text})[0] == 200 and own.calls()[0]["label"] == text
        assert time.monotonic() - began < 2, "the action waited for the database"
    postgres.thaw()
    for one in waiting:
        one.join(20)
    assert wait_for(lambda: site.ask("/api/v1/history")[0] == 200, 15), answered
    caller.hang_up()
