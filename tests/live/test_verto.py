"""Tests a phone in a browser with Verto: it parks, retrieves, is parked and is retrieved."""

import os

import pytest

import webphone
from conftest import LOTS, MUSIC
from parking import extension
from switch import ROOT, Switch, find_prefix, free_port, module_dir, wait_for
from verto import MODULE

# Calls the Verto phone of 1001.
CALLED = extension("verto-1001", ("set", "hangup_after_bridge=true"), ("bridge", "${verto_contact(1001@callpark.test)}"))

pytestmark = pytest.mark.skipif(bool(webphone.missing()), reason=f"no {webphone.missing()}")


@pytest.fixture(scope="module")
def switch(failures):
    """A FreeSWITCH with mod_verto."""
    prefix = find_prefix()
    if not (module_dir(prefix) / "mod_verto.so").exists():
        pytest.skip("FreeSWITCH without mod_verto")
    switch, failed = Switch(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), prefix), failures()
    switch.verto_port = free_port()
    switch.more = MODULE.replace("@PORT@", str(switch.verto_port))
    switch.configure(LOTS, extensions=CALLED)
    try:
        switch.start()
        assert all("+OK" in switch.api(f"load mod_{name}") for name in ("rtc", "verto"))
        yield switch
    finally:
        switch.keep = failures() > failed
        switch.stop()


@pytest.fixture
def browser(switch, tmp_path):
    phone = webphone.VertoPhone(tmp_path, switch.verto_port, "1001", says=700)
    yield phone
    phone.close()


@pytest.fixture
def phones(switch, phones_of):
    return phones_of(switch)


def test_a_verto_phone_parks_retrieves_is_parked_and_retrieved(switch, phones, browser):
    # It answers a caller, parks the call by a transfer, and retrieves it.
    caller = phones(says=600, name="Alice").call("verto-1001")
    assert browser.hears(600) and caller.audio.hears(700)
    browser.transfer("700")
    assert caller.audio.hears(MUSIC)
    [row] = switch.calls()
    assert row["parker"] == "1001@callpark.test" and wait_for(lambda: not browser.talks())
    browser.call(row["slot"])
    assert browser.hears(600) and caller.audio.hears(700)
    assert switch.events.wait("retrieve")["CallPark-Retriever"] == "1001@callpark.test"
    browser.hang_up()
    assert caller.wait_over() and switch.wait_idle()
    # It is parked, hears the music, and a colleague retrieves it.
    colleague = phones("1002", says=1000, name="Carol").call("verto-1001")
    assert browser.hears(1000)
    colleague.refer("700")
    assert browser.hears(MUSIC)
    taker = phones("1003", says=900, name="Dave").call(wait_for(switch.calls)[0]["slot"])
    assert browser.hears(900) and taker.audio.hears(700)
    taker.hang_up()
    assert wait_for(lambda: not browser.talks())
