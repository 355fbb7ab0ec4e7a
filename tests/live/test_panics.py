"""Injects a panic at each panic fence on a real FreeSWITCH: the call goes on, the panic is counted, and FreeSWITCH does not crash. The module is
a build of its own with fault injection (`make live` makes it)."""

import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import MUSIC, ROOT, stopped_after
from parking import extension
from phone import DOMAIN
from receiver import Receiver
from switch import Switch, find_prefix, free_port, wait_for

FAULTY_MODULE = Path(os.environ.get("CALLPARK_FAULT_INJECTION_MODULE", ROOT / "target/fault-injection/libmod_callpark.so"))
TOKEN = "reception-0123456789"
LOT = f"""
<lot name="main" domain="*">
  <param name="slots" value="701-710"/>
  <param name="hold-music" value="{{alone=true}}tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="3"/>
  <param name="ringback-timeout" value="5"/>
  <param name="exit-key" value="0"/>
  <param name="exit-destination" value="tone-1300"/>
</lot>"""
PATIENT = LOT.replace('"park-timeout" value="3"', '"park-timeout" value="0"')
# Without `alone`, the music is shared.
SHARED = PATIENT.replace("{alone=true}", "")


class Buggy:
    """A FreeSWITCH with the module in which panics can be injected."""

    def __init__(self, switch, http, tokens):
        self.switch, self.http, self.tokens = switch, http, tokens
        self.before = 0

    def plant(self, fence):
        self.before = self.caught()
        self.switch.api(f"global_setvar callpark_inject_fault=panic 0 {fence}")

    def clear(self):
        """Ends the injection. Returns the number of panics since it began."""
        self.switch.api("global_setvar callpark_inject_fault=")
        return self.caught() - self.before

    def caught(self):
        return int(re.search(r"panics caught\s+(\d+)", self.switch.api("callpark status")).group(1))

    def ask(self, path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", method=method, headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    def alive(self):
        try:
            return self.ask("/healthz") == (200, "ok")
        except OSError:
            return False


@pytest.fixture(scope="module")
def buggy(failures):
    assert FAULTY_MODULE.exists(), f"no {FAULTY_MODULE}: cargo build --profile fault-injection --features fault-injection"
    switch, http = Switch(FAULTY_MODULE, find_prefix()), free_port()
    tokens = switch.dir / "tokens"
    tokens.write_text(f"{TOKEN} view,act *\n")
    tokens.chmod(0o600)
    switch.configure(PATIENT, f'<param name="feature-code" value="*5"/><param name="http-listen" value="127.0.0.1:{http}"/><param name="http-token-file" value="{tokens}"/>',
                     extensions=extension("plain-(1\\d\\d\\d)", ("bridge", f"user/$1@{DOMAIN}")))
    with stopped_after(switch, failures):
        yield Buggy(switch.start(), http, tokens)
        assert switch.process.poll() is None, "FreeSWITCH has ended"


@pytest.fixture
def phones(buggy, phones_of):
    yield phones_of(buggy.switch)
    buggy.clear()
    buggy.switch.api("hupall")
    assert buggy.switch.wait_idle(8)
    assert wait_for(lambda: buggy.switch.calls() == [], 8)


def parked(buggy, phones, says=0):
    """Lets 1001 park a caller in slot 701. Returns the caller's call."""
    receptionist = phones("1001")
    receptionist.on_ring = 0
    caller = phones(says=says).call("1001")
    leg = receptionist.wait_call()
    assert leg.answered.wait(5)
    leg.refer("700")
    assert wait_for(lambda: len(buggy.switch.calls()) == 1)
    assert caller.audio.hears(MUSIC)
    return caller


def retrieve(buggy, phones, caller):
    taker = phones("1002", says=900).call("701")
    assert caller.audio.hears(900)
    taker.hang_up()
    assert caller.wait_over()


@pytest.mark.parametrize("fence, number", [("callpark_park", "do-park-auto"), ("callpark_slot", "do-slot-702"), ("callpark_retrieve", "do-retrieve-oldest"), ("valet_park", "do-valet-6001")])
def test_after_a_panic_in_an_application_the_dialplan_continues(buggy, phones, fence, number):
    buggy.plant(fence)
    call = phones().call(number)
    assert call.audio.hears(1700)
    assert buggy.clear() == 2, "the application was not tried twice"
    call.hang_up()
    assert buggy.switch.calls() == []


def test_after_a_panic_in_the_dialplan_the_next_one_is_asked(buggy, phones):
    call = phones().call("tone-1300")
    assert call.audio.hears(1300)
    buggy.plant("dialplan")
    buggy.switch.api(f"uuid_transfer {buggy.switch.leg(direction='inbound')} tone-900 callpark,XML default")
    assert call.audio.hears(900, within=5)
    assert buggy.clear() == 1
    call.hang_up()


def test_a_panic_at_a_new_leg_harms_no_call(buggy, phones):
    buggy.plant("new leg")
    call = phones().call("tone-1300")
    assert call.audio.hears(1300)
    assert buggy.clear() == 4, "a leg has four callbacks"
    call.hang_up()


@pytest.mark.parametrize("fence, keys, arrive", [("callpark_feature_code", "*5", ""), ("digit", "*5", "*5"), ("kept digits", "*", "*"),
                                                 ("due digits", "*", ""), ("feature code", "*5", "*5")])
def test_a_panic_at_a_digit_harms_no_call(buggy, phones, fence, keys, arrive):
    """Afterwards digits pass, and the code has its effect."""
    user = phones("1001", says=700)
    user.on_ring = 0.1
    caller = phones(says=600).call("plain-1001")
    call = user.wait_call()
    assert caller.audio.hears(700) and call.audio.hears(600)
    buggy.plant(fence)
    call.press(keys)
    assert wait_for(lambda: buggy.caught() > buggy.before)
    assert wait_for(lambda: caller.digits() == arrive, 8)
    assert buggy.clear() > 0
    call.press("7")
    assert wait_for(lambda: caller.digits() == arrive + "7")
    call.press("*5")
    assert caller.audio.hears(MUSIC, within=5)
    caller.hang_up()


def test_a_panic_in_a_command_or_a_completion_is_an_error_answer(buggy):
    buggy.plant("callpark")
    assert buggy.switch.api("callpark list").startswith("-ERR internal error")
    assert buggy.clear() >= 1
    assert not buggy.switch.api("callpark list").startswith("-ERR")
    buggy.plant("valet_info")
    assert buggy.switch.api("valet_info").startswith("-ERR internal error")
    assert buggy.clear() >= 1
    buggy.plant("completion")
    buggy.switch.api("console_complete callpark show 7")
    assert buggy.clear() >= 1


def test_a_panic_in_an_event_handler_harms_no_parked_call(buggy, phones):
    caller = parked(buggy, phones)
    buggy.plant("event")
    buggy.switch.api("reloadxml")
    assert wait_for(lambda: buggy.caught() > buggy.before)
    buggy.clear()
    retrieve(buggy, phones, caller)


@pytest.mark.parametrize("fence", ["tick", "due", "recall"])
def test_a_panic_in_a_timer_only_delays_the_recall(buggy, phones, fence):
    assert buggy.switch.reload(LOT, *buggy.switch.written[1:2]).startswith("+OK")
    try:
        caller = parked(buggy, phones)
        buggy.plant(fence)
        assert wait_for(lambda: buggy.caught() > buggy.before, 6)
        assert caller.audio.hears(MUSIC)
        buggy.clear()
        assert phones.made[0].wait_call(8).answered.wait(5)
        assert wait_for(lambda: buggy.switch.calls() == [])
    finally:
        assert buggy.switch.reload(PATIENT, *buggy.switch.written[1:2]).startswith("+OK")


def test_panics_in_the_handlers_of_frames_and_digits_do_not_stop_the_music(buggy, phones):
    caller = parked(buggy, phones, says=500)
    buggy.plant("listener frame")
    time.sleep(1)
    # There is a panic with every frame: playing continues after each, so that a retrieval is noticed.
    assert buggy.clear() > 3
    assert caller.audio.hears(MUSIC)
    buggy.plant("listener key")
    caller.press("0")
    assert wait_for(lambda: buggy.caught() > buggy.before)
    buggy.clear()
    assert caller.audio.hears(MUSIC)
    caller.press("0")
    assert caller.audio.hears(1300)


def test_a_panic_while_connecting_does_not_prevent_the_conversation(buggy, phones):
    caller = parked(buggy, phones)
    buggy.plant("bridge message")
    retrieve(buggy, phones, caller)
    assert buggy.clear() == 1


@pytest.mark.parametrize("fence", ["storage", "observer", "slot store", "history"])
def test_a_panic_while_storing_or_publishing_harms_no_call(buggy, phones, fence):
    buggy.plant(fence)
    caller = parked(buggy, phones)
    retrieve(buggy, phones, caller)
    assert wait_for(lambda: buggy.caught() > buggy.before)
    buggy.clear()


def test_a_panic_in_a_history_query_is_an_error_answer(buggy):
    buggy.plant("history query")
    assert buggy.switch.api("callpark history").startswith("-ERR")
    assert buggy.clear() == 1
    assert not buggy.switch.api("callpark history").startswith("-ERR")


def test_after_a_panic_in_shared_music_each_leg_plays_for_itself(buggy, phones):
    assert buggy.switch.reload(SHARED, *buggy.switch.written[1:2]).startswith("+OK")
    try:
        buggy.plant("music")
        caller = parked(buggy, phones)
        assert " 1 play alone" in buggy.switch.api("callpark status")
        assert buggy.clear() >= 1
        retrieve(buggy, phones, caller)
        retrieve(buggy, phones, parked(buggy, phones))
    finally:
        assert buggy.switch.reload(PATIENT, *buggy.switch.written[1:2]).startswith("+OK")


def test_a_leg_that_is_not_woken_notices_the_hangup_later(buggy, phones):
    # There is no exit key, because a leg with an exit key does not sleep.
    sleepy = re.sub(r".*exit-.*\n", "", SHARED)
    assert buggy.switch.reload(sleepy, *buggy.switch.written[1:2]).startswith("+OK")
    try:
        caller = parked(buggy, phones, says=500)
        buggy.plant("signal")
        caller.hang_up()
        assert wait_for(lambda: buggy.switch.calls() == [], 4)
        assert buggy.clear() >= 1
        retrieve(buggy, phones, parked(buggy, phones, says=500))
    finally:
        assert buggy.switch.reload(PATIENT, *buggy.switch.written[1:2]).startswith("+OK")


def test_a_panic_in_a_database_row_is_an_error_answer(buggy, phones):
    retrieve(buggy, phones, parked(buggy, phones))
    assert wait_for(lambda: '"uuid"' in buggy.switch.api("callpark history as json"))
    buggy.plant("database row")
    assert buggy.switch.api("callpark history as json").startswith("-ERR")
    assert buggy.clear() >= 1
    assert '"uuid"' in buggy.switch.api("callpark history as json")


def test_a_panic_in_a_request_is_a_500_and_is_counted(buggy, phones):
    caller = parked(buggy, phones)
    for fence, path, method in [("http request", "/api/v1/calls", "GET"),
                                ("http work", "/api/v1/calls/callpark.test/701/ringback", "POST")]:
        buggy.plant(fence)
        assert buggy.ask(path, method)[0] == 500
        assert buggy.clear() == 1
    assert buggy.ask("/api/v1/calls")[0] == 200
    assert re.search(rf"^freeswitch_callpark_panics_caught_total {buggy.caught()}$", buggy.ask("/metrics")[1], re.M)
    retrieve(buggy, phones, caller)


def test_a_panic_in_the_http_thread_harms_no_call_and_the_thread_is_started_again(buggy, phones):
    caller = parked(buggy, phones)
    buggy.plant("http")
    # A reload starts the HTTP server again only if its configuration has changed.
    buggy.tokens.write_text(f"{TOKEN} view,act *\nanother-0123456789 view *\n")
    buggy.switch.api("callpark reload")
    assert wait_for(lambda: buggy.caught() > buggy.before)
    assert buggy.clear() >= 1
    retrieve(buggy, phones, caller)
    assert wait_for(buggy.alive, 10, 0.5), "the HTTP server was not started again"


def test_a_panic_at_a_message_of_a_hook_loses_that_message_alone(buggy, phones):
    receiver = Receiver()
    buggy.switch.hooks = f'<hook name="chat" url="{receiver.url}" events="park,retrieved"/>'
    assert buggy.switch.reload(PATIENT, *buggy.switch.written[1:2]).startswith("+OK")
    try:
        buggy.plant("hook message")
        caller = parked(buggy, phones)
        assert buggy.switch.events.wait("hook-failed")["CallPark-Cause"] == "a bug of the module, see the log"
        assert buggy.clear() == 1
        retrieve(buggy, phones, caller)
        assert [body["event"] for body in receiver.wait(1)] == ["retrieved"]
    finally:
        buggy.switch.hooks = ""
        assert buggy.switch.reload(PATIENT, *buggy.switch.written[1:2]).startswith("+OK")
        receiver.close()


def test_a_panic_in_the_recovery_hook_does_not_prevent_the_recovery(buggy, phones):
    caller = parked(buggy, phones)
    time.sleep(2)  # the core stores its recovery data in the background
    buggy.switch.kill()
    buggy.switch.start()
    buggy.plant("recovered leg")
    buggy.switch.api("sofia recover")
    assert wait_for(lambda: [row["state"] for row in buggy.switch.calls()] == ["parked"], 8)
    assert buggy.clear() == 1
    retrieve(buggy, phones, caller)


def test_after_a_panic_in_shutdown_and_in_load_the_module_can_be_loaded(buggy, phones):
    buggy.plant("shutdown")
    # The core removes the interfaces before it calls the shutdown function, and keeps the code loaded if that fails.
    buggy.switch.api("unload mod_callpark")
    assert buggy.switch.api("module_exists mod_callpark").strip() == "false"
    buggy.switch.api("global_setvar callpark_inject_fault=panic 0 load")
    assert "-ERR" in buggy.switch.api("load mod_callpark")
    buggy.switch.api("global_setvar callpark_inject_fault=")
    assert "+OK" in buggy.switch.api("load mod_callpark")
    retrieve(buggy, phones, parked(buggy, phones))
    assert buggy.switch.process.poll() is None


def test_the_installed_module_has_no_fault_injection():
    installed = Path(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so")).read_bytes()
    assert b"callpark_inject_fault" in FAULTY_MODULE.read_bytes()
    assert b"callpark_inject_fault" not in installed


def test_the_backtrace_of_a_panic_names_functions_by_the_symbols_beside_the_module(failures, tmp_path):
    """As the module is installed: stripped, with its symbols in `.debug`. docs/install.md describes it."""
    subprocess.run([ROOT / "scripts/split-debug", FAULTY_MODULE, tmp_path], check=True)
    switch = Switch(tmp_path / "mod_callpark.so", find_prefix())
    switch.environment = {"RUST_BACKTRACE": "1"}
    switch.configure(PATIENT)
    with stopped_after(switch, failures):
        bug = Buggy(switch.start(), 0, None)
        bug.plant("callpark")
        assert "internal error" in switch.api("callpark list") and bug.clear() == 1
        said = (switch.dir / "console").read_text(errors="replace")
        assert re.search(r"panicked at src/.*\n(?s:.*)stack backtrace:\n(?s:.*)mod_callpark::freeswitch::command::", said), said
