"""Second tries: each try that failed leaves its report and FreeSWITCH's log, and a run in which more than a few tests needed a second try
fails, though each of them passed then."""

import re
import shutil
from pathlib import Path

import pytest

# A busy machine is late now and then; more than this is a fault of the module or of a test.
MAX_SECOND_TRIES = 2


def pytest_addoption(parser):
    folder = Path(__file__).parents[2] / "target/reruns"
    parser.addoption("--reruns-dir", default=folder, type=Path, help="where tries that failed leave their logs")


def _folder(config):
    return config.getoption("reruns_dir") / config.rootpath.name


def _is_worker(config):
    return hasattr(config, "workerinput")


def pytest_configure(config):
    if not _is_worker(config):
        shutil.rmtree(_folder(config), ignore_errors=True)


def _of_test(config, nodeid):
    return _folder(config) / re.sub(r"[^\w.-]+", "-", nodeid)[:120]


def _switches(values):
    """Whatever of these has a FreeSWITCH's folder, also in lists."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _switches(value)
        elif isinstance(getattr(value, "dir", None), Path):
            yield value


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    made = yield
    report = made.get_result()
    if not report.failed:
        return
    folder = _of_test(item.config, item.nodeid) / f"{getattr(item, 'execution_count', 1)}-{report.when}"
    folder.mkdir(parents=True, exist_ok=True)
    sections = "".join(f"\n--- {name}\n{text}" for name, text in report.sections)
    (folder / "report.txt").write_text(report.longreprtext + sections, errors="replace")
    for n, place in enumerate({switch.dir for switch in _switches(getattr(item, "funcargs", {}).values())}, 1):
        log = place / "log/freeswitch.log"
        if log.exists():
            shutil.copy(log, folder / f"freeswitch-{n}.log")


def _second_tries(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("rerun", []) if reporter else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    if not _is_worker(session.config) and len(_second_tries(session.config)) > MAX_SECOND_TRIES and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    reports = _second_tries(config)
    for report in reports:
        terminalreporter.write_line(f"{report.nodeid} at its first try: {report.longreprtext.strip()[-2000:]}")
        terminalreporter.write_line(f"  its log: {_of_test(config, report.nodeid)}")
    if len(reports) > MAX_SECOND_TRIES:
        terminalreporter.write_line(f"{len(reports)} tests needed a second try, at most {MAX_SECOND_TRIES} may: the run fails", red=True)
