"""Tests the test phones, the audio analysis, the private FreeSWITCH and the reruns. The module is not involved."""

import os
import subprocess
import sys
import threading

import pytest

from phone import Failed
from switch import HERE, wait_for


def test_a_call_hears_a_tone(phones):
    call = phones().call("tone-1300")
    assert call.audio.hears(1300)
    assert not call.audio.hears(900, within=0.5), "detects a tone that is not there"
    call.hang_up()


def test_silence_is_not_sound(switch, phones):
    assert switch.reload(*switch.written[:3], extensions="""
      <extension name="silence"><condition field="destination_number" expression="^silence$">
        <action application="answer"/>
        <action application="playback" data="silence_stream://-1"/>
      </condition></extension>""").startswith("+OK")
    call = phones().call("silence")
    assert not call.audio.hears_sound(1)
    call.hang_up()


def test_both_ends_of_a_bridge_hear_each_other(phones):
    callee = phones("1001", says=700)
    callee.on_ring = 0
    caller = phones(says=600).call("1001")
    call = callee.wait_call()
    assert call.audio.hears(600) and caller.audio.hears(700)
    caller.hang_up()
    assert call.wait_over()


def test_a_blind_transfer_moves_the_far_end(phones):
    callee = phones("1001", says=700)
    callee.on_ring = 0
    caller = phones(says=600).call("1001")
    call = callee.wait_call()
    assert caller.audio.hears(700)
    call.refer("tone-1300")
    assert caller.audio.hears(1300) and call.wait_over()
    caller.hang_up()


def test_an_attended_transfer_connects_the_two_far_ends(phones):
    callee, expert = phones("1001", says=700), phones("1002", says=900)
    callee.on_ring = expert.on_ring = 0
    caller = phones(says=600).call("1001")
    call = callee.wait_call()
    assert call.answered.wait(5)
    call.hold()
    consultation = callee.call("1002")
    assert consultation.audio.hears(900)
    call.refer("1002", replaces=consultation)
    assert caller.audio.hears(900) and expert.wait_call().audio.hears(600)
    caller.hang_up()


@pytest.mark.parametrize("status", [486, 603])
def test_a_phone_rejects(phones, status):
    phones("1001").on_ring = status
    with pytest.raises(Failed) as refused:
        phones().call("1001")
    assert refused.value.status == {486: 486, 603: 603}[status]


def test_a_phone_rings_until_the_caller_hangs_up(switch, phones):
    callee = phones("1001")
    calling = threading.Thread(target=lambda: pytest.raises(Failed, phones().call, "1001"), daemon=True)
    calling.start()
    ringing = callee.wait_call()
    assert not ringing.answered.is_set() and not ringing.over.is_set()
    switch.api("hupall")
    assert ringing.wait_over(), "the CANCEL did not come"
    calling.join(5)
    assert not calling.is_alive()


def test_a_wrong_password_does_not_register(phones):
    with pytest.raises(Failed):
        phones("1001", password="wrong")


def test_fifty_calls_at_once(switch, phones):
    calls, lock = [], threading.Lock()

    def talk(phone):
        call = phone.call("tone-1300", timeout=20)
        with lock:
            calls.append(call)

    threads = [threading.Thread(target=talk, args=(phones(),)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(calls) == 50 and wait_for(lambda: switch.channels() == 50)
    assert all(call.audio.hears(1300) for call in calls)
    for call in calls:
        call.hang_up()


# --- reruns (rerun_report.py)

FAILS_ONCE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("n", range({tests}))
def test_late(n, tmp_path_factory):
    ran = Path(__file__).with_name(f"ran-{{n}}")
    if not ran.exists():
        ran.touch()
        assert False, "fails once"
"""


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize(("tests", "status"), [(2, 0), (3, 1)])
def test_a_run_with_more_than_two_reruns_fails(tmp_path, processes, tests, status):
    (tmp_path / "test_late.py").write_text(FAILS_ONCE.format(tests=tests))
    words = ["-p", "rerun_report", "-p", "no:cacheprovider", "-n", str(processes), "--reruns", "1", "--reruns-dir", str(tmp_path / "reruns"), "test_late.py"]
    ran = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(HERE)}, capture_output=True, text=True, check=False)
    assert ran.returncode == status and f"{tests} passed, {tests} rerun" in ran.stdout, ran.stdout + ran.stderr
    assert (f"{tests} tests were run again" in ran.stdout) == (status == 1)
    kept = sorted(file for file in (tmp_path / "reruns").rglob("report.txt"))
    assert len(kept) == tests and all("fails once" in file.read_text() and str(file.parents[1]) in ran.stdout for file in kept)
