"""Tests a phone in a browser with SIP over WebSocket and WebRTC: it parks, retrieves, is parked and is retrieved."""

import re
import time

import pytest

import webphone
from conftest import LOTS, MUSIC, new_switch
from switch import free_port, wait_for

WATCHED = 20  # seconds for which the browser must hear the music

pytestmark = pytest.mark.skipif(bool(webphone.missing()), reason=f"no {webphone.missing()}")


@pytest.fixture(scope="module")
def switch():
    """A FreeSWITCH with SIP over WebSocket."""
    switch = new_switch()
    switch.ws_port = free_port()
    switch.users_profile = f'<param name="ws-binding" value="127.0.0.1:{switch.ws_port}"/>'
    switch.configure(LOTS)
    try:
        yield switch.start()
    finally:
        switch.stop()


@pytest.fixture
def browser(switch, tmp_path):
    phone = webphone.WebPhone(tmp_path, switch.ws_port, "1002", says=700)
    yield phone
    phone.close()


@pytest.fixture
def phones(switch, phones_of):
    return phones_of(switch)


def test_a_phone_in_a_browser_parks_retrieves_is_parked_and_retrieved(switch, phones, browser):
    # The browser answers a caller, parks the call, and retrieves it.
    caller = phones(says=600, name="Alice").call("1002")
    assert browser.hears(600) and caller.audio.hears(700)
    browser.transfer("700")
    assert caller.audio.hears(MUSIC)
    [row] = switch.calls()
    assert row["parker"] == "1002@callpark.test" and wait_for(lambda: not browser.talks())
    browser.call(row["slot"])
    assert browser.hears(600) and caller.audio.hears(700)
    browser.hang_up()
    assert caller.wait_over() and switch.wait_idle()
    # The browser is parked, and hears music all the time.
    colleague = phones("1001", says=1000, name="Carol").call("1002")
    assert browser.hears(1000)
    colleague.refer("700")
    assert browser.hears(MUSIC)
    before, began = browser.received(), time.monotonic()
    for _ in range(WATCHED):
        time.sleep(1)
        assert browser.hears(MUSIC, 0.5), f"no music after {time.monotonic() - began:.0f} s"
    after, lasted = browser.received(), time.monotonic() - began
    assert after["packets"] - before["packets"] > 0.95 * 50 * lasted, "packets are missing"
    assert after["energy"] > before["energy"]
    assert re.search(r"^music +1 share", switch.api("callpark status"), re.M)
    # A colleague retrieves the browser's call.
    taker = phones("1003", says=900, name="Dave").call(switch.calls()[0]["slot"])
    assert browser.hears(900) and taker.audio.hears_sound()
    taker.hang_up()
    assert wait_for(lambda: not browser.talks())
