"""Tests that nobody is forgotten: late callers come first, with a sound and a notification for those who asked for them."""

import pytest
from browser import until

pytestmark = pytest.mark.stand_in
LISTEN = """
  window.sounds = []; window.shown = [];
  window.OscillatorNode = class extends OscillatorNode { start(when) { sounds.push(this.frequency.value); super.start(when); } };
  window.Notification = class { constructor(title, options) { shown.push([title, options.body, this]); } close() {}
    static permission = 'granted'; static requestPermission() { return Promise.resolve(arguments[0] ?? this.permission); } };
"""


@pytest.fixture
def three(page, site):
    for slot, name in [("702", "Anna Berg"), ("704", "Mr Chen"), ("706", "Olga Petrova")]:
        site.park(name, "+49 30 901820", slot)
    page.sign_in().shows("706", "Olga Petrova")
    page.run(LISTEN)
    return page


def order(page):
    return page.run("return [...document.querySelectorAll('#boards .board:first-of-type [data-state=parked]')].map((item) => item.dataset.slot)")


def test_late_callers_come_first_and_are_marked(three, site):
    assert order(three) == ["702", "704", "706"]
    three.run("document.querySelector('[data-slot=\"706\"] button').focus()")
    site.remind("706")
    until(lambda: order(three) == ["706", "702", "704"], 2, "the late caller is the first")
    assert "late" in three.slot("706") and "late" not in three.slot("702")
    assert three.focused('[data-slot="706"] button'), "the focus moves along"
    until(lambda: "Olga Petrova has waited on 706 for 0:0" in three.text("#announcer"), 3, "a screen reader says it")


def test_alerts_are_asked_for_heard_and_remembered(three, site):
    site.remind("702")
    until(lambda: order(three)[0] == "702", 2, "the late caller is the first")
    assert three.run("return [sounds.length, shown.length]") == [0, 0], "nobody has asked"
    three.one("#alerts").click()
    until(lambda: three.text("#alerts") == "Alerts are on", 1, "the button says so")
    assert three.run("return sounds.splice(0).length") == 2, "what it sounds like"
    for times in (1, 2):  # repeated as often as the server reminds
        site.remind("704")
        until(lambda: three.run("return [sounds.length, shown.length]") == [2 * times, times], 2, "a sound and a notification")
    title, body = three.run("return shown[0].slice(0, 2)")
    assert title.startswith("Mr Chen has waited for 0:0") and body == "Slot 704, lot main"
    three.run("shown[0][2].onclick()")
    until(three.dialog_open, 1, "the notification opens the call")
    three.driver.refresh()
    until(lambda: three.text("#alerts") == "Alerts are on", 3, "it is remembered")
    three.one("#alerts").click()
    assert three.run("return localStorage.length") == 0


def test_without_reminders_the_service_level_counts(three, site):
    three.one("#alerts").click()
    site.park("Garage Lefèvre", "+33 1 42 68 53 00", "710", ago=55)
    three.shows("710", "Garage")
    assert three.run("return shown.length") == 0
    until(lambda: three.run("return shown.length") == 1, 8, "the caller is told of when the service level has passed, without any event")
    site.board.tell("label", site.board.calls["710"])
    three.run("return new Promise((resolve) => setTimeout(resolve, 1500))")
    assert three.run("return shown.length") == 1, "once"


def test_a_link_opens_the_call_of_its_slot(three, site):
    three.driver.get(f"{site.url}?lot=main&slot=704")
    until(three.dialog_open, 3, "the dialog is open")
    assert "Mr Chen" in three.text("dialog h2")
    three.driver.get(f"{site.url}?lot=main&slot=719")
    until(lambda: "not parked any more" in three.text("#notices"), 3, "the caller has gone")
