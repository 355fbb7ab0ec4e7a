"""Sends a tone over RTP and analyses the audio that is received. A packet has 20 ms of audio; the codec is PCMU unless another is given."""

import math
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Callable

RATE = 8000
FRAME = 160
TELEPHONE_EVENT = 101  # the payload type of RFC 2833
COMFORT_NOISE = 13


def _encode(sample):
    """Encodes one 16-bit sample in G.711 mu-law."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)) & 0xFF


def _decode(byte):
    byte = ~byte & 0xFF
    magnitude = (((byte & 0x0F) << 3) + 132 << ((byte >> 4) & 7)) - 132
    return -magnitude if byte & 0x80 else magnitude


def _decode_a(byte):
    """Decodes one byte of G.711 A-law."""
    byte ^= 0x55
    exponent, magnitude = (byte >> 4) & 7, ((byte & 0x0F) << 4) + 8
    magnitude = magnitude + 0x100 << exponent - 1 if exponent else magnitude
    return magnitude if byte & 0x80 else -magnitude


_DECODED, _DECODED_A = [_decode(byte) for byte in range(256)], [_decode_a(byte) for byte in range(256)]


@dataclass(frozen=True)
class Codec:
    """How a codec is offered in SDP, and how its packets are decoded."""

    kind: int
    offered: str
    rate: int
    decode: Callable[[bytes], list]


PCMU = Codec(0, "PCMU/8000", 8000, lambda data: [_DECODED[byte] for byte in data])
PCMA = Codec(8, "PCMA/8000", 8000, lambda data: [_DECODED_A[byte] for byte in data])
# Uncompressed wideband audio: 16 bits at 16 kHz.
L16 = Codec(97, "L16/16000", 16000, lambda data: list(struct.unpack(f"!{len(data) // 2}h", data)))


@dataclass(frozen=True)
class Packet:
    """An RTP packet and the time at which it was received."""

    at: float
    sequence: int
    timestamp: int
    payload: bytes


def tone(frequency, seconds=1.0, amplitude=8000):
    """A sine tone in mu-law. It can be repeated without a step if `frequency * seconds` is a whole number."""
    step = 2 * math.pi * frequency / RATE
    return bytes(_encode(int(amplitude * math.sin(step * n))) for n in range(int(RATE * seconds)))


def comfort_noise(number, every):
    """The packet of comfort noise with this number, if one is sent each so many seconds (RFC 3389)."""
    return struct.pack("!BBHII", 0x80, COMFORT_NOISE, number & 0xFFFF, int(RATE * every) * number, 7) + b"\x40"


def strength(samples, frequency, rate=RATE):
    """The share of the signal's power at one frequency, from 0 to 1, by the Goertzel algorithm. It is 0 for silence."""
    power = sum(sample * sample for sample in samples)
    if power < 1000 * len(samples):  # under about -60 dB: silence
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * frequency / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    found = last * last + before * before - coefficient * last * before
    return 2 * found / (len(samples) * power)


class SoundMeter:
    """Measures for how long no sound was received, also at an endpoint that changes its port."""

    SHORTEST = 0.2  # seconds; a shorter gap does not count as silence

    def __init__(self):
        self.last, self.silences = time.monotonic(), deque(maxlen=10_000)

    def heard(self, at):
        if at - self.last > self.SHORTEST:
            self.silences.append((self.last, at))
        self.last = at

    def longest_silence(self, since):
        """The longest silence after that time, in seconds. A silence that has not ended counts as well."""
        spans = [*list(self.silences), (self.last, time.monotonic())]
        return max(end - max(begin, since) for begin, end in spans if end > since)


class Audio:
    """One endpoint of an RTP stream. `says` is the frequency of the tone that it sends, or 0 for none. It can send only PCMU."""

    def __init__(self, says=0, codec=PCMU):
        self.codec = codec
        self.trace = deque(maxlen=6000)  # packets, the last two minutes
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.peer = None
        self.heard = deque(maxlen=250)  # (time, payload), the last 5 s
        self.keys = deque()
        # The received RFC 2833 events, as pairs of the digit and its duration in ms, in order.
        self.events = []
        self._event_of = None
        self.open = True
        # While it is on hold, it sends nothing.
        self.muted = False
        # A SoundMeter, or None.
        self.meter = None
        self._tone = tone(says) if says else None
        threading.Thread(target=self._listen, daemon=True).start()
        if says:
            threading.Thread(target=self._speak, daemon=True).start()

    def close(self):
        self.open = False
        self.socket.close()

    def moved(self, codec=None):
        """Closes this endpoint and returns a new one with another port, the same tone and no received audio."""
        self.close()
        other = Audio(0, codec or self.codec)
        other.peer, other._tone, other.meter = self.peer, self._tone, self.meter
        if other._tone:
            threading.Thread(target=other._speak, daemon=True).start()
        return other

    def _listen(self):
        while self.open:
            try:
                packet, _ = self.socket.recvfrom(2048)
            except OSError:
                return
            if len(packet) >= 16 and packet[1] & 0x7F == TELEPHONE_EVENT:
                self._take_event(packet)
            if len(packet) > 12 and packet[1] & 0x7F == self.codec.kind:
                now = time.monotonic()
                self.heard.append((now, packet[12:]))
                self.trace.append(Packet(now, *struct.unpack("!HI", packet[2:8]), packet[12:]))
                if self.meter and len(set(packet[12:])) > 4:  # a packet of silence has one or two different values
                    self.meter.heard(now)

    def _take_event(self, packet):
        """Notes a digit. All its packets have the same timestamp, and the duration grows."""
        began, (code, _, samples) = packet[4:8], struct.unpack("!BBH", packet[12:16])
        digit = ("0123456789*#"[code] if code < 12 else "?", samples * 1000 // RATE)
        if began == self._event_of:
            self.events[-1] = digit
        else:
            self.events.append(digit)
        self._event_of = began

    def _speak(self):
        sequence, stamp, position, began = 0, 0, 0, 0
        next_at = time.monotonic()
        while self.open:
            if self.peer and not self.muted:
                kind, payload, mark, shown = 0, self._tone[position:position + FRAME], 0, stamp
                position = (position + FRAME) % len(self._tone)
                if self.keys:
                    kind, payload, mark = self.keys.popleft()
                    if kind == TELEPHONE_EVENT:
                        # All packets of one key press have the timestamp of the first (RFC 4733, 2.5.1.2).
                        began = shown = stamp if mark else began
                header = struct.pack("!BBHII", 0x80, kind | mark, sequence & 0xFFFF, shown & 0xFFFFFFFF, 0x1234)
                try:
                    self.socket.sendto(header + payload, self.peer)
                except OSError:
                    return
                sequence, stamp = sequence + 1, stamp + FRAME
            next_at += 0.02
            time.sleep(max(0, next_at - time.monotonic()))

    def press(self, key):
        """Sends a DTMF digit by RFC 2833, 160 ms long, in place of the tone."""
        assert self._tone, "an endpoint that sends no tone cannot send digits"
        code = "0123456789*#".index(key)
        for step in range(1, 9):
            end = 0x80 if step > 5 else 0
            self.keys.append((TELEPHONE_EVENT, struct.pack("!BBH", code, end | 10, min(step, 6) * FRAME), 0x80 if step == 1 else 0))

    def say(self, frequency):
        """Changes the tone, from the next packet on."""
        self._tone = tone(frequency)

    def samples(self, seconds):
        since = time.monotonic() - seconds
        return [sample for at, payload in list(self.heard) if at >= since for sample in self.codec.decode(payload)]

    def hears(self, frequency, within=3.0, share=0.5):
        """Waits until the tone has at least `share` of the power of the last 300 ms. Returns whether that happened in time."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            samples = self.samples(0.3)
            if len(samples) >= 0.2 * self.codec.rate and strength(samples, frequency, self.codec.rate) >= share:
                return True
            time.sleep(0.05)
        return False

    def hears_sound(self, within=3.0):
        """Waits until the last 300 ms are not silent. Returns whether that happened in time."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            samples = self.samples(0.3)
            if len(samples) >= 0.2 * self.codec.rate and sum(s * s for s in samples) > 1000 * len(samples):
                return True
            time.sleep(0.05)
        return False
