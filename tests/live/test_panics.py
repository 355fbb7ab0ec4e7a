"""A panic behind each fence, on a real FreeSWITCH: the call goes on, the counter says so, FreeSWITCH lives. The module is a build
of its own with injected faults (`make live` makes it)."""

import os
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import MUSIC, ROOT
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
# Without what stands before it, the music is shared.
SHARED = PATIENT.replace("{alone=true}", "")


class Buggy:
    """A FreeSWITCH with injected faults."""

    def __init__(self, switch, http, tokens):
        self.switch, self.http, self.tokens = switch, http, tokens
        self.before = 0

    def plant(self, fence):
        self.before = self.caught()
        self.switch.api(f"global_setvar callpark_inject_fault=panic 0 {fence}")

    def clear(self):
        """Panics since the fault was injected."""
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
    switch.configure(PATIENT, f'<param name="http-listen" value="127.0.0.1:{http}"/><param name="http-token-file" value="{tokens}"/>')
    failed = failures()
    try:
        yield Buggy(switch.start(), http, tokens)
        assert switch.process.poll() is None, "FreeSWITCH lives"
    finally:
        switch.keep = failures() > failed
        switch.stop()


@pytest.fixture
def phones(buggy, phones_of):
    yield phones_of(buggy.switch)
    buggy.clear()
    buggy.switch.api("hupall")
    assert buggy.switch.wait_idle(8)
    assert wait_for(lambda: buggy.switch.calls() == [], 8)


def parked(buggy, phones, says=0):
    """A caller in slot 701, parked by 1001."""
    receptionist = phones("1001")
    receptionist.on_ring = 0
    caller = phones(says=says).call("1001")
    leg = receptionist.wait_call()
    assert leg.answered.wait(5)
    leg.refer("700")
    assert wait_for(lambda: len(buggy.switch.calls()) == 1)
    assert caller.audio.hears(MUSIC)
    return caller


def taken(buggy, phones, caller):
    taker = phones("1002", says=900).call("701")
    assert caller.audio.hears(900)
    taker.hang_up()
    assert caller.wait_over()


@pytest.mark.parametrize("fence, number", [("callpark_park", "do-park-auto"), ("callpark_slot", "do-slot-702"), ("callpark_retrieve", "do-retrieve-oldest")])
def test_an_application_ends_and_the_dialplan_goes_on(buggy, phones, fence, number):
    buggy.plant(fence)
    call = phones().call(number)
    assert call.audio.hears(1700)
    assert buggy.clear() == 2, "it is tried twice"
    call.hang_up()
    assert buggy.switch.calls() == []


def test_a_command_and_a_completion_say_nothing_and_the_next_ones_work(buggy):
    buggy.plant("callpark")
    assert buggy.switch.api("callpark list").startswith("-ERR internal error")
    assert buggy.clear() >= 1
    buggy.plant("completion")
    buggy.switch.api("console_complete callpark show 7")
    assert buggy.clear() >= 1


def test_a_reload_that_is_told_of_passes_by(buggy, phones):
    caller = parked(buggy, phones)
    buggy.plant("event")
    buggy.switch.api("reloadxml")
    assert wait_for(lambda: buggy.caught() > buggy.before)
    buggy.clear()
    taken(buggy, phones, caller)


@pytest.mark.parametrize("fence", ["tick", "due", "recall"])
def test_a_time_out_comes_later(buggy, phones, fence):
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


def test_frames_and_keys_that_panic_stop_no_music(buggy, phones):
    caller = parked(buggy, phones, says=500)
    buggy.plant("listener frame")
    time.sleep(1)
    # It begins anew with every frame, so that whoever wants the caller is seen.
    assert buggy.clear() > 3
    assert caller.audio.hears(MUSIC)
    buggy.plant("listener key")
    caller.press("0")
    assert wait_for(lambda: buggy.caught() > buggy.before)
    buggy.clear()
    assert caller.audio.hears(MUSIC)
    caller.press("0")
    assert caller.audio.hears(1300)


def test_two_who_are_connected_by_a_bug_talk_all_the_same(buggy, phones):
    caller = parked(buggy, phones)
    buggy.plant("bridge message")
    taken(buggy, phones, caller)
    assert buggy.clear() == 1


@pytest.mark.parametrize("fence", ["storage", "observer", "slot store"])
def test_what_is_written_and_told_is_no_callers_business(buggy, phones, fence):
    buggy.plant(fence)
    caller = parked(buggy, phones)
    taken(buggy, phones, caller)
    assert wait_for(lambda: buggy.caught() > buggy.before)
    buggy.clear()


def test_a_history_that_cannot_be_read_says_so(buggy):
    buggy.plant("history query")
    assert buggy.switch.api("callpark history").startswith("-ERR")
    assert buggy.clear() == 1
    assert not buggy.switch.api("callpark history").startswith("-ERR")


def test_music_that_cannot_be_shared_is_played_for_each(buggy, phones):
    assert buggy.switch.reload(SHARED, *buggy.switch.written[1:2]).startswith("+OK")
    try:
        buggy.plant("music")
        caller = parked(buggy, phones)
        assert " 1 play alone" in buggy.switch.api("callpark status")
        assert buggy.clear() >= 1
        taken(buggy, phones, caller)
        taken(buggy, phones, parked(buggy, phones))
    finally:
        assert buggy.switch.reload(PATIENT, *buggy.switch.written[1:2]).startswith("+OK")


def test_a_sleeper_who_is_not_woken_looks_up_by_itself(buggy, phones):
    # Without an exit key: who waits for keys does not sleep.
    sleepy = re.sub(r".*exit-.*\n", "", SHARED)
    assert buggy.switch.reload(sleepy, *buggy.switch.written[1:2]).startswith("+OK")
    try:
        caller = parked(buggy, phones, says=500)
        buggy.plant("signal")
        caller.hang_up()
        assert wait_for(lambda: buggy.switch.calls() == [], 4)
        assert buggy.clear() >= 1
        taken(buggy, phones, parked(buggy, phones, says=500))
    finally:
        assert buggy.switch.reload(PATIENT, *buggy.switch.written[1:2]).startswith("+OK")


def test_a_row_that_is_lost_spoils_the_answer(buggy, phones):
    taken(buggy, phones, parked(buggy, phones))
    assert wait_for(lambda: '"uuid"' in buggy.switch.api("callpark history as json"))
    buggy.plant("database row")
    assert buggy.switch.api("callpark history as json").startswith("-ERR")
    assert buggy.clear() >= 1
    assert '"uuid"' in buggy.switch.api("callpark history as json")


def test_a_request_fails_and_the_metric_says_so(buggy, phones):
    caller = parked(buggy, phones)
    for fence, path, method in [("http request", "/api/v1/calls", "GET"),
                                ("http work", "/api/v1/calls/callpark.test/701/ringback", "POST")]:
        buggy.plant(fence)
        assert buggy.ask(path, method)[0] == 500
        assert buggy.clear() == 1
    assert buggy.ask("/api/v1/calls")[0] == 200
    assert re.search(rf"^freeswitch_callpark_panics_caught_total {buggy.caught()}$", buggy.ask("/metrics")[1], re.M)
    taken(buggy, phones, caller)


def test_the_dashboards_thread_is_no_callers_business(buggy, phones):
    caller = parked(buggy, phones)
    buggy.plant("http")
    # It begins anew only where something of it has changed.
    buggy.tokens.write_text(f"{TOKEN} view,act *\nanother-0123456789 view *\n")
    buggy.switch.api("callpark reload")
    assert wait_for(lambda: buggy.caught() > buggy.before)
    assert buggy.clear() >= 1
    taken(buggy, phones, caller)
    assert wait_for(lambda: buggy.alive(), 10, 0.5), "it is started again"


def test_a_caller_is_recovered_all_the_same(buggy, phones):
    caller = parked(buggy, phones)
    time.sleep(2)  # the core writes what it would recover behind the calls' backs
    buggy.switch.kill()
    buggy.switch.start()
    buggy.plant("recovered leg")
    buggy.switch.api("sofia recover")
    assert wait_for(lambda: [row["state"] for row in buggy.switch.calls()] == ["parked"], 8)
    assert buggy.clear() == 1
    taken(buggy, phones, caller)


def test_load_and_shutdown_that_panic_can_be_tried_again(buggy, phones):
    buggy.plant("shutdown")
    # The core takes the interfaces out before it asks, and leaves the code where it is.
    buggy.switch.api("unload mod_callpark")
    assert buggy.switch.api("module_exists mod_callpark").strip() == "false"
    buggy.switch.api("global_setvar callpark_inject_fault=panic 0 load")
    assert "-ERR" in buggy.switch.api("load mod_callpark")
    buggy.switch.api("global_setvar callpark_inject_fault=")
    assert "+OK" in buggy.switch.api("load mod_callpark")
    taken(buggy, phones, parked(buggy, phones))
    assert buggy.switch.process.poll() is None


def test_nothing_of_it_is_in_the_module_that_is_installed():
    installed = Path(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so")).read_bytes()
    assert b"callpark_inject_fault" in FAULTY_MODULE.read_bytes()
    assert b"callpark_inject_fault" not in installed
