"""What a module says of its calls, with the time at which FreeSWITCH said it, on this process's clock."""

import re
import threading
import time
from dataclasses import dataclass

from switch import EventSocket, wait_for


@dataclass(frozen=True)
class Told:
    leg: str
    action: str
    slot: str
    at: float


class EventLog:
    """Listens from when it is made until it is closed."""

    def __init__(self, switch, way):
        self.way, self.told = way, []
        self.ahead = _ahead(switch)
        names = "|".join([re.escape(way.action), re.escape(way.slot), "Unique-ID", "Event-Date-Timestamp"])
        self.wanted = re.compile(rf"^({names}): (.*)$".encode(), re.MULTILINE)
        self.socket = EventSocket(switch.esl_port)
        self.socket.command(f"event plain CUSTOM {way.event}")
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for body in self.socket.events():
            event = {name.decode(): value.decode() for name, value in self.wanted.findall(body)}
            at = int(event["Event-Date-Timestamp"]) / 1e6 - self.ahead
            self.told.append(Told(event.get("Unique-ID", ""), event.get(self.way.action, ""), event.get(self.way.slot, ""), at))

    def parked(self, after=0):
        """Parks, without the first `after` things told."""
        return [told for told in self.told[after:] if told.action == self.way.parked]

    def next_parked(self, after, patience=10):
        found = wait_for(lambda: self.parked(after), patience, 0.005)
        return found[0] if found else None

    def close(self):
        self.socket.close()


def _ahead(switch):
    """By how much FreeSWITCH's clock is ahead of ours: the quickest of some answers tells best."""
    asked = []
    for _ in range(15):
        before = time.time()
        theirs = int(switch.api("strmicroepoch")) / 1e6
        after = time.time()
        asked.append((after - before, theirs - (before + after) / 2))
    return min(asked)[1]
