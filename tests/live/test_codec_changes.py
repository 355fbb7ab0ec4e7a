"""A waiting caller's phone changes its codec by a re-INVITE. Each packet of music must be what its payload type says."""

import struct
import threading
import time

import pytest

from audio import PCMA, PCMU, strength
from parking import MUSIC, with_lot
from test_silent_callers import call_out

CODECS = {codec.kind: codec for codec in (PCMU, PCMA)}
PACKET = 172  # bytes


class Tap:
    """The socket of a phone, with a copy of each packet that is received: (time, packet)."""

    def __init__(self, audio):
        self._socket, self.packets, audio.socket = audio.socket, [], self

    def __getattr__(self, name):
        return getattr(self._socket, name)

    def recvfrom(self, size):
        packet, source = self._socket.recvfrom(size)
        self.packets.append((time.monotonic(), packet))
        return packet, source

    def wrong(self, since):
        """How long after `since` each packet came whose audio is not the music in the codec of its payload type."""
        audio = [(at, packet) for at, packet in self.packets if at > since and len(packet) == PACKET]
        assert audio, "nothing was received"
        return [round(at - since, 2) for at, packet in audio if strength(CODECS[packet[1] & 0x7F].decode(packet[12:]), MUSIC) < 0.5]


@pytest.fixture
def speaking():
    """Lets a phone send packets in the codec that was agreed on last, as real phones do."""
    over, threads = threading.Event(), []

    def speak(call):
        sent = 0
        while not over.wait(0.02):
            sent += 1
            header = struct.pack("!BBHII", 0x80, call.audio.codec.kind, sent & 0xFFFF, 160 * sent, 77)
            call.audio.socket.sendto(header + bytes([0x55, 0xAA] * 80), call.audio.peer)

    def start(call):
        threads.append(threading.Thread(target=speak, args=(call,)))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("talks", [True, False], ids=["talks", "silent"])
@pytest.mark.parametrize("codecs", [(PCMA,), (PCMA, PCMU)], ids=["once", "there and back"])
def test_the_music_has_the_new_codec_at_once(switch, phones, speaking, codecs, talks):
    """The core changes the payload type with the re-INVITE, and the codec when the caller's thread reads next. Before: that could be a second later, and
    the caller heard noise for so long."""
    with_lot(switch, ("park-timeout", "0"))
    call, _ = call_out(switch, phones, "Changes")
    if talks:
        speaking(call)
    assert call.audio.hears(MUSIC)
    time.sleep(2)
    tap = Tap(call.audio)
    for _ in range(3):
        for codec in codecs if len(codecs) > 1 else ((PCMA,) if call.audio.codec is PCMU else (PCMU,)):
            call.audio.codec = codec
            call.resume()
            changed = time.monotonic()
            time.sleep(0.1)
        time.sleep(2)
        # One packet may be on its way.
        assert len(tap.wrong(changed)) <= 2, tap.wrong(changed)
