"""A SIP phone that a test controls: it registers, calls, answers, transfers, holds and hangs up, over UDP on loopback."""

import hashlib
import itertools
import queue
import re
import socket
import threading
import time
import urllib.parse
import uuid
from xml.etree import ElementTree

from audio import PCMU, Audio

DOMAIN = "callpark.test"
_numbers = itertools.count(1)


class Message:
    """One SIP request or response."""

    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        lines = head.split("\r\n")
        self.first = lines[0]
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.append((name.strip().lower(), value.strip()))
        self.is_response = self.first.startswith("SIP/2.0")
        self.status = int(self.first.split()[1]) if self.is_response else 0
        self.method = self["cseq"].split()[1] if self.is_response else self.first.split()[0]

    def __getitem__(self, name):
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name):
        return [value for key, value in self.headers if key == name]


class Failed(Exception):
    """A request was refused with this status."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


class Phone:
    """One user's phone, with one socket and any number of calls."""

    def __init__(self, switch, user="", name="", says=0, domain=DOMAIN, password=None, agent="", codec=PCMU, address="127.0.0.1"):
        self.switch, self.user, self.domain, self.says = switch, user or f"ext{next(_numbers)}", domain, says
        self.name = name or self.user
        self.password = password or self.user
        self.codec = codec
        # The address that it writes into its SDP. Behind NAT, its media comes from another.
        self.address = address
        # The status with which it refuses a re-INVITE, or None to accept it.
        self.on_reinvite = None
        # The User-Agent. FreeSWITCH sends display updates only to phones whose User-Agent it knows.
        self.agent = agent
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.server = ("127.0.0.1", switch.sip_port if user else switch.outside_port)
        self.calls = {}
        self.lamps = {}
        # The received SIP MESSAGEs, as pairs of sender and text.
        self.messages = queue.Queue()
        self.answers = {}
        self.rang = queue.Queue()
        # What it does with an incoming call: the seconds until it answers, None to ring only, a status with which it refuses, or the
        # URI to which it forwards with a 302.
        self.on_ring = None
        self.open = True
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self):
        for call in list(self.calls.values()):
            call.hang_up()
        self.open = False
        self.socket.close()

    # --- requests

    def send(self, text):
        try:
            self.socket.sendto(text.encode("utf-8", "surrogateescape"), self.server)
        except OSError:
            pass

    def request(self, method, uri, call_id, cseq, from_, to, headers=(), body="", branch=None):
        branch = branch or f"z9hG4bK{uuid.uuid4().hex[:12]}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch={branch}",
            "Max-Forwards: 70",
            f"From: {from_}",
            f"To: {to}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{self.user}@127.0.0.1:{self.port}>",
            *([f"User-Agent: {self.agent}"] if self.agent else []),
            "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY, UPDATE, INFO",
            *headers,
            f"Content-Length: {len(body.encode())}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body, branch

    def transact(self, method, uri, call_id, cseq, from_, to, headers=(), body="", timeout=10, on_early=None):
        """Sends a request, retransmits it until there is a response, and returns the final response."""
        text, _ = self.request(method, uri, call_id, cseq, from_, to, headers, body)
        answers = self.answers[(call_id, cseq, method)] = queue.Queue()
        until = time.monotonic() + timeout
        wait, last = 0.5, None
        self.send(text)
        while True:
            try:
                response = answers.get(timeout=min(wait, max(0.01, until - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= until:
                    raise TimeoutError(f"no answer to {method} of {self.user}") from None
                if last is None:
                    self.send(text)
                    wait *= 2
                continue
            last = response
            if response.status < 200:
                if on_early:
                    on_early(response)
                continue
            del self.answers[(call_id, cseq, method)]
            return response

    def authorization(self, response, method, uri):
        name = "www-authenticate" if response.status == 401 else "proxy-authenticate"
        asked = dict(re.findall(r'(\w+)="?([^",]+)"?', response[name]))
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
        nc, cnonce = "00000001", uuid.uuid4().hex[:8]
        ha1 = md5(f"{self.user}:{asked['realm']}:{self.password}")
        proof = md5(f"{ha1}:{asked['nonce']}:{nc}:{cnonce}:auth:{md5(f'{method}:{uri}')}")
        header = "Authorization" if response.status == 401 else "Proxy-Authorization"
        return (f'{header}: Digest username="{self.user}", realm="{asked["realm"]}", nonce="{asked["nonce"]}", uri="{uri}", '
                f'qop=auth, nc={nc}, cnonce="{cnonce}", response="{proof}", algorithm=MD5')

    def register(self, expires=300):
        uri, call_id = f"sip:{self.domain}", uuid.uuid4().hex
        me = f"<sip:{self.user}@{self.domain}>"
        more = [f"Expires: {expires}"]
        for cseq in (1, 2):
            response = self.transact("REGISTER", uri, call_id, cseq, f"{me};tag=r{self.port}", me, more)
            if response.status not in (401, 407):
                break
            more = [f"Expires: {expires}", self.authorization(response, "REGISTER", uri)]
        if response.status != 200:
            raise Failed(response.status)
        return self

    def unregister(self):
        self.register(0)

    def call(self, number, timeout=15, headers=(), name=None, parameters=""):
        """Calls a number and waits for the answer."""
        return Call(self).invite(number, timeout, headers, name, parameters)

    def subscribe(self, target, domain=None, event="dialog", expires=300):
        """Subscribes to a lamp for `target`, such as park+701."""
        return Lamp(self, target, domain or self.domain, event).subscribe(expires)

    def wait_call(self, timeout=10):
        """The next incoming call."""
        return self.rang.get(timeout=timeout)

    # --- incoming messages

    def _listen(self):
        while self.open:
            try:
                data, _ = self.socket.recvfrom(65535)
            except OSError:
                return
            text = data.decode("utf-8", "surrogateescape")
            if not text.strip():
                continue
            message = Message(text)
            if message.is_response:
                cseq, method = message["cseq"].split()
                answers = self.answers.get((message["call-id"], int(cseq), method))
                if answers is not None:
                    answers.put(message)
                elif method == "INVITE" and message.status >= 200:
                    call = self.calls.get(message["call-id"])
                    if call:
                        call.acknowledge(message)
                continue
            call = self.calls.get(message["call-id"])
            if message.method == "INVITE" and call is None:
                Call(self).ringing(message)
            elif call:
                call.incoming(message)
            elif message["call-id"] in self.lamps:
                self.lamps[message["call-id"]].notified(message)
            elif message.method == "MESSAGE":
                self.messages.put((re.search(r"sip:(?:sip\+)?([^>;]+)", message["from"]).group(1), message.body))
                self.respond(message, 200)
            elif message.method != "ACK":
                self.respond(message, 200 if message.method in ("OPTIONS", "NOTIFY", "BYE") else 481)

    def respond(self, message, status, headers=(), body="", tag=None, contact=None):
        reasons = {100: "Trying", 180: "Ringing", 200: "OK", 202: "Accepted", 486: "Busy Here", 603: "Decline"}
        to = message["to"]
        if tag and "tag=" not in to:
            to += f";tag={tag}"
        lines = [f"SIP/2.0 {status} {reasons.get(status, 'Other')}"]
        lines += [f"Via: {via}" for via in message.all("via")]
        lines += [f"Record-Route: {route}" for route in message.all("record-route")]
        lines += [f"From: {message['from']}", f"To: {to}", f"Call-ID: {message['call-id']}", f"CSeq: {message['cseq']}",
                  f"Contact: <{contact or f'sip:{self.user}@127.0.0.1:{self.port}'}>", *([f"User-Agent: {self.agent}"] if self.agent else []),
                  "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY, UPDATE, INFO", *headers, f"Content-Length: {len(body.encode())}"]
        self.send("\r\n".join(lines) + "\r\n\r\n" + body)


class Lamp:
    """One subscription to a busy lamp field key, and the bodies of its NOTIFYs."""

    def __init__(self, phone, target, domain, event):
        self.phone, self.event = phone, event
        self.id, self.cseq, self.bodies = uuid.uuid4().hex, 0, []
        self.uri = f"sip:{urllib.parse.quote(target, safe='+*-_.')}@{domain}"
        self.local, self.remote = f"<sip:{phone.user}@{phone.domain}>;tag={uuid.uuid4().hex[:8]}", f"<{self.uri}>"
        phone.lamps[self.id] = self

    def subscribe(self, expires=300):
        """Subscribes, or refreshes the subscription. With `expires=0` it ends the subscription."""
        kind = {"dialog": "application/dialog-info+xml", "presence": "application/pidf+xml"}[self.event]
        headers, more = [f"Event: {self.event}", f"Accept: {kind}", f"Expires: {expires}"], []
        for _ in range(2):
            self.cseq += 1
            response = self.phone.transact("SUBSCRIBE", self.uri, self.id, self.cseq, self.local, self.remote, headers + more)
            if response.status not in (401, 407):
                break
            more = [self.phone.authorization(response, "SUBSCRIBE", self.uri)]
        if response.status not in (200, 202):
            raise Failed(response.status)
        self.remote = response["to"]
        return self

    def notified(self, message):
        if message.body:
            self.bodies.append(message.body)
        self.phone.respond(message, 200)

    def dialog(self):
        """The root element of the last NOTIFY's XML, or None before the first NOTIFY."""
        return ElementTree.fromstring(self.bodies[-1]) if self.bodies else None

    @property
    def state(self):
        root = self.dialog()
        return None if root is None else root.findtext("{*}dialog/{*}state")

    @property
    def states(self):
        """All dialog states that were received, in order."""
        return [ElementTree.fromstring(body).findtext("{*}dialog/{*}state") for body in self.bodies]

    def shows(self, state, within=3.0):
        until = time.monotonic() + within
        while self.state != state and time.monotonic() < until:
            time.sleep(0.02)
        return self.state == state


class Call:
    """One dialog of a phone, with its audio."""

    def __init__(self, phone):
        self.phone = phone
        self.audio = Audio(phone.says, phone.codec)
        self.id = uuid.uuid4().hex
        self.tag = uuid.uuid4().hex[:8]
        self.cseq = 0
        self.over = threading.Event()
        self.answered = threading.Event()
        self.remote_cseq = None
        self.notified = queue.Queue()
        # The digits that were received by INFO.
        self.infos = []
        # The (name, number) pairs that the server sent for the display: first in the answer, then in updates.
        self.shown = []
        self.versions = 0
        # The last direction that the server offered, as seen from this phone: "sendonly" means that the server only receives.
        self.direction = "sendrecv"
        self.invite_headers = None
        self.branch = None

    # --- calling

    def invite(self, number, timeout, headers, name, parameters):
        phone = self.phone
        self.remote_uri = f"sip:{urllib.parse.quote(number, safe='+*-_.')}@{phone.domain}{parameters}"
        self.local = f'"{name or phone.name}" <sip:{phone.user}@{phone.domain}>;tag={self.tag}'
        self.remote = f"<{self.remote_uri}>"
        phone.calls[self.id] = self
        headers = ["Content-Type: application/sdp", *headers]
        more = []
        for _ in range(2):
            self.cseq += 1
            response = phone.transact("INVITE", self.remote_uri, self.id, self.cseq, self.local, self.remote,
                                      headers + more, self.sdp(), timeout, self._early)
            self.remote = response["to"]
            if response.status in (401, 407) and not more:
                self.acknowledge(response)
                more = [phone.authorization(response, "INVITE", self.remote_uri)]
                self.remote = f"<{self.remote_uri}>"
                continue
            break
        if response.status != 200:
            self.acknowledge(response)
            self._end()
            raise Failed(response.status)
        self._accepted(response)
        self.answered_at = time.monotonic()
        self.acknowledge(response)
        self.answered.set()
        return self

    def _early(self, response):
        if response.body:
            self._media(response.body)

    def _accepted(self, response):
        self.remote = response["to"]
        self.remote_uri = re.search(r"<([^>]+)>", response["contact"]).group(1)
        self._identity(response)
        self._media(response.body)

    def _identity(self, message):
        for name in ("p-asserted-identity", "remote-party-id"):
            found = re.match(r'\s*"?((?:[^"\\]|\\.)*?)"?\s*<sip:([^@>]*)', message[name])
            if found:
                self.shown.append((re.sub(r"\\(.)", r"\1", found.group(1)), found.group(2)))
                return

    def _media(self, sdp):
        port = re.search(r"m=audio (\d+)", sdp)
        if port and int(port.group(1)):
            host = re.search(r"c=IN IP4 (\S+)", sdp).group(1)
            self.audio.peer = (host, int(port.group(1)))

    def _obey(self, offer):
        """Sets the direction by the offer of the other side: on hold, this phone sends no audio."""
        asked = re.search(r"a=(sendonly|recvonly|inactive)", offer)
        self.direction = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}[asked.group(1)] if asked else "sendrecv"
        self.audio.muted = self.direction in ("recvonly", "inactive")

    def sdp(self, direction="sendrecv"):
        codec = self.audio.codec
        address, self.versions = self.phone.address, self.versions + 1
        return (f"v=0\r\no=- 7 {self.versions} IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
                f"m=audio {self.audio.port} RTP/AVP {codec.kind} 101\r\na=rtpmap:{codec.kind} {codec.offered}\r\na=rtpmap:101 telephone-event/8000\r\n"
                f"a=fmtp:101 0-15\r\na=ptime:20\r\na={direction}\r\n")

    def acknowledge(self, response):
        cseq = int(response["cseq"].split()[0])
        uri = self.remote_uri
        branch = None
        if response.status >= 300:
            branch = re.search(r"branch=([^;,\s]+)", response["via"]).group(1)
        text, _ = self.phone.request("ACK", uri, self.id, cseq, self.local, response["to"], branch=branch)
        self.phone.send(text)

    # --- incoming calls

    def ringing(self, message):
        phone = self.phone
        self.id = message["call-id"]
        self.invite_headers = message
        phone.calls[self.id] = self
        self.remote, self.local = message["from"], message["to"] + f";tag={self.tag}"
        self.remote_uri = re.search(r"<([^>]+)>", message["contact"]).group(1)
        self.pending = message
        self.caller_name = re.match(r'\s*"?((?:[^"\\]|\\.)*?)"?\s*<', message["from"]).group(1)
        self._identity(message)
        action = phone.on_ring
        if isinstance(action, int) and action >= 300:
            phone.respond(message, action, tag=self.tag)
            self._end()
            return
        if isinstance(action, str):
            phone.respond(message, 302, tag=self.tag, contact=action)
            self._end()
            return
        phone.respond(message, 180, tag=self.tag)
        if action is not None:
            threading.Timer(float(action), self.answer).start()
        phone.rang.put(self)

    def answer(self):
        if self.over.is_set():
            return
        self._media(self.pending.body)
        self.phone.respond(self.pending, 200, ["Content-Type: application/sdp"], self.sdp(), tag=self.tag)
        self.answered.set()

    def incoming(self, message):
        phone = self.phone
        if message.method == "ACK":
            return
        if self.answered.is_set() and not self._is_of_dialog(message):
            phone.respond(message, 481)
            return
        if message.method == "INVITE" and not self.answered.is_set():  # a retransmission: the 180 was lost
            phone.respond(message, 180, tag=self.tag)
        elif message.method == "INVITE":  # a re-INVITE
            if phone.on_reinvite:
                phone.respond(message, phone.on_reinvite)
                return
            self._identity(message)
            self._media(message.body)
            self._obey(message.body)
            phone.respond(message, 200, ["Content-Type: application/sdp"], self.sdp(self.direction))
        elif message.method == "UPDATE":
            self._identity(message)
            phone.respond(message, 200)
        elif message.method == "BYE":
            phone.respond(message, 200)
            self._end()
        elif message.method == "CANCEL":
            phone.respond(message, 200)
            phone.respond(self.pending, 487, tag=self.tag)
            self._end()
        elif message.method == "INFO":
            self.infos += re.findall(r"Signal=\s*(\S)", message.body)
            phone.respond(message, 200)
        elif message.method == "NOTIFY":
            self.notified.put(message.body)
            phone.respond(message, 200)
        else:
            phone.respond(message, 200)

    def _is_of_dialog(self, message):
        """Whether From and To have the tags of this dialog (RFC 3261, 12.2.2)."""
        tag = lambda header: re.search(r";tag=([^;>\s]+)", header)
        theirs, ours = tag(message["from"]), tag(message["to"])
        return bool(theirs and ours) and theirs.group(1) == tag(self.remote).group(1) and ours.group(1) == self.tag

    # --- within the call

    def in_dialog(self, method, headers=(), body="", timeout=8):
        self.cseq += 1
        return self.phone.transact(method, self.remote_uri, self.id, self.cseq, self.local, self.remote, headers, body, timeout)

    def hang_up(self):
        if self.over.is_set():
            return
        try:
            if self.answered.is_set():
                self.in_dialog("BYE", timeout=3)
        except TimeoutError:
            pass
        self._end()

    def refer(self, number, replaces=None, **more):
        """Transfers the call blindly to `number`, or as an attended transfer if `replaces` is another call of this phone. The other
        arguments are those of `refer_to`."""
        target = f"sip:{number}@{self.phone.domain}"
        if replaces:
            tag = re.search(r"tag=([^;>\s]+)", replaces.remote).group(1)
            target += f"?Replaces={replaces.id}%3Bto-tag%3D{tag}%3Bfrom-tag%3D{replaces.tag}"
        self.refer_to(target, **more)

    def refer_to(self, target, referred_by="own address"):
        """Transfers the call to a URI. `referred_by` is another address for Referred-By, or None to leave the header out, as some phones do."""
        by = f"{self.phone.user}@{self.phone.domain}" if referred_by == "own address" else referred_by
        headers = [f"Refer-To: <{target}>", *([f"Referred-By: <sip:{by}>"] if by else [])]
        response = self.in_dialog("REFER", headers)
        if response.status not in (200, 202):
            raise Failed(response.status)

    def hold(self, direction="sendonly"):
        self._reinvite(direction)

    def offer_fax(self):
        """Offers T.38 in place of audio. Returns the status of the answer."""
        sdp = self.sdp()
        image = f"m=image {self.audio.port} udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxRateManagement:transferredTCF\r\n"
        response = self._reinvite_with(sdp[:sdp.index("m=audio")] + image)
        return response.status

    def resume(self):
        self._reinvite("sendrecv")

    def move(self, address="127.0.0.1", codec=None):
        """Sends a re-INVITE with another port and `address`, as a phone that changes from Wi-Fi to a mobile network."""
        self.phone.address = address
        self.audio = self.audio.moved(codec)
        self._reinvite("sendrecv")

    def _reinvite(self, direction):
        response = self._reinvite_with(self.sdp(direction))
        if response.status != 200:
            raise Failed(response.status)
        self._media(response.body)

    def _reinvite_with(self, sdp):
        self.cseq += 1
        response = self.phone.transact("INVITE", self.remote_uri, self.id, self.cseq, self.local, self.remote, ["Content-Type: application/sdp"], sdp)
        self.acknowledge(response)
        return response

    def press(self, keys):
        for key in keys:
            self.audio.press(key)
            time.sleep(0.35)

    def digits(self):
        """The DTMF digits that were received, by RFC 2833 or INFO."""
        return "".join(digit for digit, _ in self.audio.events) + "".join(self.infos)

    def info(self, key):
        """Sends a DTMF digit by SIP INFO."""
        self.in_dialog("INFO", ["Content-Type: application/dtmf-relay"], f"Signal={key}\r\nDuration=160\r\n")

    def wait_over(self, timeout=5):
        return self.over.wait(timeout)

    def _end(self):
        self.over.set()
        self.audio.close()
        self.phone.calls.pop(self.id, None)
