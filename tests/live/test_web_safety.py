"""What the HTTP side gives away without a token, and what becomes of it when its port or its database is not there."""

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


def test_metrics_without_a_token_are_for_this_machine_alone(site):  # noqa: F811
    """Before: behind the proxy of the manual the whole world could read them, and so could any page by DNS rebinding."""
    for headers in DIRECT + INDIRECT:
        status, answer, _ = site.ask("/metrics", token=None, headers=headers)
        tells = "freeswitch_callpark_calls" in str(answer)
        assert (status, tells) == ((200, True) if headers in DIRECT else (401, False)), headers
        assert site.ask("/metrics", token=LOOK, headers=headers)[0] == 200, f"a token is good everywhere: {headers}"
        assert site.ask("/metrics", token=OTHER, headers=headers)[0] == (200 if headers in DIRECT else 403), headers


def test_a_port_that_is_in_use_is_tried_again(switch):
    """Before: only a reload tried it again, and FreeSWITCH that was started too early had no dashboard."""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        said = lambda: switch.log().count("Address already in use")
        before = said()
        assert switch.reload(LOTS, f'<param name="http-listen" value="{port}"/>').startswith("+OK")
        assert wait_for(lambda: said() > before)
        time.sleep(1.5)  # until the core has told of the last reloadxml
        before = said()
        time.sleep(3.5)
        assert said() == before, "it is said at each try"
    assert wait_for(lambda: answers(Site(port)), 10), "the port is free, and nobody took it"
    assert switch.reload(LOTS).startswith("+OK")
    assert wait_for(lambda: not answers(Site(port)), 2)


def test_who_was_refused_is_told_to_no_other_tenant(switch, phones, site):  # noqa: F811
    """Before: a refusal of which no lot is known went to the tokens of every domain, with who it was."""
    assert switch.reload(lot(("park-limit-per-user", "1")), switch.written[1]).startswith("+OK")
    told, line = listen(site)
    foreign, other_line = listen(site, OTHER)
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    callers = []
    for _ in range(2):
        callers.append(phones(says=600).call("1001"))
        call = parker.wait_call()
        assert call.answered.wait(5) and call.audio.hears(600)
        call.press("*5")
    assert wait_for(lambda: "denied" in [event["action"] for _, event in told]), told
    assert switch.api("callpark reload").startswith("+OK")
    assert wait_for(lambda: "reload" in [event["action"] for _, event in foreign]), "what concerns everybody still comes"
    assert [event["action"] for _, event in foreign] == ["reload"]
    for end in (line, other_line):
        end.close()
    for caller in callers:
        caller.hang_up()


def test_freeswitch_ends_while_a_request_waits_for_the_database(own, postgres):  # noqa: F811
    """Before: the thread of the request outlived the module, and ended FreeSWITCH with a fault when it came back to its code."""
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
            pass  # cut off

    waiting = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for one in waiting:
        one.start()
    time.sleep(0.5)
    # The database is back, and so are the threads, while FreeSWITCH ends and after it has let go of the module.
    threading.Timer(4, lambda: postgres.signal_all(signal.SIGCONT)).start()
    assert own.stop() == 0, "it did not end by itself"
