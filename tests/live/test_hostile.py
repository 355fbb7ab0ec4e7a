"""Tests hostile text in names, labels and numbers: it is shown unchanged and has no effect."""

import csv
import io
import xml.etree.ElementTree as ET

import pytest

from switch import wait_for
from test_variables import parked_with

TABLE_OF_ONE = 2  # lines of a listing with one call: the head and the call

NAMES = ["%n%n%s%s%x", "${domain}${system(touch x)}", "<script>alert(1)</script>]]>&amp;&#0;", "'; DROP TABLE calls; --",
         '"quoted", comma', "tab\there", "Zoë 王小明 🙂", "x" * 500]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_any_name_is_shown_unchanged(switch, phones, name):
    header = name.replace("\\", "\\\\").replace('"', '\\"')
    caller = phones().call("do-park-701", name=header)
    row = wait_for(switch.calls)[0]
    known = switch.var(row["uuid"], "caller_id_name")  # as FreeSWITCH has read it
    if name not in ("${domain}${system(touch x)}", '"quoted", comma', "tab\there"):
        assert known.strip('"') == name.strip('"'), "the test's phone did not send the name"
    assert row["caller_name"] == known
    assert ET.fromstring(switch.api("callpark list as xml"))[0].find("caller_name").text == known
    assert next(csv.DictReader(io.StringIO(switch.api("callpark list as csv"))))["caller_name"] == known
    assert switch.events.wait("park")["Caller-Caller-ID-Name"] == known
    assert len(switch.api("callpark list").splitlines()) == TABLE_OF_ONE, "the name has broken the table's lines"
    caller.hang_up()


def test_a_name_that_is_not_utf8_is_accepted(switch, phones):
    caller = phones().call("do-park-701", name="A\udcff\udcfeB")
    row = wait_for(switch.calls)[0]
    assert row["slot"] == "701" and row["caller_name"].startswith("A") and row["caller_name"].endswith("B")
    ET.fromstring(switch.api("callpark list as xml"))
    taker = phones("1002").call("701")
    assert wait_for(lambda: not switch.calls())
    taker.hang_up()
    assert caller.wait_over()


@pytest.mark.parametrize("label", ["%n%s", "${domain}", "<b>&\"'", "'; DROP TABLE x; --", "x" * 100_000, "A\udcff\udcfeB"],
                         ids=["format", "variable", "markup", "sql", "100 kB", "invalid"])
def test_a_label_is_kept_unchanged_or_refused_if_it_is_too_long(switch, phones, label):
    caller = phones().call("do-park-701")
    assert wait_for(switch.calls)
    answer = switch.api(f"callpark label 701 {label}")
    shown = switch.calls()[0]["label"]
    if len(label) > 200:
        assert answer.startswith("-ERR") and len(answer) < 600 and shown == "", answer
    else:
        assert answer.startswith("+OK") and shown == label.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), (answer, shown)
        assert ET.fromstring(switch.api("callpark list as xml"))[0].find("label").text == shown
    caller.hang_up()


def test_a_label_of_two_lines_is_one_row_of_the_table(switch, phones):
    caller, row = parked_with(switch, phones, ("callpark_label", "first&#10;-ERR second"))
    assert row["label"].startswith("first") and row["label"].endswith("-ERR second")
    assert len(switch.api("callpark list").splitlines()) == TABLE_OF_ONE
    caller.hang_up()


@pytest.mark.parametrize("number", ["700'", "%n%s", "${sched_hangup}", "701;x=y", "7" * 400])
def test_an_invalid_slot_number_parks_nobody(switch, phones, number):
    call = phones().call(f"do-slot-{number}", timeout=8)
    assert call.audio.hears(1700), "the dialplan did not continue"
    assert switch.calls() == [] and "park" not in [event["CallPark-Action"] for event in switch.events.all]
    call.hang_up()
