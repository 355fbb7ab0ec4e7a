"""Tests the wallboard."""

import pytest
from accessibility import violations
from browser import PHONE, WALL, until
from layout import faults

pytestmark = pytest.mark.stand_in


@pytest.fixture
def wall(page, site):
    site.busy_day()

    def opened(query="view=wall", token=None):
        page.size(WALL)
        page.driver.get(f"{site.url}?{query}")
        until(lambda: page.one("#token").is_displayed(), 3, "the sign-in is shown")
        page.one("#token").send_keys(token or site.view_token, "\n")
        until(lambda: page.text("#wall-parked"), 3, "the wallboard is shown")
        return page
    return opened


def slots(page):
    return page.run("return [...document.querySelectorAll('#wall-calls li')].map((item) => item.dataset.slot)")


def test_all_lots_the_longest_waiting_first(wall, site):
    page = wall()
    assert slots(page)[0] == "712" and page.text("#wall-waiting") == "11"
    assert "1:02:" in page.text("#wall-longest") and page.text("#wall-in-time").endswith("%")
    site.remind("709")
    until(lambda: slots(page)[0] == "709", 2, "late callers are the first")


def test_one_lot_and_several(wall):
    page = wall("lot=support&view=wall")
    assert slots(page) == ["803", "801"] and page.text("#wall-free") == "4"
    for query in ("lot=support,big", "lot=support&lot=big@example.com"):
        page.driver.get(f"{page.site.url}?{query}&view=wall")
        until(lambda: page.text("#wall-lots") == "support (120 s) · big (90 s)", 3, "two lots are shown")
        assert set(slots(page)) == {"803", "801", "*5904", "*5917"}
    page.driver.get(f"{page.site.url}?lot=nowhere&view=wall")
    until(lambda: "There is no lot nowhere." in page.text("#wall-lots"), 3, "the mistake is named")


def test_each_lot_names_its_own_service_level(wall, site):
    """Before: "Within 120 s" was said of all lots, although most of them are to be answered sooner."""
    page = wall()
    until(lambda: page.text("#wall-in-time-title") == "In time today (60–120 s)", 3, "the levels differ")
    assert page.text("#wall-lots") == "main (60 s) · support (120 s) · big (90 s)"
    page.driver.get(f"{page.site.url}?lot=support&view=wall")
    until(lambda: page.text("#wall-in-time-title") == "Within 120 s today" and page.text("#wall-lots") == "support", 3, "one level is in the title")


def test_a_phone_shows_the_names(wall):
    """Before: on a phone the wait was so large that one letter of the name was left."""
    page = wall()
    page.size(PHONE)
    assert page.run("return [...document.querySelectorAll('.wall-call .wait')].every((wait) => wait.getBoundingClientRect().right < innerWidth - 13)")
    assert page.run("return document.querySelector('[data-slot=\"706\"] .name').scrollWidth <= document.querySelector('[data-slot=\"706\"] .name').clientWidth")


def test_changes_are_shown(wall, site):
    page = wall("lot=support&view=wall")
    site.park("Anna Berg", "+49 30 901820", "802")
    until(lambda: "802" in slots(page), 1, "the caller is shown")
    for slot in ("801", "802", "803"):
        site.end(slot, "retrieved")
    until(lambda: page.text("#wall-more") == "No caller is waiting", 2, "nobody waits")


def test_a_token_that_may_only_view_is_kept(wall, site):
    page = wall()
    page.run("sessionStorage.clear()")
    page.driver.get(f"{site.url}?view=wall")
    until(lambda: page.text("#wall-parked"), 3, "the wallboard is shown again")
    page.driver.get(site.url)
    until(lambda: page.one("#sign-in").is_displayed(), 3, "the dashboard asks for a token of its own")
    page.driver.get(f"{site.url}?view=wall")
    until(lambda: page.text("#wall-parked"), 3, "the wallboard is shown once more")
    page.one("#sign-out").click()
    assert page.run("return localStorage.length") == 0


def test_a_token_that_may_act_is_not_kept(wall, site):
    page = wall(token=site.token)
    assert "may act" in page.text("#wall-note") and page.run("return localStorage.length") == 0
    assert page.all("#wall button.take, #wall .card") == []


def test_it_fills_the_screen_and_nobody_has_to_scroll(wall, site):
    page = wall()
    for number in range(803, 807):
        if str(number) not in site.board.calls:
            site.park(f"Caller {number}", "+49 30 901820", str(number))
    for number in range(5920, 5940):
        site.park("Northwind Logistics GmbH & Co. KG", "+49 40 3344 5500", f"*{number}")
    for size in (WALL, (1280, 900), PHONE, (3840, 2160)):
        page.size(size)
        until(lambda: page.text("#wall-waiting") == "34" and "more caller" in page.text("#wall-more"), 3, "the rest is counted")
        shown = len(slots(page))
        assert f"and {34 - shown} more" in page.text("#wall-more") and shown >= 3
        assert page.run("return document.scrollingElement.scrollHeight <= innerHeight")
        assert faults(page, cut_is_fine=True) == []
    page.size(WALL)
    assert page.run("return parseFloat(getComputedStyle(document.querySelector('.wall-call .wait')).fontSize)") > 48


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(wall, scheme):
    page = wall()
    page.prefer(scheme)
    assert violations(page) == []
