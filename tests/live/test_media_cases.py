"""Cases of disturbed media: hold, re-INVITE, NAT, broadcasts, media that is turned off. Afterwards the parked caller hears music again and can
be retrieved."""

import re
import threading
import time

import pytest

from audio import PCMA
from conftest import MUSIC
from switch import EventSocket, wait_for
from test_music import lot, switch_with_music, write_notes

TONE = f"tone_stream://%(1000,0,{MUSIC});loops=-1"
NOTE = 523.25  # the first note of the module's last resort, when no other music can be played
EXTENSIONS = r'''
<extension name="with jitter buffer"><condition field="destination_number" expression="^jitter$">
  <action application="answer"/><action application="jitterbuffer" data="60"/><action application="callpark_park" data="auto main"/></condition></extension>
<extension name="proxied"><condition field="destination_number" expression="^proxied-(1\d\d\d)$">
  <action application="set" data="proxy_media=true"/><action application="bridge" data="user/$1@callpark.test"/></condition></extension>'''


@pytest.fixture(scope="module")
def own():
    """A FreeSWITCH with music of several kinds."""
    long_tone = '<param name="retrieve-tone" value="tone_stream://%(60000,0,1300)"/>'
    with switch_with_music(30) as (switch, file):
        empty = switch.dir / "empty.wav"
        write_notes(empty, [])
        switch.profile = '<param name="proxy-hold" value="true"/>'
        switch.configure(lot("main", "700-709", TONE) + lot("stream", "710-719", "local_stream://notes") + lot("file", "720-729", file)
                         + lot("empty", "730-739", empty) + lot("greeting", "740-749", TONE, long_tone), extensions=EXTENSIONS)
        yield switch.start()


@pytest.fixture
def switch(own):
    own.events.clear()
    yield own
    own.api("hupall")
    assert own.wait_idle() and wait_for(lambda: all(row["used"] == 0 for row in own.json("lots")))
    assert re.search(r"panics caught\s+0", own.api("callpark status"))


@pytest.fixture
def plays(own):
    """Counts how often the core starts a playback on a leg."""
    seen, socket = [], EventSocket(own.esl_port)
    socket.command("event plain PLAYBACK_START")
    socket.socket.settimeout(None)
    threading.Thread(target=lambda: seen.extend(iter(socket.events())), daemon=True).start()
    yield lambda uuid: sum(f"Unique-ID: {uuid}".encode() in body for body in list(seen))
    socket.close()


def park(phones, to="main", number=None, **more):
    """Lets a caller dial the park application. Returns the call, the UUID and the slot."""
    phone = phones(**{"says": 600, "name": "Alice", **more})
    call = phone.call(number or f"do-park-auto_{to}")
    row = wait_for(lambda: [row for row in phone.switch.calls() if row["caller_name"] == phone.name])[0]
    return call, row["uuid"], row["slot"]


def retrieve(phones, slot, timeout=15):
    return phones("1002", says=1000, name="Bob").call(f"do-retrieve-{slot}", timeout)


def check_they_talk(caller, taker, within=3.0):
    assert taker.audio.hears(600, within), "the retriever does not hear the caller"
    assert caller.audio.hears(1000, within), "the caller does not hear the retriever"


# --- where RTP goes


def test_music_follows_rtp_from_another_address_than_the_sdp_says(switch, phones):
    """The caller is behind NAT and is parked without a conversation before. Before: the silence never ended, because the core does not count
    packets that are dropped unread."""
    caller, _, slot = park(phones, address="127.0.9.9")
    first = wait_for(lambda: caller.audio.trace and caller.audio.trace[0], 3, 0.01)
    assert first, "no packet was received"
    assert first.at - caller.answered_at < 2
    assert caller.audio.hears(MUSIC)
    check_they_talk(caller, retrieve(phones, slot))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.9.9"])
def test_music_follows_a_caller_who_changes_networks(switch, phones, address):
    """The caller sends two re-INVITEs with another port, and with the right or a wrong address. Before: with a wrong address the silence never
    ended."""
    caller, _, slot = park(phones)
    assert caller.audio.hears(MUSIC)
    for _ in range(2):
        caller.move(address)
        moved = time.monotonic()
        first = wait_for(lambda: caller.audio.trace and caller.audio.trace[0], 3, 0.01)
        assert first and first.at - moved < 0.5, "music is late"
        assert caller.audio.hears(MUSIC)
    check_they_talk(caller, retrieve(phones, slot))


def test_music_follows_a_change_of_codec(switch, phones):
    caller, _, slot = park(phones)
    assert caller.audio.hears(MUSIC)
    caller.move(codec=PCMA)
    assert caller.audio.hears(MUSIC)
    taker = retrieve(phones, slot)
    assert caller.audio.hears(1000)
    taker.hang_up()


def test_a_jitter_buffer_does_not_delay_audio(switch, phones):
    """Before: with a jitter buffer the core does not drop packets when it is told to. The caller's packets collected in the socket while
    parked, and the retriever heard the caller seconds late."""
    caller, _, slot = park(phones, number="jitter")
    assert caller.audio.hears(MUSIC)
    time.sleep(2.5)
    caller.audio.say(900)
    time.sleep(0.4)
    taker = retrieve(phones, slot)
    assert taker.audio.hears(900, within=0.8), "the retriever hears old audio"


# --- hold


@pytest.mark.parametrize("lot", ["main", "file"])
def test_a_caller_on_hold_by_uuid_hold_is_retrieved(switch, phones, lot):
    """Before: both heard silence, and a call with music of its own could not be retrieved at all."""
    caller, uuid, slot = park(phones, lot)
    assert caller.audio.hears_sound()
    switch.api(f"uuid_hold {uuid}")
    assert wait_for(lambda: caller.direction == "recvonly")
    check_they_talk(caller, retrieve(phones, slot))
    assert caller.direction == "sendrecv"


@pytest.mark.parametrize("how", ["sendonly", "inactive"])
def test_a_caller_whom_proxy_hold_left_on_hold_is_heard_again(switch, phones, how):
    """An attended transfer with `proxy-hold`. Before: the caller stayed recvonly, and the retriever heard nothing."""
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("1001")
    first = parker.wait_call()
    assert first.answered.wait(5) and caller.audio.hears(700)
    first.hold(how)
    assert wait_for(lambda: caller.direction != "sendrecv"), "the hold was not passed on"
    second = parker.call("do-park-702_main")
    first.refer("702", replaces=second)
    assert caller.audio.hears(MUSIC)
    assert wait_for(lambda: caller.direction == "sendrecv")
    check_they_talk(caller, retrieve(phones, switch.calls()[0]["slot"]))


def test_a_caller_who_holds_is_retrieved_and_resumes(switch, phones):
    """Before: the retriever heard nothing at all until the caller came back."""
    caller, _, slot = park(phones)
    assert caller.audio.hears(MUSIC)
    caller.hold()
    taker = retrieve(phones, slot)
    assert switch.events.wait("retrieve")
    assert taker.audio.hears_sound(), "no music for the retriever"
    caller.resume()
    check_they_talk(caller, taker)


# --- applications that keep the leg's thread from connecting it


@pytest.mark.parametrize("what", ["tone_stream://%(60000,0,1300)", "endless_playback::tone_stream://%(60000,0,1300)", "sleep::60000"])
def test_a_caller_is_retrieved_during_a_broadcast(switch, phones, what):
    """Before: the caller could not be retrieved before the end of the broadcast. The result was `gone`, after 15 s."""
    caller, uuid, slot = park(phones)
    assert caller.audio.hears(MUSIC)
    switch.api(f"uuid_broadcast {uuid} {what} aleg")
    assert caller.audio.hears(1300) if "1300" in what else wait_for(lambda: not caller.audio.hears_sound(0.1))
    check_they_talk(caller, retrieve(phones, slot))


def test_a_caller_is_retrieved_during_several_queued_broadcasts(switch, phones):
    caller, uuid, slot = park(phones)
    assert caller.audio.hears(MUSIC)
    for _ in range(3):
        switch.api(f"uuid_broadcast {uuid} tone_stream://%(60000,0,1300) aleg")
    assert caller.audio.hears(1300)
    check_they_talk(caller, retrieve(phones, slot))


def test_a_leg_that_plays_by_its_own_timer_is_retrieved(switch, phones):
    """With `timer_name` on the channel, the core does not call the module while it plays. Before: the caller could not be retrieved."""
    caller, uuid, slot = park(phones, "file")
    switch.api(f"uuid_setvar {uuid} timer_name soft")
    switch.api(f"uuid_broadcast {uuid} tone_stream://%(100,0,1300) aleg")  # the music starts again after it
    assert caller.audio.hears_sound()
    time.sleep(0.3)
    check_they_talk(caller, retrieve(phones, slot))


def test_a_retriever_whose_retrieval_failed_is_not_connected_later(switch, phones):
    """A shell command runs on the parked leg and cannot be interrupted. Before: the command to connect stayed queued, and later connected the
    retriever, who was in another call by then."""
    caller, uuid, slot = park(phones)
    assert caller.audio.hears(MUSIC)
    switch.api(f"uuid_broadcast {uuid} system::sleep\\s13 aleg")
    assert wait_for(lambda: switch.var(uuid, "current_application") == "system")
    began = time.monotonic()
    taker = retrieve(phones, slot, timeout=20)
    assert taker.audio.hears(1700, within=14), "the retriever's dialplan did not continue"
    time.sleep(max(0, 14.5 - (time.monotonic() - began)))
    assert taker.audio.hears(1700) and caller.audio.hears(MUSIC)
    check_they_talk(caller, retrieve(phones, slot))


def test_a_long_retrieve_tone_does_not_prevent_the_retrieval(switch, phones):
    """The `retrieve-tone` is a minute long. Before: the retrieval failed after 10 s, and the call could not be retrieved at all."""
    caller, _, slot = park(phones, "greeting")
    assert caller.audio.hears(MUSIC)
    taker = retrieve(phones, slot)
    assert caller.audio.hears(1300)
    check_they_talk(caller, taker, within=12)


# --- media that is turned off, and music that cannot be played


def test_music_comes_back_after_uuid_media_off_and_on(switch, phones):
    """Before: every kind of music counted as unplayable while there was no media, also the last resort, and the silence never ended."""
    caller, uuid, slot = park(phones)
    assert caller.audio.hears(MUSIC)
    switch.api(f"uuid_media off {uuid}")
    assert wait_for(lambda: not caller.audio.hears_sound(0.2))
    switch.api(f"uuid_media {uuid}")
    assert caller.audio.hears(MUSIC)
    check_they_talk(caller, retrieve(phones, slot))


@pytest.mark.parametrize("then", ["waits", "retrieved"])
def test_media_that_was_turned_off_is_turned_on_again(switch, phones, then):
    caller, uuid, slot = park(phones)
    assert caller.audio.hears(MUSIC)
    switch.api(f"uuid_media off {uuid}")
    assert wait_for(lambda: not caller.audio.hears_sound(0.2))
    if then == "waits":
        assert caller.audio.hears(MUSIC, within=6)
    check_they_talk(caller, retrieve(phones, slot), within=6)


def test_music_comes_back_after_a_failed_reinvite(switch, phones):
    """The phone refuses the first re-INVITE with media. Before: the silence never ended."""
    caller, uuid, slot = park(phones)
    assert caller.audio.hears(MUSIC)
    switch.api(f"uuid_media off {uuid}")
    assert wait_for(lambda: not caller.audio.hears_sound(0.2))
    caller.phone.on_reinvite = 488
    switch.api(f"uuid_media {uuid}")
    time.sleep(1)
    caller.phone.on_reinvite = None
    assert caller.audio.hears(MUSIC, within=10)
    check_they_talk(caller, retrieve(phones, slot))


def test_music_comes_back_with_its_stream(switch, phones):
    """A `local_stream` is stopped and started. Before: the tones of the last resort never ended."""
    caller, _, _ = park(phones, "stream")
    assert caller.audio.hears_sound()
    switch.api("local_stream stop notes")
    assert caller.audio.hears(NOTE, within=12, share=0.3), "the last resort was not heard"
    switch.api("local_stream start notes")
    assert caller.audio.hears(330.7, within=12, share=0.2)


def test_an_empty_file_is_replaced_by_the_last_resort(switch, phones, plays):
    """Before: the file was opened 45 times a second, and the caller heard nothing."""
    caller, uuid, slot = park(phones, "empty")
    assert caller.audio.hears(NOTE, within=8, share=0.3)
    before = plays(uuid)
    time.sleep(2)
    assert plays(uuid) - before <= 2
    check_they_talk(caller, retrieve(phones, slot))


@pytest.mark.parametrize("name", ["playback_timeout_sec", "playback_timeout_sec_cumulative"])
def test_a_limit_for_playback_does_not_apply_to_music(switch, phones, plays, name):
    """The dialplan has set a limit on the channel. Before: the music ended after that time."""
    phone = phones(says=600, name="Alice")
    phone.on_ring = 0
    switch.api(f"originate {{{name}=2}}sofia/external/x@127.0.0.1:{phone.port} 'callpark_park:auto file' inline")
    caller = phone.wait_call()
    uuid = wait_for(lambda: [row["uuid"] for row in switch.calls()])[0]
    assert caller.audio.hears_sound()
    time.sleep(3.5)
    assert caller.audio.hears_sound() and plays(uuid) == 1
    switch.api(f"uuid_transfer {uuid} tone-1700")
    assert caller.audio.hears(1700) and switch.var(uuid, name), "the variable was not restored after parking"


def test_a_caller_whose_media_was_proxied_hears_music(switch, phones):
    """Before: with `proxy_media` the parked caller received no packet, and after the retrieval audio went one way only."""
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("proxied-1001")
    first = parker.wait_call()
    assert first.answered.wait(5) and caller.audio.hears(700)
    first.refer("do-park-703_main")
    assert caller.audio.hears(MUSIC, within=6)
    check_they_talk(caller, retrieve(phones, "703"))


def test_a_caller_who_offers_fax_hears_music_afterwards(switch, phones):
    """A parked caller offers T.38, which only the receiver of a fax should accept."""
    caller, _, slot = park(phones)
    assert caller.audio.hears(MUSIC)
    assert caller.offer_fax() == 488
    assert caller.audio.hears(MUSIC)
    check_they_talk(caller, retrieve(phones, slot))


def test_a_media_timeout_ends_only_a_call_that_sends_no_media(switch, phones):
    """The `media_timeout` is shorter than the time for which the leg's thread sleeps."""
    calls = []
    for name, says in (("Alive", 600), ("Dead", 0)):
        phone = phones(says=says, name=name)
        phone.on_ring = 0
        switch.api(f"originate {{media_timeout=700}}sofia/external/x@127.0.0.1:{phone.port} 'callpark_park:auto main' inline")
        calls.append(phone.wait_call())
    alive, dead = calls
    assert alive.audio.hears(MUSIC) and dead.wait_over(5)
    time.sleep(2.5)
    assert not alive.over.is_set() and alive.audio.hears(MUSIC)


@pytest.mark.parametrize("resumes_after", [0.02, 0.06, 0.1, 1.0])
def test_a_caller_who_resumes_during_the_retrieval_is_heard(switch, phones, resumes_after):
    """Before: the music for a retriever whose caller holds could start after the command that ends it. Then neither heard the other."""
    caller = phones("1001", says=600).call("do-park-701")
    assert caller.audio.hears(MUSIC)
    caller.hold()
    time.sleep(0.5)
    timer = threading.Timer(resumes_after, caller.resume)
    timer.start()
    taker = phones("1002", says=900).call("do-retrieve-701")
    timer.join()
    assert caller.audio.hears(900, within=6) and taker.audio.hears(600, within=3)
    taker.hang_up()
