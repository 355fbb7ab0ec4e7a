"""A private FreeSWITCH with both modules and music, and callers who are parked on it."""

import contextlib
import math
import os
import struct
import time
import wave
from pathlib import Path

from callers import FILL, Callers
from event_log import EventLog
from modules import COMMON, LOT, MODULES
from switch import Switch, cpu_seconds, wait_for

MUSIC = """
<configuration name="local_stream.conf"><directory name="bench" path="@FOLDER@">
  <param name="rate" value="8000"/><param name="channels" value="1"/><param name="interval" value="20"/><param name="timer-name" value="soft"/>
</directory></configuration>"""
TONE = "tone_stream://%(1000,0,440);loops=-1"
# What the callers of both FreeSWITCHes may speak.
PROFILE = '<param name="codec-prefs" value="PCMU,G722,opus@48000h@20i"/>'


class Environment:
    """One FreeSWITCH, which runs inside `with`."""

    def __init__(self, library, prefix, music, fine_clock=False):
        self.library, self.prefix, self._far = library, prefix, None
        self.switch = Switch(library, prefix)
        self.switch.profile = PROFILE
        self.switch.all_rtp_ports = True
        self.switch.fine_clock = fine_clock
        folder = self.switch.dir / "music"
        folder.mkdir()
        _write_music(folder / "bench.wav")
        sounds = {"music": TONE if music == "tone" else "local_stream://bench", "silence": "silence"}
        self.switch.more = MUSIC.replace("@FOLDER@", str(folder))
        # `valet_park` is that of mod_valet_parking, which is measured beside this module.
        settings = '<param name="valet-compat" value="false"/>'
        self.switch.configure(LOT, settings, extensions=COMMON + "".join(module.extensions(sounds) for module in MODULES))

    def __enter__(self):
        _start(self.switch)
        answer = self.switch.api("load mod_valet_parking")
        if "-ERR" in answer:
            self.__exit__()
            raise RuntimeError(f"mod_valet_parking does not load: {answer}")
        return self

    def __exit__(self, *_):
        self.switch.stop()
        if self._far:
            self._far.stop()

    def far(self):
        """The second FreeSWITCH, from which calls come that SIPp cannot make."""
        if self._far is None:
            self._far = Switch(self.library, self.prefix)
            self._far.profile = PROFILE
            self._far.configure("")
            _start(self._far)
        return self._far

    def speaks(self, codec):
        """Whether both FreeSWITCHes have this codec."""
        return all(self._loads(switch, codec) for switch in (self.switch, self.far()))

    @staticmethod
    def _loads(switch, codec):
        module = {"opus": "mod_opus", "G722": "mod_spandsp"}.get(codec)
        return module is None or "true" in switch.api(f"module_exists {module}") or "+OK" in switch.api(f"load {module}")

    @contextlib.contextmanager
    def parked_callers(self, module, number, count, settle, callers=Callers()):
        """Parks so many callers with this module, waits `settle` seconds, yields the EventLog, and ends all calls afterwards."""
        events, phones = EventLog(self.switch, module), None
        try:
            if count:
                phones = callers.dial(self, number, count)
                if not wait_for(lambda: len(events.parked()) >= count, count / FILL + 30, 0.1):
                    file = phones.folder / "errors"
                    errors = file.read_text(errors="replace")[:500] if file.exists() else ""
                    raise RuntimeError(f"{len(events.parked())} of {count} calls are parked by {module.name}: {errors}")
                time.sleep(settle)
            events.phones = phones
            yield events
        finally:
            self.clear()
            events.close()
            if phones:
                phones.end()

    def clear(self):
        """Ends all calls, and waits until FreeSWITCH has destroyed the sessions."""
        if self.switch.process.poll() is not None:
            raise RuntimeError(f"FreeSWITCH ended: {self.switch.process.returncode}")
        self.switch.api("hupall")
        if not wait_for(lambda: self.switch.sessions() == 0, 60, 0.1):
            raise RuntimeError(f"{self.switch.sessions()} sessions are left after hupall")
        time.sleep(2)


def _start(switch):
    switch.start()
    switch.events.close()
    switch.api("fsctl loglevel warning")


def _write_music(path, seconds=30, rate=8000):
    """Writes a file with three notes of changing level. It is not a plain tone, so that no module can be faster because of that."""
    def sample(n):
        t = n / rate
        return sum(math.sin(2 * math.pi * note * t) * (1 + math.sin(2 * math.pi * slow * t)) for note, slow in ((262, .3), (330, .5), (392, .7)))

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", int(3000 * sample(n))) for n in range(seconds * rate)))


class Window:
    """Measures for some seconds how many processors FreeSWITCH and the callers use, which share of the machine is idle, and how many packets
    per second FreeSWITCH sends to each of `legs` and receives from it."""

    def __init__(self, switch, phones, seconds, legs=()):
        packets = _packets(switch, legs)
        began, before = time.monotonic(), self._read(switch, phones)
        time.sleep(seconds)
        lasted, after = time.monotonic() - began, self._read(switch, phones)
        self.freeswitch, self.callers, idle = ((b - a) / lasted for a, b in zip(before, after))
        self.idle = idle / os.cpu_count()
        self.sent, self.received = ((b - a) / lasted / max(1, len(legs)) for a, b in zip(packets, _packets(switch, legs)))

    @staticmethod
    def _read(switch, phones):
        idle = int(Path("/proc/stat").read_text().split()[4]) / os.sysconf("SC_CLK_TCK")
        return switch.cpu_seconds(), cpu_seconds(phones.pid) if phones else 0, idle


def _packets(switch, legs):
    """The number of packets sent to these legs and received from them so far."""
    counts = [0, 0]
    for leg in legs:
        switch.api(f"uuid_set_media_stats {leg}")
        for n, name in enumerate(("out_media_packet_count", "in_packet_count")):
            counts[n] += int(switch.var(leg, f"rtp_audio_{name}") or 0)
    return counts
