"""A stand-in for the dashboard's server: the module's HTTP API with invented calls, without FreeSWITCH.

`python3 fake_server.py` serves the page with the calls of a busy day on http://127.0.0.1:8181/ (token `view-and-act`).
"""

import collections
import datetime
import itertools
import json
import queue
import random
import re
import socket
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

PAGE = Path(__file__).resolve().parents[2] / "src" / "web" / "page"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/manifest+json"}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
          "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
DOMAIN = "example.com"
ENDS = {"retrieved": "retrieve", "returned": "return", "fallback": "fallback", "transferred": "transfer", "abandoned": "abandon"}
WAIT_STEPS = (10, 30, 60, 120, 300, 600)
PING_SECONDS = 10


def now_ms():
    return int(time.time() * 1000)


class Lot:
    def __init__(self, name, slots, domain=DOMAIN, service_level=60, labels=None):
        self.name, self.slots, self.domain, self.service_level, self.labels = name, slots, domain, service_level, labels or {}


class Board:
    """The parked calls, the ended calls, and the listeners of the event stream."""

    def __init__(self):
        self.lots = [
            Lot("main", [str(n) for n in range(701, 721)], labels={"701": "Front desk", "705": "Workshop"}),
            Lot("support", [str(n) for n in range(801, 807)], service_level=120),
            Lot("big", [f"*{n}" for n in range(5901, 6000)], service_level=90),
            Lot("branch", ["901", "902"], domain="*"),
        ]
        self.calls, self.ended, self.full = {}, [], 0
        self.channels, self.requests = [], []
        self.users = []  # as of a directory that cannot be listed
        # What the phones of users do when they are rung: "answers", "is silent" (for a while), or "is busy".
        self.phones, self.rings_for = {}, 0.5
        self.listeners, self.lock = set(), threading.Lock()

    def lot_of(self, slot):
        return next(lot for lot in self.lots if slot in lot.slots)

    def park(self, name, number, slot, *, ago=0, parker="1001", label="", state="parked", timeout=90):
        parked_at = now_ms() - int(ago * 1000)
        call = {"lot": self.lot_of(slot).name, "domain": DOMAIN, "slot": slot, "state": state, "parked_at": parked_at,
                "timeout_at": parked_at + timeout * 1000 if timeout else None, "caller_name": name, "caller_number": number,
                "parker": f"{parker}@{DOMAIN}", "label": label, "attempt": 0, "late": False, "uuid": str(uuid.uuid4()), "node": "pbx1"}
        with self.lock:
            self.calls[slot] = call
        self.tell("park", call)

    def end(self, slot, outcome, *, retriever="1002"):
        with self.lock:
            call = self.calls.pop(slot)
            self.ended.insert(0, {**self._ended(call, retriever), "outcome": outcome, "wait_ms": now_ms() - call["parked_at"]})
        self.tell(ENDS[outcome], call)

    @staticmethod
    def _ended(call, retriever):
        kept = ("lot", "domain", "slot", "caller_name", "caller_number", "parker", "label", "parked_at", "node", "uuid")
        return {**{key: call[key] for key in kept}, "retriever": f"{retriever}@{DOMAIN}", "attempts": call["attempt"]}

    def history(self):
        """Those who were parked last come first, as in the module."""
        return sorted(self.ended, key=lambda call: -call["parked_at"])[:50]

    def talk(self, name, number, *, user="1002", held=False, ago=0):
        """A conversation of a user, which can be parked."""
        self.channels.append({"uuid": str(uuid.uuid4()), "user": f"{user}@{DOMAIN}", "caller_name": name, "caller_number": number,
                              "direction": "incoming", "held": held, "talking_ms": ago * 1000, "node": "pbx1"})
        return self.channels[-1]["uuid"]

    def directory(self, *rows):
        """Sets the users of the directory: extension, name, registered, talking."""
        self.users = [{"user": f"{extension}@{DOMAIN}", "extension": extension, "name": name, "registered": registered, "talking": talking}
                      for extension, name, registered, talking in rows]

    def remind(self, slot):
        self.calls[slot]["late"] = True
        self.tell("remind", self.calls[slot])

    def park_channel(self, body):
        channel = next((channel for channel in self.channels if channel["uuid"] == body["uuid"]), None)
        if channel is None:
            return 404, {"error": f"there is no channel {body['uuid']}"}
        free = [slot for lot in self.lots if body.get("lot", f"main@{DOMAIN}") == f"{lot.name}@{lot.domain}" for slot in lot.slots
                if slot not in self.calls]
        slot = body.get("slot") or free[0]
        if slot not in free:
            return 409, {"error": f"slot {slot} is taken"}
        self.channels.remove(channel)
        self.park(channel["caller_name"], channel["caller_number"], slot, parker="1002")
        return 200, self.shown(self.calls[slot])

    def retrieve(self, call, to):
        if to is None:
            return 400, {"error": "to is missing, and this token has no user"}
        if call["state"] not in ("parked", "ringing-back"):
            return 409, {"error": f"the call in slot {call['slot']} is being retrieved"}
        does = self.phones.get(to, "answers")
        if does == "is busy":
            return 409, {"error": f"no phone of {to}@{DOMAIN} has answered: USER_BUSY"}
        call["state"] = "retrieving"
        self.tell("reserve", call)
        threading.Timer(self.rings_for, self._rung, (call, to, does)).start()
        return 200, self.shown(call)

    def _rung(self, call, to, does):
        if self.calls.get(call["slot"]) is not call:
            return
        if does == "answers":
            return self.end(call["slot"], "retrieved", retriever=to)
        call["state"] = "parked"
        self.tell("retrieve-failed", call)

    def act(self, slot, verb, body, user=None):
        """Carries out an action. Returns the status and the answer, as the module does."""
        call = self.calls.get(slot)
        if call is None:
            return 404, {"error": f"slot {slot} is empty"}
        if verb == "retrieve":
            self.requests.append(body)
            return self.retrieve(call, body.get("to", user))
        if verb == "label":
            call["label"] = body["text"]
            self.tell("label", call)
        elif verb == "ringback":
            call.update(state="ringing-back", attempt=call["attempt"] + 1)
            self.tell("ringback", call)
        elif verb == "extend":
            call["timeout_at"] += body["seconds"] * 1000
            self.tell("extend", call)
        elif verb == "transfer":
            if not re.fullmatch(r"[A-Za-z0-9_.*#+-]{1,64}", body["extension"]):
                return 400, {"error": f"extension {json.dumps(body['extension'])} is not 1 to 64 of A-Z a-z 0-9 _ . * # + -"}
            self.end(slot, "transferred", retriever="")
        return 200, self.shown(call)

    @staticmethod
    def shown(call):
        return {**call, "wait_ms": now_ms() - call["parked_at"]}

    def listing(self):
        with self.lock:
            return [self.shown(call) for call in self.calls.values()]

    def lot_listing(self):
        calls = self.listing()
        rows = []
        for lot in self.lots:
            waits = [call["wait_ms"] for call in calls if call["lot"] == lot.name]
            rows.append({"lot": lot.name, "domain": lot.domain, "size": len(lot.slots), "used": len(waits),
                         "free": len(lot.slots) - len(waits), "longest_wait_ms": max(waits, default=0),
                         "service_level": lot.service_level,
                         "slots": [{"slot": slot, "label": lot.labels.get(slot, "")} for slot in lot.slots] if len(lot.slots) <= 500 else []})
        return rows

    def stats(self):
        return [self._day(lot, [row for row in self.ended if row["lot"] == lot.name]) for lot in self.lots if lot.domain != "*"]

    def _day(self, lot, ended):
        parked = [row["parked_at"] for row in ended] + [c["parked_at"] for c in self.listing() if c["lot"] == lot.name]
        hours = [time.localtime(at / 1000).tm_hour for at in parked]
        waits = sorted(row["wait_ms"] for row in ended)
        by_hour = [hours.count(hour) for hour in range(24)]
        steps = [sum(wait > step * 1000 for step in WAIT_STEPS) for wait in waits]
        in_time = sum(wait <= lot.service_level * 1000 for wait in waits) / len(waits) if waits else None
        return {"lot": lot.name, "domain": lot.domain, "day": time.strftime("%Y-%m-%d"), "parked": len(parked),
                **{outcome: sum(row["outcome"] == outcome for row in ended) for outcome in ENDS},
                "full": self.full if lot is self.lots[0] else 0,
                "wait_mean_ms": sum(waits) // len(waits) if waits else 0, "wait_median_ms": waits[len(waits) // 2] if waits else 0,
                "wait_p95_ms": waits[len(waits) * 95 // 100] if waits else 0, "wait_longest_ms": max(waits, default=0),
                "in_time": in_time, "service_level": lot.service_level,
                "busiest_hour": by_hour.index(max(by_hour)) if parked else None,
                "by_hour": by_hour, "waits": [steps.count(step) for step in range(7)]}

    def report(self, query):
        """A report about the ended calls, with the figures that the page shows."""
        asked = {name: values[0] for name, values in urllib.parse.parse_qs(query).items()}
        try:
            zone = ZoneInfo(asked["tz"])
        except (KeyError, ZoneInfoNotFoundError, ValueError):
            return 400, {"error": f"tz \"{asked['tz']}\" is not a time zone, expected a name such as Europe/Berlin"}
        first, last = (datetime.date.fromisoformat(asked[name]) for name in ("from", "to"))
        if first > last:
            return 400, {"error": f"from \"{first}\" is not before to \"{last}\""}
        midnight = lambda day: int(datetime.datetime.combine(day, datetime.time(), zone).timestamp() * 1000)
        begin, end = midnight(first), midnight(last + datetime.timedelta(days=1))
        local = lambda row: datetime.datetime.fromtimestamp(row["parked_at"] / 1000, zone)
        key = {"hour": lambda row: f"{local(row):%H}:00", "day": lambda row: str(local(row).date()),
               "lot": lambda row: f"{row['lot']}@{row['domain']}"}.get(asked["by"], lambda row: row[asked["by"]])
        within = lambda since, until: [row for row in self.ended if since <= row["parked_at"] < until
                                       and asked.get("lot") in (None, f"{row['lot']}@{row['domain']}")]
        rows, before = within(begin, end), within(2 * begin - end, begin)
        groups = {}
        for row in rows:
            groups.setdefault(key(row), []).append(row)
        order = (lambda item: item[0]) if asked["by"] in ("hour", "day") else (lambda item: -len(item[1]))
        hours = collections.defaultdict(list)
        for row in rows:
            hours[local(row).isoweekday(), local(row).hour].append(row["wait_ms"] > 120_000)
        weekday, hour = max(hours, key=lambda at: sum(hours[at]), default=(1, 9))
        late, of = sum(hours[weekday, hour]), len(hours[weekday, hour])
        finding = {"kind": "long-waits-hour", "text": f"{weekday} {hour}: {late} of {of} callers waited longer than 2 minutes", "weekday": weekday,
                   "hour": hour, "group": None, "count": late, "of": of, "count_before": None, "of_before": None}
        return 200, {"from": begin, "to": end, "tz": asked["tz"], "by": asked["by"], "service_level": 60, "long_wait_seconds": 120,
                     "total": figures(rows), "before": {"from": 2 * begin - end, "to": begin, **figures(before)}, "truncated": False,
                     "groups": [{"group": name, **figures(group)} for name, group in sorted(groups.items(), key=order)],
                     "findings": [finding] if late else []}

    def tell(self, action, call):
        change = {"action": action, "at": now_ms(), "lot": call["lot"], "domain": call["domain"], "slot": call["slot"],
                  "call": self.shown(call)}
        for listener in list(self.listeners):
            listener.put(f"event: change\ndata: {json.dumps(change)}\n\n")


def figures(rows):
    waits = sorted(row["wait_ms"] for row in rows)
    rank = lambda percent: waits[-(-percent * len(waits) // 100) - 1] if waits else 0
    in_time = sum(row["wait_ms"] <= 60_000 and row["outcome"] in ("retrieved", "returned") for row in rows)
    return {"parked": len(rows), **{outcome: sum(row["outcome"] == outcome for row in rows) for outcome in ENDS},
            "long_waits": sum(wait > 120_000 for wait in waits), "in_time": in_time / len(rows) if rows else None,
            "wait_mean_ms": sum(waits) // len(waits) if waits else 0, "wait_median_ms": rank(50), "wait_p95_ms": rank(95), "wait_longest_ms": rank(100)}


def as_csv(report):
    names = ["group", *report["total"]]
    return "\n".join(",".join(str(row[name]) for name in names) for row in [dict(zip(names, names)), *report["groups"]]) + "\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    board = tokens = connections = None

    def setup(self):
        super().setup()
        self.connections.add(self.connection)

    def finish(self):
        self.connections.discard(self.connection)
        super().finish()

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # the browser or down() has closed the connection

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def rights(self):
        """The rights of the token, and its user; both are None without a known token."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return self.tokens.get(token, (None, None)) if scheme == "Bearer" else (None, None)

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if not path.startswith("/api/"):
            file = PAGE / (path[1:] or "index.html")
            if file.parent != PAGE or not file.is_file():
                return self.answer(404, b"not found", "text/plain")
            return self.answer(200, file.read_bytes(), TYPES[file.suffix])
        rights, user = self.rights()
        if rights is None:
            return self.answer(401, {"error": "unknown token"})
        if path == "/api/v1/events":
            return self.events()
        if path == "/api/v1/report":
            status, report = self.board.report(urllib.parse.urlsplit(self.path).query)
            csv = status == 200 and self.headers.get("Accept") == "text/csv"
            return self.answer(status, as_csv(report).encode() if csv else report, "text/csv" if csv else "application/json")
        answers = {"me": lambda: {"rights": rights, "domain": "*", **({"user": f"{user}@{DOMAIN}"} if user else {})}, "calls": self.board.listing, "lots": self.board.lot_listing,
                   "stats": self.board.stats, "history": self.board.history, "channels": lambda: self.board.channels,
                   "users": lambda: self.board.users}
        return self.answer(200, answers[path.removeprefix("/api/v1/")]())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        rights, user = self.rights()
        if "act" not in (rights or []):
            return self.answer(403, {"error": "this token may only look"})
        if self.path == "/api/v1/park":
            return self.answer(*self.board.park_channel(body))
        domain, slot, verb = self.path.removeprefix("/api/v1/calls/").split("/")
        # The page must encode `*`, because the module's router accepts nothing else.
        if "*" in slot or urllib.parse.unquote(domain) != DOMAIN:
            return self.answer(404, {"error": "no such call"})
        return self.answer(*self.board.act(urllib.parse.unquote(slot), verb, body, user))

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        inbox = queue.Queue()
        self.board.listeners.add(inbox)
        try:
            self.wfile.write(b": ping\n\n")
            while True:
                try:
                    self.wfile.write(inbox.get(timeout=PING_SECONDS).encode())
                except queue.Empty:
                    self.wfile.write(b": ping\n\n")
        finally:
            self.board.listeners.discard(inbox)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # down() has closed the connection


class FakeServer:
    """A server with calls that a test makes and ends. The test can stop it and start it again on the same port."""

    token, view_token, no_user_token = "view-and-act", "view-only", "act-without-user"

    def __init__(self, port=0):
        self.board, self.connections = Board(), set()
        self.port, self.server = port, None
        self.up()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.park, self.end, self.talk, self.remind = self.board.park, self.board.end, self.board.talk, self.board.remind
        self.directory = self.board.directory

    def up(self):
        tokens = {self.token: (["view", "act"], "1002"), self.view_token: (["view"], None), self.no_user_token: (["view", "act"], None)}
        handler = type("Handler", (Handler,), {"board": self.board, "tokens": tokens, "connections": self.connections})
        self.server = Server(("127.0.0.1", self.port), handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # already closed by the browser

    def crowd(self, count):
        """Adds a lot with `count` parked calls."""
        lot = Lot("crowd", [str(10_000 + n) for n in range(count + 100)])
        self.board.lots.append(lot)
        now = now_ms()
        for place, slot in enumerate(lot.slots[:count]):
            self.board.calls[slot] = {
                "lot": lot.name, "domain": DOMAIN, "slot": slot, "state": "parked", "parked_at": now - place % 90 * 1000,
                "timeout_at": now + 90_000, "caller_name": f"Caller {slot}", "caller_number": f"+49 30 {slot}", "parker": f"1001@{DOMAIN}",
                "label": "", "attempt": 0, "late": False, "uuid": str(uuid.uuid4()), "node": "pbx1"}

    def busy_day(self):
        """Adds the calls of a typical afternoon: calls of every age and state, and the ended calls of the morning."""
        chance = random.Random(7)
        people = itertools.cycle([
            ("Anna Berg", "+49 30 901820"), ("Garage Lefèvre", "+33 1 42 68 53 00"), ("Mr Chen", "+44 20 7946 0991"),
            ("Olga Petrova", "+7 495 123 4567"), ("Dr. Abdul-Rahman Al-Khatib", "+971 4 555 0142"), ("Sofía Núñez", "+34 91 555 01 13"),
            ("Northwind Logistics GmbH & Co. KG", "+49 40 3344 5500"), ("Ελένη Παπαδάκη", "+30 21 0555 0187"), ("", "+1 212 555 0123")])
        begin = time.time() - 8 * 3600
        for _ in range(140):
            name, number = next(people)
            lot = chance.choices(self.board.lots[:3], (6, 2, 1))[0]
            wait = min(900, chance.expovariate(1 / 45)) + 2
            parked = begin + 8 * 3600 * chance.betavariate(2.2, 1.6) - wait
            outcome = chance.choices(list(ENDS), (70, 12, 5, 6, 7))[0]
            taken = f"{chance.randint(1001, 1019)}@{DOMAIN}" if outcome in ("retrieved", "returned") else ""
            self.board.ended.append({
                "lot": lot.name, "domain": DOMAIN, "slot": chance.choice(lot.slots), "caller_name": name, "caller_number": number,
                "parker": f"{chance.randint(1001, 1019)}@{DOMAIN}", "retriever": taken, "parked_at": int(parked * 1000),
                "label": chance.choice(["", "", "", "invoice 4711", "calls back about the delivery", "wants Maria"]),
                "wait_ms": int(wait * 1000), "outcome": outcome, "attempts": int(wait > 90), "node": "pbx1", "uuid": str(uuid.uuid4())})
        self.board.ended.sort(key=lambda row: -row["parked_at"] - row["wait_ms"])
        self.board.full = 3
        for slot, ago, parker, label, state in [
                ("701", 14, "1001", "", "parked"), ("702", 38, "1004", "Delivery to Lyon", "parked"),
                ("703", 47, "1001", "Invoice 2026-118", "retrieving"), ("705", 92, "1007", "", "ringing-back"),
                ("706", 71, "1002", "", "parked"), ("709", 5, "1011", "Wants Maria, from the Tuesday meeting", "parked"),
                ("712", 3721, "reception", "", "parked"), ("801", 21, "1015", "", "parked"), ("803", 64, "1015", "Ticket 88213", "parked"),
                ("*5904", 9, "1003", "", "parked"), ("*5917", 55, "1009", "Second floor", "parked")]:
            name, number = next(people)
            self.park(name, number, slot, ago=ago, parker=parker, label=label, state=state, timeout=90 if ago < 90 else 3 * ago)


if __name__ == "__main__":
    fake = FakeServer(port=8181)
    fake.busy_day()
    print(f"{fake.url} token: {fake.token}")
    threading.Event().wait()
