"""A Verto client without a browser: JSON-RPC over a WebSocket on loopback. It offers media but sends none."""

import base64
import itertools
import json
import os
import socket
import struct
import uuid

MODULE = """<configuration name="verto.conf"><settings/><profiles><profile name="default-v4">
  <param name="bind-local" value="127.0.0.1:@PORT@"/><param name="userauth" value="true"/><param name="context" value="default"/><param name="dialplan" value="XML"/>
  <param name="rtp-ip" value="127.0.0.1"/><param name="outbound-codec-string" value="PCMU"/><param name="inbound-codec-string" value="PCMU"/><param name="timer-name" value="soft"/>
  <param name="local-network" value="loopback.auto"/></profile></profiles></configuration>"""
SDP = "\r\n".join([
    "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=audio 9 UDP/TLS/RTP/SAVPF 0 101", "c=IN IP4 127.0.0.1", "a=rtcp:9 IN IP4 127.0.0.1",
    "a=candidate:1 1 udp 2122260223 127.0.0.1 40000 typ host", "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx",
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass", "a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=ptime:20"]) + "\r\n"


class Verto:
    """One client that has logged in. `variables` are the channel variables that it asks mod_verto to set on its calls."""

    def __init__(self, port, login, password, variables=()):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: json\r\n\r\n".encode())
        self.file, self.ids, self.session = self.socket.makefile("rb"), itertools.count(1), str(uuid.uuid4())
        assert b"101" in self.file.readline()
        while self.file.readline().strip():
            pass
        self.answer = self.request("login", login=login, passwd=password, userVariables=dict(variables))

    def request(self, method, **params):
        """Sends a request and returns its answer. Other messages are ignored."""
        id = next(self.ids)
        self._send(json.dumps({"jsonrpc": "2.0", "method": method, "params": {"sessid": self.session, **params}, "id": id}))
        while True:
            message = json.loads(self._receive())
            if message.get("id") == id and "method" not in message:
                return message

    def call(self, number, **more):
        """Calls a number. Returns the call's UUID, which the client chooses."""
        call = str(uuid.uuid4())
        answer = self.request("verto.invite", sdp=SDP, dialogParams={"callID": call, "destination_number": number, "caller_id_name": "x", "caller_id_number": "x", **more})
        assert "result" in answer, answer
        return call

    def answer_call(self):
        """Waits for a call to this client and answers it. Returns the call's UUID."""
        while True:
            message = json.loads(self._receive())
            if message.get("method") == "verto.invite":
                break
        call = message["params"]["callID"]
        self._send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"method": "verto.invite"}}))
        answer = self.request("verto.answer", sdp=SDP.replace("actpass", "active"), dialogParams={"callID": call})
        assert "result" in answer, answer
        return call

    def close(self):
        self.socket.close()

    def _send(self, text):
        data, mask = text.encode(), os.urandom(4)
        head = b"\x81" + (bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data)))
        self.socket.sendall(head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(data)))

    def _receive(self):
        while True:
            first, length = self.file.read(2)
            if length == 126:
                length = struct.unpack(">H", self.file.read(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.file.read(8))[0]
            data = self.file.read(length)
            if first & 15 == 1:
                return data
