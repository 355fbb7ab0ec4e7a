"""Tests the dashboard with the real module and real phones: what the stand-in for the server imitates elsewhere."""

import pytest
import real_freeswitch
from browser import until

pytestmark = pytest.mark.skipif(not real_freeswitch.is_installed(), reason="FreeSWITCH is not installed")


@pytest.fixture
def desk(page, site):
    """The page of user 1002."""
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in(site.user_token).shows("703", "Anna Berg")
    return page


def states(site):
    return [call["state"] for call in site.switch.calls()]


def test_take_and_answer(desk, site, phone):
    mine = phone("1002", says=900)
    desk.one('#boards [data-slot="703"] .take').click()
    ringing = mine.wait_call()
    desk.shows("703", "your phone rings…")
    assert states(site) == ["retrieving"] and ringing.caller_name == "Anna Berg"
    ringing.answer()
    until(lambda: "Anna Berg is connected" in desk.text("#notices"), 3, "the connection is told")
    desk.shows("703", "free")
    until(lambda: "1002" in desk.text("#history tbody tr .retriever"), 6, "the history says who took the caller")
    ringing.hang_up()


def test_take_and_do_not_answer(desk, site, phone):
    phone("1002").on_ring = None
    desk.one('#boards [data-slot="703"] .take').click()
    desk.shows("703", "your phone rings…", 2)
    until(lambda: "The phone did not answer. Anna Berg waits on in 703." in desk.text("#notices .alert"), 9, "it is told")
    assert states(site) == ["parked"]
    desk.shows("703", "Anna Berg")


@pytest.mark.parametrize("why", ["busy", "rejects", "not registered"])
def test_take_with_a_phone_that_cannot_be_rung(desk, site, phone, why):
    mine = phone("1002")
    if why == "not registered":
        mine.unregister()
    else:
        mine.on_ring = {"busy": 486, "rejects": 603}[why]
    desk.one('#boards [data-slot="703"] .take').click()
    until(lambda: "1002@callpark.test" in desk.text("#notices .alert"), 4, "the error is told")
    until(lambda: "rings" not in desk.slot("703"), 2, "the phone does not ring any more")
    assert states(site) == ["parked"]


def test_two_users_at_once_and_a_caller_who_hangs_up(desk, site, phone):
    mine = phone("1002")
    assert site.switch.api("callpark list").count("703") == 1
    desk.one('#boards [data-slot="703"] .take').click()
    ringing = mine.wait_call()
    assert "-ERR" in site.switch.api("callpark retrieve 703 loopback/tone-1300/default"), "a second user does not get the caller"
    site.switch.api(f"uuid_kill {site.switch.calls()[0]['uuid']}")
    assert ringing.wait_over()
    desk.shows("703", "free", 2)


def test_my_call_is_parked_by_the_button_and_by_dragging(desk, site, phone):
    mine = phone("1002", says=900)
    mine.on_ring = 0.1
    for slot, park in [("", lambda: desk.one("#mine .park").click()),
                       ("704", lambda: desk.drag("#mine .mine-call", '#boards [data-slot="704"]'))]:
        name = f"Caller for {slot or 'any slot'}"
        phone(name=name, says=600).call("1002")
        until(lambda: name in desk.text("#mine"), 6, "my call is shown")  # noqa: B023
        park()
        until(lambda: "is parked on" in desk.text("#notices") or desk.text("#notices .alert"), 6, "it is told")
        assert desk.text("#notices .alert") == ""
        parked = next(call["slot"] for call in site.switch.calls() if call["caller_name"] == name)
        assert slot in ("", parked)
        desk.shows(parked, name, 3)
        until(lambda: "You have no call" in desk.text("#mine"), 6, "the call is not mine any more")
    assert {call["parker"] for call in site.switch.calls()} == {"1002@callpark.test", "1001@callpark.test"}


def test_a_parked_caller_is_dragged_onto_a_colleague(desk, site, phone):
    colleague = phone("1001", says=900)
    colleague.on_ring = 0.1
    desk.drag('#boards [data-slot="703"]', '.colleague[data-extension="1001"]')
    call = colleague.wait_call()
    assert call.caller_name == "Anna Berg"
    until(lambda: "Anna Berg was transferred to 1001" in desk.text("#notices"), 3, "the transfer is told")
    desk.shows("703", "free")


def test_a_late_caller_comes_first(page, site):
    site.remind_after(2)
    page.sign_in(site.user_token)
    site.park("Mr Chen", "+44 20 7946 0991", "704")
    until(lambda: page.run("return document.querySelector('#boards .slot').dataset.slot") == "704", 4, "the late caller is the first")
    assert "late" in page.slot("704")


def test_the_wallboard(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    site.park("Mr Chen", "+44 20 7946 0991", "*5904")
    page.driver.get(f"{site.url}?lot=main&view=wall")
    until(lambda: page.one("#token").is_displayed(), 3, "the sign-in is shown")
    page.one("#token").send_keys(site.view_token, "\n")
    until(lambda: page.run("return [...document.querySelectorAll('#wall-calls li')].map((item) => item.dataset.slot)") == ["703"], 3, "its lot alone")
