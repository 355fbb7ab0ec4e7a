"""Collects a module's events, with the time of each by this process's clock."""

import re
import threading
import time
from dataclasses import dataclass

from switch import EventSocket, wait_for


@dataclass(frozen=True)
class Event:
    """An event about the call of `leg`."""

    leg: str
    action: str
    slot: str
    at: float


class EventLog:
    """Collects the events from its creation until it is closed."""

    def __init__(self, switch, module):
        self.module, self.events = module, []
        self.ahead = _ahead(switch)
        names = "|".join([re.escape(module.action), re.escape(module.slot), "Unique-ID", "Event-Date-Timestamp"])
        self.wanted = re.compile(rf"^({names}): (.*)$".encode(), re.MULTILINE)
        self.socket = EventSocket(switch.esl_port)
        self.socket.command(f"event plain CUSTOM {module.event}")
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for body in self.socket.events():
            headers = {name.decode(): value.decode() for name, value in self.wanted.findall(body)}
            at = int(headers["Event-Date-Timestamp"]) / 1e6 - self.ahead
            self.events.append(Event(headers.get("Unique-ID", ""), headers.get(self.module.action, ""), headers.get(self.module.slot, ""), at))

    def parked(self, after=0):
        """The events of parked calls, without the first `after` events of all."""
        return [event for event in self.events[after:] if event.action == self.module.parked]

    def next_parked(self, after, patience=10):
        found = wait_for(lambda: self.parked(after), patience, 0.005)
        return found[0] if found else None

    def close(self):
        self.socket.close()


def _ahead(switch):
    """The seconds by which FreeSWITCH's clock is ahead of this process's. The fastest of several answers has the smallest error."""
    asked = []
    for _ in range(15):
        before = time.time()
        theirs = int(switch.api("strmicroepoch")) / 1e6
        after = time.time()
        asked.append((after - before, theirs - (before + after) / 2))
    return min(asked)[1]
