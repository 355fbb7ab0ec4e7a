"""Makes the screenshots of the documentation, with the stand-in for the server: `/usr/bin/python3 tests/dashboard/screenshots.py`."""

import random
import shutil
import tempfile
import time
from pathlib import Path

from browser import DESK, PHONE, WALL, Page, start_browser, until
from fake_server import FakeServer

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
# Name, size, colour scheme, query, token.
PICTURES = [
    ("dashboard-desk", DESK, "light", "", FakeServer.token),
    ("dashboard-desk-dark", DESK, "dark", "", FakeServer.token),
    ("dashboard-phone", PHONE, "dark", "", FakeServer.token),
    ("wallboard", WALL, "dark", "?view=wall", FakeServer.view_token),
    ("report", DESK, "light", "", FakeServer.token),
]
DAY_MS = 86_400_000


def afternoon():
    site = FakeServer()
    site.busy_day()
    site.talk("Ms Lindqvist", "+46 8 505 552 31", ago=96)
    site.talk("Mr Haddad", "+961 1 555 018", held=True, ago=31)
    site.directory(("1001", "Ann", True, False), ("1003", "Carla", True, True), ("1004", "Deniz", True, False), ("1005", "Eva", False, False),
                   ("1007", "Grace", True, False), ("1009", "Warehouse", True, False), ("1010", "Support", True, True))
    site.remind("705")
    return site


def week(site):
    """Copies calls of the day to the days before, with other waits: a report shows a week and compares it with the one before."""
    chance, today = random.Random(11), list(site.board.ended)
    for days in range(1, 14):
        share, slow = chance.uniform(0.5, 0.95), chance.uniform(0.6, 1.3)
        site.board.ended += [{**row, "parked_at": row["parked_at"] - days * DAY_MS, "wait_ms": int(row["wait_ms"] * slow)}
                             for row in today if chance.random() < share]


def picture(page, name, size, scheme, query, token):
    page.size(size)
    page.prefer(scheme)
    page.driver.get(page.site.url + query)
    page.run("sessionStorage.clear(); localStorage.clear()")
    page.driver.refresh()
    until(lambda: page.one("#token").is_displayed(), 5, "the sign-in is shown")
    page.one("#token").send_keys(token, "\n")
    until(lambda: page.all(".slot .wait, .wall-call .wait"), 5, "the calls are shown")
    if name == "report":
        page.one("#show-report").click()
        until(lambda: page.all("#report .chart"), 5, "the report is shown")
        page.run("document.activeElement.blur(); scrollTo(0, 0)")
    time.sleep(1)  # charts, colleagues, and the animation of new cards
    page.driver.save_screenshot(str(IMAGES / f"{name}.png"))


def main():
    driver = start_browser(shutil.which("chromium"), shutil.which("chromedriver"), tempfile.mkdtemp())
    for name, *arguments in PICTURES:
        site = afternoon()
        if name == "report":
            week(site)
        picture(Page(driver, site), name, *arguments)
    driver.quit()


if __name__ == "__main__":
    main()
