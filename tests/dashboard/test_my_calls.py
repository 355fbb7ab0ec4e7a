"""Tests the user's own calls, colleagues, and dragging: each action by mouse and by keyboard."""

import pytest
from browser import Keys, until

pytestmark = pytest.mark.stand_in


@pytest.fixture
def talking(page, site):
    for slot in ("711", "712"):
        site.park("Mr Chen", "+44 20 7946 0991", slot)
        site.end(slot, "retrieved", retriever="1003")
    site.park("Anna Berg", "+49 30 901820", "703")
    site.talk("Olga Petrova", "+7 495 123 4567", ago=75)
    page.sign_in().shows("703", "Anna Berg")
    until(lambda: "Olga Petrova" in page.text("#mine"), 3, "my call is shown")
    until(lambda: page.all(".colleague"), 6, "colleagues are shown")
    return page


def test_my_calls_are_shown_with_their_time(talking, site):
    assert "+7 495 123 4567" in talking.text("#mine") and "1:1" in talking.text("#mine .wait")
    site.board.channels[0]["held"] = True
    until(lambda: "on hold" in talking.text("#mine"), 6, "the hold is shown")
    site.board.channels.clear()
    until(lambda: "You have no call" in talking.text("#mine"), 6, "the end is shown")


def test_park_in_the_first_free_slot_by_keyboard(talking):
    talking.run("document.querySelector('#mine select').focus()")
    talking.press(Keys.TAB)
    assert talking.focused("#mine .park") and talking.one("#mine .park").accessible_name == "Park Olga Petrova"
    talking.press(Keys.SPACE)
    talking.shows("701", "Olga Petrova", 3)
    assert "Olga Petrova is parked on 701" in talking.text("#notices")
    until(lambda: "Olga" not in talking.text("#mine"), 3, "the call is not mine any more")


def test_that_there_is_no_call_is_said_when_it_is_known(talking):
    """Before: after each reload, "You have no call" was there until the first answer."""
    assert talking.module("""
      const { Mine } = await import('./mine.js');
      const list = document.createElement("ul");
      const mine = new Mine(list, () => {});
      const texts = [list.textContent];
      mine.show([]);
      texts.push(list.textContent);
      mine.clear();
      return [...texts, list.textContent];
    """) == ["", "You have no call that can be parked.", ""]


def test_a_call_that_has_ended_cannot_be_parked(talking, site):
    """Before: "This call is not parked any more", of a call that had never been parked."""
    site.board.channels.clear()
    talking.one("#mine .park").click()
    until(lambda: "Olga Petrova: This call has ended." in talking.text("#notices .alert"), 3, "it is told")
    until(lambda: "You have no call" in talking.text("#mine"), 3, "the call is not offered any more")


def test_a_success_does_not_push_out_an_error(talking):
    """Before: the third success removed an error that nobody had closed."""
    assert talking.module("""
      const { Notices } = await import('./notices.js');
      const root = document.createElement("div");
      const notices = new Notices(root);
      const shown = () => [...root.children].map((notice) => notice.querySelector("p").textContent).join(" ");
      notices.fail("A");
      for (const words of ["b", "c", "d"]) notices.tell(words);
      const before = shown();
      for (const words of ["E", "F", "G"]) notices.fail(words);
      return [before, shown()];
    """) == ["A c d", "E F G"]


def test_the_same_error_is_shown_once(talking, site):
    """Before: while the server did not answer, each press added the same error, and the three covered the callers."""
    site.down()
    for _ in range(3):
        talking.one("#mine .park").click()
        until(lambda: talking.all("#notices .alert:not([data-seen])"), 5, "the error is told")
        talking.run("for (const alert of document.querySelectorAll('#notices .alert')) alert.dataset.seen = true")
    assert talking.run("return [...document.querySelectorAll('#notices p')].map((text) => text.innerText)") == [
        "Olga Petrova: The server does not answer. Try again."]


def test_park_in_a_chosen_slot_by_keyboard(talking):
    assert not talking.run("return [...document.querySelectorAll('#mine option')].some((option) => option.text === '703')"), "703 is taken"
    talking.run("document.querySelector('#mine select').focus()")
    talking.press("702", Keys.TAB, Keys.ENTER)
    talking.shows("702", "Olga Petrova", 3)


def test_drag_my_call_onto_a_slot(talking):
    talking.drag("#mine .mine-call", '#boards [data-slot="704"]')
    talking.shows("704", "Olga Petrova", 3)


def test_drag_my_call_onto_a_large_lot(talking, site):
    talking.drag("#mine .mine-call", '[data-lot^="big@"] h2')
    until(lambda: "*5901" in site.board.calls, 3, "the call is parked in the lot")


def test_a_taken_slot_is_no_target(talking, site):
    talking.drag("#mine .mine-call", '#boards [data-slot="703"]')
    assert set(site.board.calls) == {"703"} and not talking.dialog_open()


def test_drag_a_parked_caller_onto_a_colleague(talking, site):
    talking.drag('#boards [data-slot="703"]', '.colleague[data-extension="1003"]')
    talking.shows("703", "free", 3)
    assert "Anna Berg was transferred to 1003" in talking.text("#notices")
    assert site.board.ended[0]["outcome"] == "transferred"
    assert not talking.dialog_open(), "the end of a drag does not open the dialog"


def test_drag_a_parked_caller_onto_my_calls_takes_the_caller(talking, site):
    talking.drag('#boards [data-slot="703"]', "#mine-section")
    until(lambda: site.board.ended[0]["caller_name"] == "Anna Berg", 3, "the caller is taken")
    assert site.board.ended[0]["retriever"] == "1002@example.com"


def test_escape_ends_a_drag(talking, site):
    talking.drag('#boards [data-slot="703"]', '.colleague[data-extension="1003"]', release=False)
    assert talking.run("return document.body.dataset.dragging") == "parked"
    talking.press(Keys.ESCAPE)
    talking.release()
    assert talking.run("return document.body.dataset.dragging ?? ''") == "" and "703" in site.board.calls


def test_colleagues_are_suggested_where_an_extension_is_typed(talking):
    talking.choose("703")
    assert talking.run("return [...document.querySelector('form[data-verb=transfer] input').list.options].map((option) => option.value)") == ["1001", "1003"]


def test_colleagues_come_from_the_directory_with_their_presence(page, site):
    site.directory(("1001", "Ann", True, False), ("1002", "Bob", True, True), ("1003", "Carla", True, True), ("1004", "1004", False, False))
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "Anna Berg")
    until(lambda: len(page.all(".colleague")) == 3, 6, "colleagues are shown, without oneself")
    texts = page.run("return [...document.querySelectorAll('.colleague')].map((one) => one.innerText.split(/\\s+/).join(' '))")
    assert texts == ["1001 Ann free", "1003 Carla busy", "1004 not signed in"]
    page.drag('#boards [data-slot="703"]', '.colleague[data-extension="1003"]')
    page.shows("703", "free", 3)
    assert site.board.ended[0]["outcome"] == "transferred"


def test_an_error_is_shown_in_plain_words(talking, site):
    site.board.channels[0]["uuid"] = "gone"
    talking.one("#mine .park").click()
    until(lambda: "Olga Petrova:" in talking.text("#notices .alert"), 3, "the error is shown")
