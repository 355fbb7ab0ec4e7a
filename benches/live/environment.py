"""A private FreeSWITCH with both modules in it, music to play, and callers who wait."""

import contextlib
import math
import os
import struct
import time
import wave
from pathlib import Path

import sipp
from switch import FIRST_RTP, RTP_PORTS, Switch, cpu_seconds, wait_for
from event_log import EventLog
from modules import COMMON, LOT, MODULES

HERE = Path(__file__).parent
MUSIC = """
<configuration name="local_stream.conf"><directory name="bench" path="@FOLDER@">
  <param name="rate" value="8000"/><param name="channels" value="1"/><param name="interval" value="20"/><param name="timer-name" value="soft"/>
</directory></configuration>"""
TONE = "tone_stream://%(1000,0,440);loops=-1"
FILL = 50  # calls a second
# SIPp takes four ports for each caller from here on, and ends if one is not free: above those of two FreeSWITCH.
FIRST_MEDIA = FIRST_RTP + 2 * RTP_PORTS


class Environment:
    """One FreeSWITCH, from `with` to its end."""

    def __init__(self, module, prefix, music, fine_clock=False):
        self.switch = Switch(module, prefix)
        self.switch.fine_clock = fine_clock
        folder = self.switch.dir / "music"
        folder.mkdir()
        _write_music(folder / "bench.wav")
        sounds = {"music": TONE if music == "tone" else "local_stream://bench", "silence": "silence"}
        self.switch.more = MUSIC.replace("@FOLDER@", str(folder))
        self.switch.configure(LOT, extensions=COMMON + "".join(way.extensions(sounds) for way in MODULES))

    def __enter__(self):
        switch = self.switch
        switch.start()
        switch.events.close()
        answer = switch.api("load mod_valet_parking")
        if "+OK" not in answer:
            self.__exit__()
            raise RuntimeError(f"mod_valet_parking does not load: {answer}")
        switch.api("fsctl loglevel warning")
        return self

    def __exit__(self, *_):
        self.switch.stop()

    @contextlib.contextmanager
    def crowd(self, way, number, count, settle):
        """So many callers who are parked, and have been for a while; afterwards nobody is. Gives the one who watches."""
        watcher, phones = EventLog(self.switch, way), None
        try:
            if count:
                phones = _callers(self.switch, number, count)
                if not wait_for(lambda: len(watcher.parked()) >= count, count / FILL + 30, 0.1):
                    errors = phones.folder / "errors"
                    said = errors.read_text(errors="replace")[:500] if errors.exists() else ""
                    raise RuntimeError(f"{len(watcher.parked())} of {count} calls are parked by {way.name}; SIPp ({phones.process.poll()}): {said}")
                time.sleep(settle)
            watcher.phones = phones
            yield watcher
        finally:
            self.clear()
            watcher.close()
            if phones:
                phones.end(5)

    def clear(self):
        """Hangs everybody up, and waits until the work of that is done too."""
        if self.switch.process.poll() is not None:
            raise RuntimeError(f"FreeSWITCH ended: {self.switch.process.returncode}")
        self.switch.api("hupall")
        if not wait_for(lambda: self.switch.sessions() == 0, 60, 0.1):
            raise RuntimeError(f"{self.switch.sessions()} sessions are left after hupall")
        time.sleep(2)


def _callers(switch, number, count):
    """SIPp: each sends a packet every 20 ms, and takes and forgets what it gets."""
    scenario = (HERE / "crowd.xml").read_text().replace("@NUMBER@", number)
    voice = switch.dir / "voice.ulaw"
    if not voice.exists():
        voice.write_bytes(bytes(range(0x30, 0x80)) * 100)
    scenario = scenario.replace("voice.ulaw", str(voice))
    words = (f"127.0.0.1:{switch.outside_port}", "-r", FILL, "-m", count, "-l", count)
    return sipp.Sipp(switch, f"crowd-{time.monotonic_ns()}", scenario, *words, media=FIRST_MEDIA)


def _write_music(path, seconds=30, rate=8000):
    """Not a tone alone, so that nobody can be the quicker by its being one: three notes that come and go."""
    def sample(n):
        t = n / rate
        return sum(math.sin(2 * math.pi * note * t) * (1 + math.sin(2 * math.pi * slow * t)) for note, slow in ((262, .3), (330, .5), (392, .7)))

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", int(3000 * sample(n))) for n in range(seconds * rate)))


class Window:
    """Processor time over a while, as processors in use: of FreeSWITCH, of the callers, and what was left of the machine. And
    how many packets a second each of `legs` was sent, and sent itself."""

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
    """Sent to these legs, and received from them, so far."""
    counts = [0, 0]
    for leg in legs:
        switch.api(f"uuid_set_media_stats {leg}")
        for n, name in enumerate(("out_media_packet_count", "in_packet_count")):
            counts[n] += int(switch.var(leg, f"rtp_audio_{name}") or 0)
    return counts
