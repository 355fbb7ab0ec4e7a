"""SIP profiles without an RTP timer (`rtp-timer-name` `none`): a read of FreeSWITCH waits up to five seconds for the far end's next packet."""

import time

import pytest

from conftest import new_switch, stopped_after
from parking import MUSIC, lot, with_lot
from switch import wait_for
from test_silent_callers import call_out

KEYS = (("exit-key", "#"), ("exit-destination", "tone-1300 XML default"))


@pytest.fixture(scope="module")
def switch(failures):
    switch = new_switch()
    switch.profile = '<param name="rtp-timer-name" value="none"/>'
    switch.configure(lot(("park-timeout", "0")))
    with stopped_after(switch, failures):
        yield switch.start()


@pytest.mark.parametrize("says", [0, 600], ids=["silent", "talking"])
@pytest.mark.parametrize("more", [(), KEYS], ids=["plain", "exit-key"])
def test_a_caller_is_retrieved_at_once(switch, phones_of, says, more):
    """Before: the module waited with FreeSWITCH once a second, so a silent caller heard the retriever up to five seconds late."""
    with_lot(switch, ("park-timeout", "0"), *more)
    phones = phones_of(switch)
    taker = phones("1002", says=900)
    for pause in (2.2, 3.1):
        call, _ = call_out(switch, phones, "Chen", says=says)
        assert call.audio.hears(MUSIC)
        time.sleep(pause)
        assert call.audio.hears(MUSIC)
        began = time.monotonic()
        other = taker.call(switch.calls()[0]["slot"])
        assert call.audio.hears(900, within=4), "the caller does not hear the retriever"
        assert time.monotonic() - began < 1.5
        other.hang_up()
        # FreeSWITCH 1.11 ends the leg of a silent caller only when its read returns, after any bridge.
        assert wait_for(lambda: switch.sessions() == 0, 6)


@pytest.mark.parametrize("more", [{}, {"enable_heartbeat_events": 1}], ids=["dropped", "one by one"])
def test_a_caller_whose_media_is_lost_times_out(switch, phones_of, more):
    """FreeSWITCH counts reads without a packet for rtp-timeout-sec, and here each of them would take five seconds."""
    with_lot(switch, ("park-timeout", "0"))
    call, uuid = call_out(switch, phones_of(switch), "Chen", rtp_timeout_sec=3, says=600, **more)
    assert call.audio.hears(MUSIC)
    time.sleep(4)
    assert [row["uuid"] for row in switch.calls()] == [uuid]
    call.audio.peer = None  # the phone sends nothing more
    assert call.wait_over(6)
