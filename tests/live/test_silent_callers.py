"""Callers who send nothing: muted trunks, one-way paths, announcements. They cost no more than others, and RTP time-outs are as before."""

import threading
import time
from pathlib import Path

import pytest

from audio import Audio, SoundMeter, comfort_noise
from parking import MUSIC, with_lot
from switch import wait_for

NOISE_EVERY = 0.2  # seconds between two packets


def call_out(switch, phones, name, says=0, **variables):
    """Parks a phone that FreeSWITCH calls, with these channel variables. Returns its call and the UUID."""
    phone = phones(says=says)
    phone.on_ring = 0
    words = ",".join(f"{key}={value}" for key, value in {"origination_callee_id_name": name, **variables}.items())
    switch.api(f"originate {{{words}}}sofia/external/x@127.0.0.1:{phone.port} &callpark_park(auto)")
    row = wait_for(lambda: next((row for row in switch.calls() if row["caller_name"] == name), None))
    return phone.wait_call(), row["uuid"]


def wakeups(switch):
    """How often each thread of FreeSWITCH has waited for something so far."""
    counts = {}
    for status in Path(f"/proc/{switch.process.pid}/task").glob("*/status"):
        try:
            counts[status.parent.name] = int(status.read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return counts


def busy_threads(switch, seconds=3, rate=40):
    """The number of threads that wake so many times a second or more: with the default, for each packet."""
    before = wakeups(switch)
    time.sleep(seconds)
    return sum(count - before[thread] >= rate * seconds for thread, count in wakeups(switch).items() if thread in before)


def test_silent_callers_wake_no_thread_for_each_packet(switch, phones):
    """Before: the thread of a caller who sends nothing woke fifty times a second, because the core counts each packet that is missing."""
    idle = busy_threads(switch)
    calls = [call_out(switch, phones, f"Silent{n}", says=600 if n % 2 else 0)[0] for n in range(8)]
    assert all(call.audio.hears(MUSIC) for call in calls)
    for call in calls:
        call.audio.peer = None
    time.sleep(2)
    assert busy_threads(switch) < idle + 2 + len(calls) / 2  # one sends the music, and one reads it; FreeSWITCH has threads of its own near this rate
    assert all(call.audio.hears(MUSIC) for call in calls)


def test_callers_who_send_only_comfort_noise_wake_no_thread_for_each_packet_of_it(switch, phones):
    """The core learns no address from comfort noise, so it learned for ever. Before: each packet of comfort noise woke the caller's thread."""
    idle = busy_threads(switch, rate=8)
    calls = [call_out(switch, phones, f"Noise{n}")[0] for n in range(8)]
    over = threading.Event()

    def make_noise():
        sent = 0
        while not over.wait(NOISE_EVERY):
            sent += 1
            for call in calls:
                call.audio.socket.sendto(comfort_noise(sent, NOISE_EVERY), call.audio.peer)

    sender = threading.Thread(target=make_noise)
    sender.start()
    try:
        time.sleep(4)  # each packet of a new caller is read at once
        assert busy_threads(switch, rate=8) < idle + 2 + len(calls) / 2  # as above
    finally:
        over.set()
        sender.join()
    assert all(call.audio.hears(MUSIC) for call in calls)


def test_callers_who_may_press_a_key_wake_no_thread_for_each_packet(switch, phones):
    """Before: each packet was read when it came, because it might be a key."""
    with_lot(switch, ("park-timeout", "0"), ("exit-key", "#"), ("exit-destination", "tone-1300 XML default"), slots="701-720")
    idle = busy_threads(switch)
    calls = [call_out(switch, phones, f"Key{n}", says=600 if n % 2 else 0)[0] for n in range(8)]
    time.sleep(2)
    assert busy_threads(switch) < idle + 2 + len(calls) / 2  # as above
    assert all(call.audio.hears(MUSIC) for call in calls)
    calls[1].press("1#")
    assert calls[1].audio.hears(1300), "the key has no effect"


def test_a_time_out_that_executes_something_does_not_end_the_call(switch, phones):
    call, uuid = call_out(switch, phones, "Kept", says=600, rtp_timeout_sec=2, execute_on_media_timeout="'set said=so'")
    assert call.audio.hears(MUSIC)
    switch.api(f"uuid_setvar {uuid} said")  # the core also executes this variable when the media begins
    peer, call.audio.peer = call.audio.peer, None
    assert wait_for(lambda: switch.var(uuid, "said") == "so", 6)
    switch.api(f"uuid_setvar {uuid} said")
    assert wait_for(lambda: switch.var(uuid, "said") == "so", 6), "the time-out comes only once"
    call.audio.peer = peer
    time.sleep(1.5)
    switch.api(f"uuid_setvar {uuid} said")
    time.sleep(3)
    assert not switch.var(uuid, "said") and [row["uuid"] for row in switch.calls()] == [uuid]
    assert call.audio.hears(MUSIC)


def test_a_caller_who_only_listens_has_no_time_out(switch, phones):
    call, uuid = call_out(switch, phones, "Listens", says=600, rtp_timeout_sec=2)
    call.hold("recvonly")
    call.audio.peer = None
    time.sleep(6)
    assert [row["uuid"] for row in switch.calls()] == [uuid] and call.audio.hears(MUSIC)


def test_a_caller_who_sends_now_and_then_has_no_time_out(switch, phones):
    """As with a codec that sends comfort noise, or with a very bad line."""
    call, uuid = call_out(switch, phones, "Rare", says=600, rtp_timeout_sec=2)
    peer = call.audio.peer
    for _ in range(6):
        call.audio.peer = None
        time.sleep(1.2)
        call.audio.peer = peer
        time.sleep(0.1)
    assert [row["uuid"] for row in switch.calls()] == [uuid] and call.audio.hears(MUSIC)


def test_a_silent_caller_behind_nat_hears_music_with_the_first_words(switch, phones):
    """The music goes to the address of the SDP until packets come from another one, however long that takes."""
    call, _ = call_out(switch, phones, "Nat")
    time.sleep(3)
    outside = Audio(600)
    outside.peer = call.audio.peer
    assert outside.hears(MUSIC, within=2)
    outside.close()


@pytest.mark.parametrize("how", ["sendonly", "inactive", "recvonly"])
def test_a_caller_who_resumes_after_a_long_silent_hold_has_the_whole_time_again(switch, phones, how):
    """Before: the silence of the hold counted after it too, and the caller was hung up at once."""
    call, uuid = call_out(switch, phones, "Resumes", says=600, rtp_timeout_sec=3, rtp_hold_timeout_sec=60)
    assert call.audio.hears(MUSIC)
    call.audio.muted = True
    call.hold(how)
    time.sleep(6)
    call.resume()
    time.sleep(2)
    call.audio.muted = False
    time.sleep(2)
    assert [row["uuid"] for row in switch.calls()] == [uuid] and call.audio.hears(MUSIC)


def test_a_time_out_comes_though_comfort_messages_are_played(switch, phones):
    """Before: each message restarted the time."""
    with_lot(switch, ("park-timeout", "0"), ("comfort-interval", "2"), ("comfort-file", "tone_stream://%(300,0,1300)"), slots="701-720")
    call, _ = call_out(switch, phones, "Dead", says=600, rtp_timeout_sec=5)
    assert call.audio.hears(MUSIC)
    call.audio.muted = True
    assert call.wait_over(12)


@pytest.mark.parametrize("says", [600, 0], ids=["talks", "silent"])
def test_digits_that_are_sent_to_a_caller_interrupt_the_music_no_longer_than_they_last(switch, phones, says):
    """The core sends no audio during a digit, which goes on with each packet that is read. Before: a silent caller heard nothing for six seconds a digit."""
    call, uuid = call_out(switch, phones, "Digits", says=says)
    assert call.audio.hears(MUSIC)
    time.sleep(3)
    call.audio.meter = SoundMeter()
    since = time.monotonic()
    switch.api(f"uuid_send_dtmf {uuid} 12@250")
    assert wait_for(lambda: len(call.audio.events) == 2, 5), call.audio.events
    assert call.audio.hears(MUSIC)
    assert call.audio.meter.longest_silence(since) < 1


class Lossy:
    """The socket of a phone, of which a few packets are lost at first."""

    def __init__(self, audio, lost):
        self._socket, self.lost, audio.socket = audio.socket, lost, self

    def __getattr__(self, name):
        return getattr(self._socket, name)

    def sendto(self, packet, peer):
        if self.lost > 0:
            self.lost -= 1
        else:
            self._socket.sendto(packet, peer)


def test_the_quality_in_the_call_record_does_not_get_worse_while_a_caller_waits(switch, phones):
    """The core judges a leg each time it is asked for its counters. Asked ten times a second, it counted two flaws a second, if there was one before."""
    phone = phones(says=600)
    phone.on_ring = 0
    switch.api(f"originate sofia/external/x@127.0.0.1:{phone.port} &echo")
    call = phone.wait_call()
    uuid = wait_for(lambda: [leg["uuid"] for leg in switch.legs()])[0]
    time.sleep(3)
    lossy = Lossy(call.audio, 3)
    assert wait_for(lambda: lossy.lost == 0)
    time.sleep(3)

    def flaws():
        switch.api(f"uuid_set_media_stats {uuid}")
        return float(switch.var(uuid, "rtp_audio_in_flaw_total") or 0)

    before = flaws()
    assert before > 0, "no packet is missed"
    assert "+OK" in switch.api(f"callpark park {uuid} auto")
    assert call.audio.hears(MUSIC)
    time.sleep(10)
    assert flaws() < before + 8, (before, flaws())
