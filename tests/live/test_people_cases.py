"""Cases from public reports about how people use parking: a recall that reaches them, and what they are told."""

import socket
import threading
import time

import pytest

from conftest import MUSIC, new_switch
from parking import extension, lot, park_by_transfer
from phone import DOMAIN
from switch import wait_for


@pytest.fixture
def many(phones_of):
    """A FreeSWITCH that has several phones of a user registered."""
    switch = new_switch()
    switch.users_profile = '<param name="multiple-registrations" value="contact"/>'
    yield switch
    switch.stop()


# --- a parker who is busy


def test_a_parker_with_two_phones_of_which_one_is_busy_is_rung_on_the_other(many, phones_of):
    """The recall that nobody answers there is over: the parker could have answered."""
    many.configure(lot(("ringback-busy-retry", "1"), ("ringback-timeout", "2"), ("fallback", "tone-1300")))
    many.start()
    phones = phones_of(many)
    caller, row = park_by_transfer(phones, many)
    phones.made[0].on_ring = 486
    other = phones("1001")
    assert other.wait_call(6)
    assert caller.audio.hears(1300, within=9)
    assert many.events.of(row["uuid"]) == ["park", "ringback", "ringback-failed", "fallback"]
    caller.hang_up()
    assert many.wait_idle()


def test_a_parker_who_is_busy_on_all_phones_is_called_again(many, phones_of):
    """Before: the caller went to the fallback as soon as the parker's phone said busy."""
    many.configure(lot(("ringback-busy-retry", "1"), ("fallback", "tone-1300")))
    many.start()
    phones = phones_of(many)
    caller, row = park_by_transfer(phones, many)
    phones.made[0].on_ring = 600
    other = phones("1001", says=700)
    other.on_ring = 486
    assert many.events.wait("ringback-failed", 8)["CallPark-Cause"] == "USER_BUSY"
    other.on_ring = 0.1
    assert caller.audio.hears(700, within=5)
    assert many.events.wait("return")["CallPark-Attempt"] == "1"
    caller.hang_up()
    assert many.wait_idle()


# --- the parker's extension is called through the dialplan


def test_push_phones_are_called_through_the_dialplan(switch, phones):
    """The phone of 1001 is not registered until the dialplan has woken it. Before: the recall failed, because no phone was registered."""
    woken = extension("1001", ("set", "hangup_after_bridge=true"), ("set", "continue_on_fail=true"), ("bridge", f"user/1001@{DOMAIN}"),
                      ("bridge", f"user/1003@{DOMAIN}"))
    context = f'</context><context name="push">{woken}'
    lots = lot(("ringback-via", "dialplan"), ("ringback-context", "push"), ("ringback-alert-info", "park-recall"))
    assert switch.reload(lots, extensions=context).startswith("+OK")
    caller, row = park_by_transfer(phones, switch)
    phones.made[0].unregister()
    mobile = phones("1003", says=1100)
    call = mobile.wait_call(8)
    assert call.caller_name == "Park 701: Alice" and call.invite_headers["alert-info"].strip("<>") == "park-recall"
    assert switch.calls()[0]["state"] == "ringing-back"
    call.answer()
    assert caller.audio.hears(1100, within=6) and call.audio.hears(600)
    assert switch.events.of(row["uuid"]) == ["park", "ringback", "return"]
    assert switch.events.wait("return")["CallPark-Retriever"] == f"1001@{DOMAIN}"
    caller.hang_up()
    assert call.wait_over()


def test_a_recall_through_the_dialplan_ends_with_the_time_or_the_call(switch, phones):
    lots = lot(("ringback-via", "dialplan"), ("ringback-timeout", "2"), ("ringback-busy-retry", "1"))
    assert switch.reload(lots).startswith("+OK")
    caller, row = park_by_transfer(phones, switch)
    desk = phones.made[0]
    desk.on_ring = 486
    assert switch.events.wait("ringback-failed", 8)["CallPark-Cause"] == "USER_BUSY"
    desk.on_ring = None
    ringing = desk.wait_call(6)
    assert ringing.wait_over(5), "the phone rings on"
    assert wait_for(lambda: switch.events.of(row["uuid"])[-1:] == ["ringback-failed"])
    ringing = desk.wait_call(8)
    caller.hang_up()
    assert ringing.wait_over(5), "the phone rings for nobody"


def test_a_mailbox_that_the_dialplan_reaches_is_no_answer(switch, phones):
    assert switch.api("load mod_voicemail").startswith("+OK")
    try:
        mailbox = extension("1001", ("set", "continue_on_fail=true"), ("bridge", f"user/1001@{DOMAIN}"), ("answer", ""), ("sleep", "1000"),
                            ("voicemail", f"default {DOMAIN} 1001"))
        lots = lot(("ringback-via", "dialplan"), ("ringback-context", "mail"), ("ringback-timeout", "8"), ("fallback", "tone-1300"))
        assert switch.reload(lots, extensions=f'</context><context name="mail">{mailbox}').startswith("+OK")
        caller, row = park_by_transfer(phones, switch)
        phones.made[0].on_ring = 603
        assert caller.audio.hears(1300, within=9)
        assert switch.events.of(row["uuid"]) == ["park", "ringback", "ringback-failed", "fallback"]
        assert switch.events.wait("ringback-failed")["CallPark-Cause"] == "VOICEMAIL"
        caller.hang_up()
    finally:
        switch.api("unload mod_voicemail")


# --- who is told what, and what they hear

SLOT_701 = 2100
SPOKEN = ('<macro name="callpark_announce_slot"><input pattern="^701$"><match>'
          f'<action function="play-file" data="tone_stream://%(1200,0,{SLOT_701})"/></match></input></macro>'
          '<macro name="callpark_ask_slot"><input pattern="(.*)"><match><action function="play-file" data="silence_stream://100"/></match></input></macro>')


@pytest.mark.parametrize("who", ["outside", "user"])
def test_only_users_are_told_the_slot_by_an_inbound_route(switch, phones, who):
    """Before: a customer who was parked by the route heard the slot, and the display showed it."""
    route = extension("5551234", ("callpark_park", "auto"))
    assert switch.reload(lot(("park-timeout", "0")), phrases=SPOKEN, extensions=route).startswith("+OK")
    phone = phones("1002", says=600) if who == "user" else phones(says=600, name="Customer")
    caller = phone.call("5551234")
    if who == "user":
        assert caller.audio.hears(SLOT_701) and caller.shown[0] == ("Park 701", "701")
    else:
        assert caller.audio.hears(MUSIC, within=1) and ("Park 701", "701") not in caller.shown
    assert caller.audio.hears(MUSIC)
    caller.hang_up()


def test_music_and_fallback_of_a_template_lot_are_those_of_the_tenant(switch, phones):
    """Before: `${domain_name}` was not filled in: the caller heard the default music, and the fallback was not found."""
    tones = extension("desk", ("answer", ""), ("playback", "tone_stream://%(60000,0,1300)"))
    lots = lot(("hold-music", "tone_stream://%(1000,0,${tenant_tone});loops=-1"), ("ringback", "none"), ("fallback", "desk XML ${domain_name}"))
    route = extension("tenant", ("set", "tenant_tone=1500"), ("callpark_park", "auto"))
    assert switch.reload(lots, extensions=f'{route}</context><context name="{DOMAIN}">{tones}').startswith("+OK")
    caller = phones(says=600).call("tenant")
    assert caller.audio.hears(1500), "not the music of the tenant"
    assert caller.audio.hears(1300, within=6), "not the fallback of the tenant"
    caller.hang_up()


def test_what_a_caller_sends_is_no_path_of_hold_music(switch, phones):
    lots = lot(("hold-music", "${sip_h_X-Music}"), ("park-timeout", "0"))
    assert switch.reload(lots).startswith("+OK")
    caller = phones(says=600).call("do-park-auto", headers=["X-Music: tone_stream://%(1000,0,1500);loops=-1"])
    assert not caller.audio.hears(1500, within=2) and switch.calls()[0]["state"] == "parked"
    caller.hang_up()


def test_a_script_that_parks_in_a_full_lot_goes_on(switch, phones):
    """A program at the event socket parks a caller whom nobody can get back. Before: the caller waited for a slot, and the program never had control."""
    server = socket.create_server(("127.0.0.1", 0))
    run = lambda app, data: f"sendmsg\ncall-command: execute\nexecute-app-name: {app}\nexecute-app-arg: {data}\n\n"

    def serve():
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as answers:
            for command in ("connect\n\n", run("callpark_park", "auto"), run("playback", "tone_stream://%(60000,0,1700)")):
                connection.sendall(command.encode())
                length = 0
                while (line := answers.readline().strip()):
                    length = int(line.split(b":")[1]) if line.startswith(b"Content-Length") else length
                answers.read(length)

    threading.Thread(target=serve, daemon=True).start()
    script = extension("script", ("socket", f"127.0.0.1:{server.getsockname()[1]}"))
    assert switch.reload(lot(("park-timeout", "0"), slots="701"), extensions=script).startswith("+OK")
    first = phones(says=600).call("do-park-auto")
    caller = phones(says=800, name="Bob").call("reception")
    leg = switch.leg(cid_name="Bob")
    assert switch.api(f"uuid_transfer {leg} script").startswith("+OK")
    assert caller.audio.hears(1700, within=6), "the program does not go on"
    assert switch.var(leg, "callpark_result") == "full"
    for call in (caller, first):
        call.hang_up()
    server.close()


@pytest.mark.parametrize("slots, keys, longest", [("701-703", "701", 3), ("701-703,7011", "7011", 3), ("701-703,7011", "701#", 3)])
def test_a_slot_is_complete_when_no_longer_one_begins_with_it(switch, phones, slots, keys, longest):
    """Before: a user who did not press # heard nothing for 10 s."""
    assert switch.reload(lot(("park-timeout", "0"), slots=slots), phrases=SPOKEN).startswith("+OK")
    caller = phones(says=600).call(f"do-park-{keys.strip('#')}")
    taker = phones("1002", says=900).call("do-retrieve-ask")
    time.sleep(0.5)
    taker.press(keys)
    assert taker.audio.hears(600, within=longest) and caller.audio.hears(900)
    caller.hang_up()


def test_a_slot_that_may_be_longer_is_waited_for(switch, phones):
    assert switch.reload(lot(("park-timeout", "0"), slots="701-703,7011"), phrases=SPOKEN).startswith("+OK")
    caller = phones(says=600).call("do-park-7011")
    taker = phones("1002", says=900).call("do-retrieve-ask")
    time.sleep(0.5)
    taker.press("701")
    time.sleep(2)
    taker.press("1")
    assert taker.audio.hears(600, within=3) and caller.audio.hears(900)
    caller.hang_up()


# --- pages


def are_announced(calls):
    """All hear the page at the same time, and are released after it."""
    return all([call.audio.hears(1010, within=4) for call in calls]) and all(call.wait_over(6) for call in calls)


PAGE = '<macro name="callpark_page"><input pattern="^701:"><match><action function="play-file" data="tone_stream://%(2500,0,1010)"/></match></input></macro>'


@pytest.mark.parametrize("dial", ["group/all@callpark.test", "user/1001@callpark.test,user/1002@callpark.test,user/1003@callpark.test"])
def test_freepbx_a_page_speaks_on_every_phone(switch, phones, dial):
    """Before: one phone of three spoke, the one that answered first."""
    assert switch.reload(lot(("notify", f"page:{dial}"), ("park-timeout", "0")), phrases=PAGE).startswith("+OK")
    speakers = [phones(user) for user in ("1001", "1002", "1003")]
    for speaker in speakers:
        speaker.on_ring = 0
    caller = phones(says=600).call("do-park-701")
    calls = [speaker.wait_call() for speaker in speakers]
    assert are_announced(calls)
    caller.hang_up()


def test_a_page_speaks_on_both_phones_of_a_user_and_the_next_page_follows(many, phones_of):
    """One of the two refuses the call, which does not disturb the other."""
    many.configure(lot(("notify", f"page:user/1003@{DOMAIN}"), ("park-timeout", "0"), slots="701"), phrases=PAGE)
    many.start()
    phones = phones_of(many)
    speakers = [phones("1003"), phones("1003"), phones("1003")]
    for speaker, reacts in zip(speakers, (0, 0, 603)):
        speaker.on_ring = reacts
    for _ in range(2):
        caller = phones(says=600).call("do-park-701")
        assert are_announced([speaker.wait_call() for speaker in speakers[:2]])
        caller.hang_up()
        assert wait_for(lambda: many.calls() == [])


# --- a phone that waits for the result of its transfer


@pytest.fixture
def confirming(phones_of):
    """A FreeSWITCH whose profiles have confirm-blind-transfer."""
    switch = new_switch()
    switch.profile = '<param name="confirm-blind-transfer" value="true"/>'
    yield switch
    switch.stop()


def blind_transfer(phones, number):
    """Lets a caller call 1001, who transfers the call and waits for the result. Returns the phone, the caller's call and the phone's."""
    phone = phones("1001", says=700)
    phone.on_ring = 0.1
    caller = phones(says=600, name="Alice").call("1001")
    call = phone.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.refer(number)
    return phone, caller, call


@pytest.mark.parametrize("number", ["700", "703"])
def test_freeswitch_1422_a_confirmed_transfer_is_done_when_the_caller_is_parked(confirming, phones_of, number):
    """Before: the phone hung for up to 10 minutes, until the call was retrieved, and the recall rang beside it."""
    confirming.configure(lot(("park-timeout", "1")))
    confirming.start()
    phones = phones_of(confirming)
    phone, caller, call = blind_transfer(phones, number)
    assert "200" in call.notified.get(timeout=3), "the transfer is not acknowledged"
    assert call.wait_over(3), "the phone is not released"
    assert caller.audio.hears(MUSIC)
    back = phone.wait_call(6)
    assert back.audio.hears(600, within=4)
    caller.hang_up()
    assert confirming.wait_idle()


def test_a_confirmed_transfer_to_a_full_lot_fails_and_the_phone_has_the_caller_back(confirming, phones_of):
    """Before: the phone hung, and was called back on a second call."""
    confirming.configure(lot(("park-timeout", "0"), slots="701"))
    confirming.start()
    phones = phones_of(confirming)
    first = phones().call("do-park-701")
    phone, caller, call = blind_transfer(phones, "700")
    assert "403" in call.notified.get(timeout=5), "the phone is not told"
    assert call.audio.hears(600, within=4) and caller.audio.hears(700)
    assert phone.rang.qsize() == 0, "the phone rings beside its call"
    for leg in (caller, first):
        leg.hang_up()
    assert confirming.wait_idle()
