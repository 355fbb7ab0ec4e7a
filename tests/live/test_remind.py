"""Tests late callers (`remind-after`, `remind-every`): events, lamps, listings, notices and metrics, also after a crash and on another node.
Before: nothing told anybody of a caller who waited, until the time-out."""

import re
import time

import pytest

from conftest import MUSIC
from parking import lot, park_by_transfer, with_lot
from switch import wait_for
from test_cluster import LOT, cluster  # noqa: F401  (a fixture)
from test_history import postgres  # noqa: F401  (a fixture)
from test_recover import TIMED, crash_and_restart, crashable  # noqa: F401  (a fixture)
from test_web import site  # noqa: F401  (a fixture)

SOON = (("park-timeout", "0"), ("remind-after", "2"), ("remind-every", "2"))


def reminders(switch, uuid):
    return [event for event in list(switch.events.all) if event["CallPark-Action"] == "remind" and event.get("Unique-ID") == uuid]


def waits(events):
    return [int(event["CallPark-Wait-Ms"]) / 1000 for event in events]


def test_a_caller_is_late_and_is_reminded_of_until_retrieved(switch, phones):
    with_lot(switch, *SOON)
    lamp, of_lot = phones("1003").subscribe("park+701"), phones.made[-1].subscribe("park+main")
    caller, row = park_by_transfer(phones, switch)
    assert row["late"] is False and lamp.shows("confirmed")
    assert "late           false" in switch.api("callpark show 701")
    first = switch.events.wait("remind", CallPark_Slot="701")
    assert first["CallPark-Parker"] == "1001@callpark.test" and first["Unique-ID"] == row["uuid"]
    assert lamp.shows("early", 2), "the lamp of a late caller does not blink"
    assert of_lot.shows("early", 2)
    assert switch.calls()[0]["late"] is True
    assert ",true," in switch.api("callpark list as csv") and "<late>true</late>" in switch.api("callpark show 701 as xml")
    assert wait_for(lambda: len(reminders(switch, row["uuid"])) == 3, 6)
    times = waits(reminders(switch, row["uuid"]))
    # The module does what is due about once a second.
    assert all(abs(time - due) < 1.3 for time, due in zip(times, (2, 4, 6))), times
    assert caller.audio.hears(MUSIC)
    taker = phones("1002", says=900).call("701")
    assert caller.audio.hears(900) and lamp.shows("terminated") and of_lot.shows("terminated")
    assert switch.events.of(row["uuid"]) == ["park", "remind", "remind", "remind", "retrieve"]
    time.sleep(2.5)
    assert len(reminders(switch, row["uuid"])) == 3, "reminded of a caller who is not parked any more"
    taker.hang_up()


@pytest.mark.parametrize("params, expected", [((), 0), ((("remind-after", "0"),), 0), ((("remind-after", "1"),), 1)])
def test_there_is_no_reminder_by_default_and_one_without_remind_every(switch, phones, params, expected):
    with_lot(switch, ("park-timeout", "0"), *params)
    caller, row = park_by_transfer(phones, switch)
    time.sleep(4)
    assert len(reminders(switch, row["uuid"])) == expected and switch.calls()[0]["late"] is bool(expected)
    caller.hang_up()


def test_reminders_go_on_during_a_recall_and_after_extend_and_reload(switch, phones):
    with_lot(switch, *SOON, ("park-timeout", "3"), ("ringback-timeout", "4"))
    caller, row = park_by_transfer(phones, switch)
    phones.made[0].on_ring = None  # the parker's phone only rings
    switch.events.wait("remind")
    assert switch.api("callpark extend 701 60").startswith("+OK") and switch.calls()[0]["late"] is True
    assert switch.reload(lot(("park-timeout", "0"))).startswith("+OK")
    assert switch.calls()[0]["late"] is True, "a parked call keeps the settings with which it was parked"
    assert switch.api("callpark ringback 701").startswith("+OK")
    assert wait_for(lambda: "ringing-back" in [call["state"] for call in switch.calls()])
    assert wait_for(lambda: len(reminders(switch, row["uuid"])) >= 3, 7)
    assert switch.api("callpark reload apply").startswith("+OK") and switch.calls()[0]["late"] is False
    caller.hang_up()


def test_messages_pages_and_commands_are_repeated(switch, phones):
    """They are sent at reminders too, without any `notify-on`."""
    with_lot(switch, *SOON, ("notify", "message:1003,page:user/1004@callpark.test,api:global_setvar told=${event}/${slot}/${wait}"))
    team, speaker = phones("1003"), phones("1004", says=800)
    speaker.on_ring = 0
    caller, row = park_by_transfer(phones, switch)
    assert team.messages.get(timeout=5)[1].endswith("is parked in 701")
    assert speaker.wait_call().wait_over(8)
    for _ in range(2):
        text = team.messages.get(timeout=5)[1]
        assert "in 701 has waited for " in text and text.endswith(" s"), text
    assert speaker.wait_call(), "the page was not repeated"
    assert switch.api("global_getvar told").startswith("remind/701/")
    caller.hang_up()
    speaker.close()


def test_the_api_the_event_stream_and_the_metrics_have_late_callers(switch, phones, site):  # noqa: F811
    assert switch.reload(lot(*SOON), switch.written[1]).startswith("+OK")
    caller, row = park_by_transfer(phones, switch)
    assert site.get("calls")[0]["late"] is False
    switch.events.wait("remind")
    assert site.get("calls")[0]["late"] is True
    text = site.ask("/metrics")[1]
    labels = '{lot="main",domain="callpark.test"}'
    assert f"freeswitch_callpark_late_calls{labels} 1\n" in text, text
    assert int(re.search(re.escape(f"freeswitch_callpark_reminders_total{labels} ") + r"(\d+)", text).group(1)) >= 1
    caller.hang_up()
    switch.events.wait("abandon")
    assert f"freeswitch_callpark_late_calls{labels} 0" in site.ask("/metrics")[1]


def test_a_late_caller_is_late_after_a_crash(crashable, phones_of):  # noqa: F811
    """And there is no reminder for the time in which FreeSWITCH was down."""
    with_reminders = TIMED.replace('"park-timeout" value="300"', '"remind-after" value="2"/><param name="remind-every" value="10"')
    assert crashable.reload(with_reminders, *crashable.written[1:]).startswith("+OK")
    phones = phones_of(crashable)
    caller, row = park_by_transfer(phones, crashable)
    crashable.events.wait("remind")
    crash_and_restart(crashable)
    crashable.api("sofia recover")
    back = wait_for(lambda: [call for call in crashable.calls() if call["state"] == "parked"], 8)
    assert back and back[0]["late"] is True and back[0]["uuid"] == row["uuid"]
    waited = back[0]["wait_ms"] / 1000
    again = crashable.events.wait("remind", 15)
    assert waited < 10 and abs(int(again["CallPark-Wait-Ms"]) / 1000 - 12) < 1.5, (waited, again["CallPark-Wait-Ms"])
    assert len(reminders(crashable, row["uuid"])) == 1
    caller.hang_up()


def test_a_late_caller_is_late_on_each_node_and_one_node_reminds(cluster, phones_of):  # noqa: F811
    def with_reminders(node):
        lots, *others = node.written
        node.configure(lots.replace("</lot>", '<param name="remind-after" value="3"/></lot>'), *others)

    first, second = cluster(prepare=with_reminders)
    lamp = phones_of(second)("1003").subscribe("park+701")
    caller, row = park_by_transfer(phones_of(first), first, "701")
    assert lamp.shows("confirmed", 4)
    first.events.wait("remind")
    assert lamp.shows("early", 4) and wait_for(lambda: second.calls()[0]["late"] is True, 3)
    time.sleep(1)
    assert len(reminders(first, row["uuid"])) == 1
    assert not [event for event in second.events.all if event["CallPark-Action"] == "remind"], "two nodes remind of one caller"
    caller.hang_up()


@pytest.mark.parametrize("params, why", [
    ((("remind-every", "5"),), 'remind-every="5": has no effect without remind-after'),
    ((("remind-after", "soon"),), 'remind-after="soon": expected a whole number from 0'),
])
def test_a_contradiction_is_an_error(switch, params, why):
    answer = switch.reload(lot(*params))
    assert answer.startswith("-ERR") and why in answer, answer
