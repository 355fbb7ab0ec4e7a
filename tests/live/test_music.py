"""Tests the hold music that callers share, packet by packet, and everything that interrupts it."""

import contextlib
import math
import os
import re
import struct
import time
import wave

import pytest

import sipp
from audio import L16, PCMA, PCMU, RATE, strength
from conftest import MUSIC, new_switch
from switch import wait_for

TONE = f"tone_stream://%(1000,0,{MUSIC});loops=-1"
MINUTE = 60
# When the thread of mod_local_stream is late, it skips that time (`timer_next` in switch_time.c), and its readers get silence instead. So a
# minute may contain less than a minute of music, but no less than the core's own player sends, except for these packets.
BEHIND = 10
CORE_PLAYS = '''<extension name="core plays"><condition field="destination_number" expression="^core-plays$">
  <action application="answer"/><action application="playback" data="local_stream://notes"/></condition></extension>'''
STREAM = """
<configuration name="local_stream.conf"><directory name="notes" path="@FOLDER@">
  <param name="rate" value="8000"/><param name="channels" value="1"/><param name="interval" value="20"/><param name="timer-name" value="soft"/>
</directory></configuration>"""


def lot(name, slots, music, more=""):
    return (f'<lot name="{name}" domain="*"><param name="slots" value="{slots}"/><param name="hold-music" value="{music}"/>'
            f'<param name="park-timeout" value="0"/>{more}</lot>')


@contextlib.contextmanager
def switch_with_music(seconds):
    """A FreeSWITCH, not configured and not started, with a file of so many seconds of notes, which the stream `notes` plays. Yields both, and
    stops FreeSWITCH afterwards."""
    switch = new_switch()
    file = switch.dir / "music/notes.wav"
    file.parent.mkdir()
    write_notes(file, notes(seconds))
    switch.more = STREAM.replace("@FOLDER@", str(file.parent))
    try:
        yield switch, file
    finally:
        switch.stop()


@pytest.fixture(scope="module")
def own():
    """A FreeSWITCH with music of several kinds."""
    exit_key = '<param name="exit-key" value="1"/><param name="exit-destination" value="tone-1700"/>'
    with switch_with_music(150) as (switch, file):
        switch.configure(lot("main", "700-709", TONE) + lot("stream", "710-719", "local_stream://notes") + lot("file", "720-729", file)
                         + lot("quiet", "730-739", "silence") + lot("keys", "740-749", TONE, exit_key) + lot("big", "3000-3299", TONE),
                         extensions=CORE_PLAYS)
        yield switch.start()


@pytest.fixture
def switch(own):
    own.events.clear()
    yield own
    own.api("hupall")
    assert own.wait_idle() and wait_for(lambda: played(own)[0] == played(own)[3] == 0), "music is still played to a leg"
    assert re.search(r"panics caught\s+0", own.api("callpark status"))


def notes(seconds):
    """The samples of three notes with changing levels, so that no two pieces are alike."""
    def at(n):
        t = n / RATE
        return int(3000 * sum(math.sin(2 * math.pi * note * t) * (1 + math.sin(2 * math.pi * slow * t)) / 2
                              for note, slow in ((262.3, .31), (330.7, .53), (392.9, .71))))

    return [at(n) for n in range(seconds * RATE)]


def write_notes(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def played(switch):
    """The numbers in the line `music` of `callpark status`: legs with shared music, streams, threads, and legs that play for themselves."""
    said = re.search(r"^music +(\d+) share (\d+) streams on (\d+) threads \(\d+ packets late\), (\d+) play alone", switch.api("callpark status"), re.M)
    return tuple(map(int, said.groups()))


def park(phones, to="main", **more):
    """Lets a caller dial the park application. Returns the call and the UUID."""
    phone = phones(**{"says": 600, **more})
    call = phone.call(f"do-park-auto_{to}")
    row = wait_for(lambda: [row for row in phone.switch.calls() if row["caller_name"] == phone.name])
    return call, row[0]["uuid"]


def test_callers_share_one_stream(switch, phones):
    calls = [park(phones)[0] for _ in range(3)]
    assert all(call.audio.hears(MUSIC) for call in calls)
    shared, streams, threads, alone = played(switch)
    assert (shared, streams, alone) == (3, 1, 0) and threads >= 1
    quiet, _ = park(phones, "quiet")
    assert wait_for(lambda: played(switch)[:2] == (4, 2))
    assert wait_for(lambda: len(quiet.audio.samples(0.3)) > 0.2 * RATE) and not quiet.audio.hears_sound(0.5), "the packets for hold-music `silence` are not silent"
    for call in [*calls, quiet]:
        call.hang_up()
    assert wait_for(lambda: played(switch)[:2] == (0, 0))


def test_a_file_starts_at_its_beginning_for_each_caller(switch, phones):
    first, _ = park(phones, "file")
    time.sleep(0.5)
    second, _ = park(phones, "file")
    assert wait_for(lambda: played(switch) [3] == 2)
    source = notes(2)
    for call in (first, second):
        assert wait_for(lambda: len(call.audio.trace) > 20)
        assert find([sample for packet in list(call.audio.trace)[5:6] for sample in PCMU.decode(packet.payload)], source) < 0.5 * RATE


def find(heard, source):
    """The position of these samples in the source, with the tolerance of G.711, or None."""
    for at in range(len(source) - len(heard)):
        if all(is_like(sample, source[at + n]) for n, sample in enumerate(heard)):
            return at
    return None


def is_like(heard, sent):
    return abs(heard - sent) <= 16 + abs(sent) / 16


def is_silent(piece):
    """Whether the samples are silence in G.711. A-law has no zero."""
    return max(map(abs, piece)) <= 8


def check_wire(packets, codec, lasted):
    """Asserts that no packet is missing, that the RTP timestamps are regular, and that the sender's clock runs at the right speed."""
    steps = {((b.sequence - a.sequence) & 0xFFFF, (b.timestamp - a.timestamp) & 0xFFFFFFFF) for a, b in zip(packets, packets[1:])}
    assert steps == {(1, codec.rate // 50)}
    # Packets are late on a busy machine, so the earliest packets at each end show the clock's speed.
    late = [packet.at - n / 50 for n, packet in enumerate(packets)]
    tenth = len(late) // 10
    assert abs(min(late[-tenth:]) - min(late[:tenth])) < 0.2, "the sender's clock is too slow or too fast"
    assert abs(len(packets) / 50 - lasted) < 0.5


def test_a_minute_of_music_is_identical_with_its_source(switch, phones):
    """Two callers hear a stream in two codecs, and one hears a tone in wideband audio. There is no gap, no repetition, no change of pitch or
    level, and as much of the stream as the core's own player sends."""
    streamed = [(codec, park(phones, "stream", codec=codec, says=0)[0]) for codec in (PCMU, PCMA)]
    wide, _ = park(phones, "main", codec=L16, says=0)
    beside = phones().call("core-plays")
    calls = [call for _, call in streamed] + [wide, beside]
    # mod_local_stream opens its file for the first listener and sends silence until then.
    assert all(call.audio.hears_sound() for call in calls)
    time.sleep(0.5)
    assert played(switch)[0] == 3, "the callers do not share their music"
    for call in calls:
        call.audio.trace.clear()
    began = time.monotonic()
    time.sleep(MINUTE)
    traces = [list(call.audio.trace) for call in calls]
    lasted = time.monotonic() - began
    source = notes(150)
    of_the_core = check_stream(traces[3], PCMU, source)
    assert of_the_core > 0.9 * 50 * MINUTE, "the core's own player sends too little music"
    for (codec, _), packets in zip(streamed, traces):
        check_wire(packets, codec, lasted)
        heard = check_stream(packets, codec, source)
        assert heard > of_the_core - BEHIND, f"{heard} of {len(packets)} packets are music, the core's player sent {of_the_core}"
    check_wire(traces[2], L16, lasted)
    check_tone([sample for packet in traces[2] for sample in L16.decode(packet.payload)], L16.rate)


def check_stream(packets, codec, source):
    """Asserts that nothing of the source, which is repeated from its beginning, is missing, repeated or changed. Returns the number of packets
    that are not silence."""
    heard = [codec.decode(packet.payload) for packet in packets]
    first = next(n for n, piece in enumerate(heard) if not is_silent(piece))
    at, music = find(heard[first], source), 0
    assert at is not None, "the first packet is not from the source"
    for n, piece in enumerate(heard[first:], first):
        if all(is_like(sample, source[(at + m) % len(source)]) for m, sample in enumerate(piece)):
            at += len(piece)
            music += 1
        else:
            assert is_silent(piece), f"different from the source at {n / 50} s"
    return music


def check_tone(samples, rate):
    """Asserts that the samples are one tone with a constant level and phase."""
    piece = rate // 10  # whole periods
    seen = []
    for begin in range(0, len(samples) - piece, piece):
        across = sum(samples[n] * math.cos(2 * math.pi * MUSIC * n / rate) for n in range(begin, begin + piece))
        along = sum(samples[n] * math.sin(2 * math.pi * MUSIC * n / rate) for n in range(begin, begin + piece))
        seen.append((math.hypot(across, along) * 2 / piece, math.atan2(across, along)))
    level, phase = seen[0]
    assert level > 100
    for n, (other, turned) in enumerate(seen):
        drift = (turned - phase + math.pi) % (2 * math.pi) - math.pi
        assert abs(other / level - 1) < 0.02 and abs(drift) < 0.05, f"at {n / 10} s: level {other / level:.3f}, phase {drift:.3f}"


def test_the_retriever_hears_no_old_audio(switch, phones):
    caller, _ = park(phones)
    slot = switch.calls()[0]["slot"]
    assert caller.audio.hears(MUSIC)
    time.sleep(1)
    caller.audio.say(900)
    time.sleep(0.3)
    taker = phones("1002", says=1000, name="Colleague").call(f"do-retrieve-{slot}")
    assert taker.audio.hears(900) and caller.audio.hears(1000)
    said = [sample for packet in taker.audio.trace for sample in PCMU.decode(packet.payload)]
    old = [n for n in range(0, len(said) - 320, 160) if strength(said[n:n + 320], 600) > 0.5]
    assert not old, "the retriever heard audio from before the retrieval"
    caller.audio.say(1100)
    changed = time.monotonic()
    assert taker.audio.hears(1100)
    first = next(packet for packet in list(taker.audio.trace) if packet.at > changed and strength(PCMU.decode(packet.payload), 1100) > 0.6)
    assert first.at - changed < 0.3, f"{first.at - changed:.2f} s behind"


def test_the_change_from_music_to_the_retriever_takes_at_most_a_frame(switch, phones):
    """At most one packet is neither music nor the retriever nor silence, and none is louder than the two."""
    for turn in range(5):
        caller, _ = park(phones)
        slot = switch.calls()[0]["slot"]
        assert caller.audio.hears(MUSIC)
        time.sleep(turn * 0.007)  # for different positions within a frame
        taker = phones("1002", says=1000).call(f"do-retrieve-{slot}")
        assert caller.audio.hears(1000)
        frames = [PCMU.decode(packet.payload) for packet in caller.audio.trace]
        kind = ["music" if strength(frame, MUSIC) > 0.9 else "voice" if strength(frame, 1000) > 0.9 else "" if any(frame) else "silence" for frame in frames]
        begins = kind.index("voice")
        rest = [kind[n] for n in range(kind.index("music"), len(kind))]
        assert rest.count("") <= 1 and "music" not in kind[begins:], kind[begins - 10:begins + 10]
        assert max(abs(sample) for frame in frames for sample in frame) < 1.1 * max(abs(sample) for frame in frames[:20] + frames[-20:] for sample in frame)
        taker.hang_up()
        caller.hang_up()
        assert switch.wait_idle()


def test_a_recording_has_both_directions(switch, phones):
    """A leg that is recorded plays its music itself, so that the media bug sees every packet."""
    caller, uuid = park(phones)
    assert wait_for(lambda: played(switch)[0] == 1)
    file = switch.dir / "tapped.wav"
    switch.api(f"uuid_setvar {uuid} RECORD_STEREO true")
    assert "+OK" in switch.api(f"uuid_record {uuid} start {file}")
    assert wait_for(lambda: played(switch) [0] == 0 and played(switch)[3] == 1, 1)
    time.sleep(2.5)
    switch.api(f"uuid_record {uuid} stop {file}")
    assert caller.audio.hears(MUSIC)
    with wave.open(str(file)) as tape:
        assert tape.getnchannels() == 2 and tape.getframerate() == RATE and tape.getnframes() > 2 * RATE
        both = struct.unpack(f"<{2 * tape.getnframes()}h", tape.readframes(tape.getnframes()))
    for side, frequency in ((both[0::2], 600), (both[1::2], MUSIC)):
        pieces = [side[n:n + RATE // 5] for n in range(RATE // 2, len(side) - RATE // 2, RATE // 5)]
        assert all(strength(piece, frequency) > 0.5 for piece in pieces), f"{frequency} Hz is missing in a part of the recording"


def test_the_music_continues_after_a_broadcast(switch, phones):
    caller, uuid = park(phones)
    assert caller.audio.hears(MUSIC)
    switch.api(f"uuid_broadcast {uuid} tone_stream://%(1200,0,1300) aleg")
    assert caller.audio.hears(1300)
    assert caller.audio.hears(MUSIC)
    assert wait_for(lambda: played(switch)[0] == 1)


def test_a_caller_who_holds_and_resumes_hears_music(switch, phones):
    caller, _ = park(phones)
    assert caller.audio.hears(MUSIC)
    caller.hold()
    time.sleep(0.5)
    caller.audio.trace.clear()
    time.sleep(0.5)
    assert len(caller.audio.trace) < 5, "packets were sent to a phone that holds"
    caller.resume()
    assert caller.audio.hears(MUSIC)
    assert wait_for(lambda: played(switch)[0] == 1)


@pytest.mark.parametrize("by", ["RFC 2833", "INFO"])
def test_the_exit_key_works_while_music_is_shared(switch, phones, by):
    caller, uuid = park(phones, "keys")
    assert caller.audio.hears(MUSIC) and played(switch)[0] == 1
    if by == "INFO":
        caller.info("1")
    else:
        caller.press("1")
    switch.events.wait("transfer")
    assert caller.audio.hears(1700)
    assert switch.events.of(uuid) == ["park", "transfer"]


@pytest.mark.parametrize("what", ["hang-up", "transfer", "recording"])
def test_an_action_on_a_sleeping_leg_takes_effect_within_300_ms(switch, phones, what):
    """The shortest of three times counts, because the machine may be busy."""
    took = []
    for turn in range(3):
        caller, uuid = park(phones)
        assert caller.audio.hears(MUSIC) and played(switch)[0] == 1
        time.sleep(turn * 0.3)  # for different positions within the time for which the leg's thread sleeps
        began = time.monotonic()
        if what == "hang-up":
            caller.hang_up()
            switch.events.wait("abandon", Unique_ID=uuid)
        elif what == "transfer":
            switch.api(f"uuid_transfer {uuid} tone-1700")
            switch.events.wait("transfer", Unique_ID=uuid)
        else:
            switch.api(f"uuid_record {uuid} start {switch.dir / 'begun.wav'}")
            assert wait_for(lambda: played(switch)[3] == 1)
        took.append(time.monotonic() - began)
        caller.hang_up()
        assert switch.wait_idle()
    assert min(took) < 0.3, took


def test_rtp_timeout_sec_ends_only_a_call_that_sends_no_media(switch, phones):
    """Packets that the module drops unread count as received."""
    for name, says in (("Alive", 600), ("Dead", 0)):
        phone = phones(says=says)
        phone.on_ring = 0
        switch.api(f"originate {{rtp_timeout_sec=1,origination_callee_id_name={name}}}sofia/external/x@127.0.0.1:{phone.port} &callpark_park(auto)")
    began = time.monotonic()
    rows = wait_for(lambda: len(rows := switch.calls()) == 2 and rows)
    dead, alive = (row["uuid"] for name in ("Dead", "Alive") for row in rows if row["caller_name"] == name)
    switch.events.wait("abandon", Unique_ID=dead)
    assert 0.5 < time.monotonic() - began < 4
    # If one packet were missed at each check, the missed packets would add up to a second in this time.
    time.sleep(55)
    assert [row["uuid"] for row in switch.calls()] == [alive]


def test_a_caller_with_srtp_shares_music(switch):
    file = switch.dir / "secure.wav"
    number = f"do-park-auto_main@127.0.0.1:{switch.outside_port}"
    switch.api(f"bgapi originate {{rtp_secure_media=mandatory,origination_caller_id_name=Safe}}sofia/external/{number} &record({file})")
    row = wait_for(lambda: [row for row in switch.calls() if row["caller_name"] == "Safe"])
    uuid = row[0]["uuid"]
    assert switch.var(uuid, "rtp_has_crypto"), "the call is not encrypted"
    assert wait_for(lambda: played(switch)[0] == 1)
    time.sleep(2.5)
    switch.api("hupall")
    assert wait_for(lambda: file.exists() and file.stat().st_size > 1000)
    assert switch.wait_idle()
    with wave.open(str(file)) as tape:
        heard = struct.unpack(f"<{tape.getnframes()}h", tape.readframes(tape.getnframes()))
    pieces = [heard[n:n + RATE // 5] for n in range(RATE, len(heard) - RATE // 2, RATE // 5)]
    assert pieces and all(strength(piece, MUSIC) > 0.5 for piece in pieces)


@pytest.mark.skipif(not sipp.SIPP, reason="no SIPp")
def test_many_callers_are_distributed_to_threads(switch, phones):
    crowd = sipp.phones(switch, "crowd", "do-park-auto_big", {120: 1.0}, 60, 270)
    try:
        assert wait_for(lambda: played(switch)[0] == 270, 30), played(switch)
        expected = min(2, os.cpu_count())
        assert played(switch)[1:] == (expected, expected, 0)
        caller, _ = park(phones)
        assert caller.audio.hears(MUSIC)
        caller.hang_up()
    finally:
        switch.api("hupall")
        crowd.end()
