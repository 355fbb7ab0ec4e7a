"""Tests recalls that come back to this server by SIP: a mailbox that answers there does not count as an answer, a user does."""

import pytest

from parking import extension, lot, park_by_transfer
from phone import DOMAIN
from test_identity_cases import MAILBOX


def with_way(switch, number, extensions, *params):
    way = f"sofia/external/sip:{number}@127.0.0.1:{switch.outside_port}"
    assert switch.reload(lot(("park-timeout", "0"), ("ringback", way), *params), extensions=extensions).startswith("+OK")


@pytest.fixture
def voicemail(switch):
    assert switch.api("load mod_voicemail").startswith("+OK")
    yield
    switch.api("unload mod_voicemail")


def test_a_mailbox_on_this_server_that_is_reached_by_sip_is_no_answer(switch, voicemail, phones):
    """Before: the caller was connected to the mailbox, and the outcome was `returned`."""
    with_way(switch, "mailbox", MAILBOX, ("fallback", "tone-1300"))
    caller, row = park_by_transfer(phones, switch)
    assert switch.api("callpark ringback 701").startswith("+OK")
    assert caller.audio.hears(1300, within=9)
    assert switch.events.of(row["uuid"]) == ["park", "ringback", "ringback-failed", "fallback"]
    assert switch.events.wait("ringback-failed")["CallPark-Cause"] == "VOICEMAIL"
    caller.hang_up()


def test_a_user_on_this_server_who_is_reached_by_sip_is_connected_at_once(switch, phones):
    desk = phones("1003", says=1100)
    desk.on_ring = 0.2
    with_way(switch, "follow", extension("follow", ("bridge", f"user/1003@{DOMAIN}")))
    caller, row = park_by_transfer(phones, switch)
    assert switch.api("callpark ringback 701").startswith("+OK")
    call = desk.wait_call()
    assert caller.audio.hears(1100, within=2) and call.audio.hears(600)
    assert switch.events.wait("return")
    caller.hang_up()
    assert call.wait_over()
