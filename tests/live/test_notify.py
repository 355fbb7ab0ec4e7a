"""Tests the lot parameter `notify`: messages, pages and commands when a call is parked."""

import queue
import re

import pytest

from conftest import MUSIC
from parking import conversation, lot, park_by_transfer
from switch import wait_for

SPOKEN = {"701:": 1010, "702:": 1110, "701:Mr Chen, invoice": 1210}
PHRASES = '<macro name="callpark_page">' + "".join(
    f'<input pattern="^{said}$"><match><action function="play-file" data="tone_stream://%(1500,0,{tone})"/></match></input>'
    for said, tone in SPOKEN.items()) + '</macro><macro name="callpark_announce_slot"><input pattern="x"><match/></input></macro>'


def notify(switch, value):
    escaped = value.replace("&", "&amp;").replace('"', "&quot;")
    assert switch.reload(lot(("notify", escaped), ("park-timeout", "0")), phrases=PHRASES).startswith("+OK")


def test_a_message_is_sent_to_the_parker_and_to_others(switch, phones):
    notify(switch, "message:parker,message:1003")
    other = phones("1003")
    caller, _ = park_by_transfer(phones, switch, name="A&T <x>")
    for phone in (other, next(phone for phone in phones.made if phone.user == "1001")):
        sender, text = phone.messages.get(timeout=5)
        assert sender == "701@callpark.test", "a reply to the message would not go to the slot"
        assert text.startswith("A&T <x> <") and text.endswith("is parked in 701")
    assert caller.audio.hears(MUSIC)
    caller.hang_up()


ALL = "park,no-slot,retrieved,returned,fallback,transferred,abandoned"


def with_all_notices(switch, *params):
    """A lot whose notices about everything go to 1003 as a message, and into a variable of FreeSWITCH as a command."""
    told = "api:global_setvar told_${event}=${slot}/${retriever}"
    assert switch.reload(lot(("notify", f"message:1003,{told}"), ("notify-on", ALL), ("park-timeout", "0"), *params)).startswith("+OK")


def texts(phone, number):
    return [phone.messages.get(timeout=8) for _ in range(number)]


@pytest.mark.parametrize("outcome, does, how", [
    ("retrieved", lambda phones, switch, caller: phones("1002", says=900).call("701"), "was retrieved by 1002@callpark.test"),
    ("abandoned", lambda phones, switch, caller: caller.hang_up(), "hung up"),
    ("transferred", lambda phones, switch, caller: switch.api(f"uuid_transfer {switch.calls()[0]['uuid']} tone-1300"), "was transferred"),
    ("fallback", lambda phones, switch, caller: None, "went to the fallback"),
    ("returned", lambda phones, switch, caller: switch.api("callpark ringback 701"), "was returned to the parker"),
])
def test_a_notice_about_the_outcome_is_sent(switch, phones, outcome, does, how):
    """Before: there was one message, at parking, and nobody was told that the call was taken."""
    with_all_notices(switch, ("fallback", "tone-1300"), ("max-park-time", "2" if outcome == "fallback" else "0"))
    team = phones("1003")
    caller, _ = park_by_transfer(phones, switch)
    parked, = texts(team, 1)
    does(phones, switch, caller)
    ended, = texts(team, 1)
    assert parked[1].endswith("is parked in 701") and parked[0] == ended[0] == "701@callpark.test"
    assert re.fullmatch(rf"Alice <.*> in 701 {re.escape(how)} after \d+ s", ended[1]), ended[1]
    retriever = {"retrieved": "1002@callpark.test", "returned": "1001@callpark.test"}.get(outcome, "")
    assert wait_for(lambda: switch.api(f"global_getvar told_{outcome}") == f"701/{retriever}"), switch.api(f"global_getvar told_{outcome}")
    caller.hang_up()


def test_a_notice_is_sent_about_a_caller_without_a_slot(switch, phones):
    with_all_notices(switch, ("slots", "701"))
    team = phones("1003")
    first = phones().call("do-park-701")
    texts(team, 1)
    caller, call = conversation(phones)
    call.refer("700")
    (sender, text), = texts(team, 1)
    assert sender == "main@callpark.test" and re.fullmatch(r"Alice <.*> waits for a slot in main: full", text), (sender, text)
    first.hang_up()
    caller.hang_up()


def test_notices_are_sent_at_parking_alone_if_nothing_is_named(switch, phones):
    notify(switch, "message:1003")
    team = phones("1003")
    caller, _ = park_by_transfer(phones, switch)
    texts(team, 1)
    caller.hang_up()
    switch.events.wait("abandon")
    with pytest.raises(queue.Empty):
        team.messages.get(timeout=0.5)


def test_notifications_that_reach_nobody_do_not_disturb_the_call(switch, phones):
    notify(switch, "message:parker,page:user/1000@callpark.test,api:no_such_command ${slot}")
    caller = phones(says=600).call("do-park-701")
    assert caller.audio.hears(MUSIC) and wait_for(lambda: switch.calls()[0]["slot"] == "701")
    caller.hang_up()


def test_a_page_announces_the_slot(switch, phones):
    notify(switch, "page:user/1003@callpark.test")
    speaker = phones("1003", says=800)
    speaker.on_ring = 0
    caller = phones(says=600).call("do-park-701")
    page = speaker.wait_call()
    assert "answer-after=0" in page.invite_headers["call-info"], "a phone would not answer automatically"
    assert page.caller_name.startswith("Park 701")
    assert page.audio.hears(SPOKEN["701:"]) and page.wait_over(5), "the page did not hang up"
    assert caller.audio.hears(MUSIC)
    caller.hang_up()


def test_pages_of_one_phone_come_one_after_the_other(switch, phones):
    notify(switch, "page:user/1003@callpark.test")
    speaker = phones("1003", says=800)
    speaker.on_ring = 0
    callers = [phones(says=600).call("do-park-auto") for _ in range(2)]
    first = speaker.wait_call()
    assert first.audio.hears(SPOKEN["701:"])
    with pytest.raises(queue.Empty):
        speaker.rang.get(timeout=0.4)
    assert first.wait_over(5)
    second = speaker.wait_call()
    assert second.audio.hears(SPOKEN["702:"]) and second.wait_over(5)
    for caller in callers:
        caller.hang_up()


def test_a_page_announces_the_label(switch, phones):
    extension = """<extension name="labelled"><condition field="destination_number" expression="^labelled$">
      <action application="set" data="callpark_label=Mr Chen, invoice"/><action application="callpark_park"/></condition></extension>"""
    escaped = lot(("notify", "page:user/1003@callpark.test"), ("park-timeout", "0"))
    assert switch.reload(escaped, phrases=PHRASES, extensions=extension).startswith("+OK")
    speaker = phones("1003", says=800)
    speaker.on_ring = 0
    caller = phones(says=600).call("labelled")
    assert speaker.wait_call().audio.hears(SPOKEN["701:Mr Chen, invoice"])
    caller.hang_up()
    speaker.close()


@pytest.mark.parametrize("label", ["${global_setvar(told=no)}", "$${domain}", "\\${global_setvar(told=no)}", "%n%s' | x"])
def test_a_label_is_not_expanded_in_a_phrase(switch, phones, label):
    """The core expands variables in the data of a phrase, and runs the commands in them."""
    said = """<macro name="callpark_page"><input pattern="^701:(.*)$"><match>
      <action function="play-file" data="tone_stream://%(1500,0,1310)"/><action function="execute" data="set(heard=$1)"/></match></input></macro>"""
    switch.api("global_setvar told=nothing")
    labelled = lot(("notify", "page:user/1003@callpark.test"), ("park-timeout", "0"), ("announce", "false"))
    labelled = labelled.replace("</lot>", f'<slot number="701" label="{label}"/></lot>')
    assert switch.reload(labelled, phrases=said).startswith("+OK")
    speaker = phones("1003", says=800)
    speaker.on_ring = 0
    caller = phones(says=600).call("do-park-701")
    page = speaker.wait_call()
    assert page.audio.hears(1310) and page.wait_over(5)
    assert switch.api("global_getvar told").strip() == "nothing"
    caller.hang_up()


@pytest.mark.parametrize("name", ["Alice", "x;global_setvar told=no", "${global_setvar(told=no)}", "a b c", "'\"\\`|&"])
def test_a_name_is_one_word_in_a_command(switch, phones, name):
    """A name becomes neither a second word nor a second command, and it is not expanded."""
    switch.api("global_setvar told=")
    notify(switch, "api:global_setvar told=${slot}/${caller_name}/end")
    caller = phones(says=600).call("do-park-701", name=name.replace("\\", "\\\\").replace('"', '\\"'))
    wait_for(lambda: switch.api("global_getvar told").startswith("701/"))
    told = switch.api("global_getvar told").strip()
    assert told.startswith("701/") and told.endswith("/end") and " " not in told, told
    assert ("Alice" in told) == (name == "Alice") and "told=no" not in told
    caller.hang_up()


@pytest.mark.parametrize("name", ["1003@callpark.test", "x,user/1003@callpark.test", "x]user/1003@callpark.test"])
def test_a_name_dials_nobody(switch, phones, name):
    notify(switch, "page:user/none-${caller_name}@callpark.test")
    victim = phones("1003", says=800)
    victim.on_ring = 0
    before = len(switch.log())
    caller = phones(says=600).call("do-park-701", name=name)
    assert caller.audio.hears(MUSIC)
    assert wait_for(lambda: "page failed slot=701" in switch.log()[before:]), "the page was not tried"
    assert victim.rang.empty()
    caller.hang_up()
