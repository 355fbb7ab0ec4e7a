"""What has always held and must go on to hold: a call that is parked again, dialplans that go on for the right party, codecs and media
time-outs while parked, callers who come out of a queue, a conference or a fifo, and transfers that go in a circle."""

import os
import re
import time

import pytest

from audio import PCMA, PCMU
from conftest import LOTS, MUSIC
from parking import extension, lot, park_by_transfer, with_lot
from phone import DOMAIN, Failed
from switch import ROOT, Switch, find_prefix, module_dir, wait_for

SURVEY = 1700


# --- parked again


def test_a_call_is_parked_again_after_each_retrieval(switch, phones):
    """By a transfer, by a feature code and by a command, in another slot and in the same one: each time one park and one outcome.
    Before: parked again by a feature code or a command, the new call was told as retrieved before it was parked, its slot was
    free for a moment, and its record was written twice."""
    with_code = extension("takes", ("set", "hangup_after_bridge=true"), ("bind_meta_app", "6 a s callpark_park::701"), ("callpark_slot", "702"))
    assert switch.reload(LOTS, extensions=with_code).startswith("+OK")
    caller, row = park_by_transfer(phones, switch, "701")
    uuid = row["uuid"]
    ways = [("702", lambda call: call.refer("702")), ("701", lambda call: call.press("*6")),
            ("701", lambda call: switch.api(f"callpark park {uuid} 701"))]
    for number, (dials, (slot, park)) in enumerate(zip(("701", "takes", "701"), ways), 1):
        call = phones("1002", says=900).call(dials)
        assert call.audio.hears(600) and caller.audio.hears(900)
        park(call)
        assert wait_for(lambda: [row["slot"] for row in switch.calls()] == [slot], 5), switch.calls()
        assert caller.audio.hears(MUSIC), f"no music the {number + 1}. time"
        assert switch.calls()[0]["parker"] == f"1002@{DOMAIN}", switch.calls()
        call.hang_up()
    caller.hang_up()
    told = ["park", "retrieve"] * 3 + ["park", "abandon"]
    assert wait_for(lambda: switch.events.of(uuid) == told), switch.events.of(uuid)


# --- the dialplan goes on for whom it should, and for nobody else


def survey(name, *before):
    """An extension that says by a tone that it went on after these applications."""
    return extension(name, *before, ("playback", f"tone_stream://%(60000,0,{SURVEY})"))


@pytest.mark.parametrize("first", ["caller", "taker"])
@pytest.mark.parametrize("hangup_after_bridge", ["true", "false"])
def test_nobody_falls_through_into_the_rest_of_a_dialplan(switch, phones, first, hangup_after_bridge):
    """What stands after the applications is for calls that could not be parked or retrieved. After the talk it runs for neither."""
    after = ("set", f"hangup_after_bridge={hangup_after_bridge}")
    parks, takes = survey("parks", after, ("callpark_park", "701")), survey("takes", after, ("callpark_slot", "701"))
    assert switch.reload(LOTS, extensions=parks + takes).startswith("+OK")
    caller = phones(says=600).call("parks")
    taker = phones("1002", says=900).call("takes")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    hangs_up, other = (caller, taker) if first == "caller" else (taker, caller)
    hangs_up.hang_up()
    assert other.wait_over() and not other.audio.hears(SURVEY, within=0.1), f"the {first} hung up, and the other is still there"


def test_a_survey_after_the_call_is_for_the_caller(switch, phones):
    """transfer_after_bridge, set on the caller's leg by the route it came by, counts after the talk with the retriever. It does not
    when the parker lets go of the caller, and the retriever hears nothing of it."""
    route = extension("routed", ("set", f"transfer_after_bridge=tone-{SURVEY}:XML:default"), ("bridge", f"user/1001@{DOMAIN}"))
    assert switch.reload(LOTS, extensions=route).startswith("+OK")
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    caller = phones(says=600).call("routed")
    call = parker.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.refer("701")
    assert caller.audio.hears(MUSIC, within=5) and [row["slot"] for row in switch.calls()] == ["701"]
    call.hang_up()
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    taker.hang_up()
    assert caller.audio.hears(SURVEY), "the survey was forgotten"
    caller.hang_up()


def test_what_comes_after_the_call_for_the_retriever_is_for_the_retriever(switch, phones):
    """The same variable on the retriever's leg."""
    wraps_up = extension("wraps-up", ("set", f"transfer_after_bridge=tone-{SURVEY}:XML:default"), ("callpark_retrieve", "701"))
    assert switch.reload(LOTS, extensions=wraps_up).startswith("+OK")
    caller = phones(says=600).call("do-park-701")
    taker = phones("1002", says=900).call("wraps-up")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
    assert taker.audio.hears(SURVEY)
    taker.hang_up()


# --- media while parked


def test_a_codec_that_changes_in_hold_changes_no_music(switch, phones):
    caller, _ = park_by_transfer(phones, switch)
    assert caller.audio.hears(MUSIC)
    for codec, change in ((PCMA, caller.hold), (PCMA, caller.resume), (PCMU, caller.hold), (PCMU, caller.resume), (PCMA, caller.resume)):
        caller.audio.codec = codec
        caller.audio.heard.clear()
        change()
        if change == caller.resume:
            assert caller.audio.hears(MUSIC), f"no music in {codec.offered}"
    caller.audio.codec = PCMU
    caller.resume()
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    taker.hang_up()
    assert caller.wait_over()


def called(switch, phones, name, **variables):
    """Somebody outside who is called and parked, with channel variables: their call, and the UUID."""
    phone = phones(says=600)
    phone.on_ring = 0
    words = ",".join(f"{key}={value}" for key, value in {"origination_callee_id_name": name, **variables}.items())
    switch.api(f"originate {{{words}}}sofia/external/x@127.0.0.1:{phone.port} &callpark_park(auto)")
    row = wait_for(lambda: next((row for row in switch.calls() if row["caller_name"] == name), None))
    return phone.wait_call(), row["uuid"]


def test_media_time_outs_end_only_calls_without_media(switch, phones):
    """rtp-timeout-sec and rtp-hold-timeout-sec, while parked: whoever sends is kept, also in hold; whoever does not is let go."""
    limits = {"rtp_timeout_sec": 2, "rtp_hold_timeout_sec": 4}
    talks, talks_uuid = called(switch, phones, "Talks", **limits)
    holds, holds_uuid = called(switch, phones, "Holds", **limits)
    died, died_uuid = called(switch, phones, "Died", **limits)
    held, held_uuid = called(switch, phones, "DiedInHold", **limits)
    assert all(call.audio.hears(MUSIC) for call in (talks, holds, died, held))
    holds.hold()
    held.hold()
    began = time.monotonic()
    for call in (died, held):
        call.audio.peer = None  # the phone lost its network
    switch.events.wait("abandon", Unique_ID=died_uuid)
    assert 1 < time.monotonic() - began < 4, "not after two seconds"
    switch.events.wait("abandon", timeout=8, Unique_ID=held_uuid)
    assert 2.5 < time.monotonic() - began < 7, "not after four seconds"
    time.sleep(3)
    assert {row["uuid"] for row in switch.calls()} == {talks_uuid, holds_uuid}
    holds.resume()
    assert talks.audio.hears(MUSIC) and holds.audio.hears(MUSIC)
    for call in (talks, holds):
        call.hang_up()


# --- callers who are members of something else


OTHER_MODULES = ("callcenter", "conference", "fifo", "voicemail")
CONFIGURATION = """
<configuration name="fifo.conf"><settings/><fifos/></configuration>
<configuration name="conference.conf"><advertise/><caller-controls><group name="default"/></caller-controls>
  <profiles><profile name="default"><param name="rate" value="8000"/><param name="interval" value="20"/></profile></profiles></configuration>
<configuration name="voicemail.conf"><settings/><profiles><profile name="default">
  <param name="file-extension" value="wav"/><param name="terminator-key" value="#"/><param name="max-record-len" value="30"/>
</profile></profiles></configuration>
<configuration name="callcenter.conf"><settings/>
  <queues><queue name="support"><param name="strategy" value="longest-idle-agent"/><param name="moh-sound" value="tone_stream://%(1000,0,1000);loops=-1"/></queue></queues>
  <agents><agent name="1002" type="callback" contact="user/1002@callpark.test" status="Available" max-no-answer="3" wrap-up-time="1" reject-delay-time="2" busy-delay-time="2"/></agents>
  <tiers><tier agent="1002" queue="support" level="1" position="1"/></tiers>
</configuration>"""
EXTENSIONS = "".join([
    extension("queue", ("answer", ""), ("callcenter", "support")),
    extension("room", ("answer", ""), ("conference", "room@default")),
    extension("line", ("answer", ""), ("fifo", "line in undef tone_stream://%(1000,0,1100);loops=-1")),
    extension("agent", ("answer", ""), ("fifo", "line out wait undef tone_stream://%(1000,0,1200);loops=-1")),
    extension("mailbox", ("answer", ""), ("voicemail", f"default {DOMAIN} 1001")),
])


@pytest.fixture(scope="module")
def crowded():
    """A FreeSWITCH with other modules that have callers of their own."""
    switch = Switch(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), find_prefix())
    switch.more = CONFIGURATION
    switch.configure(LOTS, extensions=EXTENSIONS)
    switch.start()
    yield switch
    switch.stop()


@pytest.fixture
def other(crowded, phones_of):
    """Makes sure of one of these modules: the switch, and its phones."""
    def of(name):
        if not (module_dir(find_prefix()) / f"mod_{name}.so").exists():
            pytest.skip(f"mod_{name} is not installed")
        if crowded.api(f"module_exists mod_{name}") != "true":
            assert "-ERR" not in crowded.api(f"load mod_{name}")
        crowded.events.clear()
        return crowded, phones_of(crowded)

    yield of
    crowded.api("hupall")
    assert crowded.wait_idle() and wait_for(lambda: crowded.calls() == [])
    assert re.search(r"panics caught\s+0", crowded.api("callpark status"))


def takes(switch, phones, caller, slot):
    """Somebody takes the caller, the two hear each other, and it was parked once and retrieved once."""
    row = wait_for(switch.calls)[0]
    assert caller.audio.hears(MUSIC, within=5), "no music"
    taker = phones("1003", says=900).call(slot)
    assert taker.audio.hears(600, within=5) and caller.audio.hears(900), "not connected"
    assert wait_for(lambda: switch.events.of(row["uuid"]) == ["park", "retrieve"]), switch.events.of(row["uuid"])
    return taker


@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "talking"])
def test_a_member_of_a_callcenter_queue_is_parked_and_leaves_the_queue(other, waits):
    switch, phones = other("callcenter")
    agent = phones("1002", says=700)
    agent.on_ring = None if waits else 0.2
    caller = phones(says=600, name="Alice").call("queue")
    if waits:
        assert caller.audio.hears(1000), "the music of the queue"
        assert switch.api(f"callpark park {switch.leg(dest='queue')} 701").startswith("+OK")
    else:
        call = agent.wait_call()
        assert call.audio.hears(600, within=5) and caller.audio.hears(700)
        agent.on_ring = None
        call.refer("701")
    taker = takes(switch, phones, caller, "701")
    members = lambda: [row for row in switch.api("callcenter_config queue list members support").splitlines() if "|Waiting|" in row or "|Trying|" in row]
    assert wait_for(lambda: not members(), 8), members()
    time.sleep(1)
    assert taker.audio.hears(600) and caller.audio.hears(900), "the queue took the caller back"
    caller.hang_up()
    assert taker.wait_over()


def test_a_member_of_a_conference_is_parked_and_the_others_talk_on(other):
    switch, phones = other("conference")
    one, two = (phones(str(number), says=says).call("room") for number, says in ((1000, 700), (1001, 800)))
    caller = phones(says=600, name="Alice").call("room")
    assert one.audio.hears(800, share=0.2) and caller.audio.hears(700, share=0.2)
    leg = next(row["uuid"] for row in switch.legs() if row["cid_name"] == "Alice")
    assert switch.api(f"callpark park {leg} 701").startswith("+OK")
    assert wait_for(lambda: switch.api("conference room list count").strip() == "2"), switch.api("conference room list")
    taker = takes(switch, phones, caller, "701")
    assert one.audio.hears(800) and two.audio.hears(700), "the others hear each other no more"
    taker.refer("room")
    assert wait_for(lambda: switch.api("conference room list count").strip() == "3"), "the caller is not back in the conference"
    for call in (one, two, caller):
        call.hang_up()


@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "talking"])
def test_a_caller_of_a_fifo_is_parked_and_leaves_the_fifo(other, waits):
    switch, phones = other("fifo")
    caller = phones(says=600, name="Alice").call("line")
    assert caller.audio.hears(1100), "the music of the fifo"
    if waits:
        assert switch.api(f"callpark park {switch.leg(dest='line')} 701").startswith("+OK")
        assert wait_for(switch.calls)
    agent = phones("1002", says=700).call("agent")
    if waits:
        assert agent.audio.hears(1200) and caller.audio.hears(MUSIC), "an agent of the fifo got the parked caller"
    else:
        assert agent.audio.hears(600) and caller.audio.hears(700)
        agent.refer("701")
        assert wait_for(switch.calls)
    taker = takes(switch, phones, caller, "701")
    if waits:
        assert agent.audio.hears(1200)
    assert 'waiting_count="0"' in switch.api("fifo list"), switch.api("fifo list")
    caller.hang_up()
    assert taker.wait_over()


def test_the_fallback_may_be_a_mailbox(other):
    switch, phones = other("voicemail")
    fallback = lot(("ringback", "none"), ("park-timeout", "1"), ("fallback", "mailbox"))
    assert switch.reload(fallback, extensions=EXTENSIONS).startswith("+OK")
    try:
        caller, row = park_by_transfer(phones, switch)
        event = switch.events.wait("fallback", timeout=6)
        assert event["variable_callpark_outcome"] == "fallback"
        assert wait_for(lambda: re.search(rf"{row['uuid']} EXECUTE .* voicemail\(", switch.log())), "not in the mailbox"
        caller.hang_up()
        assert switch.events.of(row["uuid"]) == ["park", "fallback"]
    finally:
        assert switch.reload(LOTS, extensions=EXTENSIONS).startswith("+OK")


# --- circles


def test_a_caller_who_transfers_themselves_into_their_own_slot_is_not_lost(switch, phones):
    """A parked phone that sends REFER to the very slot that it is in, and to the park extension, again and again: the core refuses it
    to a leg that is not in a bridge."""
    caller, _ = park_by_transfer(phones, switch)
    for target in ("701", "700") * 4:
        try:
            caller.refer(target)
        except (Failed, TimeoutError):
            pass
        assert wait_for(lambda: caller.over.is_set() or len(switch.calls()) == 1, 6), switch.calls()
        assert not caller.over.is_set(), f"hung up on after REFER to {target}"
        assert caller.audio.hears(MUSIC, within=5), f"no music after REFER to {target}"
    slot = switch.calls()[0]["slot"]
    taker = phones("1002", says=900).call(slot)
    assert taker.audio.hears(600) and caller.audio.hears(900)
    taker.hang_up()
    assert caller.wait_over()
    assert [lot["used"] for lot in switch.json("lots") if lot["lot"] == "main" and lot["domain"] == DOMAIN] == [0]


def test_two_who_transfer_a_caller_to_and_fro_lose_nobody(switch, phones):
    """Each takes the caller out of the slot and transfers them back into it, ten times."""
    caller, row = park_by_transfer(phones, switch, "701")
    users = [phones("1002", says=900), phones("1003", says=1000)]
    for turn in range(10):
        taker = users[turn % 2].call("701")
        assert caller.audio.hears(users[turn % 2].says), f"turn {turn}"
        taker.refer("701")
        assert wait_for(lambda: [call["state"] for call in switch.calls()] == ["parked"], 5), f"turn {turn}: {switch.calls()}"
        taker.hang_up()
    assert caller.audio.hears(MUSIC)
    caller.hang_up()
    assert wait_for(lambda: switch.events.of(row["uuid"]) == ["park", "retrieve"] * 10 + ["park", "abandon"])


def test_a_fallback_that_leads_back_to_the_lot_parks_again(switch, phones):
    """As often as the time-out comes, and never twice at a time."""
    with_lot(switch, ("ringback", "none"), ("park-timeout", "1"), ("fallback", "700"))
    caller, row = park_by_transfer(phones, switch)
    assert wait_for(lambda: switch.events.of(row["uuid"]).count("fallback") >= 3, 10)
    assert not caller.over.is_set() and caller.audio.hears(MUSIC)
    caller.hang_up()
    told = lambda: switch.events.of(row["uuid"])
    assert wait_for(lambda: len(told()) % 2 == 0), told()
    turns = list(zip(told()[::2], told()[1::2]))
    assert turns[:3] == [("park", "fallback")] * 3 and set(turns[3:]) <= {("park", "fallback"), ("park", "abandon")}, told()
