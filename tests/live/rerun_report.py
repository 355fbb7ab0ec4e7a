"""A pytest plugin for reruns: it keeps the report and FreeSWITCH's log of each test run that failed, and it fails the whole run if more
than MAX_RERUNS tests were run again, although these passed in the end."""

import re
import shutil
from pathlib import Path

import pytest

# A busy machine may be too slow for a test. More reruns than this show a fault of the module or of a test.
MAX_RERUNS = 2


def pytest_addoption(parser):
    folder = Path(__file__).parents[2] / "target/reruns"
    parser.addoption("--reruns-dir", default=folder, type=Path, help="the folder for the reports and logs of failed tests")


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
    """Yields the objects among these values, and in lists of them, that have a FreeSWITCH's folder."""
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


def _reruns(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("rerun", []) if reporter else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    if not _is_worker(session.config) and len(_reruns(session.config)) > MAX_RERUNS and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    reports = _reruns(config)
    for report in reports:
        terminalreporter.write_line(f"{report.nodeid} failed at first: {report.longreprtext.strip()[-2000:]}")
        terminalreporter.write_line(f"  its log: {_of_test(config, report.nodeid)}")
    if len(reports) > MAX_RERUNS:
        terminalreporter.write_line(f"{len(reports)} tests were run again, expected at most {MAX_RERUNS}: the run fails", red=True)
