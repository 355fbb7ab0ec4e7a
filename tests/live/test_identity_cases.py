"""Cases from public reports about identity: who may park and retrieve, which phone rings, and who gets the caller."""

import time

import pytest

from conftest import LOTS, MUSIC
from parking import conversation, extension, lot, park_by_transfer, with_lot
from phone import DOMAIN
from switch import SHIPPED_DIALPLAN, wait_for


OUTCOMES = ("retrieve", "return", "fallback", "transfer", "abandon")


def actions(switch):
    return [event["CallPark-Action"] for event in switch.events.all if event["CallPark-Action"] != "reload"]


# --- an outside caller in an IVR menu

MENU = extension("menu-(.*)", ("answer", ""), ("playback", "tone_stream://%(200,0,1500)"), ("transfer", "$1"))
KEYS = extension("keys", ("answer", ""), ("play_and_get_digits", "3 3 1 5000 # tone_stream://%(5000,0,1500) silence_stream://100 choice .*"),
                 ("transfer", "${choice}"))
NUMBERS = "".join(f'<extension name="{number}"><condition field="destination_number" expression="^{number}$">'
                  f'<action application="callpark_retrieve" data="{what}"/></condition></extension>' for number, what in (("721", "oldest"), ("722", "ask")))


def with_menu(switch, *params):
    # The menus lead to a context of its own, because the default context has another extension for numbers of three digits.
    numbers = '</context><context name="inner">' + NUMBERS + """
      <extension name="park"><condition field="destination_number" expression="^700$"><action application="callpark_park" data="auto"/></condition></extension>
      <extension name="slot"><condition field="destination_number" expression="^(7\\d\\d)$"><action application="callpark_slot" data="$1"/></condition></extension>"""
    menus = (MENU + KEYS).replace("$1\"", "$1 XML inner\"").replace("${choice}\"", "${choice} XML inner\"")
    assert switch.reload(lot(("park-timeout", "0"), *params), extensions=menus + numbers).startswith("+OK")


@pytest.mark.parametrize("number", ["721", "701", "722", "700"])
def test_an_outside_caller_in_a_menu_neither_retrieves_nor_parks(switch, phones, number):
    """Before: the outside caller was connected to a parked call (721, 701, 722), or was parked (700)."""
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
    assert stranger.wait_over(8), "the dialplan has ended, but not the call"
    caller.hang_up()


def test_an_outside_caller_in_a_menu_that_executes_the_extension_is_not_parked(switch, phones):
    """Before: the caller was parked, because the leg had not been transferred."""
    executes = extension("executes", ("answer", ""), ("play_and_get_digits", "3 3 1 5000 # tone_stream://%(5000,0,1500) silence_stream://100 choice .*"),
                         ("execute_extension", "${choice}"))
    assert switch.reload(lot(("park-timeout", "0")), extensions=executes).startswith("+OK")
    stranger = phones(says=900).call("executes")
    assert stranger.audio.hears(1500)
    stranger.press("700")
    assert switch.events.wait("denied", timeout=9) and stranger.wait_over(8) and switch.calls() == []


def test_an_outside_caller_in_a_menu_is_not_parked_in_a_free_slot(switch, phones):
    """Before: a caller who chose 705 was parked there."""
    with_menu(switch)
    stranger = phones(says=900).call("menu-705")
    assert stranger.wait_over(8) and switch.calls() == [] and "park" not in actions(switch)


def test_retrieve_anonymous_and_park_from_allow_outside_callers(switch, phones):
    with_menu(switch, ("retrieve-anonymous", "true"), ("park-from", "*"))
    caller = phones(says=600).call("menu-700")
    assert caller.audio.hears(MUSIC) and switch.calls()[0]["parker"] == ""
    taker = phones(says=900).call("menu-721")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()


def test_an_outside_caller_with_the_pin_may_retrieve(switch, phones):
    with_menu(switch, ("retrieve-pin", "42"))
    caller, row = park_by_transfer(phones, switch)
    taker = phones(says=900).call("menu-721")
    time.sleep(1)  # digits before the prompt are dropped
    taker.press("42")
    assert taker.audio.hears(600, within=8) and caller.audio.hears(900)
    caller.hang_up()


def test_a_caller_who_was_transferred_to_a_menu_is_not_parked_by_a_choice_there(switch, phones):
    """Before: the REFER that brought the caller to the menu counted as the transfer to the extension that the caller chose there."""
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


def test_an_inbound_route_may_park_an_outside_caller(switch, phones):
    route = extension("route", ("answer", ""), ("playback", "tone_stream://%(300,0,1500)"), ("callpark_park", "auto"))
    passed_on = extension("did", ("set", "x=y"), ("transfer", "route"))
    assert switch.reload(lot(("park-timeout", "0")), extensions=route + passed_on).startswith("+OK")
    callers = [phones(says=600).call(number) for number in ("route", "did")]
    assert wait_for(lambda: len(switch.calls()) == 2) and all(caller.audio.hears(MUSIC) for caller in callers)
    for caller in callers:
        caller.hang_up()


# --- `callpark retrieve` decides who gets a call


def of_a_tenant(switch, phones):
    """Parks a caller in another tenant's lot."""
    caller = phones(says=600).call("do-park-701_main@other.test")
    assert wait_for(switch.calls)[0]["domain"] == "other.test"
    return caller


def dialled_phone(phones, says=900):
    phone = phones(says=says)
    return phone, f"sofia/external/sip:{phone.user}@127.0.0.1:{phone.port}"


def test_a_command_gives_a_tenants_call_to_the_phone_that_it_dials(switch, phones):
    """Before: the answer was +OK, and then the retrieval was refused because users of the phone's domain may not retrieve."""
    caller = of_a_tenant(switch, phones)
    phone, way = dialled_phone(phones)
    phone.on_ring = 0.2
    assert switch.api(f"callpark retrieve 701 {way} main@other.test").startswith("+OK")
    call = phone.wait_call()
    assert call.audio.hears(600) and caller.audio.hears(900)
    assert "denied" not in actions(switch) and switch.events.wait("retrieve")
    call.hang_up()


def test_a_call_is_held_for_the_dialled_phone_while_it_rings(switch, phones):
    with_lot(switch, ("park-timeout", "0"))
    caller, row = park_by_transfer(phones, switch)
    phone, way = dialled_phone(phones)
    phone.on_ring = 2
    job = switch.api(f"bgapi callpark retrieve 701 {way}")
    assert job.startswith("+OK") and phone.rang.get(timeout=5)
    assert switch.calls()[0]["state"] == "retrieving"
    taker = phones("1002", says=1000).call("do-retrieve-701")
    assert taker.audio.hears(1700), "another user got the call that is held for the ringing phone"
    assert caller.audio.hears(900, within=5)
    taker.hang_up()
    caller.hang_up()


@pytest.mark.parametrize("how", ["busy", "the caller hangs up"])
def test_a_call_stays_parked_if_the_dialled_phone_does_not_answer(switch, phones, how):
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
        assert ringing.wait_over(), "the phone still rings after the caller has hung up"
        assert switch.events.wait("abandon")


def test_a_command_gives_a_call_to_a_leg_that_belongs_to_no_user(switch, phones):
    caller = of_a_tenant(switch, phones)
    taker = phones(says=900).call("tone-1200")
    uuid = switch.leg(direction="inbound", dest="tone-1200")
    assert switch.api(f"callpark retrieve 701 {uuid} main@other.test").startswith("+OK")
    assert taker.audio.hears(600) and caller.audio.hears(900)
    caller.hang_up()


# --- the lot's `ringback`, also for a caller without a slot


@pytest.mark.parametrize("ringback", ["dial string", "none"])
def test_asterisk_624_ringback_applies_to_a_caller_without_a_slot(switch, phones, ringback):
    """Before: the parker was always rung at `user/<parker>`, also with `none`."""
    desk = phones("1003", says=1100)
    desk.on_ring = 0.2
    way = f"user/1003@{DOMAIN}" if ringback == "dial string" else "none"
    with_lot(switch, ("park-timeout", "0"), ("ringback", way), ("fallback", "tone-1300"), slots="701")
    first = phones().call("do-park-701")
    caller, call = conversation(phones)
    call.refer("700")
    call.hang_up()
    assert caller.audio.hears(1100 if ringback == "dial string" else 1300, within=6)
    parker = next(phone for phone in phones.made if phone.user == "1001")
    assert parker.rang.qsize() == 0, "the parker was rung"
    for leg in (caller, first):
        leg.hang_up()


def test_callpark_ringback_cause_has_the_cause_of_the_last_failed_recall(switch, phones):
    with_lot(switch, ("park-timeout", "0"), ("ringback-timeout", "1"))
    caller, row = park_by_transfer(phones, switch)
    parker = phones.made[0]
    for on_ring, cause in ((486, "USER_BUSY"), (None, "NO_ANSWER")):
        parker.on_ring = on_ring
        switch.events.clear()
        assert switch.api("callpark ringback 701").startswith("+OK")
        assert switch.events.wait("ringback-failed", timeout=6)["CallPark-Cause"] == cause
        assert switch.var(row["uuid"], "callpark_ringback_cause") == cause
    caller.hang_up()


# --- a caller who withholds the number


@pytest.mark.parametrize("how", ["Privacy", "Remote-Party-ID"])
def test_kazoo_3270_a_withheld_number_is_shown_nowhere(switch, phones, how):
    """Before: the recall, the retriever's 200, the lamp and the listing showed name and number."""
    with_lot(switch, ("park-timeout", "0"), ("lamp-caller-id", "true"))
    receptionist = phones("1001", name="Reception")
    receptionist.on_ring = 0.1
    lamp = phones("1003").subscribe("park+701")
    headers = {"Privacy": ['P-Asserted-Identity: "Secret" <sip:0301234567@callpark.test>', "Privacy: id"],
               "Remote-Party-ID": ['Remote-Party-ID: "Secret" <sip:0301234567@callpark.test>;party=calling;privacy=full']}[how]
    caller = phones(says=600, name="Secret").call("1001", headers=headers)
    call = receptionist.wait_call()
    assert call.answered.wait(5)
    call.refer("701")
    row = wait_for(switch.calls)[0]
    assert (row["caller_name"], row["caller_number"]) == ("Anonymous", "anonymous")
    assert lamp.shows("confirmed") and "Secret" not in lamp.bodies[-1] and "0301234567" not in lamp.bodies[-1]
    receptionist.on_ring = None
    assert switch.api("callpark ringback 701").startswith("+OK")
    back = receptionist.rang.get(timeout=5)
    invite = str(back.invite_headers.headers)
    assert back.caller_name == "Park 701: Anonymous" and "Secret" not in invite and "0301234567" not in invite
    assert back.invite_headers["privacy"] == "id"
    taker = phones("1002", says=900, agent="Yealink SIP-T54W").call("701")
    assert taker.audio.hears(600) and taker.shown
    assert all("Secret" not in name and "0301234567" not in number for name, number in taker.shown), taker.shown
    taker.hang_up()
    caller.hang_up()


# --- a phone of another PBX


def noted(switch, direction):
    """Waits until the module has noted the other party of the conversation, which takes a moment after the answer."""
    assert wait_for(lambda: switch.var(switch.leg(direction=direction), "callpark_last_peer"))


@pytest.mark.parametrize("how", ["REFER", "feature code"])
def test_a_phone_of_another_pbx_that_parks_is_rung_the_way_it_was_called(switch, phones, how):
    """Before: this server's own user 1001 was rung, and was the parker in the listing."""
    own = phones("1001", says=1100)
    theirs = phones(says=700)
    theirs.user = "1001"
    trunk = ('<extension name="trunk"><condition field="destination_number" expression="^trunk$">'
             '<action application="bind_meta_app" data="5 b s callpark_park::auto"/>'
             f'<action application="bridge" data="sofia/external/sip:1001@127.0.0.1:{theirs.port}"/></condition></extension>')
    assert switch.reload(lot(("park-timeout", "0")), extensions=trunk).startswith("+OK")
    theirs.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("trunk")
    call = theirs.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    noted(switch, "outbound")
    call.refer("700") if how == "REFER" else call.press("*5")
    assert wait_for(switch.calls)[0]["parker"] == "1001@127.0.0.1"
    assert caller.audio.hears(MUSIC, within=5)
    if how == "REFER":
        call.hang_up()
    assert call.wait_over(8)
    theirs.on_ring = 0.2
    assert wait_for(lambda: switch.api("callpark ringback 701").startswith("+OK"))
    back = theirs.wait_call(5)
    assert back.audio.hears(600, within=6) and caller.audio.hears(700)
    assert own.rang.qsize() == 0
    back.hang_up()


def test_a_ring_group_names_a_phone_outside_by_its_presence_id(switch, phones):
    """FusionPBX writes the number of each destination there. One that is no user is called back the way it was called."""
    theirs = phones(says=700)
    group = ('<extension name="group"><condition field="destination_number" expression="^group$">'
             f'<action application="bridge" data="{{presence_id=4917@{DOMAIN}}}sofia/external/sip:4917@127.0.0.1:{theirs.port}"/></condition></extension>')
    assert switch.reload(lot(("park-timeout", "0")), extensions=group).startswith("+OK")
    theirs.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("group")
    call = theirs.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.refer("700")
    assert wait_for(switch.calls)[0]["parker"] == f"4917@{DOMAIN}"
    assert wait_for(lambda: switch.api("callpark ringback 701").startswith("+OK"))
    back = theirs.wait_call(5)
    assert back.audio.hears(600, within=6) and caller.audio.hears(700)
    back.hang_up()


def test_an_outsider_names_no_user_of_another_tenant_as_the_parker(switch, phones):
    """Before: a Referred-By from outside rang a phone of another tenant, and counted for that user's limit."""
    with_lot(switch, ("park-timeout", "0"), ("park-limit-per-user", "1"))
    victim = phones("2000", domain="other.test")
    user = phones("1002", says=600)
    user.on_ring = 0.1
    outsider = phones(says=900).call("1002")
    assert outsider.audio.hears(600)
    noted(switch, "outbound")
    outsider.refer("701", referred_by="2000@other.test")
    row = wait_for(switch.calls)[0]
    assert (row["parker"], row["domain"]) == (f"{outsider.phone.user}@{DOMAIN}", DOMAIN)
    assert switch.api("callpark ringback 701").startswith("+OK")
    assert outsider.phone.rang.get(timeout=6), "the recall does not ring the phone that parked"
    assert victim.rang.qsize() == 0
    outsider.hang_up()
    user.wait_call().hang_up()


# --- a colleague picks up the ringing recall


def recall(switch, phones, *params):
    """Starts the recall of a caller whom 1001 has parked. Returns the caller's call, the phone's ringing call, and the UUID of that leg."""
    with_lot(switch, ("park-timeout", "0"), *params)
    caller, row = park_by_transfer(phones, switch)
    switch.events.clear()
    parker = phones.made[0]
    parker.on_ring = None
    answer = switch.api("callpark ringback 701")
    assert answer.startswith("+OK"), answer
    ringing = parker.rang.get(timeout=5)
    return caller, ringing, switch.leg(direction="outbound")


def has_the_caller(switch, caller, taker, ringing, uuid):
    assert taker.audio.hears(600) and caller.audio.hears(900)
    assert ringing.wait_over(), "the parker's phone still rings"
    event = switch.events.wait("retrieve")
    assert event["CallPark-Retriever"] == f"1002@{DOMAIN}"
    assert [action for action in actions(switch) if action in OUTCOMES] == ["retrieve"]
    assert switch.api("callpark list").count(" parked ") == 0
    taker.hang_up()
    assert caller.wait_over(8)


PICK = extension("pick-(.*)", ("intercept", "$1"), ("playback", "tone_stream://%(60000,0,1700)"))


def test_kazoo_3721_intercept_of_the_caller_while_a_recall_rings_is_a_retrieval(switch, phones):
    """Before: the outcome was `transferred`, without a retriever."""
    caller, ringing, leg = recall(switch, phones, ("fallback", "tone-1300"))
    lots, settings, phrases, _ = switch.written
    assert switch.reload(lots, settings, phrases, PICK).startswith("+OK")
    uuid = switch.calls()[0]["uuid"]
    taker = phones("1002", says=900).call(f"pick-{uuid}")
    has_the_caller(switch, caller, taker, ringing, uuid)


def replaces(ringing):
    """The header of a call that takes the place of a ringing one."""
    to, from_ = (party.split("tag=")[1] for party in (ringing.local, ringing.remote))
    return f"Replaces: {ringing.id};to-tag={from_};from-tag={to};early-only"


def test_replaces_of_a_ringing_recall_gets_the_caller(switch, phones):
    """A colleague presses the blinking lamp of the parker. Before: both the colleague's call and the parker's phone were dropped."""
    caller, ringing, _ = recall(switch, phones, ("fallback", "tone-1300"))
    taker = phones("1002", says=900).call("1001", headers=[replaces(ringing)])
    has_the_caller(switch, caller, taker, ringing, "")


# --- a mailbox on this server answers the recall

MAILBOX = extension("mailbox", ("answer", ""), ("sleep", "700"), ("voicemail", "default callpark.test 1001"), ("playback", "tone_stream://%(60000,0,1900)"))


def test_a_mailbox_on_this_server_is_no_answer_to_a_recall(switch, phones):
    """Before: the caller was connected to the mailbox, and the outcome was `returned`."""
    assert switch.api("load mod_voicemail").startswith("+OK")
    try:
        with_lot(switch, ("park-timeout", "0"), ("ringback", "loopback/mailbox/default"), ("fallback", "tone-1300"))
        lots, settings, phrases, _ = switch.written
        assert switch.reload(lots, settings, phrases, MAILBOX).startswith("+OK")
        caller, row = park_by_transfer(phones, switch)
        assert switch.api("callpark ringback 701").startswith("+OK")
        assert caller.audio.hears(1300, within=9)
        assert switch.events.of(row["uuid"]) == ["park", "ringback", "ringback-failed", "fallback"]
        assert switch.events.wait("ringback-failed")["CallPark-Cause"] == "VOICEMAIL"
        caller.hang_up()
    finally:
        switch.api("unload mod_voicemail")


def test_a_recall_that_a_user_answers_through_a_dialplan_is_connected(switch, phones):
    desk = phones("1003", says=1100)
    desk.on_ring = 0.2
    follow = extension("follow", ("export", "absolute_codec_string=PCMU"), ("bridge", f"user/1003@{DOMAIN}"))
    assert switch.reload(lot(("park-timeout", "0"), ("ringback", "loopback/follow/default")), extensions=follow).startswith("+OK")
    caller, row = park_by_transfer(phones, switch)
    assert switch.api("callpark ringback 701").startswith("+OK")
    assert caller.audio.hears(1100, within=6) and desk.wait_call().audio.hears(600)
    assert switch.events.wait("return")
    caller.hang_up()


# --- the shipped feature code


@pytest.fixture
def shipped(switch):
    rules = """<extension name="out"><condition field="destination_number" expression="^out-(\\d+)$">
      <action application="execute_extension" data="0301234567 XML shipped"/>
      <action application="bridge" data="sofia/external/sip:far@127.0.0.1:$1"/></condition></extension>
      </context><context name="shipped">"""
    assert switch.reload(LOTS, extensions=rules + SHIPPED_DIALPLAN.read_text()).startswith("+OK")


def test_fusionpbx_1103_the_far_end_of_an_outgoing_call_parks_nobody(shipped, switch, phones):
    """Before: the far end parked the employee and was rung back. The other party never received `*` and the next digit."""
    far = phones(says=600)
    far.user, far.on_ring = "far", 0.1
    call = phones("1001", says=700).call(f"out-{far.port}")
    other = far.wait_call()
    assert call.audio.hears(600)
    other.press("*5")
    assert other.audio.hears(700, within=2) and switch.calls() == []
    call.press("*5")
    assert wait_for(switch.calls, 6)[0]["parker"] == f"1001@{DOMAIN}" and other.audio.hears(MUSIC, within=5)
    assert call.wait_over(8)
    other.hang_up()
