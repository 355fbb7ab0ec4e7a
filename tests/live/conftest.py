"""Fixtures: one FreeSWITCH for all tests of a process. After each test it must be idle and its log without errors."""

import os
import re
from contextlib import contextmanager

import pytest

from phone import Phone
from switch import ROOT, Switch, find_prefix, malformed_lines, wait_for

pytest_plugins = ["rerun_report"]

MUSIC = 440
LOTS = f"""
<lot name="main" domain="*">
  <param name="slots" value="701-710"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="0"/>
</lot>
<lot name="star" domain="callpark.test">
  <param name="slots" value="*5901-*5903"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
</lot>
"""
# The same lots, from which a leg that belongs to no user may retrieve too.
ANYBODY = LOTS.replace('<param name="slots"', '<param name="retrieve-anonymous" value="true"/><param name="slots"')
USUAL = (LOTS, "", None, "")  # the default arguments of `Switch.configure`
# Errors that the log may have: missing sound files, and refusals that tests cause.
EXPECTED = re.compile(r"Can't open file|Error Opening File|callpark: (?:HTTP server cannot be started|fallback failed|exit failed|configuration error|configuration has errors|running with)|Invalid file format \[local_stream\]|Invalid Application|sofia_contact|USER_NOT_REGISTERED|Cannot Blind Transfer 1 Legged"
                      r"|find macro (?:voicemail|callpark)_|find language|Invalid SAY Interface|contains a variable")


# These tests load the processor or analyse every packet, so they never run at the same time.
EXCLUSIVE = {"test_chaos", "test_command", "test_concurrency", "test_music", "test_soak"}
# The files that take longest.
LONG = [*sorted(EXCLUSIVE), "test_cluster", "test_scenarios", "test_recover", "test_ringback", "test_history"]
# The longest files, each of which is split between two processes.
SPLIT = {"test_cluster", "test_scenarios"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    # Each process runs whole files with one FreeSWITCH, the longest files first.
    for n, item in enumerate(items):
        group = "exclusive" if item.path.stem in EXCLUSIVE else item.path.stem
        item.add_marker(pytest.mark.xdist_group(f"{group}-{n % 2}" if group in SPLIT else group))
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
    if find_prefix() is None:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="no FreeSWITCH"))


_failed = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    made = yield
    if made.get_result().failed:
        _failed.append(item.nodeid)


@pytest.fixture(scope="session")
def failures():
    """Counts the failed test runs so far. pytest's own count leaves out tests that are run again."""
    return lambda: len(_failed)


def pytest_terminal_summary(terminalreporter):
    skipped = len(terminalreporter.stats.get("skipped", []))
    if find_prefix() is None:
        terminalreporter.write_line(f"skipped: no FreeSWITCH ({skipped} live tests)")


def new_switch(kind=Switch, **more):
    """A FreeSWITCH with the module, not configured and not started."""
    return kind(os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), find_prefix(), **more)


@contextmanager
def stopped_after(switch, failures):
    """Stops a FreeSWITCH at the end, and keeps its directory if a test has failed meanwhile."""
    before = failures()
    try:
        yield
    finally:
        switch.keep = failures() > before
        switch.stop()


@pytest.fixture(scope="session")
def freeswitch(failures):
    switch = new_switch()
    switch.configure(LOTS)
    with stopped_after(switch, failures):
        yield switch.start()


@pytest.fixture
def switch(freeswitch):
    """The running FreeSWITCH with the default lots. After the test it asserts that FreeSWITCH is idle and that there were no errors."""
    if freeswitch.written != USUAL:
        assert freeswitch.reload(LOTS).startswith("+OK")
    freeswitch.events.clear()
    before = len(freeswitch.log())
    yield freeswitch
    if not freeswitch.wait_idle(6):
        left = freeswitch.api("show channels")
        freeswitch.api("hupall")
        freeswitch.wait_idle()
        pytest.fail(f"channels left:\n{left}")
    assert wait_for(lambda: all(lot["used"] == 0 for lot in freeswitch.json("lots"))), "a slot is still occupied"
    errors = [line for line in freeswitch.log()[before:].splitlines()
              if re.search(r"\[(ERR|CRIT|ALERT)\]", line) and not EXPECTED.search(line)]
    assert not errors, "\n".join(errors)
    malformed = malformed_lines(freeswitch.log()[before:])
    assert not malformed, "not a phrase and key=value:\n" + "\n".join(malformed)
    assert re.search(r"panics caught\s+0", freeswitch.api("callpark status"))
    assert freeswitch.process.poll() is None


@pytest.fixture
def phones_of():
    """Makes phones of a FreeSWITCH, and closes them after the test."""
    made = []

    def of(switch):
        def make(user="", **more):
            phone = Phone(switch, user, **more)
            made.append(phone)
            return phone.register() if user else phone

        make.made = made
        return make

    yield of
    for phone in made:
        phone.close()


@pytest.fixture
def phones(switch, phones_of):
    return phones_of(switch)
