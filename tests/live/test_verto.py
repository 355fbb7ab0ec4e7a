"""Tests a phone in a browser with Verto: it parks, retrieves, is parked and is retrieved."""


import pytest

import webphone
from conftest import LOTS, MUSIC, new_switch, stopped_after
from parking import extension
from switch import find_prefix, free_port, module_dir, wait_for
from verto import MODULE

# Calls the Verto phone of 1001.
CALLED = "".join(extension(number, ("set", "hangup_after_bridge=true"), *more, ("bridge", "${verto_contact(1001@callpark.test)}"))
                 for number, more in (("verto-1001", []), ("soon-1001", [("set", "callpark_timeout=2")])))

pytestmark = pytest.mark.skipif(bool(webphone.missing()), reason=f"no {webphone.missing()}")


@pytest.fixture(scope="module")
def switch(failures):
    """A FreeSWITCH with mod_verto."""
    prefix = find_prefix()
    if not (module_dir(prefix) / "mod_verto.so").exists():
        pytest.skip("FreeSWITCH without mod_verto")
    switch = new_switch()
    switch.verto_port = free_port()
    switch.more = MODULE.replace("@PORT@", str(switch.verto_port))
    switch.configure(LOTS, '<param name="feature-code" value="*5"/>', extensions=CALLED)
    # A user is called by SIP and by Verto, as in FreeSWITCH's own directory.
    path = switch.dir / "conf/freeswitch.xml"
    by_sip = "${sofia_contact(*/${dialed_user}@${dialed_domain})}"
    path.write_text(path.read_text().replace(by_sip, f"{by_sip},${{verto_contact(${{dialed_user}}@${{dialed_domain}})}}", 1))
    with stopped_after(switch, failures):
        switch.start()
        assert all("+OK" in switch.api(f"load mod_{name}") for name in ("rtc", "verto"))
        yield switch


@pytest.fixture
def browser(switch, tmp_path):
    phone = webphone.VertoPhone(tmp_path, switch.verto_port, "1001", says=700)
    yield phone
    phone.close()


@pytest.fixture
def phones(switch, phones_of):
    return phones_of(switch)


def test_a_verto_phone_parks_retrieves_is_parked_retrieved_and_rung_back(switch, phones, browser):
    # It answers a caller, parks the call by a transfer, and retrieves it.
    caller = phones(says=600, name="Alice").call("verto-1001")
    assert browser.hears(600) and caller.audio.hears(700, within=8)
    browser.transfer("700")
    assert caller.audio.hears(MUSIC)
    [row] = switch.calls()
    assert row["parker"] == "1001@callpark.test" and wait_for(lambda: not browser.talks())
    browser.call(row["slot"])
    assert browser.hears(600) and caller.audio.hears(700, within=8)
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
    # It parks a call by the feature code, nobody retrieves the call, and it is rung back.
    switch.events.clear()
    caller = phones(says=600, name="Alice").call("soon-1001")
    assert browser.hears(600)
    browser.press("4")
    assert wait_for(lambda: caller.digits() == "4")
    browser.press("*5")
    assert caller.audio.hears(MUSIC) and wait_for(lambda: not browser.talks()) and caller.digits() == "4"
    uuid = switch.events.wait("park", CallPark_Parker="1001@callpark.test")["Unique-ID"]
    assert browser.hears(600, within=8) and caller.audio.hears(700)
    assert switch.events.wait("return")["CallPark-Retriever"] == "1001@callpark.test"
    assert switch.events.of(uuid) == ["park", "ringback", "return"]
    browser.hang_up()
    assert caller.wait_over()
