"""Parking together with other features of FreeSWITCH: calls that are parked again, dialplans that continue after the call, codecs and media
timeouts, queues, conferences, fifos and mailboxes, and transfers in a circle."""

import re
import time

import pytest

from audio import PCMA, PCMU
from conftest import LOTS, MUSIC, new_switch
from parking import extension, lot, park_by_transfer, with_lot
from phone import DOMAIN, Failed
from switch import find_prefix, module_dir, wait_for

SURVEY = 1700


# --- parked again


def test_a_call_is_parked_again_after_each_retrieval(switch, phones):
    """A transfer, a feature code and a command park the call again, in another slot and in the same one. Each time there is one `park` event
    and one outcome. Before: when a feature code or a command parked the call again, its `retrieve` event came before its `park` event, the
    slot was free for a moment, and its history row was written twice."""
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
    expected = ["park", "retrieve"] * 3 + ["park", "abandon"]
    assert wait_for(lambda: switch.events.of(uuid) == expected), switch.events.of(uuid)


# --- the dialplan after the call


def survey(name, *before):
    """An extension that runs these applications and then plays a tone."""
    return extension(name, *before, ("playback", f"tone_stream://%(60000,0,{SURVEY})"))


@pytest.mark.parametrize("first", ["caller", "taker"])
@pytest.mark.parametrize("hangup_after_bridge", ["true", "false"])
def test_the_dialplan_does_not_continue_after_a_retrieved_call(switch, phones, first, hangup_after_bridge):
    """The actions after the applications are for calls that could not be parked or retrieved. After a conversation they run for neither leg."""
    after = ("set", f"hangup_after_bridge={hangup_after_bridge}")
    parks, takes = survey("parks", after, ("callpark_park", "701")), survey("takes", after, ("callpark_slot", "701"))
    assert switch.reload(LOTS, extensions=parks + takes).startswith("+OK")
    caller = phones(says=600).call("parks")
    taker = phones("1002", says=900).call("takes")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    hangs_up, other = (caller, taker) if first == "caller" else (taker, caller)
    hangs_up.hang_up()
    assert other.wait_over() and not other.audio.hears(SURVEY, within=0.1), f"the {first} hung up, and the other leg did not end"


def test_transfer_after_bridge_of_the_caller_applies_after_the_retrieved_call(switch, phones):
    """The inbound route sets transfer_after_bridge on the caller's leg. It applies when the conversation with the retriever ends, not when
    the parker's leg ends."""
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
    assert caller.audio.hears(SURVEY), "transfer_after_bridge was ignored"
    caller.hang_up()


def test_transfer_after_bridge_of_the_retriever_applies_to_the_retriever(switch, phones):
    wraps_up = extension("wraps-up", ("set", f"transfer_after_bridge=tone-{SURVEY}:XML:default"), ("callpark_retrieve", "701"))
    assert switch.reload(LOTS, extensions=wraps_up).startswith("+OK")
    caller = phones(says=600).call("do-park-701")
    taker = phones("1002", says=900).call("wraps-up")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
    assert taker.audio.hears(SURVEY)
    taker.hang_up()


# --- media while parked


def test_the_music_follows_the_codec_that_hold_and_resume_change(switch, phones):
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
    """Calls an outside phone with these channel variables and parks it. Returns the phone's call and the UUID."""
    phone = phones(says=600)
    phone.on_ring = 0
    words = ",".join(f"{key}={value}" for key, value in {"origination_callee_id_name": name, **variables}.items())
    switch.api(f"originate {{{words}}}sofia/external/x@127.0.0.1:{phone.port} &callpark_park(auto)")
    row = wait_for(lambda: next((row for row in switch.calls() if row["caller_name"] == name), None))
    return phone.wait_call(), row["uuid"]


def test_media_timeouts_end_only_calls_without_media(switch, phones):
    """rtp-timeout-sec and rtp-hold-timeout-sec while parked: a call that sends media or is on hold stays. A call without media ends."""
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
        call.audio.peer = None  # the phone sends nothing more
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


# --- callers in a queue, a conference, a fifo or a mailbox


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
    """A FreeSWITCH with a configuration for the other modules."""
    switch = new_switch()
    switch.more = CONFIGURATION
    switch.configure(LOTS, extensions=EXTENSIONS)
    switch.start()
    yield switch
    switch.stop()


@pytest.fixture
def other(crowded, phones_of):
    """Loads one of the other modules. Returns the switch and a maker of phones."""
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
    """User 1003 retrieves the caller. Asserts that the two hear each other, and that the call had one `park` and one `retrieve` event."""
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
        assert caller.audio.hears(1000), "no music of the queue"
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
    assert taker.audio.hears(600) and caller.audio.hears(900), "the queue has connected the caller to an agent"
    caller.hang_up()
    assert taker.wait_over()


def test_a_member_of_a_conference_is_parked_and_the_conference_goes_on(other):
    switch, phones = other("conference")
    one, two = (phones(str(number), says=says).call("room") for number, says in ((1000, 700), (1001, 800)))
    caller = phones(says=600, name="Alice").call("room")
    assert one.audio.hears(800, share=0.2) and caller.audio.hears(700, share=0.2)
    leg = next(row["uuid"] for row in switch.legs() if row["cid_name"] == "Alice")
    assert switch.api(f"callpark park {leg} 701").startswith("+OK")
    assert wait_for(lambda: switch.api("conference room list count").strip() == "2"), switch.api("conference room list")
    taker = takes(switch, phones, caller, "701")
    assert one.audio.hears(800) and two.audio.hears(700), "the other members do not hear each other"
    taker.refer("room")
    assert wait_for(lambda: switch.api("conference room list count").strip() == "3"), "the caller is not back in the conference"
    for call in (one, two, caller):
        call.hang_up()


@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "talking"])
def test_a_caller_of_a_fifo_is_parked_and_leaves_the_fifo(other, waits):
    switch, phones = other("fifo")
    caller = phones(says=600, name="Alice").call("line")
    assert caller.audio.hears(1100), "no music of the fifo"
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


# --- transfers in a circle


def test_a_parked_phone_that_sends_refer_to_its_own_slot_is_not_lost(switch, phones):
    """The phone sends REFER to its own slot and to the park extension several times. The core refuses a REFER on a leg that is not in a
    bridge."""
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


def test_a_caller_who_is_retrieved_and_parked_ten_times_is_not_lost(switch, phones):
    """Two users in turn retrieve the caller and transfer the call back to the slot."""
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
    """Each timeout ends with one `fallback` event and then one `park` event."""
    with_lot(switch, ("ringback", "none"), ("park-timeout", "1"), ("fallback", "700"))
    caller, row = park_by_transfer(phones, switch)
    assert wait_for(lambda: switch.events.of(row["uuid"]).count("fallback") >= 3, 10)
    assert not caller.over.is_set() and caller.audio.hears(MUSIC)
    caller.hang_up()
    of_caller = lambda: switch.events.of(row["uuid"])
    # The caller may hang up between a fallback and the next park.
    assert wait_for(lambda: len(of_caller()) % 2 == 0 and switch.channels() == 0), of_caller()
    turns = list(zip(of_caller()[::2], of_caller()[1::2]))
    assert turns[:3] == [("park", "fallback")] * 3, of_caller()
    assert set(turns[3:-1]) <= {("park", "fallback")} and turns[-1] in [("park", "fallback"), ("park", "abandon")], of_caller()
