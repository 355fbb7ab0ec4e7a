"""The setting `feature-code`: a user presses it in any conversation to park the other party, and no dialplan is needed.

The calls of these tests have no digits bound by a dialplan, except where a test says so.
"""

import re
import time

import pytest

from conftest import LOTS, MUSIC, new_switch, stopped_after
from parking import extension
from phone import DOMAIN
from switch import SHIPPED_DIALPLAN, wait_for

CODE = '<param name="feature-code" value="*5"/>'
PLAIN = extension("plain-(1\\d\\d\\d)", ("bridge", f"user/$1@{DOMAIN}"))
INFO = '<param name="liberal-dtmf" value="true"/>'


@pytest.fixture(scope="module")
def own_switch(failures):
    switch = new_switch()
    switch.users_profile = INFO
    switch.configure(LOTS, CODE, extensions=PLAIN)
    with stopped_after(switch, failures):
        yield switch.start()


@pytest.fixture
def switch(own_switch):
    if own_switch.written != (LOTS, CODE, None, PLAIN):
        assert own_switch.reload(LOTS, CODE, extensions=PLAIN).startswith("+OK")
    own_switch.events.clear()
    yield own_switch
    if not own_switch.wait_idle(6):
        left = own_switch.api("show channels")
        own_switch.api("hupall")
        pytest.fail(f"channels left:\n{left}")
    assert wait_for(lambda: all(row["used"] == 0 for row in own_switch.json("lots")))
    assert re.search(r"panics caught\s+0", own_switch.api("callpark status"))


def talk(phones, number="plain-1001", says=700, caller=None):
    """Lets a caller dial `number`, which the phone of 1001 answers. Returns the calls of both."""
    callee = phones("1001", says=says)
    callee.on_ring = 0.1
    calling = (caller or phones(says=600)).call(number)
    called = callee.wait_call()
    assert called.answered.wait(5) and calling.audio.hears(says) and called.audio.hears(600)
    return calling, called


def by_rfc2833(call, keys):
    call.press(keys)


def by_info(call, keys):
    for key in keys:
        call.info(key)


def parked(switch, call, presser, parker, slot="701"):
    """Asserts that the other party hears music, the presser is released, and the slot is listed."""
    assert call.audio.hears(MUSIC, within=5) and presser.wait_over(8)
    rows = switch.calls()
    assert [(row["slot"], row["parker"], row["state"]) for row in rows] == [(slot, f"{parker}@{DOMAIN}", "parked")]
    assert switch.events.of(rows[0]["uuid"]) == ["park"]


@pytest.mark.parametrize("press", [by_rfc2833, by_info])
def test_the_called_user_parks_the_caller(switch, phones, press):
    """Before: digits that no dialplan had bound reached the other party, and nobody was parked."""
    caller, called = talk(phones)
    press(called, "*5")
    parked(switch, caller, called, "1001")
    assert caller.digits() == ""
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()


@pytest.mark.parametrize("press", [by_rfc2833, by_info])
def test_the_calling_user_parks_the_called_party(switch, phones, press):
    caller, called = talk(phones, caller=phones("1002", says=600))
    press(caller, "*5")
    parked(switch, called, caller, "1002")
    assert called.digits() == ""
    called.hang_up()


def test_an_outside_party_cannot_use_the_code(switch, phones):
    caller, called = talk(phones)
    caller.press("*5")
    assert wait_for(lambda: called.digits() == "*5")
    assert switch.calls() == [] and caller.audio.hears(700)
    caller.hang_up()


@pytest.mark.parametrize("press", [by_rfc2833, by_info])
def test_all_other_digits_reach_the_other_party_in_order(switch, phones, press):
    """Among them: a prefix of the code with something else after it, and a prefix at the end."""
    caller, called = talk(phones)
    sent = "12*6**7#*0*"
    press(called, sent)
    assert wait_for(lambda: caller.digits() == sent), caller.digits()
    assert switch.calls() == [] and caller.audio.hears(700)
    caller.hang_up()


def test_a_lone_first_digit_of_the_code_is_passed_on_with_its_duration(switch, phones):
    caller, called = talk(phones)
    called.press("*")
    began = time.monotonic()
    assert wait_for(lambda: caller.digits() == "*") and 1 < time.monotonic() - began < 2.5
    called.press("1")
    assert wait_for(lambda: caller.digits() == "*1")
    # The phone sends 120 ms; FreeSWITCH counts in packets.
    assert wait_for(lambda: all(100 <= duration <= 180 for _, duration in caller.audio.events)), caller.audio.events
    caller.hang_up()


def test_two_users_each_park_the_other(switch, phones):
    caller, called = talk(phones, caller=phones("1002", says=600))
    by_info(called, "*5")
    parked(switch, caller, called, "1001")
    caller.hang_up()


def test_legs_that_a_command_has_bridged(switch, phones):
    """Before the bridge, in an application, the digits are not the code."""
    echo = extension("echo", ("answer", ""), ("echo", ""))
    assert switch.reload(LOTS, CODE, extensions=PLAIN + echo).startswith("+OK")
    user, caller = phones("1001", says=700).call("echo"), phones(says=600).call("echo")
    assert user.audio.hears(700) and caller.audio.hears(600)
    by_info(user, "*5")
    assert switch.calls() == []
    assert wait_for(lambda: len(switch.legs()) == 2)
    legs = [row["uuid"] for row in switch.legs()]
    switch.api(f"uuid_bridge {legs[0]} {legs[1]}")
    assert caller.audio.hears(700)
    by_info(user, "*5")
    parked(switch, caller, user, "1001")
    caller.hang_up()


def test_a_change_of_the_setting_counts_in_calls_that_have_begun(switch, phones):
    caller, called = talk(phones)
    assert switch.reload(LOTS, "", extensions=PLAIN).startswith("+OK")
    by_info(called, "*5")
    assert wait_for(lambda: caller.digits() == "*5") and switch.calls() == []
    assert switch.reload(LOTS, CODE.replace("*5", "##"), extensions=PLAIN).startswith("+OK")
    by_info(called, "*5")
    assert wait_for(lambda: caller.digits() == "*5*5") and switch.calls() == []
    by_info(called, "##")
    parked(switch, caller, called, "1001")
    caller.hang_up()


def test_calls_that_began_before_the_module_was_loaded(switch, phones):
    switch.api("unload mod_callpark")
    caller, called = talk(phones)
    by_info(called, "*5")
    assert wait_for(lambda: caller.digits() == "*5")
    assert switch.api("load mod_callpark").startswith("+OK")
    by_info(called, "*5")
    parked(switch, caller, called, "1001")
    caller.hang_up()


def test_after_a_transfer_the_new_party_has_the_code(switch, phones):
    """1001 transfers the caller to 1002, who parks the caller; the caller, who is from outside, still cannot."""
    caller, called = talk(phones)
    other = phones("1002", says=900)
    other.on_ring = 0.1
    called.refer("plain-1002")
    second = other.wait_call()
    assert caller.audio.hears(900)
    by_info(caller, "*5")
    assert wait_for(lambda: second.digits() == "*5") and switch.calls() == []
    by_info(second, "*5")
    parked(switch, caller, second, "1002")
    caller.hang_up()


def test_the_code_in_the_shipped_dialplan_too_parks_once(switch, phones):
    """The caller's code is bound by `bind_digit_action` on the caller's own leg, and gets the digits first."""
    enter = """<extension name="shipped"><condition field="destination_number" expression="^shipped-(.*)$">
      <action application="execute_extension" data="$1 XML shipped"/><action application="bridge" data="user/$1@callpark.test"/></condition></extension></context><context name="shipped">"""
    assert switch.reload(LOTS, CODE, extensions=PLAIN + enter + SHIPPED_DIALPLAN.read_text()).startswith("+OK")
    caller, called = talk(phones, "shipped-1001", caller=phones("1002", says=600))
    by_info(caller, "*5")
    parked(switch, called, caller, "1002")
    time.sleep(0.5)
    assert len(switch.calls()) == 1
    called.hang_up()


def test_in_media_that_bypasses_freeswitch_the_code_is_digits(switch, phones):
    """FreeSWITCH does not handle the two legs as a bridge then."""
    bypass = extension("bypassed-(1\\d\\d\\d)", ("set", "bypass_media=true"), ("bridge", f"user/$1@{DOMAIN}"))
    assert switch.reload(LOTS, CODE, extensions=PLAIN + bypass).startswith("+OK")
    caller, called = talk(phones, "bypassed-1001")
    by_info(called, "**5")
    assert wait_for(lambda: caller.digits() == "**5") and switch.calls() == []
    caller.hang_up()
