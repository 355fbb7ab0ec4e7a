"""The callers of a measurement: phones of SIPp, or legs of a second FreeSWITCH for what SIPp does not speak."""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import sipp
from audio import comfort_noise
from switch import FIRST_RTP, RTP_PORTS

HERE = Path(__file__).parent
FILL = 50  # calls per second
# SIPp uses four ports for each caller from here on, and ends if one is in use. They are above the RTP ports of two FreeSWITCHes.
FIRST_MEDIA = FIRST_RTP + 2 * RTP_PORTS
NOISE_EVERY = 0.2  # seconds between two packets of comfort noise


@dataclass(frozen=True)
class Callers:
    """What callers send, and how. `sends` is speech (a packet every 20 ms), noise (comfort noise) or nothing. With a `codec`, their calls come from a
    second FreeSWITCH, with these channel variables."""

    sends: str = "speech"
    codec: str = ""
    variables: str = ""

    def dial(self, environment, number, count):
        """Starts so many callers who dial `number`. Returns an object with `pid`, the process to which their time is charged, and `end()`."""
        if self.codec:
            return FarLegs(environment, self, number, count)
        return Noise(environment.switch, number, count) if self.sends == "noise" else Phones(environment.switch, number, count, self.sends == "speech")


class Phones:
    """Phones of SIPp, which discard what they receive."""

    def __init__(self, switch, number, count, speak):
        voice = switch.dir / "voice.ulaw"
        if not voice.exists():
            voice.write_bytes(bytes(range(0x30, 0x80)) * 100)
        speaks = f'<nop><action><exec rtp_stream="{voice},-1,0"/></action></nop>' if speak else ""
        self._sipp = _sipp(switch, number, count, "[rtpstream_audio_port]", speaks)
        self.pid, self.folder = self._sipp.process.pid, self._sipp.folder

    def end(self):
        self._sipp.end(5)


class Noise:
    """Phones of SIPp whose media is sent from here: a packet of comfort noise now and then, to the address from which the music comes."""

    def __init__(self, switch, number, count):
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for one in self._sockets:
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        ports = switch.dir / "ports.csv"
        ports.write_text("SEQUENTIAL\n" + "".join(f"{one.getsockname()[1]}\n" for one in self._sockets))
        self._sipp = _sipp(switch, number, count, "[field0]", "", "-inf", ports)
        self.pid, self.folder = self._sipp.process.pid, self._sipp.folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self):
        peers, sent = {}, 0
        while not self._over.wait(NOISE_EVERY):
            sent += 1
            packet = comfort_noise(sent, NOISE_EVERY)
            for one in self._sockets:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        peers[one] = one.recvfrom(2048)[1]
                if one in peers:
                    one.sendto(packet, peers[one])

    def end(self):
        self._sipp.end(5)
        self._over.set()
        self._thread.join()
        for one in self._sockets:
            one.close()


class FarLegs:
    """Legs of the second FreeSWITCH, each of which sends back what it hears."""

    def __init__(self, environment, callers, number, count):
        switch = environment.far()
        self.pid, self.folder = switch.process.pid, switch.dir
        variables = ",".join(filter(None, [f"absolute_codec_string={callers.codec}", callers.variables]))
        for n in range(count):
            answer = switch.api(f"bgapi originate {{{variables}}}sofia/external/{number}@127.0.0.1:{environment.switch.outside_port} &echo")
            assert answer.startswith("+OK"), answer
            time.sleep(1 / FILL)

    def end(self):
        """The legs end with those that they are connected to."""


def _sipp(switch, number, count, port, speaks, *more):
    scenario = (HERE / "callers.xml").read_text().replace("@NUMBER@", number).replace("@PORT@", port).replace("@SPEAKS@", speaks)
    words = (f"127.0.0.1:{switch.outside_port}", "-r", FILL, "-m", count, "-l", count, *more)
    return sipp.Sipp(switch, f"callers-{time.monotonic_ns()}", scenario, *words, media=FIRST_MEDIA)
