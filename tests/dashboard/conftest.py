"""The fixtures of the dashboard's tests: `site`, a server with the dashboard, and `page`, the dashboard in a browser.

A site has
  url, token (rights view and act), view_token (right view only)
  park(name, number, slot)   parks a caller, with a parker that can be rung and a timeout
  end(slot, outcome)         ends the call: retrieved, returned, fallback, transferred, abandoned
  down(), up()               stops the server, and starts it at the same address
It starts without parked calls, with the lot `main` (701-720, 701 labelled "Front desk", service level 60 s) and the lot `big` (*5901-*5999).
"""

import shutil

import pytest
import real_freeswitch
from browser import Page, start_browser, webdriver
from fake_server import FakeServer

pytest_plugins = ["rerun_report"]  # in the folder of the live tests, which `real_freeswitch` has added to the path

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


def pytest_configure(config):
    config.addinivalue_line("markers", "stand_in: uses the stand-in for the server even if FreeSWITCH is installed")


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
    """The module in a FreeSWITCH. It is None if FreeSWITCH is not installed; a stand-in then serves the page."""
    if not real_freeswitch.is_installed():
        yield None
        return
    running = real_freeswitch.RealFreeswitch()
    yield running
    running.stop()


@pytest.fixture
def site(freeswitch, request):
    """The server. Tests of the page alone are marked `stand_in`, because they need many or unusual callers."""
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
    """The page at its sign-in, in the size of a desktop browser. After the test, the browser's log must have no errors of the page."""
    page = Page(browser, site)
    page.open()
    yield page
    assert page.log_errors() == []


@pytest.fixture
def phone(site):
    """Makes registered phones, which are closed at the end; with FreeSWITCH alone."""
    from phone import Phone
    made = []

    def make(user="", **more):
        made.append(Phone(site.switch, user=user, **more))
        if user:
            made[-1].register()
        return made[-1]
    yield make
    for one in made:
        one.close()
