"""Tests the limits of the HTTP server on connections, time and size."""

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


def test_idle_and_slow_clients_are_disconnected(site):  # noqa: F811
    head = f"POST /api/v1/calls/callpark.test/701/label HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ALL}\r\n".encode()
    slow_body = connection(site, head + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    slow_head = connection(site, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    idle = connection(site, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    silent = connection(site, b"")
    began = time.monotonic()
    for name, line in {"slow body": slow_body, "slow head": slow_head, "idle": idle, "silent": silent}.items():
        assert wait_for(lambda: is_closed(line), 25 - (time.monotonic() - began), 0.2), f"the {name} is still connected"
    assert time.monotonic() - began > 10, "all were disconnected too early"


def test_clients_that_never_read_are_disconnected(switch, phones, site):  # noqa: F811
    """They use all connections, and each has requested more than fits into its buffers."""
    def never_reads():
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", site.port))
        line.setblocking(False)
        asks = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 2000
        try:
            while asks:
                asks = asks[line.send(asks):]
        except OSError:
            pass  # the buffers are full
        return line

    lines = [never_reads() for _ in range(300)]
    caller = phones(says=600).call("do-park-701")
    assert wait_for(switch.calls) and caller.audio.hears(MUSIC), "calls wait for clients"
    assert wait_for(lambda: answers(site), 60, 0.5), "another client is not accepted any more"
    for line in lines:
        line.close()
    caller.hang_up()


def test_bodies_and_headers_have_a_limit(site):  # noqa: F811
    assert site.act("701", "label", b"{" + b" " * 9000)[0] == 413
    line = connection(site, f"POST /api/v1/calls/a/701/label HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ALL}\r\n"
                            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for _ in range(3):
        line.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
    answer = http.client.HTTPResponse(line)
    answer.begin()
    assert answer.status == 413
    assert wait_for(lambda: is_closed(line), 20, 0.2), "the server waits for the rest of the body"
    assert site.ask("/", token=None, headers={"X-Long": "x" * 20_000})[0] == 431
    assert answers(site)


def test_a_port_alone_is_on_loopback(switch):
    port = free_port()
    assert switch.reload(LOTS, f'<param name="http-listen" value="{port}"/>').startswith("+OK")
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    line.request("GET", "/healthz")
    assert line.getresponse().read() == b"ok"
    line.request("GET", "/api/v1/calls")
    assert line.getresponse().status == 401, "calls are shown without a token"
    assert switch.reload(LOTS).startswith("+OK")
