"""Tests the page with the keyboard alone."""

import pytest
from browser import Keys, until

pytestmark = pytest.mark.stand_in


def tab_to(page, selector, most=20):
    for _ in range(most):
        page.press(Keys.TAB)
        if page.focused(selector):
            return
    raise AssertionError(f"{selector} is not reached with {most} tabs")


def outlined(page):
    return page.run("const style = getComputedStyle(document.activeElement);"
                    "return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2")


def test_sign_in_and_an_action_by_keyboard(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    site.park("Mr Chen", "+44 20 7946 0991", "706")
    assert page.focused("#token")
    page.sign_in().shows("706", "Mr Chen")

    tab_to(page, '[data-slot="706"] button')
    assert outlined(page)
    page.press(Keys.ENTER)
    until(page.dialog_open, 1, "the dialog is open")
    assert page.run("return document.querySelector('dialog').contains(document.activeElement)")
    tab_to(page, 'form[data-verb="label"] input')
    assert outlined(page)
    page.press("by keyboard", Keys.ENTER)
    until(lambda: not page.dialog_open(), 2, "the dialog closes")
    assert page.focused('[data-slot="706"] button')
    page.shows("706", "by keyboard")
    assert page.focused('[data-slot="706"] button')

    page.press(Keys.SPACE)
    until(page.dialog_open, 1, "the dialog is open")
    page.press(Keys.ESCAPE)
    until(lambda: not page.dialog_open(), 1, "escape closes the dialog")
    assert page.focused('[data-slot="706"] button')


@pytest.mark.parametrize("focus", [".card", ".take"])
def test_when_the_caller_has_gone_the_focus_is_on_the_lot(page, site, focus):
    """Before: it was nowhere, and a screen reader began at the top of the page."""
    site.park("Anna Berg", "+49 30 901820", "703")
    site.park("Mr Chen", "+44 20 7946 0991", "706")
    page.sign_in().shows("706", "Mr Chen")
    page.run("document.querySelector(arguments[0]).focus()", f'[data-slot="703"] {focus}')
    site.end("703", "abandoned")
    page.shows("703", "free")
    assert page.focused("#boards h2")
    page.press(Keys.TAB)
    assert page.focused('[data-slot="706"] .card')
    page.run("document.querySelector('#find').focus()")
    site.end("706", "abandoned")
    page.shows("706", "free")
    assert page.focused("#find")


def test_after_a_transfer_the_focus_is_on_the_lot(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "Anna Berg")
    page.run("document.querySelector('[data-slot=\"703\"] .card').focus()")
    page.press(Keys.ENTER)
    until(page.dialog_open, 1, "the dialog is open")
    page.act("transfer", "1000")
    page.shows("703", "free", 3)
    until(lambda: page.focused("#boards h2"), 1, "the focus is on the lot")


def test_every_control_has_a_name(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    assert page.one("#token").accessible_name == "Access token"
    page.sign_in().shows("703", "Anna Berg")
    assert all(control.accessible_name for control in page.all("button, summary") if control.is_displayed())
    page.choose("703")
    assert all(control.accessible_name for control in page.all("dialog button, dialog input"))
    assert "Anna Berg" in page.one("dialog").accessible_name
