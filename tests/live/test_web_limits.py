"""Clients that mean harm, or sleep: the limits on connections, time and size."""

import http.client
import socket
import time

from conftest import LOTS, MUSIC
from switch import free_port, wait_for
from test_web import ALL, answers, site  # noqa: F401  (a fixture)


def connection(site, sends):  # noqa: F811
    line = socket.create_connection(("127.0.0.1", site.port))
    line.sendall(sends)
    return line


def is_closed(line):
    line.setblocking(False)
    try:
        while line.recv(1 << 16):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_who_is_idle_or_slow_is_put_out_in_time(site):  # noqa: F811
    head = f"POST /api/v1/calls/callpark.test/701/label HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ALL}\r\n".encode()
    slow_body = connection(site, head + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    slow_head = connection(site, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    idle = connection(site, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    silent = connection(site, b"")
    began = time.monotonic()
    for name, line in {"slow body": slow_body, "slow head": slow_head, "idle": idle, "silent": silent}.items():
        assert wait_for(lambda: is_closed(line), 25 - (time.monotonic() - began), 0.2), f"the {name} is still connected"
    assert time.monotonic() - began > 10, "somebody slow is not given time"


def test_who_asks_and_never_reads_is_put_out_in_time(switch, phones, site):  # noqa: F811
    """All the connections there are, each of which has asked for more than fits into its buffers."""
    def deaf():
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", site.port))
        line.setblocking(False)
        asks = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 2000
        try:
            while asks:
                asks = asks[line.send(asks):]
        except OSError:
            pass  # nothing more is taken
        return line

    lines = [deaf() for _ in range(300)]
    caller = phones(says=600).call("do-park-701")
    assert wait_for(switch.calls) and caller.audio.hears(MUSIC), "calls wait for clients"
    assert wait_for(lambda: answers(site), 60, 0.5), "nobody else is let in any more"
    for line in lines:
        line.close()
    caller.hang_up()


def test_bodies_and_headers_have_a_limit(site):  # noqa: F811
    assert site.act("701", "label", b"{" + b" " * 9000)[0] == 413
    line = connection(site, f"POST /api/v1/calls/a/701/label HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ALL}\r\n"
                            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    try:
        for _ in range(100):
            line.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
    except OSError:
        pass  # closed on us
    answer = http.client.HTTPResponse(line)
    try:
        answer.begin()
        assert answer.status == 413
    except (OSError, http.client.HTTPException):
        pass  # closed before it could be read
    assert site.ask("/", token=None, headers={"X-Long": "x" * 20_000})[0] == 431
    assert answers(site)


def test_a_port_alone_is_on_loopback(switch):
    port = free_port()
    assert switch.reload(LOTS, f'<param name="http-listen" value="{port}"/>').startswith("+OK")
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    line.request("GET", "/healthz")
    assert line.getresponse().read() == b"ok"
    line.request("GET", "/api/v1/calls")
    assert line.getresponse().status == 401, "without tokens nobody sees a call"
    assert switch.reload(LOTS).startswith("+OK")
