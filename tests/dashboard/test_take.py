"""Tests that a parked caller is taken by a click: the user's phone rings, with the slot held, and is answered or not."""

import pytest
from browser import Keys, until

pytestmark = pytest.mark.stand_in


@pytest.fixture
def parked(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "Anna Berg")
    return page


def take(page, number="703"):
    page.one(f'[data-slot="{number}"] .take').click()


def test_the_phone_rings_and_is_answered(parked, site):
    site.board.rings_for = 2
    take(parked)
    parked.shows("703", "your phone rings…")
    until(lambda: "Anna Berg is connected" in parked.text("#notices"), 3, "the connection is told")
    parked.shows("703", "free")
    assert site.board.ended[0]["retriever"] == "1002@example.com"


def test_everybody_sees_that_the_caller_is_being_retrieved(parked, site):
    """The call is taken by another viewer: here, through the server itself."""
    site.board.rings_for = 60
    site.board.act("703", "retrieve", {"to": "1003"})
    parked.shows("703", "retrieving")
    assert parked.one('[data-slot="703"] .take').get_attribute("aria-disabled") == "true"
    take(parked)
    assert parked.text("#notices") == "", "a second user cannot take the caller"


def test_a_phone_that_is_not_answered_leaves_the_caller_waiting(parked, site):
    site.board.phones["1002"] = "is silent"
    take(parked)
    until(lambda: "The phone did not answer. Anna Berg waits on in 703." in parked.text("#notices .alert"), 4, "it is told")
    parked.shows("703", "Anna Berg")
    assert "rings" not in parked.slot("703")
    parked.one("#notices .close").click()
    assert parked.text("#notices") == ""
    site.board.phones["1002"] = "answers"
    take(parked)
    parked.shows("703", "free", 3)


def test_a_busy_phone_is_an_error_in_plain_words(parked, site):
    site.board.phones["1002"] = "is busy"
    take(parked)
    until(lambda: "Anna Berg: That is not possible now: no phone of 1002@example.com has answered" in parked.text("#notices .alert"), 3, "it is told")
    assert "rings" not in parked.slot("703")


def test_the_lost_event_of_a_silent_phone_is_made_up_for(parked, site):
    """The stream may lose events; the listing then shows that the caller is parked again."""
    site.board.rings_for = 60
    take(parked)
    parked.shows("703", "your phone rings…")
    site.board.calls["703"]["state"] = "parked"
    site.board.tell("label", site.board.calls["703"])
    until(lambda: "did not answer" in parked.text("#notices .alert"), 3, "it is told")


def test_by_keyboard(parked, site):
    parked.run("document.querySelector('[data-slot=\"703\"] button.card').focus()")
    parked.press(Keys.TAB)
    assert parked.focused(".take") and parked.one(".take").accessible_name == "Take Anna Berg from 703"
    site.board.rings_for = 2
    parked.press(Keys.ENTER)
    parked.shows("703", "your phone rings…")
    assert parked.focused(".take"), "the focus stays"


def test_for_a_colleague(parked, site):
    site.board.rings_for = 2
    parked.choose("703")
    parked.act("retrieve", "1003")
    parked.shows("703", "rings at 1003…")
    until(lambda: site.board.ended, 3, "the call is retrieved")
    assert site.board.ended[0]["retriever"] == "1003@example.com"


def test_the_phone_may_answer_by_itself(parked, site):
    parked.one("#auto-answer").click()
    take(parked)
    until(lambda: site.board.requests, 3, "the server is asked")
    assert site.board.requests == [{"auto_answer": True}]
    parked.driver.refresh()
    until(lambda: parked.run("return document.querySelector('#auto-answer').checked"), 3, "it is remembered")


def test_the_phone_of_a_colleague_does_not_answer_by_itself(parked, site):
    """Before: it was asked to, and the caller heard the room of a colleague who had not picked up."""
    parked.one("#auto-answer").click()
    parked.choose("703")
    parked.act("retrieve", "1003")
    until(lambda: site.board.requests, 3, "the server is asked")
    assert site.board.requests == [{"to": "1003"}]


def test_a_token_without_a_user_is_asked_for_a_phone(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in(site.no_user_token).shows("703", "Anna Berg")
    assert not page.one("#mine-section").is_displayed()
    take(page)
    until(page.dialog_open, 2, "the dialog asks for the phone")
    page.act("retrieve", "1005")
    until(lambda: site.board.ended, 3, "the call is retrieved")


def test_who_may_only_look_has_no_button(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in(site.view_token).shows("703", "Anna Berg")
    assert page.all(".take") == [] and not page.one("#desk").is_displayed()
