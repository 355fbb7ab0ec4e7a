"""Who may park and retrieve, who is rung, and who gets the caller: cases that users of PBXs report."""

import time

import pytest

from conftest import LOTS, MUSIC
from phone import DOMAIN
from switch import wait_for
from test_complaints import extension
from test_ringback import lot, with_lot
from test_story import park_by_transfer
from test_ways import conversation


def actions(switch):
    return [event["CallPark-Action"] for event in switch.events.all if event["CallPark-Action"] != "reload"]


# --- an outside caller in a menu

MENU = extension("menu-(.*)", ("answer", ""), ("playback", "tone_stream://%(200,0,1500)"), ("transfer", "$1"))
KEYS = extension("keys", ("answer", ""), ("play_and_get_digits", "3 3 1 5000 # tone_stream://%(5000,0,1500) silence_stream://100 choice .*"),
                 ("transfer", "${choice}"))
NUMBERS = "".join(f'<extension name="{number}"><condition field="destination_number" expression="^{number}$">'
                  f'<action application="callpark_retrieve" data="{what}"/></condition></extension>' for number, what in (("721", "oldest"), ("722", "ask")))


def with_menu(switch, *params):
    # Before the harness's own extension for numbers of three digits.
    numbers = '</context><context name="inner">' + NUMBERS + """
      <extension name="park"><condition field="destination_number" expression="^700$"><action application="callpark_park" data="auto"/></condition></extension>
      <extension name="slot"><condition field="destination_number" expression="^(7\\d\\d)$"><action application="callpark_slot" data="$1"/></condition></extension>"""
    menus = (MENU + KEYS).replace("$1\"", "$1 XML inner\"").replace("${choice}\"", "${choice} XML inner\"")
    assert switch.reload(lot(("park-timeout", "0"), *params), extensions=menus + numbers).startswith("+OK")


@pytest.mark.parametrize("number", ["721", "701", "722", "700"])
def test_an_outside_caller_in_a_menu_neither_retrieves_nor_parks(switch, phones, number):
    """Before: the caller talked to a stranger's caller (721, 701, 722), or was parked (700, a free slot)."""
    with_menu(switch)
    caller, row = park_by_transfer(phones, switch)
    switch.events.clear()
    stranger = phones(says=900).call("keys")
    assert stranger.audio.hears(1500)
    stranger.press(number)
    if number == "722":
        stranger.press("701#")
    event = switch.events.wait("denied", timeout=9)
    assert event["variable_callpark_result"] == "denied"
    assert caller.audio.hears(MUSIC) and [row["slot"] for row in switch.calls()] == ["701"]
    assert stranger.wait_over(8), "its dialplan has nothing more for it"
    caller.hang_up()


def test_an_outside_caller_in_a_menu_finds_no_free_slot_to_park_in(switch, phones):
    """Before: 705 parked whoever chose it."""
    with_menu(switch)
    stranger = phones(says=900).call("menu-705")
    assert stranger.wait_over(8) and switch.calls() == [] and "park" not in actions(switch)


def test_a_lot_may_let_anybody_in(switch, phones):
    with_menu(switch, ("retrieve-anonymous", "true"), ("park-from", "*"))
    caller = phones(says=600).call("menu-700")
    assert caller.audio.hears(MUSIC) and switch.calls()[0]["parker"] == ""
    taker = phones(says=900).call("menu-721")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()


def test_a_pin_lets_somebody_in_who_is_no_user(switch, phones):
    with_menu(switch, ("retrieve-pin", "42"))
    caller, row = park_by_transfer(phones, switch)
    taker = phones(says=900).call("menu-721")
    time.sleep(1)  # keys before the question are dropped
    taker.press("42")
    assert taker.audio.hears(600, within=8) and caller.audio.hears(900)
    caller.hang_up()


def test_who_is_transferred_into_a_menu_and_chooses_there_has_chosen(switch, phones):
    """Before: the REFER that brought the caller into the menu counted for what the caller chose there."""
    with_menu(switch)
    caller, call = conversation(phones)
    call.refer("keys")
    assert caller.audio.hears(1500, within=5)
    call.hang_up()
    caller.press("700")
    assert switch.events.wait("denied", timeout=9) and caller.wait_over(8)
    assert switch.calls() == []


@pytest.mark.parametrize("to", ["700", "703", "via-700", "do-park-auto"])
def test_a_caller_whom_a_user_transfers_is_parked(switch, phones, to):
    with_lot(switch, ("park-timeout", "0"))
    caller, call = conversation(phones)
    call.refer(to)
    row = wait_for(switch.calls)[0]
    assert row["parker"] == f"1001@{DOMAIN}" and caller.audio.hears(MUSIC)
    for leg in (call, caller):
        leg.hang_up()


def test_an_inbound_route_parks_as_the_administrator_says(switch, phones):
    route = extension("route", ("answer", ""), ("playback", "tone_stream://%(300,0,1500)"), ("callpark_park", "auto"))
    passed_on = extension("did", ("set", "x=y"), ("transfer", "route"))
    assert switch.reload(lot(("park-timeout", "0")), extensions=route + passed_on).startswith("+OK")
    callers = [phones(says=600).call(number) for number in ("route", "did")]
    assert wait_for(lambda: len(switch.calls()) == 2) and all(caller.audio.hears(MUSIC) for caller in callers)
    for caller in callers:
        caller.hang_up()


# --- a command decides who gets a call


def of_a_tenant(switch, phones):
    """A caller who is parked in another tenant's lot."""
    caller = phones(says=600).call("do-park-701_main@other.test")
    assert wait_for(switch.calls)[0]["domain"] == "other.test"
    return caller


def dialled_phone(phones, says=900):
    phone = phones(says=says)
    return phone, f"sofia/external/sip:{phone.user}@127.0.0.1:{phone.port}"


def test_a_command_gives_a_tenants_call_to_the_phone_that_it_dials(switch, phones):
    """Before: +OK, and then the phone was told that users of its domain may not retrieve."""
    caller = of_a_tenant(switch, phones)
    phone, way = dialled_phone(phones)
    phone.on_ring = 0.2
    assert switch.api(f"callpark retrieve 701 {way} main@other.test").startswith("+OK")
    call = phone.wait_call()
    assert call.audio.hears(600) and caller.audio.hears(900)
    assert "denied" not in actions(switch) and switch.events.wait("retrieve")
    call.hang_up()


def test_a_call_is_kept_for_the_phone_that_rings_for_it(switch, phones):
    with_lot(switch, ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    phone, way = dialled_phone(phones)
    phone.on_ring = 2
    job = switch.api(f"bgapi callpark retrieve 701 {way}")
    assert job.startswith("+OK") and phone.rang.get(timeout=5)
    assert switch.calls()[0]["state"] == "retrieving"
    taker = phones("1002", says=1000).call("do-retrieve-701")
    assert taker.audio.hears(1700), "the call is kept for the ringing phone"
    assert caller.audio.hears(900, within=5)
    taker.hang_up()
    caller.hang_up()


@pytest.mark.parametrize("how", ["busy", "the caller hangs up"])
def test_a_phone_that_does_not_answer_leaves_the_call_where_it_was(switch, phones, how):
    with_lot(switch, ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    phone, way = dialled_phone(phones)
    if how == "busy":
        phone.on_ring = 486
        assert switch.api(f"callpark retrieve 701 {way}") == "-ERR USER_BUSY\n"
        taker = phones("1002", says=900).call("701")
        assert taker.audio.hears(600) and caller.audio.hears(900)
        caller.hang_up()
    else:
        switch.api(f"bgapi callpark retrieve 701 {way}")
        ringing = phone.rang.get(timeout=5)
        caller.hang_up()
        assert ringing.wait_over(), "the phone rings on for a caller who is gone"
        assert switch.events.wait("abandon")


def test_a_command_gives_a_call_to_a_leg_of_nobody(switch, phones):
    caller = of_a_tenant(switch, phones)
    taker = phones(says=900).call("tone-1200")
    uuid = switch.leg(direction="inbound", dest="tone-1200")
    assert switch.api(f"callpark retrieve 701 {uuid} main@other.test").startswith("+OK")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()
