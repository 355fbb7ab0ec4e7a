"""Tests callers who choose the UUID of their leg: by the Call-ID, with `inbound-use-callid-as-uuid` in the profile."""

import uuid

import pytest

from conftest import new_switch, stopped_after
from parking import extension, lot
from phone import DOMAIN, Call
from switch import wait_for
from test_identity_cases import replaces


@pytest.fixture(scope="module")
def open_switch(failures):
    switch = new_switch()
    switch.profile = '<param name="inbound-use-callid-as-uuid" value="true"/>'
    switch.configure(lot(("park-timeout", "0"), ("ringback-timeout", "15")), extensions=extension("pick-(.*)", ("answer", ""), ("intercept", "$1")))
    with stopped_after(switch, failures):
        yield switch.start()


def parked_with_uuid(switch, phones, chosen):
    """Lets a caller with this UUID be parked by 1001, and starts the recall. Returns the caller's call and the ringing call."""
    parker = phones("1001", says=700)
    parker.on_ring = 0.1
    caller = Call(phones(says=600))
    caller.id = chosen
    caller.invite("1001", 5, (), None, "")
    call = parker.wait_call()
    assert call.answered.wait(5)
    call.refer("700")
    assert wait_for(lambda: [row["uuid"] for row in switch.calls()] == [chosen])
    call.hang_up()
    assert wait_for(lambda: len(switch.legs()) == 1)  # the core's list is late, and would show the ended leg as a ringing one
    parker.on_ring = None
    assert switch.api("callpark ringback 701").startswith("+OK")
    return caller, parker.rang.get(timeout=5)


@pytest.mark.parametrize("way", ["Replaces", "intercept"])
def test_a_uuid_with_a_comma_runs_no_application(open_switch, phones_of, way):
    """The colleague who picks up the recall is sent to the call by its UUID. Before: the rest of the UUID ran as applications, such as `system`."""
    phones = phones_of(open_switch)
    mark = open_switch.dir / f"mark-{way}"
    caller, ringing = parked_with_uuid(open_switch, phones, f"x{uuid.uuid4().hex[:8]},system:touch {mark}")
    colleague = phones("1002", says=900)
    if way == "Replaces":
        taken = colleague.call("1001", headers=[replaces(ringing)])
    else:
        leg = wait_for(lambda: next((row["uuid"] for row in open_switch.legs() if row["callstate"] == "RINGING" and row["direction"] == "outbound"), None))
        taken = colleague.call(f"pick-{leg}")
    assert taken.audio.hears(600) and caller.audio.hears(900) and ringing.wait_over()
    assert open_switch.events.wait("retrieve")["CallPark-Retriever"] == f"1002@{DOMAIN}"
    caller.hang_up()
    assert open_switch.wait_idle() and not mark.exists()
