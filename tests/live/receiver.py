"""A receiver of hooks, which behaves as a test says."""

import http.server
import json
import socket
import ssl
import subprocess
import threading
import time

from switch import free_port, wait_for


class Receiver:
    """An HTTP server on loopback. `answers` are what it does with the next requests, each a status, or a function of the request handler; without
    one, it answers 200."""

    def __init__(self, port=0, tls=None):
        self.port, self.answers, self.requests = port or free_port(), [], []
        self.scheme = "https" if tls else "http"
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((time.monotonic(), self.path, self.headers, body))
                answer = receiver.answers.pop(0) if receiver.answers else 200
                if callable(answer):
                    return answer(self)
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # the module closes connections with long answers
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/hooks/of-the-team"

    @property
    def bodies(self):
        return [json.loads(body) for _, _, _, body in list(self.requests)]

    def events(self):
        return [(body["event"], body["slot"]) for body in self.bodies]

    def wait(self, number, timeout=8):
        """Waits for so many requests, and returns their bodies."""
        assert wait_for(lambda: len(self.requests) >= number, timeout), f"{len(self.requests)} requests instead of {number}"
        return self.bodies

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def silent_port():
    """A socket that listens and accepts nothing, and its port."""
    listener = socket.create_server(("127.0.0.1", free_port()))
    return listener, listener.getsockname()[1]


def certificate(folder):
    """Makes a certificate for 127.0.0.1. Returns its file, and a context for a server that has it."""
    key, file = folder / "hook-key.pem", folder / "hook-cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", file], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return file, context
