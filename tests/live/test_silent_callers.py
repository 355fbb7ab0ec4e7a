"""Callers who send nothing: muted trunks, one-way paths, announcements. They cost no more than others, and RTP time-outs are as before."""

import struct
import threading
import time
from pathlib import Path

from audio import RATE, Audio
from parking import MUSIC, with_lot
from switch import wait_for

COMFORT_NOISE, NOISE_EVERY = 13, 0.2  # the payload type, and the seconds between two packets


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
    assert busy_threads(switch) <= idle + 2  # one sends the music, and one reads it
    assert all(call.audio.hears(MUSIC) for call in calls)


def test_callers_who_send_only_comfort_noise_wake_no_thread_for_each_packet_of_it(switch, phones):
    """The core learns no address from comfort noise, so it learned for ever. Before: each packet of comfort noise woke the caller's thread."""
    idle = busy_threads(switch, rate=4)
    calls = [call_out(switch, phones, f"Noise{n}")[0] for n in range(8)]
    over = threading.Event()

    def make_noise():
        sent = 0
        while not over.wait(NOISE_EVERY):
            sent += 1
            packet = struct.pack("!BBHII", 0x80, COMFORT_NOISE, sent, int(RATE * NOISE_EVERY) * sent, 7) + b"\x40"
            for call in calls:
                call.audio.socket.sendto(packet, call.audio.peer)

    sender = threading.Thread(target=make_noise)
    sender.start()
    try:
        time.sleep(2)
        assert busy_threads(switch, rate=4) <= idle + 2  # one sends the music, and one reads it
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
    assert busy_threads(switch) <= idle + 2
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
