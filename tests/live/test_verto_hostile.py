"""Tests that a Verto client, which can set any variable of its calls, counts as the user as whom it has logged in."""


import pytest

from conftest import MUSIC, new_switch, stopped_after
from switch import find_prefix, free_port, module_dir, wait_for
from verto import MODULE, Verto

LOTS = "".join(f"""<lot name="main" domain="{domain}"><param name="slots" value="{slots}"/><param name="park-timeout" value="0"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/></lot>""" for domain, slots in (("callpark.test", "701-705"), ("other.test", "801-805")))
CLAIMED = {"user_name": "2000", "domain_name": "other.test", "sip_auth_username": "2000", "sip_auth_realm": "other.test", "dialed_user": "2000", "dialed_domain": "other.test",
        "sip_from_user": "2000", "sip_from_host": "other.test", "verto_user": "2000@other.test", "presence_id": "2000@other.test"}


@pytest.fixture(scope="module")
def running(failures):
    """A FreeSWITCH with mod_verto."""
    prefix = find_prefix()
    if not (module_dir(prefix) / "mod_verto.so").exists():
        pytest.skip("FreeSWITCH without mod_verto")
    switch, port = new_switch(), free_port()
    switch.more, switch.verto_port = MODULE.replace("@PORT@", str(port)), port
    switch.configure(LOTS)
    with stopped_after(switch, failures):
        switch.start()
        assert all("+OK" in switch.api(f"load mod_{name}") for name in ("rtc", "verto"))
        yield switch


@pytest.fixture
def webrtc(running):
    running.events.clear()
    yield running
    running.api("hupall")
    assert running.wait_idle(), running.api("show channels")
    assert wait_for(lambda: running.calls() == [])


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


# What the directory says of user 1001, and what a client claims.
OF_DIRECTORY = {"callpark_label": "of the directory", "callpark_timeout": "77"}
OF_CLIENT = {"callpark_parker": "1002@callpark.test", "CallPark_Fallback": "tone-1300", "callpark_ringback": "loopback/tone-1300", "callpark_label": "from the client", "callpark_timeout": "5",
             "callpark_last_user": "1002@callpark.test", "callpark_hold_music": "tone_stream://%(1000,0,1500);loops=-1",
             "valet_hold_music": "tone_stream://%(1000,0,1500);loops=-1", "valet_parking_timeout": "3", "valet_parking_orbit_exten": "tone-1300",
             "sip_h_Referred-By": "<sip:2000@other.test>", "sip_refer_to": "<sip:700@callpark.test>", "dialed_user": "2000", "dialed_domain": "other.test",
             "verto_skip_set_user": "true", "mood": "good"}


@pytest.fixture
def with_directory(webrtc):
    """User 1001 has variables in the directory."""
    webrtc.configure(LOTS)
    path = webrtc.dir / "conf/freeswitch.xml"
    variables = "".join(f'<variable name="{name}" value="{value}"/>' for name, value in OF_DIRECTORY.items())
    path.write_text(path.read_text().replace('<param name="jsonrpc-allowed-methods" value="verto"/></params><variables>', f'<param name="jsonrpc-allowed-methods" value="verto"/></params><variables>{variables}'))
    webrtc.api("reloadxml")
    yield webrtc
    webrtc.configure(LOTS)
    webrtc.api("reloadxml")


def is_as_the_directory_says(switch, call, label):
    [row] = wait_for(lambda: [row for row in switch.calls() if row["uuid"] == call])
    assert row["label"] == label and switch.var(call, "callpark_timeout") == "77", row
    assert switch.var(call, "mood") == "good", "the other variables of the client are its own"
    for name in OF_CLIENT.keys() - OF_DIRECTORY.keys() - {"mood", "callpark_parker"}:
        assert switch.var(call, name) is None, name
    return row


def test_a_verto_client_cannot_set_the_variables_of_a_dialplan(with_directory):
    """Before: they could not be told from those that the dialplan had set, and the client named the parker, the fallback and the recall."""
    switch = with_directory
    client = Verto(switch.verto_port, "1001@callpark.test", "1001", OF_CLIENT)
    call = client.call("do-park-701")
    assert is_as_the_directory_says(switch, call, "of the directory")["parker"] == ""
    switch.api(f"uuid_kill {call}")
    assert wait_for(lambda: switch.calls() == [])
    # The dialplan sets them later, and counts.
    call = client.call("with-parker-701")
    assert is_as_the_directory_says(switch, call, "of the directory")["parker"] == "2000@other.test"
    client.close()
    switch.api(f"uuid_kill {call}")


def test_a_verto_client_cannot_set_them_on_a_call_to_it_either(with_directory):
    """mod_verto sets them over those of the dial string. When the client answers, the core sets those of the directory."""
    switch = with_directory
    client = Verto(switch.verto_port, "1001@callpark.test", "1001", OF_CLIENT)
    switch.api("bgapi expand originate {callpark_parker=1003@callpark.test,callpark_fallback=reception}${verto_contact(1001@callpark.test)} do-park-701 XML default")
    call = client.answer_call()
    [row] = wait_for(switch.calls)
    assert row["parker"] == "1003@callpark.test" and switch.var(call, "callpark_fallback") == "reception"
    assert row["label"] == "of the directory" and switch.var(call, "valet_hold_music") is None and switch.var(call, "dialed_user") != "2000"
    assert switch.var(call, "mood") == "good"
    client.close()
    switch.api(f"uuid_kill {call}")
