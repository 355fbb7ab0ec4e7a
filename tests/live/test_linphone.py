"""Parks and retrieves calls with Linphone, a phone of another project."""

import pytest

from conftest import MUSIC
from linphone import INSTALLED, Linphone
from switch import wait_for

pytestmark = pytest.mark.skipif(not INSTALLED, reason="no linphonecsh")


@pytest.fixture
def parker(switch, phones):
    """Linphone of user 1001 in a conversation with Alice. Yields Linphone and Alice's call."""
    linphone = Linphone(switch, "1001", says=700)
    try:
        caller = phones(says=600, name="Alice").call("1001")
        linphone.speak()
        assert caller.audio.hears(700, within=5)
        yield linphone, caller
    finally:
        linphone.close()


def check_parked(switch, caller, slot):
    assert wait_for(lambda: [row["state"] for row in switch.calls()] == ["parked"], 8), switch.calls()
    row = switch.calls()[0]
    assert (row["slot"], row["caller_name"], row["parker"]) == (slot, "Alice", "1001@callpark.test")
    assert caller.audio.hears(MUSIC, within=5)


def test_a_blind_transfer(switch, phones, parker):
    linphone, caller = parker
    linphone.tell("transfer 1 sip:704@callpark.test")
    check_parked(switch, caller, "704")
    taker = phones("1002", says=900).call("704")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()


@pytest.mark.parametrize("number, slot", [("703", "703"), ("700", "701")])
def test_an_attended_transfer(switch, phones, parker, number, slot):
    linphone, caller = parker
    linphone.tell("pause 1")
    linphone.call(number)
    assert wait_for(lambda: [(row["slot"], row["state"]) for row in switch.calls()] == [(slot, "reserved")], 8), switch.calls()
    assert wait_for(lambda: {"Paused", "StreamsRunning"} <= set(linphone.tell("calls").split()), 8, 0.2)
    linphone.tell("transfer 1 --to-call 2")
    check_parked(switch, caller, slot)
    caller.hang_up()


def test_a_recall_is_answered_automatically(switch, phones, parker):
    linphone, caller = parker
    linphone.tell("transfer 1 sip:704@callpark.test")
    check_parked(switch, caller, "704")
    assert switch.api("callpark ringback 704").startswith("+OK")
    assert wait_for(lambda: switch.calls() == [], 8)
    linphone.speak()
    assert caller.audio.hears(700, within=5)
    caller.hang_up()
    assert switch.events.wait("return")["CallPark-Parker"] == "1001@callpark.test"
