"""Tests each action with the real module and real phones, by mouse and by keyboard alone, on each screen, in light and dark."""

import pytest
import real_freeswitch
from browser import DESK, PHONE, WALL, Keys, until

pytestmark = pytest.mark.skipif(not real_freeswitch.is_installed(), reason="FreeSWITCH is not installed")
CALLERS = {"711": "Anna Berg", "712": "Mr Chen", "713": "Garage Lefèvre"}


class Mouse:
    def __init__(self, page):
        self.page = page

    def press(self, selector):
        self.page.one(selector).click()  # an error if anything covers the middle of the element

    def fill(self, selector, text):
        self.press(selector)
        self.page.replace(text)


class Keyboard:
    def __init__(self, page):
        self.page = page

    def reach(self, selector):
        for _ in range(100):
            if self.page.focused(selector):
                return
            self.page.press(Keys.TAB)
        raise AssertionError(f"{selector} is not reached with 100 tabs")

    def press(self, selector):
        self.reach(selector)
        assert self.page.run("return getComputedStyle(document.activeElement).outlineStyle") != "none", f"the focus of {selector} is not seen"
        self.page.press(Keys.ENTER)

    def fill(self, selector, text):
        self.reach(selector)
        self.page.replace(text)


def card(slot):
    return f'#boards [data-slot="{slot}"] button.card'


def field(verb):
    return f'form[data-verb="{verb}"] input'


def told(page, words):
    until(lambda: words in page.text("#notices"), 4, f"{words!r} is told")


@pytest.mark.parametrize("hand", [Mouse, Keyboard])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, DESK, WALL], ids=["phone", "desk", "wall"])
def test_each_action(page, site, phone, screen, scheme, hand):
    page.size(screen)
    page.prefer(scheme)
    hand = hand(page)
    mine, colleague = phone("1002", says=900), phone("1001", says=700)
    mine.on_ring = 0.1
    for slot, name in CALLERS.items():
        site.park(name, "+49 30 901820", slot)
    page.sign_in(site.user_token).shows("713", "Garage Lefèvre")

    def acts(slot, verb, text=None):
        """Opens the dialog of the slot, fills in the field of the action, and carries it out."""
        hand.press(card(slot))
        until(page.dialog_open, 2, "the dialog is open")
        if text is not None:
            hand.fill(field(verb), text)
        hand.press(f'form[data-verb="{verb}"] button')
        until(lambda: not page.dialog_open(), 2, f"the dialog closes; its error is {page.text('dialog .error')!r}")

    caller = phone(name="Olga Petrova", says=600).call("1002")
    mine.wait_call()
    until(lambda: "Olga Petrova" in page.text("#mine"), 6, "my call is shown")
    hand.press("#mine .park")
    told(page, "Olga Petrova is parked on 701")
    page.shows("701", "Olga Petrova", 3)

    acts("711", "label", "Invoice 2026-118")
    page.shows("711", "Invoice 2026-118")

    before = page.timeout_of("711")
    acts("711", "extend", "600")
    until(lambda: page.timeout_of("711") > before + 500, 2, "the time-out is later")

    acts("711", "ringback")
    page.shows("711", "ringing back")

    colleague.on_ring = 0.1
    acts("712", "transfer", "1001")
    told(page, "Mr Chen was transferred to 1001")
    page.shows("712", "free", 2)
    assert colleague.wait_call().caller_name == "Mr Chen"

    mine.on_ring = None
    hand.press('#boards [data-slot="701"] .take')
    page.shows("701", "your phone rings…", 2)
    ringing = mine.wait_call()
    ringing.answer()
    told(page, "Olga Petrova is connected")
    assert caller.audio.hears(900)
    page.shows("701", "free", 2)
