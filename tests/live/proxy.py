"""A SIP proxy in front of FreeSWITCH. Phones register with the proxy, which writes their user into P-Asserted-Identity (a real one would
authenticate them first). FreeSWITCH receives all requests from the proxy's address and asks for no password."""

import re
import socket
import threading
import uuid

ADDRESS = "127.0.0.2"


class Proxy:
    """Forwards requests and responses and stays on the path of each dialog (Record-Route). It has no state but the registrations."""

    def __init__(self, switch, asserts=True):
        self.asserts, self.home = asserts, ("127.0.0.1", switch.outside_port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ADDRESS, 0))
        self.port = self.socket.getsockname()[1]
        self.phones = {}  # user: address of the phone
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def name(self):
        return f"{ADDRESS}:{self.port}"

    def connect(self, phone):
        """Makes this proxy the phone's server."""
        phone.server = (ADDRESS, self.port)
        self.phones[phone.user] = ("127.0.0.1", phone.port)
        return phone

    def close(self):
        self.socket.close()

    def _run(self):
        while True:
            try:
                data, source = self.socket.recvfrom(65535)
            except OSError:
                return
            text = data.decode("utf-8", "surrogateescape")
            if text.startswith("SIP/2.0 100"):
                continue  # is not forwarded: it is for this hop only
            forwarded, target = self._response(text) if text.startswith("SIP/2.0") else self._request(text, source)
            try:
                self.socket.sendto(forwarded.encode("utf-8", "surrogateescape"), target)
            except OSError:
                return

    def _response(self, text):
        """Removes the first Via, which is the proxy's, and returns the response and the address in the next Via."""
        head, body = text.split("\r\n\r\n", 1)
        lines = head.split("\r\n")
        lines.remove(next(line for line in lines if line.lower().startswith("via:")))
        via = next(line for line in lines if line.lower().startswith("via:"))
        host, port = re.search(r"UDP ([\d.]+):(\d+)", via).groups()
        received, rport = re.search(r"received=([\d.]+)", via), re.search(r"rport=(\d+)", via)
        target = (received.group(1) if received else host, int(rport.group(1) if rport else port))
        return "\r\n".join(lines) + "\r\n\r\n" + body, target

    def _request(self, text, source):
        head, body = text.split("\r\n\r\n", 1)
        first, *lines = head.split("\r\n")
        method, uri, _ = first.split()
        outward = source[1] != self.home[1]  # to FreeSWITCH
        lines = [line for line in lines if not (line.lower().startswith("route:") and self.name in line)]
        branch = "z9hG4bK" + uuid.uuid5(uuid.NAMESPACE_OID, re.search(r"branch=([^;,\s]+)", head).group(1)).hex
        more = [f"Via: SIP/2.0/UDP {self.name};branch={branch}"]
        if method in ("INVITE", "SUBSCRIBE"):
            more.append(f"Record-Route: <sip:{self.name};lr>")
        user = re.search(r"^From:.*?<sip:([^@>]+)@([^>;:]+)", head, re.MULTILINE | re.IGNORECASE)
        if outward and self.asserts and method == "INVITE" and user.group(1) in self.phones:
            more.append(f"P-Asserted-Identity: <sip:{user.group(1)}@{user.group(2)}>")
        target = self.home
        if not outward:
            called, host, port = re.match(r"sip:(?:([^@]+)@)?([\d.]+):(\d+)", uri).groups()
            target = self.phones[called] if (host, int(port)) == (ADDRESS, self.port) else (host, int(port))
        return "\r\n".join([first, *more, *lines]) + "\r\n\r\n" + body, target
