"""What the page tests stand on: a `site` to look at and a `page` to look with.

`site` is a server with the dashboard, and telephones behind it that a test can move:
  url, token (rights view and act), view_token (right view only)
  park(name, number, slot)   a caller is parked, with a parker that can ring and a time-out
  end(slot, outcome)         the call ends: retrieved, returned, fallback, transferred, abandoned
  down(), up()               the server goes, and comes back at the same address
It starts with no parked call, with lot `main` (701-720, 701 labelled "Front desk", service level 60 s) and lot `big` (*5901-*5999).
"""

import shutil

import pytest
import real_freeswitch
from browser import Page, start_browser, webdriver
from fake_server import FakeServer

pytest_plugins = ["rerun_report"]  # of the live tests, whose folder `real_freeswitch` has put on the path

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


def pytest_configure(config):
    config.addinivalue_line("markers", "stand_in: on the stand-in even where FreeSWITCH is installed")


def pytest_collection_modifyitems(config, items):
    if CHROMIUM and DRIVER and webdriver:
        return
    config.page_tests_skipped = len(items)
    for item in items:
        item.add_marker(pytest.mark.skip(reason="no chromium"))


def pytest_terminal_summary(terminalreporter, config):
    if count := getattr(config, "page_tests_skipped", 0):
        terminalreporter.write_line(f"skipped: no chromium ({count} page tests)")


@pytest.fixture(scope="session")
def freeswitch():
    """The module itself, where FreeSWITCH is installed; else nothing, and a stand-in serves the page."""
    if not real_freeswitch.there():
        yield None
        return
    running = real_freeswitch.RealFreeswitch()
    yield running
    running.stop()


@pytest.fixture
def site(freeswitch, request):
    """Tests of the page alone are marked `stand_in`: they need callers that no telephone brings, or a great many."""
    if freeswitch and not request.node.get_closest_marker("stand_in"):
        yield freeswitch.fresh()
        return
    fake = FakeServer()
    yield fake
    fake.down()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    driver = start_browser(CHROMIUM, DRIVER, tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, site):
    """The page at its sign-in, on a desk. Whatever a test does, the page must not complain in the log."""
    page = Page(browser, site)
    page.open()
    yield page
    assert page.complaints() == []
