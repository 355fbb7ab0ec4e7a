"""Tests phones that ring for a parked call, answer in part or for a moment only, and are not connected. The caller waits on, and everybody is told."""

import threading

import pytest

from conftest import MUSIC
from parking import park_by_transfer
from phone import DOMAIN
from switch import EventSocket, wait_for
from test_take_by_click import MINE, click, state, waits_on  # noqa: F401  (`click` is a fixture)
from test_web import listen


def announces_and_rejects(phone):
    """Answers the next INVITE with early media, as a provider that plays an announcement, and rejects the call after 1.5 s."""

    def act():
        call = phone.wait_call()
        call._media(call.pending.body)
        phone.respond(call.pending, 183, ["Content-Type: application/sdp"], call.sdp(), tag=call.tag)
        if not call.over.wait(1.5):
            phone.respond(call.pending, 486, tag=call.tag)
            call._end()

    threading.Thread(target=act, daemon=True).start()


@pytest.mark.parametrize("options", ["", "{ignore_early_media=false}", "[ignore_early_media=false]"])
def test_early_media_is_no_answer(switch, phones, click, options):  # noqa: F811
    """Before: the caller was connected to the announcement, and was lost when the phone rejected the call."""
    caller, row = park_by_transfer(phones, switch)
    announces_and_rejects(phones("1002", says=900))
    answer = EventSocket(switch.esl_port).api(f"callpark retrieve 701 {options}user/1002@{DOMAIN}")
    assert answer in ("-ERR USER_BUSY\n", "-ERR NO_ANSWER\n")
    assert switch.events.wait("retrieve-failed") and waits_on(switch, caller)
    assert switch.events.of(row["uuid"]) == ["park", "retrieve-failed"] and not caller.over.is_set()
    caller.hang_up()


@pytest.mark.parametrize("how", ["click", "command"])
@pytest.mark.parametrize("delay", [0.01, 0.02, 0.03])
def test_everybody_is_told_if_a_phone_answers_and_hangs_up_at_once(switch, phones, click, how, delay):  # noqa: F811
    """Before: the call was free again, and dashboards went on showing it as held. There was no event."""
    caller, row = park_by_transfer(phones, switch)
    phone = phones("1002", says=900)
    heard, line = listen(click)
    clicked = threading.Thread(target=lambda: click.act("701", "retrieve", {}, MINE) if how == "click" else
                               EventSocket(switch.esl_port).api(f"callpark retrieve 701 user/1002@{DOMAIN}"), daemon=True)
    clicked.start()
    ringing = phone.wait_call()
    ringing.answer()
    threading.Event().wait(delay)
    ringing.hang_up()
    clicked.join(5)
    # The phone may have been connected for a moment, which is a conversation.
    ended = wait_for(lambda: switch.events.of(row["uuid"])[1:], 8)
    assert ended in (["retrieve-failed"], ["retrieve"]), ended
    if ended == ["retrieve-failed"]:
        failed = switch.events.wait("retrieve-failed")
        assert failed["CallPark-Cause"] and failed.get("CallPark-Retriever", "") == (f"1002@{DOMAIN}" if how == "click" else "")
        assert wait_for(lambda: [event["call"]["state"] for _, event in heard] == ["retrieving", "parked"]), heard
        assert waits_on(switch, caller) and caller.audio.hears(MUSIC)
    line.close()
    caller.hang_up()
