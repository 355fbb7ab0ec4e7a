"""Tests the `callpark` command, bad input, configuration, load and unload."""

import csv
import io
import json
import re
import time
import xml.etree.ElementTree as ET

import pytest

from conftest import LOTS, new_switch, stopped_after
from phone import DOMAIN
from switch import wait_for

NAME = "A&T <\\\"'%s"
FIELDS = ("lot domain slot state wait_ms parked_at timeout_at late caller_name caller_number parker label attempt uuid "
          "node").split()


def test_every_format_has_the_same_values_and_names_are_unchanged(switch, phones):
    caller = phones(name=NAME).call("do-park-703")
    assert wait_for(switch.calls)
    row = switch.calls("main")[0]
    shown = switch.api(f"uuid_getvar {row['uuid']} caller_id_name")  # as FreeSWITCH has it
    assert "A&T <" in shown and shown.endswith("\"'%s")
    assert row["caller_name"] == shown and sorted(row) == sorted(FIELDS)
    assert switch.json("show 703")["uuid"] == row["uuid"]
    tree = ET.fromstring(switch.api("callpark list as xml"))
    assert [child.tag for child in tree[0]] == FIELDS and tree[0].find("caller_name").text == shown
    assert ET.fromstring(switch.api("callpark show 703 main as xml")).find("caller_name").text == shown
    lines = list(csv.DictReader(io.StringIO(switch.api("callpark list as csv"))))
    assert lines[0]["caller_name"] == shown and list(lines[0]) == FIELDS
    assert switch.events.wait("park")["Caller-Caller-ID-Name"] == shown
    lots = {lot["lot"]: lot for lot in switch.json("lots") if lot["domain"] == DOMAIN}
    assert (lots["main"]["used"], lots["main"]["free"], lots["main"]["size"]) == (1, 9, 10)
    assert "703" in switch.api("callpark list") and "703" in switch.api("callpark show 703")
    caller.hang_up()


def test_status_version_and_help(switch):
    assert switch.api("callpark version").startswith("mod_callpark ")
    assert "parked calls" in switch.api("callpark status")
    assert re.search(r"lock held +p50 <\d+ us, p99 .*, longest [1-9]\d* us \(work \d+ us at src/\S+:\d+\)", switch.api("callpark status"))
    for verb in "list show lots park retrieve ringback transfer label extend reload status version help".split():
        assert f"callpark {verb}" in switch.api("callpark help")
        assert switch.api(f"callpark help {verb}").startswith(f"callpark {verb}")


def test_completion_offers_verbs_lots_and_occupied_slots(switch, phones):
    caller = phones().call("do-park-704")
    assert wait_for(switch.calls)
    # The core writes completions into its database in the background.
    assert wait_for(lambda: "retrieve" in switch.api("console_complete callpark re"))
    assert wait_for(lambda: "704" in switch.api("console_complete callpark show 7"))
    assert wait_for(lambda: "main@" in switch.api("console_complete callpark list m"))
    caller.hang_up()


@pytest.mark.parametrize("line, answer", [
    ("", "-USAGE: callpark"), ("frobnicate", "-USAGE: callpark"), ("list as yaml", "-USAGE: callpark list"),
    ("list a b c", "-USAGE: callpark list"), ("list nolot", "-ERR no lot nolot"), ("show", "-USAGE: callpark show"),
    ("show 7x", "-ERR \"7x\" is not a slot"), ("show 999", "-ERR no slot 999"), ("show 701", "-ERR nobody is parked"),
    ("show 701 as csv", "-ERR"), ("lots main", "-USAGE"), ("park", "-USAGE"), ("park nobody auto", "-ERR no such channel"),
    ("park nobody 70x", "-ERR"), ("retrieve 701", "-USAGE"), ("retrieve 701 x", "-ERR nobody"), ("extend 701 x", "-ERR"),
    ("extend 701", "-USAGE"), ("transfer 701", "-USAGE"), ("ringback", "-USAGE"), ("label", "-USAGE"), ("label 701", "-USAGE"), ("label 701 x", "-ERR nobody"), ("reload now", "-USAGE"),
    ("show %n%s%n", "-ERR \"%n%s%n\" is not a slot"), ("list ${domain}'\"<&>", "-ERR"), ("show \udcff\udcfe", "-ERR"),
    ("list " + "x" * 100_000, "-ERR"),
])
def test_bad_commands_say_what_is_wrong(switch, line, answer):
    got = switch.api(f"callpark {line}")
    assert got.startswith(answer) and len(got) < 600, got


@pytest.mark.parametrize("line, answer", [
    # Before: an empty table, as if the lot had no history.
    ("history nosuch", "-ERR no lot nosuch"), ("history 5 nosuch", "-ERR no lot nosuch"), ("stats nosuch as json", "-ERR no lot nosuch"),
    ("stats 7 nosuch", "-ERR no lot nosuch"), ("history main@elsewhere.test", "parked at "),
    # Before: "-1" was read as a lot's name, and no answer named the range.
    ("history -1", "-USAGE: callpark history [<count>] [<lot>] [as json|xml|csv] (got \"-1\", expected a whole number from 1 to 100000)"),
    ("history 99999999999999999999", "-USAGE: callpark history [<count>] [<lot>] [as json|xml|csv] (got \"99999999999999999999\", expected a whole number from 1 to 100000)"),
    ("stats 0", "-USAGE: callpark stats [<days>] [<lot>] [as json|xml|csv] (got \"0\", expected a whole number from 1 to 36500)"),
    ("stats 0 main", "-USAGE: callpark stats [<days>] [<lot>] [as json|xml|csv] (got \"0\", expected a whole number from 1 to 36500)"),
    ("stats seven main", "-USAGE: callpark stats [<days>] [<lot>] [as json|xml|csv] (got \"seven\", expected a whole number from 1 to 36500)"),
])
def test_history_and_stats_of_an_unknown_lot_or_with_a_number_out_of_range(switch, line, answer):
    got = switch.api(f"callpark {line}")
    assert got.startswith(answer), got


@pytest.mark.parametrize("data", ["70x", "999", "auto_nolot", "%n%s", "'", "7" * 3000])
def test_bad_application_data_parks_nobody_and_loses_nobody(switch, phones, data):
    for application in ("park", "retrieve", "slot"):
        before = switch.log().count("callpark: refused ")
        phone = phones().call(f"do-{application}-{data}")
        assert phone.audio.hears(1700), "the dialplan did not continue"
        assert switch.calls() == []
        assert switch.log().count("callpark: refused ") == before + 1
        phone.hang_up()


def test_a_bad_configuration_changes_nothing(switch, phones):
    caller = phones().call("do-park-707")
    assert wait_for(switch.calls)
    answer = switch.reload('<lot name="main" domain="*"><param name="slots" value="70x"/><param name="colour" value="red"/></lot>')
    assert answer.startswith("-ERR nothing changed")
    assert 'lot main@*: slots="70x"' in answer and 'lot main@*: colour="red"' in answer
    assert switch.calls()[0]["slot"] == "707" and len(switch.json("lots")) >= 2
    assert switch.events.wait("reload")["CallPark-Cause"]
    another = phones().call("do-park-708")
    assert wait_for(lambda: len(switch.calls()) == 2)
    assert switch.reload(LOTS) == "+OK\n"
    for call in (caller, another):
        call.hang_up()


def test_slot_orders(switch, phones):
    def order(kind, count=4):
        lot = (f'<lot name="main" domain="*"><param name="slots" value="701-703"/><param name="slot-order" value="{kind}"/>'
               f'<param name="park-timeout" value="0"/></lot>')
        assert switch.reload(lot).startswith("+OK")
        taken = []
        for _ in range(count):
            call = phones().call("do-park-auto")
            taken.append(wait_for(switch.calls)[0]["slot"])
            call.hang_up()
            assert wait_for(lambda: not switch.calls())
        return taken

    assert order("first") == ["701"] * 4
    assert order("next") == ["701", "702", "703", "701"]
    assert order("longest-free") == ["701", "702", "703", "701"]
    # Twelve random slots are all the same once in 177,147 times.
    assert len(set(order("random", 12))) > 1


def test_tenants_do_not_see_each_other(switch, phones):
    caller = phones(says=600, domain="callpark.test").call("do-park-701_main@callpark.test")
    assert wait_for(switch.calls)
    stranger = phones("2000", says=900, domain="other.test").call("do-retrieve-701_main@callpark.test")
    assert stranger.audio.hears(1700) and len(switch.calls()) == 1
    assert switch.events.wait("denied")["CallPark-Cause"]
    own = phones("2000", says=900, domain="other.test").call("do-retrieve-701")
    assert own.audio.hears(1700) and len(switch.calls()) == 1
    for call in (stranger, own, caller):
        call.hang_up()


def test_the_pin_is_that_of_the_call_that_is_retrieved(switch, phones):
    """A lot gets a PIN while a call that was parked without one waits in it. Before: `newest` asked for the PIN of the oldest call, which has
    none."""
    def main(*params):
        more = "".join(f'<param name="{name}" value="{value}"/>' for name, value in params)
        return f'<lot name="main" domain="*"><param name="slots" value="701-702"/>{more}</lot>'

    assert switch.reload(main()).startswith("+OK")
    free = phones(says=500).call("do-park-auto")
    assert wait_for(lambda: len(switch.calls()) == 1)
    assert switch.reload(main(("retrieve-pin", "42"))).startswith("+OK")
    guarded = phones(says=600).call("do-park-auto")
    assert wait_for(lambda: len(switch.calls()) == 2)
    newest = phones("1002", says=900).call("do-retrieve-newest")
    assert not newest.audio.hears(600, within=1), "connected without the PIN"
    newest.press("42")
    assert newest.audio.hears(600), "not connected with the right PIN"
    oldest = phones("1003", says=1000).call("do-retrieve-oldest")
    assert oldest.audio.hears(500), "a PIN was required for a call that was parked without one"
    for call in (newest, oldest):
        call.hang_up()
    assert guarded.wait_over() and free.wait_over()


def test_unload_is_refused_while_a_call_is_parked(switch, phones):
    caller = phones(says=600).call("do-park-701")
    assert wait_for(switch.calls)
    assert "in use" in switch.api("unload mod_callpark")
    assert caller.audio.hears_sound() and switch.calls()[0]["slot"] == "701"
    caller.hang_up()


def test_load_and_unload_fifty_times(switch):
    for _ in range(50):
        assert switch.api("unload mod_callpark").startswith("+OK")
        assert "+OK" in switch.api("load mod_callpark")
    assert switch.api("callpark version").startswith("mod_callpark")


def turns(switch, count):
    """Parks and retrieves `count` calls over loopback, ten at a time."""
    for _ in range(count // 10):
        for _ in range(10):
            switch.api("bgapi originate loopback/do-park-auto/default &park")
        assert wait_for(lambda: switch.api("callpark list").count(" parked ") == 10, step=0.01)
        for row in switch.calls():
            assert switch.api(f"callpark retrieve {row['slot']} loopback/tone-1300/default").startswith("+OK")
        assert wait_for(lambda: switch.calls() == [], step=0.01)
        switch.api("hupall")
        assert switch.wait_idle()


def test_five_hundred_parked_and_retrieved_calls_leave_nothing_behind(failures):
    switch = new_switch()
    # One heap for all threads: with several, the free memory in each makes the size vary by 15 MB, and hides a leak.
    switch.environment = {"MALLOC_ARENA_MAX": "1"}
    switch.configure(LOTS)
    with stopped_after(switch, failures):
        switch.start()
        leave_nothing_behind(switch)


def leave_nothing_behind(switch):
    threads = switch.threads()
    turns(switch, 200)  # for the memory that the process allocates once
    memory = []
    for _ in range(5):
        turns(switch, 100)
        memory.append(switch.memory_kb())
    print(f"memory after each 100 turns: {memory} kB")
    # A single value may be higher or lower, by what another thread uses or what malloc has given back.
    assert min(memory[3:]) - max(memory[:2]) < 1000, f"memory grows with every turn: {memory}"
    # The core keeps the threads of ended sessions for five seconds, to use them again.
    assert wait_for(lambda: switch.threads() <= threads + 2, 20, 0.5), f"{threads} threads before, {switch.threads()} after"
    assert switch.channels() == 0


def test_a_thousand_parked_calls_are_listed_within_60_ms(switch):
    assert switch.reload('<lot name="main" domain="*"><param name="slots" value="10001-11000"/><param name="park-timeout" value="0"/>'
                         '<param name="hold-music" value="silence_stream://-1"/></lot>').startswith("+OK")
    for n in range(1000):  # legs without RTP, because a small machine cannot serve a thousand with RTP
        switch.api(f"bgapi originate null/{n} &callpark_park(auto)")
    assert wait_for(lambda: switch.api("callpark lots").count("1000  1000"), 60, 0.5), switch.api("callpark lots")
    def took(command):
        began = time.monotonic()
        answer = switch.api(command)
        return (time.monotonic() - began) * 1000, answer

    listing = [took("callpark list as json") for _ in range(15)]
    nothing = [took("callpark version")[0] for _ in range(15)]
    assert len(json.loads(listing[0][1])) == 1000
    times = [ms for ms, _ in listing]
    print(f"list of 1,000 calls as JSON: minimum {min(times):.1f} ms, median {sorted(times)[7]:.1f} ms; "
          f"the round trip alone: {min(nothing):.1f} and {sorted(nothing)[7]:.1f} ms")
    assert min(times) < 60  # the goal is 20 ms, but the machine may be busy
    switch.api("hupall")
    assert switch.wait_idle(60)


def test_a_call_gets_the_label_of_its_slot(switch, phones):
    assert switch.reload('<lot name="main" domain="*"><param name="slots" value="701-702"/><slot number="701" label="Front &amp; desk"/>'
                         '</lot>').startswith("+OK")
    caller = phones().call("do-park-701")
    assert wait_for(switch.calls)[0]["label"] == "Front & desk"
    assert switch.api("callpark label 701 Mr Chen") == f"+OK 701 main@{DOMAIN}\n"
    assert switch.calls()[0]["label"] == "Mr Chen"
    assert switch.api('callpark label 701 ""') == f"+OK 701 main@{DOMAIN}\n"
    assert switch.calls()[0]["label"] == ""
    caller.hang_up()


@pytest.mark.parametrize("words", ["tone-1300 XML default main", "tone-1300 XML default", "tone-1300 XML", "tone-1300 main",
                                   f"tone-1300 main@{DOMAIN}", f"tone-1300 XML main@{DOMAIN}", "tone-1300"])
def test_the_transfer_command_accepts_every_form_of_its_arguments(switch, phones, words):
    caller = phones().call("do-park-701")
    assert wait_for(switch.calls)
    assert switch.api(f"callpark transfer 701 {words}") == f"+OK 701 main@{DOMAIN}\n"
    assert caller.audio.hears(1300)
    caller.hang_up()
