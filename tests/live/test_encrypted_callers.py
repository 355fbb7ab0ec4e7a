"""Callers with SRTP and with WebRTC, who talk or are silent: they hear a minute of unbroken music, and their threads sleep meanwhile.

FreeSWITCH itself makes the calls, because the other phones of these tests do not speak SRTP. It drops packets, and its recording adds some, when the machine
is busy; so one in fifty may be missing. `test_music.py` compares each packet of plain RTP with its source."""

import struct
import time
import uuid
import wave

import pytest

from audio import RATE, strength
from parking import MUSIC, with_lot
from switch import wait_for
from test_silent_callers import busy_threads

MEDIA = {"plain": "rtp_secure_media=false", "SRTP": "rtp_secure_media=mandatory", "WebRTC": "media_webrtc=true"}
MINUTE = 60
TALKS, SILENT = "playback(tone_stream://%(100000,0,600))", "park()"


def call(switch, media, does):
    """Lets FreeSWITCH itself be a caller who is parked. Returns the UUID of the caller's own leg."""
    own = str(uuid.uuid4())
    variables = f"origination_uuid={own},origination_caller_id_name={own},absolute_codec_string=PCMU,RECORD_READ_ONLY=true,{MEDIA[media]}"
    answer = switch.api(f"originate {{{variables}}}sofia/external/do-park-auto_main@127.0.0.1:{switch.outside_port} &{does}")
    assert answer.startswith("+OK"), answer
    assert wait_for(lambda: any(row["caller_name"] == own for row in switch.calls()))
    return own


@pytest.fixture
def switch(switch):
    with_lot(switch, ("park-timeout", "0"), slots="701-720")
    yield switch
    switch.api("hupall")


def packets(switch, own):
    switch.api(f"uuid_set_media_stats {own}")
    return int(switch.var(own, "rtp_audio_in_media_packet_count"))


def test_a_minute_of_music_is_unbroken(switch):
    calls = {(media, does): call(switch, media, does) for media in MEDIA for does in (TALKS, SILENT)}
    time.sleep(2)
    for own in calls.values():
        assert "+OK" in switch.api(f"uuid_record {own} start {switch.dir}/{own}.wav")
    began = {own: (time.monotonic(), packets(switch, own)) for own in calls.values()}
    time.sleep(MINUTE)
    for case, own in calls.items():
        since, before = began[own]
        came, lasted = packets(switch, own) - before, time.monotonic() - since
        assert came > 0.98 * 50 * lasted, f"{case}: {came} packets in {lasted:.2f} s"
        assert "+OK" in switch.api(f"uuid_record {own} stop all")
        with wave.open(f"{switch.dir}/{own}.wav") as tape:
            heard = struct.unpack(f"<{tape.getnframes()}h", tape.readframes(tape.getnframes()))
        # The recording ends with what is in its buffer, and begins with a buffer that fills.
        pieces = [heard[n:n + RATE // 5] for n in range(RATE // 2, len(heard) - RATE // 2, RATE // 5)]
        assert len(pieces) > 5 * (MINUTE - 2)
        gaps = [n / 5 for n, piece in enumerate(pieces) if strength(piece, MUSIC) < 0.5]
        assert len(gaps) < 0.02 * len(pieces), f"{case}: no music at {gaps} s"


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("does", [TALKS, SILENT], ids=["talks", "silent"])
def test_the_threads_of_waiting_callers_sleep(switch, media, does):
    """Before: the thread of a caller with WebRTC woke for each packet."""
    idle = busy_threads(switch)
    for _ in range(5):
        call(switch, media, does)
    time.sleep(4)  # each packet of a new caller with ICE is read at once
    # Each caller's own leg has a thread that does not sleep. One sends the music, one reads it, and two more may be busy for another reason.
    assert busy_threads(switch) <= idle + 5 + 4
