"""Tests the log: the lines about a call are on its channel, in order, each as a phrase with keys and values."""

import re

import pytest

from conftest import LOTS, new_switch
from parking import lot, park_by_transfer
from phone import DOMAIN
from switch import OF_MODULE, free_port, malformed_lines, wait_for
from test_no_slot import full, waiting

LINE = re.compile(r"^(?P<uuid>[0-9a-f-]{36}) .*?\[(?P<level>[A-Z]+)\] \S+ callpark: (?P<text>.*)$", re.M)


@pytest.fixture
def debugged():
    """A FreeSWITCH of the test's own that logs all levels and is not started."""
    switch = new_switch()
    switch.log_level = "debug"
    switch.configure(LOTS)
    yield switch
    if switch.process and switch.process.poll() is None:
        switch.stop()


def lines(switch, uuid):
    """The level and the text of each line that the module logged on this channel, in order."""
    return [(line["level"], line["text"]) for line in LINE.finditer(switch.log()) if line["uuid"] == uuid]


def assert_in_order(found, *expected):
    """Asserts that the expected lines, each a level and a regular expression for the text, are in `found` in this order."""
    rest = iter(found)
    for level, text in expected:
        assert any(line[0] == level and re.fullmatch(text, line[1]) for line in rest), f"no {level} {text}\nin order in:\n" + "\n".join(map(str, found))


def test_all_steps_of_a_call_are_logged_on_its_channel(debugged, phones_of):
    """Before: only some lines had the UUID, in the middle of a sentence, and decisions were not logged."""
    debugged.configure(lot(("park-timeout", "1"), ("ringback-attempts", "1"), slots="701"))
    debugged.start()
    phones = phones_of(debugged)
    caller, row = park_by_transfer(phones, debugged)
    phones.made[0].on_ring = 486
    assert debugged.events.wait("ringback-failed", 6)
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600)
    caller.hang_up()
    keys = rf"slot=701 lot=main@{DOMAIN} caller=\S+ parker=1001@{DOMAIN}"
    assert_in_order(
        lines(debugged, row["uuid"]),
        ("DEBUG", rf'identified parker parker=1001@{DOMAIN} evidence="[^"]+"'),
        ("DEBUG", rf'chose slot {keys} wanted=auto slot_order=first'),
        ("NOTICE", rf"parked call {keys}"),
        ("INFO", rf"started recall {keys} attempt=1 attempts_left=0"),
        ("INFO", rf"recall failed {keys} attempt=1 cause=USER_BUSY"),
        ("DEBUG", rf"call is claimed {keys} retriever=1002@{DOMAIN} retriever_uuid=\S+"),
        ("NOTICE", rf"retrieved call {keys} retriever=1002@{DOMAIN} wait=\d+s retriever_uuid=\S+"),
    )


def test_a_refusal_is_logged_on_the_channel_of_the_refused_leg(debugged, phones_of):
    debugged.start()
    phones = phones_of(debugged)
    call = phones("1002").call("do-retrieve-705")
    uuid = debugged.leg(dest="do-retrieve-705")
    assert wait_for(lambda: any("refused" in text for _, text in lines(debugged, uuid)))
    assert_in_order(
        lines(debugged, uuid),
        ("INFO", rf'refused retrieval slot=705 lot=main@{DOMAIN} caller=1002 result=empty cause="nobody is parked in slot 705"'),
        ("DEBUG", r"says a phrase phrase=callpark_empty data=705"),
    )
    call.hang_up()


def test_all_steps_of_a_caller_without_a_slot_are_logged(debugged, phones_of):
    first, _, _ = full(debugged, phones_of(debugged), ("ringback-timeout", "2"))
    assert wait_for(lambda: waiting(debugged), 3)
    uuid = waiting(debugged)[0]["uuid"]
    assert debugged.events.wait("ringback-failed", 8)
    first.hang_up()
    assert wait_for(lambda: [row["slot"] for row in debugged.calls()] == ["701"], 4)
    keys = rf"lot=main@{DOMAIN} caller=\S+ parker=1001@{DOMAIN}"
    assert_in_order(
        lines(debugged, uuid),
        ("INFO", rf'refused parking lot=main@{DOMAIN} caller=\S+ result=full cause="lot main@{DOMAIN} is full"'),
        ("WARNING", rf'call waits for a slot slot="" {keys} cause=full'),
        ("INFO", rf'recall failed slot="" {keys} attempt=1 cause=NO_ANSWER'),
        ("DEBUG", rf'a slot is free for the waiting call slot="" {keys}'),
        ("DEBUG", rf"assigned a slot that came free slot=701 {keys}"),
        ("NOTICE", rf"parked call slot=701 {keys}"),
    )


def test_text_of_a_caller_forges_no_log_line(debugged, phones_of):
    """The text is a line break, a quote and a terminal escape in a channel variable whose value is logged."""
    forged = "2026-01-01 00:00:00.000000 [ERR] mod_callpark.c:1 callpark: forged slot=999"
    debugged.more = '<configuration name="lua.conf"><settings/></configuration>'
    debugged.configure(LOTS, extensions="""<extension name="odd"><condition field="destination_number" expression="^odd$">
      <action application="lua" data="~session:setVariable('callpark_timeout', 'x\\n'..'""" + forged + """'..string.char(34, 27)..'[31m slot=998')"/>
      <action application="callpark_park" data="701"/></condition></extension>""")
    debugged.start()
    debugged.api("load mod_lua")
    phones = phones_of(debugged)
    caller = phones(says=600, name="Eve").call("odd")
    assert wait_for(debugged.calls)
    uuid = debugged.calls()[0]["uuid"]
    logged = wait_for(lambda: [text for _, text in lines(debugged, uuid) if "ignored" in text])
    assert len(logged) == 1 and logged[0].startswith("ignored channel variable variable=callpark_timeout value=\"x\\u{a}2026"), logged
    assert "slot=999'\\u{1b}[31m slot=998\"" in logged[0] and "\x1b" not in logged[0]
    # The core itself logs `setVariable(...)` with the line break in it.
    assert all(line.endswith(")") for line in debugged.log().splitlines() if line.startswith("2026-01-01 ")), "a forged line"
    caller.hang_up()


def test_a_channel_has_a_log_level_of_its_own(debugged, phones_of):
    """`uuid_loglevel` makes the module log its decisions for one call, while everything else is logged from level NOTICE on."""
    debugged.start()
    debugged.api("fsctl loglevel notice")
    phones = phones_of(debugged)
    caller = phones(says=600).call("do-park-701")
    assert wait_for(debugged.calls)
    uuid = debugged.calls()[0]["uuid"]
    assert wait_for(lambda: [level for level, _ in lines(debugged, uuid)] == ["NOTICE"]), lines(debugged, uuid)
    debugged.api(f"uuid_loglevel {uuid} debug")
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600)
    assert wait_for(lambda: any(text.startswith("call is claimed") for _, text in lines(debugged, uuid)))
    caller.hang_up()


def test_every_line_is_a_phrase_and_keys(debugged, phones_of):
    """Before: the lines of the configuration, the HTTP server, the nodes and the module itself had their values within the sentence."""
    wrong = '<lot name="main" domain="*"><param name="slots" value="70x"/><param name="park-timeuot" value="9"/></lot>'
    debugged.configure(wrong)
    debugged.start()
    port = free_port()
    debugged.reload(LOTS, f'<param name="http-listen" value="{port}"/>')
    debugged.reload(LOTS, '<param name="http-listen" value="192.0.2.1:80"/><param name="http-token-file" value="/nowhere"/>')
    debugged.reload('<lot name="main" domain="*"><param name="slots" value="#701"/></lot>')
    debugged.reload(wrong)
    debugged.reload(lot(slots="701"))
    caller, _ = park_by_transfer(phones_of(debugged), debugged)
    caller.hang_up()
    assert wait_for(lambda: not debugged.calls())
    said = OF_MODULE.findall(debugged.log())
    for phrase in ("configuration error file=callpark.conf.xml", "running with an emergency lot", "HTTP server is started address=127.0.0.1", "HTTP server cannot be started",
                   "phones write # of a slot", "configuration has errors, nothing changed errors=2", "parked call slot=701", "abandoned call slot=701"):
        assert any(text.startswith(phrase) for text in said), f"no {phrase}"
    assert malformed_lines(debugged.log()) == []
    assert malformed_lines("[ERR] web.rs:1 callpark: http-listen 0.0.0.0:1: no tokens") == ["http-listen 0.0.0.0:1: no tokens"], "the test can fail"
