"""Tests that a Verto client, which can set any variable of its calls, counts as the user as whom it has logged in."""

import os

import pytest

from conftest import MUSIC, ROOT
from switch import Switch, find_prefix, free_port, module_dir, wait_for
from verto import MODULE, Verto

LOTS = "".join(f"""<lot name="main" domain="{domain}"><param name="slots" value="{slots}"/><param name="park-timeout" value="0"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/></lot>""" for domain, slots in (("callpark.test", "701-705"), ("other.test", "801-805")))
CLAIMED = {"user_name": "2000", "domain_name": "other.test", "sip_auth_username": "2000", "sip_auth_realm": "other.test", "dialed_user": "2000", "dialed_domain": "other.test",
        "sip_from_user": "2000", "sip_from_host": "other.test", "verto_user": "2000@other.test", "presence_id": "2000@other.test"}


@pytest.fixture
def webrtc(failures):
    """A FreeSWITCH with mod_verto."""
    prefix = find_prefix()
    if not (module_dir(prefix) / "mod_verto.so").exists():
        pytest.skip("FreeSWITCH without mod_verto")
    switch, failed, port = Switch(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), prefix), failures(), free_port()
    switch.more, switch.verto_port = MODULE.replace("@PORT@", str(port)), port
    switch.configure(LOTS)
    try:
        switch.start()
        assert all("+OK" in switch.api(f"load mod_{name}") for name in ("rtc", "verto"))
        yield switch
    finally:
        switch.keep = failures() > failed
        switch.stop()


def test_a_verto_client_cannot_claim_to_be_another_user(webrtc, phones_of):
    """Before: the module believed `user_name` and `domain_name` that the client had set, and the client could retrieve another tenant's call."""
    caller = phones_of(webrtc)("2000", domain="other.test", says=600).call("do-park-801_main@other.test")
    assert wait_for(webrtc.calls)
    for variables in ({}, CLAIMED):
        client = Verto(webrtc.verto_port, "1001@callpark.test", "1001", variables)
        assert "error" not in client.answer, client.answer
        webrtc.events.clear()
        call = client.call("do-retrieve-801_main@other.test", **({"userVariables": variables} if variables else {}))
        denied = webrtc.events.wait("denied", CallPark_Retriever_UUID=call)
        assert denied["CallPark-Retriever"] == "1001@callpark.test", denied["CallPark-Retriever"]
        assert [row["slot"] for row in webrtc.calls()] == ["801"] and caller.audio.hears(MUSIC)
        client.close()
        webrtc.api(f"uuid_kill {call}")
    caller.hang_up()


@pytest.mark.parametrize("variables", [{"callpark_page": "x"}, {"callpark_join": "UUID"}])
def test_a_verto_client_cannot_pass_for_a_leg_that_the_module_has_called(webrtc, phones_of, variables):
    """Before: a client that set `callpark_page` was taken for a paged phone, and one that set `callpark_join` for the parker of the call with that UUID."""
    caller = phones_of(webrtc)("2000", domain="other.test", says=600).call("do-park-801_main@other.test")
    assert wait_for(webrtc.calls)
    uuid = webrtc.calls()[0]["uuid"]
    client = Verto(webrtc.verto_port, "1001@callpark.test", "1001", {name: value.replace("UUID", uuid) for name, value in variables.items()})
    webrtc.events.clear()
    call = client.call("do-retrieve-801_main@other.test")
    denied = webrtc.events.wait("denied", CallPark_Retriever_UUID=call)
    assert denied["CallPark-Retriever"] == "1001@callpark.test"
    assert [row["slot"] for row in webrtc.calls()] == ["801"] and caller.audio.hears(MUSIC)
    client.close()
    webrtc.api(f"uuid_kill {call}")
    caller.hang_up()


def test_a_verto_client_sets_the_variables_of_the_dialplan(webrtc):
    """They cannot be told from those that the dialplan sets; docs/security.md says so."""
    client = Verto(webrtc.verto_port, "1001@callpark.test", "1001", {"callpark_label": "from the client", "callpark_parker": "1002@callpark.test"})
    call = client.call("do-park-701")
    [row] = wait_for(webrtc.calls)
    assert (row["uuid"], row["label"], row["parker"]) == (call, "from the client", "1002@callpark.test")
    client.close()
    webrtc.api(f"uuid_kill {call}")
