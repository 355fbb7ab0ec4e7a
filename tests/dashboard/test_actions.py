"""Tests the actions on a parked call, which need a token with the right `act`."""

import pytest
from browser import PHONE, until


@pytest.fixture
def parked(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "Anna Berg")
    return page


def closes(page):
    until(lambda: not page.dialog_open(), 2, f"the dialog closes; its error is {page.text('dialog .error')!r}")


def test_label(parked):
    parked.choose("703")
    parked.act("label", "Mr Chen, invoice <b>")
    closes(parked)
    parked.shows("703", "Mr Chen, invoice <b>")
    parked.choose("703")
    assert parked.one('form[data-verb="label"] input').get_attribute("value") == "Mr Chen, invoice <b>"


def test_ring_back_now(parked):
    parked.choose("703")
    parked.act("ringback")
    closes(parked)
    parked.shows("703", "ringing back")


def test_transfer(parked):
    parked.choose("703")
    parked.act("transfer", "1000")
    closes(parked)
    parked.shows("703", "free")
    until(lambda: "transferred" in parked.text("#history"), 6, "the transfer is in the history")


def test_extend(parked):
    before = parked.timeout_of("703")
    parked.choose("703")
    parked.act("extend", "120")
    closes(parked)
    until(lambda: parked.timeout_of("703") > before + 100, 1, "the time-out is later")


def test_a_star_slot_can_be_acted_on(page, site):
    site.park("Anna Berg", "+49 30 901820", "*5903")
    page.sign_in().choose("*5903")
    page.act("label", "starred")
    closes(page)
    page.shows("*5903", "starred")


def test_an_error_of_the_server_is_shown_in_the_dialog(parked):
    parked.choose("703")
    parked.act("transfer", "1000 XML default")
    until(lambda: parked.text("dialog .error"), 2, "the error is shown")
    assert parked.dialog_open() and "Anna Berg" in parked.slot("703")
    assert parked.one("dialog .error").get_attribute("role") == "alert"


def test_a_failed_connection_is_shown_in_the_dialog(parked, site):
    parked.choose("703")
    site.down()
    parked.act("ringback")
    until(lambda: "does not answer" in parked.text("dialog .error"), 3, "the error is shown")


def test_the_end_of_the_call_is_shown_in_the_dialog(parked, site):
    parked.choose("703")
    site.end("703", "abandoned")
    until(lambda: "not parked any more" in parked.text("dialog .error"), 1, "the end is shown")
    assert not any(button.is_enabled() for button in parked.all("dialog form button"))
    parked.one("dialog .close").click()
    until(lambda: parked.focused("#boards h2"), 1, "the focus is on the lot")


@pytest.mark.stand_in
@pytest.mark.parametrize("outcome, words", [
    ("abandoned", "Anna Berg hung up on 703."), ("retrieved", "Anna Berg was retrieved from 703."),
    ("returned", "Anna Berg went back from 703 to the parker."), ("fallback", "Anna Berg went from 703 to the fallback."),
    ("transferred", "Anna Berg was transferred from 703."),
])
def test_the_dialog_says_how_the_call_ended(parked, site, outcome, words):
    """Before: the dialog did not say whether the caller had hung up or was talking to somebody."""
    site.park("Mr Chen", "+44 20 7946 0991", "705")
    parked.shows("705", "Mr Chen")
    parked.choose("703")
    site.end("705", "abandoned")
    site.end("703", outcome)
    until(lambda: parked.text("dialog .error") == f"This call is not parked any more. {words}", 2, "the dialog says it")
    parked.one("dialog .close").click()
    site.park("Olga Petrova", "+7 495 123 4567", "703")
    parked.shows("703", "Olga Petrova")
    parked.choose("703")
    assert parked.text("dialog .error") == ""


@pytest.mark.stand_in
def test_an_error_in_the_dialog_is_seen_on_a_phone(parked, site):
    """Before: the error was below the edge of the screen, and Take seemed to do nothing."""
    site.board.phones["1003"] = "is busy"
    parked.size(PHONE)
    parked.choose("703")
    parked.act("retrieve", "1003")
    until(lambda: "USER_BUSY" in parked.text("dialog .error"), 3, "the error is in the dialog")
    seen = "const box = document.querySelector('dialog .error').getBoundingClientRect(); return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight"
    until(lambda: parked.run(seen), 1, "the error is on the screen")
    parked.one("dialog .close").click()
    parked.choose("703")
    site.end("703", "abandoned")
    until(lambda: "not parked any more" in parked.text("dialog .error"), 3, "the end is in the dialog")
    until(lambda: parked.run(seen), 1, "the end is on the screen")


def test_without_the_right_to_act_there_are_no_controls(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in(site.view_token).shows("703", "Anna Berg")
    assert page.all("#boards button, #boards a, #boards [tabindex='0']") == []
    page.one('[data-slot="703"] .card').click()
    assert not page.dialog_open()


@pytest.mark.stand_in
def test_the_dialog_shows_how_long_the_caller_waits(page, site):
    """Before: the dialog covered the card, and so hid how long the caller had waited and when the time-out comes."""
    site.park("Anna Berg", "+49 30 901820", "703", ago=30)
    page.sign_in().shows("703", "Anna Berg")
    page.choose("703")
    until(lambda: page.text("dialog .wait") == page.text('[data-slot="703"] .wait') >= "0:30", 2, "the wait is in the dialog")
    until(lambda: page.text("dialog .due") == page.text('[data-slot="703"] .due') > "", 2, "the time-out is in the dialog")
    page.later(90)
    until(lambda: page.run("return document.querySelector('dialog .sheet').dataset.urgency") == "late", 2, "the caller is late")


@pytest.mark.stand_in
def test_what_was_done_is_shown(parked):
    """Before: after a transfer from the dialog, the card was gone without a word."""
    parked.choose("703")
    parked.act("transfer", "1000")
    until(lambda: "Anna Berg was transferred to 1000" in parked.text("#notices"), 3, "the transfer is told")
