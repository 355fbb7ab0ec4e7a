"""A private FreeSWITCH with both modules and music, and callers who are parked on it."""

import contextlib
import math
import os
import struct
import time
import wave
from pathlib import Path

import sipp
from event_log import EventLog
from modules import COMMON, LOT, MODULES
from switch import FIRST_RTP, RTP_PORTS, Switch, cpu_seconds, wait_for

HERE = Path(__file__).parent
MUSIC = """
<configuration name="local_stream.conf"><directory name="bench" path="@FOLDER@">
  <param name="rate" value="8000"/><param name="channels" value="1"/><param name="interval" value="20"/><param name="timer-name" value="soft"/>
</directory></configuration>"""
TONE = "tone_stream://%(1000,0,440);loops=-1"
FILL = 50  # calls per second
# SIPp uses four ports for each caller from here on, and ends if one is in use. They are above the RTP ports of two FreeSWITCHes.
FIRST_MEDIA = FIRST_RTP + 2 * RTP_PORTS


class Environment:
    """One FreeSWITCH, which runs inside `with`."""

    def __init__(self, library, prefix, music, fine_clock=False):
        self.switch = Switch(library, prefix)
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
        switch = self.switch
        switch.start()
        switch.events.close()
        answer = switch.api("load mod_valet_parking")
        if "-ERR" in answer:
            self.__exit__()
            raise RuntimeError(f"mod_valet_parking does not load: {answer}")
        switch.api("fsctl loglevel warning")
        return self

    def __exit__(self, *_):
        self.switch.stop()

    @contextlib.contextmanager
    def parked_callers(self, module, number, count, settle, silent=False):
        """Parks so many callers with this module, waits `settle` seconds, yields the EventLog, and ends all calls afterwards. Silent callers send no
        packet at all."""
        events, phones = EventLog(self.switch, module), None
        try:
            if count:
                phones = _callers(self.switch, number, count, silent)
                if not wait_for(lambda: len(events.parked()) >= count, count / FILL + 30, 0.1):
                    file = phones.folder / "errors"
                    errors = file.read_text(errors="replace")[:500] if file.exists() else ""
                    raise RuntimeError(f"{len(events.parked())} of {count} calls are parked by {module.name}; SIPp ({phones.process.poll()}): {errors}")
                time.sleep(settle)
            events.phones = phones
            yield events
        finally:
            self.clear()
            events.close()
            if phones:
                phones.end(5)

    def clear(self):
        """Ends all calls, and waits until FreeSWITCH has destroyed the sessions."""
        if self.switch.process.poll() is not None:
            raise RuntimeError(f"FreeSWITCH ended: {self.switch.process.returncode}")
        self.switch.api("hupall")
        if not wait_for(lambda: self.switch.sessions() == 0, 60, 0.1):
            raise RuntimeError(f"{self.switch.sessions()} sessions are left after hupall")
        time.sleep(2)


def _callers(switch, number, count, silent):
    """Starts SIPp with callers who discard what they receive, and each send a packet every 20 ms or, if they are silent, none."""
    voice = switch.dir / "voice.ulaw"
    if not voice.exists():
        voice.write_bytes(bytes(range(0x30, 0x80)) * 100)
    speaks = "" if silent else f'<nop><action><exec rtp_stream="{voice},-1,0"/></action></nop>'
    scenario = (HERE / "callers.xml").read_text().replace("@NUMBER@", number).replace("@SPEAKS@", speaks)
    words = (f"127.0.0.1:{switch.outside_port}", "-r", FILL, "-m", count, "-l", count)
    return sipp.Sipp(switch, f"callers-{time.monotonic_ns()}", scenario, *words, media=FIRST_MEDIA)


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
        return switch.cpu_seconds(), cpu_seconds(phones.process.pid) if phones else 0, idle


def _packets(switch, legs):
    """The number of packets sent to these legs and received from them so far."""
    counts = [0, 0]
    for leg in legs:
        switch.api(f"uuid_set_media_stats {leg}")
        for n, name in enumerate(("out_media_packet_count", "in_packet_count")):
            counts[n] += int(switch.var(leg, f"rtp_audio_{name}") or 0)
    return counts
