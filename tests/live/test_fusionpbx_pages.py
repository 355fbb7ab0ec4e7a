"""FusionPBX's own classes read parked calls: the operator panel, the list of active calls, and their buttons.

They are run by php from a clone of FusionPBX's repository that the environment variable FUSIONPBX names. Without it, or without php, these tests are skipped, and
`test_fusionpbx_views.py` reads the same with the same expressions."""

import json
import shutil
import subprocess
import threading

import pytest

from conftest import MUSIC
from fusionpbx import checkout
from phone import DOMAIN
from switch import HERE, wait_for
from test_valet_dialplans import fusionpbx, is_left_clean  # noqa: F401
from valet import park

FOLDERS = ["app/active_calls/resources", "app/operator_panel/resources", "core/websockets/resources", "resources/classes", "resources/interfaces"]


class Pages:
    """FusionPBX's classes, on the FreeSWITCH of the tests."""

    def __init__(self, switch):
        self.checkout, self.port = switch.dir / "fusionpbx", switch.esl_port
        checkout(self.checkout, *FOLDERS)

    def words(self, what, more):
        return ["php", HERE / "fusionpbx.php", self.checkout, str(self.port), DOMAIN, what, json.dumps(more)]

    def ask(self, what, **more):
        done = subprocess.run(self.words(what, more), capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
        return json.loads(done.stdout)

    def follow(self, page):
        return Follower(self.words("events", {"page": page}))


class Follower:
    """What a page tells the browser."""

    def __init__(self, words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.all = []
        assert json.loads(self.process.stdout.readline()) == "ready"
        threading.Thread(target=lambda: self.all.extend(map(json.loads, self.process.stdout)), daemon=True).start()

    def wait(self, **wanted):
        found = wait_for(lambda: next((told for told in self.all if wanted.items() <= told.items()), None))
        assert found, (wanted, [(told["topic"], told.get("action")) for told in self.all])
        return found

    def close(self):
        self.process.stdin.close()
        self.process.wait(5)


@pytest.fixture(scope="module")
def pages(fusionpbx):  # noqa: F811
    if shutil.which("php") is None:
        pytest.skip("php is not installed (package php-cli)")
    return Pages(fusionpbx)


def test_the_operator_panel_shows_who_is_parked_where_and_by_whom(fusionpbx, pages, phones_of):  # noqa: F811
    switch, phones = fusionpbx, phones_of(fusionpbx)
    assert pages.ask("parked") == []
    caller = park(phones, switch, "*5901")
    (row,) = pages.ask("parked")
    (uuid,) = switch.parked().values()
    assert (row["unique_id"], row["valet_extension"], row["action"], row["variable_referred_by_user"]) == (uuid, "*5901", "hold", "1001")
    assert row["caller_caller_id_number"] == caller.phone.user
    (call,) = pages.ask("calls")
    assert (call["unique_id"], call["application"], call["answer_state"], call["caller_context"]) == (uuid, "valet_park", "answered", DOMAIN)
    (first,) = pages.ask("listing")
    assert (first["unique_id"], first["application_name"]) == (uuid, f"valet_park:park@{DOMAIN} *5901")
    taker = phones("1002", says=900).call("*5901")
    assert taker.audio.hears(600) and wait_for(lambda: pages.ask("parked") == [])
    caller.hang_up()
    is_left_clean(switch)


@pytest.mark.parametrize("page, topic", [("panel", "valet_info"), ("list", "valet_parking::info")])
def test_a_page_is_told_of_each_change(fusionpbx, pages, phones_of, page, topic):  # noqa: F811
    switch, phones = fusionpbx, phones_of(fusionpbx)
    browser = pages.follow(page)
    try:
        caller = park(phones, switch, "*5902")
        (uuid,) = switch.parked().values()
        hold = browser.wait(topic=topic, action="hold", unique_id=uuid)
        assert (hold["valet_extension"], hold["variable_referred_by_user"], hold["variable_valet_parking_timeout"]) == ("*5902", "1001", "900")
        assert hold["event_name"] == "valet_parking::info" and hold["caller_context"] == DOMAIN and hold["answer_state"] == "answered"
        taker = phones("1002", says=900).call("*5902")
        assert taker.audio.hears(600)
        bridge = browser.wait(topic=topic, action="bridge", unique_id=uuid)
        assert browser.all.index(bridge) < browser.all.index(browser.wait(topic=topic, action="exit", unique_id=uuid))
        caller.hang_up()
    finally:
        browser.close()
    is_left_clean(switch)


def test_the_buttons_of_the_operator_panel_park_and_connect(fusionpbx, pages, phones_of):  # noqa: F811
    """A call of 1001 is dragged to the parked calls, which transfers the other leg to `*5900`, and from there to 1002."""
    switch, phones = fusionpbx, phones_of(fusionpbx)
    receptionist = phones("1001", says=700)
    receptionist.on_ring = 0.1
    caller = phones(says=600).call("1001")
    assert receptionist.wait_call().answered.wait(5) and caller.audio.hears(700)
    leg = switch.leg(direction="outbound")
    assert pages.ask("action", action="transfer", uuid=leg, destination="*5900", context=DOMAIN, bleg=True)["success"]
    slot = wait_for(lambda: [slot for _, slot in switch.parked()], 8)
    assert slot == ["*5901"] and caller.audio.hears(MUSIC)
    (row,) = pages.ask("parked")
    (call,) = switch.calls()
    assert row["unique_id"] == call["uuid"] and call["parker"] == f"1001@{DOMAIN}"
    colleague = phones("1002", says=900)
    colleague.on_ring = 0.1
    assert pages.ask("action", action="transfer", uuid=row["unique_id"], destination="1002", context=DOMAIN)["success"]
    assert colleague.wait_call().audio.hears(600) and caller.audio.hears(900) and pages.ask("parked") == []
    assert switch.events.of(call["uuid"]) == ["park", "transfer"]
    caller.hang_up()
    is_left_clean(switch)
