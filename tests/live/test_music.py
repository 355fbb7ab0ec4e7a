"""Hold music that callers share: what they hear, packet by packet, and what interrupts it."""

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
# What its thread is late by, mod_local_stream leaves out (`timer_next` in switch_time.c): who reads as fast as time passes gets silence for it,
# and then what comes next. So a minute may have less than a minute of music in it: but no less than the core's own player gives out.
BEHIND = 10  # packets
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
    """One that has notes of that length in a file, and in the stream `notes`: to be configured and started. It is stopped afterwards."""
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
    assert own.wait_idle() and wait_for(lambda: played(own)[0] == played(own)[3] == 0), "somebody is still played to"
    assert re.search(r"panics caught\s+0", own.api("callpark status"))


def notes(seconds):
    """Three notes that come and go: no moment is like another for a long while."""
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
    """What `callpark status` says of music: sharing, streams, threads, alone."""
    said = re.search(r"^music +(\d+) share (\d+) streams on (\d+) threads \(\d+ packets late\), (\d+) play alone", switch.api("callpark status"), re.M)
    return tuple(map(int, said.groups()))


def park(phones, to="main", **more):
    """A caller who parks themselves, and the leg's UUID."""
    phone = phones(**{"says": 600, **more})
    call = phone.call(f"do-park-auto_{to}")
    row = wait_for(lambda: [row for row in phone.switch.calls() if row["caller_name"] == phone.name])
    return call, row[0]["uuid"]


def test_callers_share_one_programme(switch, phones):
    calls = [park(phones)[0] for _ in range(3)]
    assert all(call.audio.hears(MUSIC) for call in calls)
    shared, streams, threads, alone = played(switch)
    assert (shared, streams, alone) == (3, 1, 0) and threads >= 1
    quiet, _ = park(phones, "quiet")
    assert wait_for(lambda: played(switch)[:2] == (4, 2))
    assert wait_for(lambda: len(quiet.audio.samples(0.3)) > 0.2 * RATE) and not quiet.audio.hears_sound(0.5), "silence is sent, and is silent"
    for call in [*calls, quiet]:
        call.hang_up()
    assert wait_for(lambda: played(switch)[:2] == (0, 0))


def test_a_file_begins_at_its_beginning_for_each(switch, phones):
    first, _ = park(phones, "file")
    time.sleep(0.5)
    second, _ = park(phones, "file")
    assert wait_for(lambda: played(switch) [3] == 2)
    source = notes(2)
    for call in (first, second):
        assert wait_for(lambda: len(call.audio.trace) > 20)
        assert find([sample for packet in list(call.audio.trace)[5:6] for sample in PCMU.decode(packet.payload)], source) < 0.5 * RATE


def find(heard, source):
    """Where in the source that was, allowing for G.711; None if it is not in there."""
    for at in range(len(source) - len(heard)):
        if all(is_like(sample, source[at + n]) for n, sample in enumerate(heard)):
            return at
    return None


def is_like(heard, sent):
    return abs(heard - sent) <= 16 + abs(sent) / 16


def is_silent(piece):
    """As G.711 has it: A-law knows no zero."""
    return max(map(abs, piece)) <= 8


def check_wire(packets, codec, lasted):
    """No packet is missing, none is early or late in RTP time, and the sender's clock is that of the world."""
    steps = {((b.sequence - a.sequence) & 0xFFFF, (b.timestamp - a.timestamp) & 0xFFFFFFFF) for a, b in zip(packets, packets[1:])}
    assert steps == {(1, codec.rate // 50)}
    # What comes late came to a busy machine; the most punctual at either end tell the clock.
    late = [packet.at - n / 50 for n, packet in enumerate(packets)]
    tenth = len(late) // 10
    assert abs(min(late[-tenth:]) - min(late[:tenth])) < 0.2, "slower or faster than the world"
    assert abs(len(packets) / 50 - lasted) < 0.5


def test_a_minute_of_music_is_as_its_source(switch, phones):
    """Two who hear a stream in two codecs, and one who hears a tone in wide band: no gap, no repetition, no change of pitch or level, and
    of the stream as much as who hears it from the core's own player."""
    streamed = [(codec, park(phones, "stream", codec=codec, says=0)[0]) for codec in (PCMU, PCMA)]
    wide, _ = park(phones, "main", codec=L16, says=0)
    beside = phones().call("core-plays")
    calls = [call for _, call in streamed] + [wide, beside]
    # mod_local_stream opens its file when somebody listens, and has silence until then.
    assert all(call.audio.hears_sound() for call in calls)
    time.sleep(0.5)
    assert played(switch)[0] == 3, "they were to share"
    for call in calls:
        call.audio.trace.clear()
    began = time.monotonic()
    time.sleep(MINUTE)
    traces = [list(call.audio.trace) for call in calls]
    lasted = time.monotonic() - began
    source = notes(150)
    of_the_core = check_stream(traces[3], PCMU, source)
    assert of_the_core > 0.9 * 50 * MINUTE, "what the core's own player gives out is hardly music"
    for (codec, _), packets in zip(streamed, traces):
        check_wire(packets, codec, lasted)
        heard = check_stream(packets, codec, source)
        assert heard > of_the_core - BEHIND, f"{heard} of {len(packets)} packets are music, the core's player gave {of_the_core}"
    check_wire(traces[2], L16, lasted)
    check_tone([sample for packet in traces[2] for sample in L16.decode(packet.payload)], L16.rate)


def check_stream(packets, codec, source):
    """Nothing of the source, which comes around again, is missing, repeated or changed; how many of the packets are not silence."""
    heard = [codec.decode(packet.payload) for packet in packets]
    first = next(n for n, piece in enumerate(heard) if not is_silent(piece))
    at, music = find(heard[first], source), 0
    assert at is not None, "not what was to be played"
    for n, piece in enumerate(heard[first:], first):
        if all(is_like(sample, source[(at + m) % len(source)]) for m, sample in enumerate(piece)):
            at += len(piece)
            music += 1
        else:
            assert is_silent(piece), f"not as its source at {n / 50} s"
    return music


def check_tone(samples, rate):
    """One tone from beginning to end: its level and its phase stay."""
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


def test_nothing_old_is_heard_at_the_join(switch, phones):
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
    assert not old, "what the caller said while parked"
    caller.audio.say(1100)
    changed = time.monotonic()
    assert taker.audio.hears(1100)
    first = next(packet for packet in list(taker.audio.trace) if packet.at > changed and strength(PCMU.decode(packet.payload), 1100) > 0.6)
    assert first.at - changed < 0.3, f"{first.at - changed:.2f} s behind"


def test_the_join_is_no_longer_than_a_frame(switch, phones):
    """Music, then the retriever: at most one packet in between is neither, nor silence, and none is louder than the two."""
    for turn in range(5):
        caller, _ = park(phones)
        slot = switch.calls()[0]["slot"]
        assert caller.audio.hears(MUSIC)
        time.sleep(turn * 0.007)  # at any place within a frame
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


def test_a_recording_hears_all(switch, phones):
    """Who is recorded plays alone: the tap sees every packet, of both sides."""
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
        assert all(strength(piece, frequency) > 0.5 for piece in pieces), f"{frequency} Hz is not heard all the time"


def test_a_broadcast_is_heard_and_music_goes_on(switch, phones):
    caller, uuid = park(phones)
    assert caller.audio.hears(MUSIC)
    switch.api(f"uuid_broadcast {uuid} tone_stream://%(1200,0,1300) aleg")
    assert caller.audio.hears(1300)
    assert caller.audio.hears(MUSIC)
    assert wait_for(lambda: played(switch)[0] == 1)


def test_a_caller_who_holds_and_comes_back_hears_music(switch, phones):
    caller, _ = park(phones)
    assert caller.audio.hears(MUSIC)
    caller.hold()
    time.sleep(0.5)
    caller.audio.trace.clear()
    time.sleep(0.5)
    assert len(caller.audio.trace) < 5, "a phone that holds is to be sent nothing"
    caller.resume()
    assert caller.audio.hears(MUSIC)
    assert wait_for(lambda: played(switch)[0] == 1)


@pytest.mark.parametrize("by", ["RFC 2833", "INFO"])
def test_the_exit_key_is_heard_while_music_is_shared(switch, phones, by):
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
def test_what_is_done_to_a_caller_is_seen_at_once(switch, phones, what):
    """Within 250 ms; that of the quickest of three, for the machine may be busy."""
    took = []
    for turn in range(3):
        caller, uuid = park(phones)
        assert caller.audio.hears(MUSIC) and played(switch)[0] == 1
        time.sleep(turn * 0.3)  # at any place within a nap
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


def test_a_caller_who_died_is_noticed_and_one_who_talks_is_not_taken_for_dead(switch, phones):
    """`rtp-timeout-sec`: after as many packets that did not come. What the module drops without looking at it did come."""
    for name, says in (("Alive", 600), ("Dead", 0)):
        phone = phones(says=says)
        phone.on_ring = 0
        switch.api(f"originate {{rtp_timeout_sec=1,origination_callee_id_name={name}}}sofia/external/x@127.0.0.1:{phone.port} &callpark_park(auto)")
    began = time.monotonic()
    rows = wait_for(lambda: len(rows := switch.calls()) == 2 and rows)
    dead, alive = (row["uuid"] for name in ("Dead", "Alive") for row in rows if row["caller_name"] == name)
    switch.events.wait("abandon", Unique_ID=dead)
    assert 0.5 < time.monotonic() - began < 4
    # Longer than a packet missed at each look would take to be a second of them.
    time.sleep(55)
    assert [row["uuid"] for row in switch.calls()] == [alive]


def test_srtp_is_played_to_from_outside_too(switch):
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
def test_many_callers_are_spread_over_threads(switch, phones):
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
