"""A FreeSWITCH whose dialplan has extensions of mod_valet_parking, with that module or with mod_callpark in its place."""

import re
import threading
import urllib.parse
from xml.etree import ElementTree

from conftest import MUSIC, new_switch
from parking import lot
from sounds import write_tone
from switch import EventSocket, Switch, wait_for

OURS, THEIRS = "mod_callpark", "mod_valet_parking"
# The extensions of the usual dialplan of the tests that answer numbers of mod_valet_parking's.
REPLACED = re.compile(r'<extension name="(?:park|slot|feature code)"[^<]*>.*?</extension>', re.S)
HOLD_MUSIC = f"tone_stream://%(1000,0,{MUSIC});loops=-1"
FIRST = f'<extension name="music" continue="true"><condition><action application="set" data="hold_music={HOLD_MUSIC}" inline="true"/></condition></extension>'
LOTS = lot(("park-timeout", "0"))
PROMPT = 800


class ValetSwitch(Switch):
    """`extensions` come first in the dialplan. `context` is the name of its one context."""

    provider, context = OURS, "default"

    def configure(self, lots, settings="", phrases=None, extensions=""):
        super().configure(lots, settings, phrases)
        self.written = (lots, settings, phrases, extensions)
        path = self.dir / "conf/freeswitch.xml"
        text = REPLACED.sub("", path.read_text()).replace('<load module="mod_callpark"/>', f'<load module="{self.provider}"/>')
        text = text.replace('<context name="default">', f'<context name="{self.context}">{FIRST}{extensions}')
        path.write_text(text.replace('<param name="context" value="default"/>', f'<param name="context" value="{self.context}"/>'))

    def start(self):
        prompt = self.dir / "sounds/ivr/ivr-enter_ext_pound.wav"
        write_tone(prompt, PROMPT, seconds=1)
        super().start()
        self.valet = ValetEvents(self.esl_port)
        return self

    def info(self, name=""):
        """The lots of `valet_info`: for each its slots, with the UUID of the leg in it."""
        root = ElementTree.fromstring(self.api(f"valet_info {name}".strip()))
        assert root.tag == "lots"
        return {lot.get("name"): {slot.text: slot.get("uuid") for slot in lot.findall("extension")} for lot in root.findall("lot")}

    def parked(self):
        """All slots with a call, by the name of the lot and the slot."""
        return {(name, slot): uuid for name, slots in self.info().items() for slot, uuid in slots.items()}

    def wait_parked(self, count=1, timeout=5):
        assert wait_for(lambda: len(self.parked()) == count, timeout), self.api("valet_info")
        return self.parked()


class ValetEvents:
    """Collects all valet_parking::info events, in order."""

    def __init__(self, port):
        self.all, self.changed = [], threading.Condition()
        socket = EventSocket(port)
        socket.command("event plain CUSTOM valet_parking::info")
        socket.socket.settimeout(None)
        threading.Thread(target=self._collect, args=(socket,), daemon=True).start()

    def _collect(self, socket):
        for body in socket.events():
            lines = [line.partition(": ") for line in body.decode("utf-8", "replace").splitlines()]
            with self.changed:
                self.all.append({name: urllib.parse.unquote(value) for name, _, value in lines})

    def clear(self):
        with self.changed:
            self.all.clear()

    def of(self, uuid):
        """The actions of one leg, in order."""
        with self.changed:
            return [event["Action"] for event in self.all if event.get("Unique-ID") == uuid]

    def wait(self, action, timeout=5.0, **headers):
        """Waits for an event with this action and these headers (Valet_Extension="6001"), and returns the first one."""
        wanted = {"Action": action, **{name.replace("_", "-"): value for name, value in headers.items()}}
        found = wait_for(lambda: self._find(wanted), timeout)
        assert found, f"no event with {wanted} in {[(e['Action'], e.get('Valet-Extension')) for e in self.all]}"
        return found

    def _find(self, wanted):
        with self.changed:
            return next((event for event in self.all if wanted.items() <= event.items()), None)


def new_valet_switch(provider=OURS):
    """A FreeSWITCH with one of the modules, not configured and not started."""
    switch = new_switch(ValetSwitch)
    switch.provider = provider
    return switch


def park(phones, switch, to, says=600, parker="1001"):
    """Lets an outside caller call a user, who transfers the caller to `to`."""
    receptionist = phones(parker)
    receptionist.on_ring = 0.1
    before = len(switch.parked())
    caller = phones(says=says).call(parker)
    call = receptionist.wait_call()
    assert call.answered.wait(5)
    call.refer(to)
    switch.wait_parked(before + 1)
    call.hang_up()
    return caller
