"""Tests that the page stands still under the hand: boards do not jump, cards keep their order while the mouse moves, waits do not step back."""

import pytest
from browser import DESK, until

pytestmark = pytest.mark.stand_in


def top(page, selector):
    return page.run("return document.querySelector(arguments[0]).getBoundingClientRect().top + scrollY", selector)


def order(page):
    return page.run("return [...document.querySelectorAll('#boards .board:first-of-type li')].map((item) => item.dataset.slot)")


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "pt", "ru"])
def test_my_calls_do_not_move_the_boards(page, site, language):
    """Before: the second call of one's own moved all slots down by 112 px."""
    page.prefer_languages(language)
    page.sign_in()
    until(lambda: page.all("#mine .empty") and page.all("#boards .slots li"), 3, "there is no call")
    before = top(page, "#boards .slots")
    site.talk("Olga Petrova", "+7 495 123 4567", ago=75)
    site.talk("Mr Haddad", "+961 1 555 018", held=True)
    until(lambda: len(page.all(".mine-call")) == 2, 6, "both calls are shown")
    assert top(page, "#boards .slots") == before


def test_the_first_row_of_slots_is_seen_without_scrolling(page, site):
    """Before: on a screen of 1280 by 800, "Take" was below its edge while one had two calls."""
    for name in ("Olga Petrova", "Mr Haddad"):
        site.talk(name, "+7 495 123 4567", ago=75)
    site.park("Anna Berg", "+49 30 901820", "703", label="Invoice 4711")
    page.size((1280, 800))
    page.sign_in().shows("703", "Anna Berg")
    until(lambda: len(page.all(".mine-call")) == 2, 6, "my calls are shown")
    assert page.run("return document.querySelector('[data-slot=\"703\"] .take').getBoundingClientRect().bottom") <= 800


def test_a_caller_does_not_move_the_rows_below(page, site):
    """Before: the first caller in a row made it higher, and moved the rows below."""
    page.size(DESK)
    page.sign_in()
    page.one('[data-slot="719"]')
    before = top(page, '[data-slot="719"]')
    for slot in ("701", "703"):
        site.park("Sofía Núñez", "+34 91 555 01 13", slot, label="Invoice 4711")
        page.shows(slot, "4711")
    assert top(page, '[data-slot="719"]') == before


def test_cards_keep_their_places_while_the_mouse_moves(page, site):
    """Before: a caller who became late moved to the front just when somebody wanted to press Take on another card."""
    for slot, name in [("702", "Anna Berg"), ("704", "Mr Chen"), ("706", "Olga Petrova")]:
        site.park(name, "+49 30 901820", slot)
    page.sign_in().shows("706", "Olga Petrova")
    before = order(page)
    page.run("""
      const card = document.querySelector('[data-slot="704"] .take');
      window.moving = setInterval(() => card.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, pointerType: "mouse" })), 50);""")
    site.remind("706")
    page.shows("706", "late")
    assert order(page) == before
    page.run("clearInterval(moving)")
    until(lambda: order(page)[0] == "706", 2, "the late caller is the first once the mouse rests")


def press(page, selector):
    page.one(selector)
    page.at = page.run("const box = document.querySelector(arguments[0]).getBoundingClientRect(); return [box.left + 8, box.top + 8]", selector)
    page.mouse("mousePressed", *page.at)


def test_a_press_counts_although_the_card_changes_meanwhile(page, site):
    """Before: the card did not open if its caller was given a label, or became late, between press and release."""
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "Anna Berg")
    press(page, '[data-slot="703"] .name')
    site.board.act("703", "label", {"text": "Invoice 4711"})
    page.shows("703", "Invoice 4711")
    page.release()
    until(page.dialog_open, 2, "the dialog is open")


def test_a_press_counts_although_another_caller_becomes_late_meanwhile(page, site):
    """Before: while the mouse rested on Take, the late caller moved to the front between press and release, and nothing happened."""
    for slot, name in [("702", "Anna Berg"), ("704", "Mr Chen"), ("706", "Olga Petrova")]:
        site.park(name, "+49 30 901820", slot)
    page.sign_in().shows("706", "Olga Petrova")
    site.board.rings_for = 60
    press(page, '[data-slot="704"] .take')
    site.remind("706")
    page.shows("706", "late")
    page.release()
    page.shows("704", "your phone rings")
    until(lambda: order(page)[0] == "706", 3, "the late caller is the first afterwards")


def test_a_wait_does_not_step_back(page):
    """Before: an answer that took longer than the one before set the wait back by a second."""
    assert page.module("""
      const { anchor } = await import('./calls.js');
      const call = { uuid: 'a', parked_at: 1000, timeout_at: 91_000 };
      const first = anchor({ ...call, wait_ms: 5000 }, 100_000);
      const slow = anchor({ ...call, wait_ms: 6000 }, 101_900, first);
      const extended = anchor({ ...call, timeout_at: 92_000, wait_ms: 6000 }, 101_900, first);
      const other = anchor({ ...call, parked_at: 50_000, wait_ms: 0 }, 102_000, first);
      const slept = anchor({ ...call, wait_ms: 6000 }, 160_000, first);
      return [first, slow, extended, other, slept].map(({ since, due }) => [since, due]);
    """) == [[95_000, 185_000], [95_000, 185_000], [95_000, 186_900], [102_000, 143_000], [154_000, 244_000]]
