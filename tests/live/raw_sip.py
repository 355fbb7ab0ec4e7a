"""Sends hundreds of SIP calls with arbitrary headers over UDP on loopback, also headers that no phone would send."""

import itertools
import re
import select
import socket
import time

from phone import Message

_numbers = itertools.count(1)
# Seconds from the answer to the first REFER. The core loses a transfer that comes while it is connecting the two legs.
TALK = 0.15
SDP = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
       "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n")


class Dialog:
    """One INVITE and its result. `status` is the status of the final response, or 0 if there was none."""

    def __init__(self, number, request):
        self.number, self.request = number, request
        self.status, self.remote, self.began, self.answered, self.over = 0, "", 0.0, 0.0, False
        self.bye, self.cancelled = 0.0, False  # `bye`: when the last BYE was sent
        self.cseq, self.refer, self.referred = 1, None, []  # `refer`: the REFER without a response; `referred`: all REFERs


class Refer:
    """One REFER and its result. `status` is the status of its response and `told` the status in its last NOTIFY; both are None if there was none."""

    def __init__(self, headers, parks):
        self.headers, self.parks, self.status, self.told = headers, parks, None, None


class RawCalls:
    """Makes calls with given headers, `at_once` at a time. Each call hangs up `stay` seconds after its answer. A call with `refers`, a queue
    that calls may share, sends REFERs from it until one is accepted."""

    def __init__(self, port, at_once=40, stay=0.25, patience=4.0):
        self.server, self.at_once, self.stay, self.patience = ("127.0.0.1", port), at_once, stay, patience
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        # The port for media, from which nothing is read.
        self.media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.media.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.dialogs = {}

    def run(self, requests, seconds):
        """Makes the calls and returns their dialogs, which have all ended. Each request is {"uri", "user", "from", "headers", "call_id",
        "refers"}; only "uri" is required."""
        until, requests, open_ones, more = time.monotonic() + seconds, iter(requests), [], True
        while (more or open_ones) and time.monotonic() < until:
            while more and len(open_ones) < self.at_once:
                request = next(requests, None)
                more = request is not None
                open_ones += [self._begin(request)] if more else []
            if select.select([self.socket], [], [], 0.02)[0]:
                self._take(self.socket.recv(65535))
            for dialog in open_ones:
                self._go_on(dialog)
            open_ones = [dialog for dialog in open_ones if not dialog.over]
        assert not more and not open_ones, f"{len(self.dialogs)} calls made, {len(open_ones)} of them not over in {seconds} s"
        return list(self.dialogs.values())

    def close(self):
        self.socket.close()
        self.media.close()

    def _send(self, text):
        self.socket.sendto(text.encode("utf-8", "surrogateescape"), self.server)

    def _message(self, dialog, method, cseq, headers=(), body="", branch=None):
        request = dialog.request
        to = dialog.remote or f"<{request['uri']}>"
        return "\r\n".join([
            f"{method} {request['uri']} SIP/2.0", f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bK{branch or f'{dialog.number}x{cseq}'}",
            "Max-Forwards: 70", f"From: {request.get('from', 'raw')} <sip:{request.get('user', 'raw')}@127.0.0.1>;tag=t{dialog.number}", f"To: {to}", f"Call-ID: {dialog.id}",
            f"CSeq: {cseq} {method}", f"Contact: <sip:raw@127.0.0.1:{self.port}>", *headers, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body

    def _begin(self, request):
        dialog = Dialog(next(_numbers), request)
        dialog.id = request.get("call_id", "") + f"raw{dialog.number}"
        dialog.began = time.monotonic()
        self.dialogs[dialog.id] = dialog
        headers = ["Content-Type: application/sdp", *request.get("headers", ())]
        self._send(self._message(dialog, "INVITE", 1, headers, SDP.format(port=self.media.getsockname()[1])))
        return dialog

    def _take(self, data):
        text = data.decode("utf-8", "surrogateescape")
        if not text.startswith(("SIP/2.0", "BYE", "NOTIFY", "INFO", "UPDATE", "INVITE", "OPTIONS", "CANCEL", "MESSAGE")):
            return
        message = Message(text)
        dialog = self.dialogs.get(message["call-id"])
        if not message.is_response:
            vias = "".join(f"Via: {via}\r\n" for via in message.all("via"))
            self._send(f"SIP/2.0 {200 if dialog else 481} OK\r\n{vias}From: {message['from']}\r\nTo: {message['to']}\r\nCall-ID: {message['call-id']}\r\n"
                       f"CSeq: {message['cseq']}\r\nContact: <sip:raw@127.0.0.1:{self.port}>\r\nContent-Length: 0\r\n\r\n")
            if dialog and message.method == "BYE":
                dialog.over = True
            elif dialog and message.method == "NOTIFY" and dialog.referred and message.body.startswith("SIP/2.0 "):
                dialog.referred[-1].told = int(message.body.split()[1])
        elif dialog and message.method == "INVITE" and message.status >= 200:
            dialog.remote = message["to"]
            dialog.status = message.status
            if message.status < 300:
                self._send(self._message(dialog, "ACK", 1, branch=f"{dialog.number}ack"))
                dialog.answered = dialog.answered or time.monotonic()
            else:
                self._send(self._message(dialog, "ACK", 1, branch=f"{dialog.number}x1"))
                dialog.over = True
        elif dialog and message.method == "REFER" and message.status >= 200:
            refer, dialog.refer = dialog.refer, None
            if refer:
                refer.status = message.status
                if message.status >= 300:
                    self._transfer(dialog)
        elif dialog and message.method == "BYE":
            dialog.over = True

    def _transfer(self, dialog):
        """Sends the next REFER of the queue. The call then stays for another `stay` seconds."""
        if dialog.request.get("refers"):
            dialog.refer, dialog.answered = dialog.request["refers"].popleft(), time.monotonic()
            dialog.referred.append(dialog.refer)
            dialog.cseq += 1
            self._send(self._message(dialog, "REFER", dialog.cseq, dialog.refer.headers))

    def _go_on(self, dialog):
        now = time.monotonic()
        if dialog.answered and not dialog.referred and now - dialog.answered > TALK:
            self._transfer(dialog)
        if dialog.answered and now - dialog.answered > self.stay and now - dialog.bye > 0.5:
            # The BYE is repeated until it is answered, because datagrams are lost on a busy machine.
            dialog.bye = now
            self._send(self._message(dialog, "BYE", dialog.cseq + 1))
        if not dialog.answered and now - dialog.began > self.patience:
            # The INVITE was no valid SIP message, or the call still rings and may be answered in this moment.
            if not dialog.cancelled:
                dialog.cancelled = True
                self._send(self._message(dialog, "CANCEL", 1))
            dialog.over = now - dialog.began > self.patience + 0.5


def quoted(text):
    """The text as a quoted display name."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
