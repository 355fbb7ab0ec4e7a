"""Makes the screenshots of the documentation, with the stand-in for the server: `/usr/bin/python3 tests/dashboard/screenshots.py`."""

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
]


def afternoon():
    site = FakeServer()
    site.busy_day()
    site.talk("Ms Lindqvist", "+46 8 505 552 31", ago=96)
    site.talk("Mr Haddad", "+961 1 555 018", held=True, ago=31)
    site.directory(("1001", "Ann", True, False), ("1003", "Carla", True, True), ("1004", "Deniz", True, False), ("1005", "Eva", False, False),
                   ("1007", "Grace", True, False), ("1009", "Warehouse", True, False), ("1010", "Support", True, True))
    site.remind("705")
    return site


def picture(page, name, size, scheme, query, token):
    page.size(size)
    page.prefer(scheme)
    page.driver.get(page.site.url + query)
    page.run("sessionStorage.clear(); localStorage.clear()")
    page.driver.refresh()
    until(lambda: page.one("#token").is_displayed(), 5, "the sign-in is shown")
    page.one("#token").send_keys(token, "\n")
    until(lambda: page.all(".slot .wait, .wall-call .wait"), 5, "the calls are shown")
    time.sleep(1)  # charts, colleagues, and the animation of new cards
    page.driver.save_screenshot(str(IMAGES / f"{name}.png"))


def main():
    driver = start_browser(shutil.which("chromium"), shutil.which("chromedriver"), tempfile.mkdtemp())
    for arguments in PICTURES:
        picture(Page(driver, afternoon()), *arguments)
    driver.quit()


if __name__ == "__main__":
    main()
