"""Tests that the board shows every change within a second."""

import time

import pytest
from browser import until


def test_calls_appear_and_disappear(page, site):
    page.sign_in()
    assert "free" in page.slot("703")
    site.park("Anna Berg", "+49 30 901820", "703")
    page.shows("703", "Anna Berg")
    assert "+49 30 901820" in page.slot("703") and "on time" in page.slot("703")
    assert page.text("#waiting") == "1" and "703" in page.text("#longest-note")
    site.end("703", "abandoned")
    page.shows("703", "free")
    assert page.text("#waiting") == "0" and page.text("#longest-note") == "nobody waits"


def test_a_change_takes_less_than_a_second(page, site):
    """The shortest of five times counts, because a busy machine may need longer."""
    page.sign_in()
    appeared, disappeared = [], []
    for _ in range(5):
        began = time.monotonic()
        site.park("Anna Berg", "+49 30 901820", "703")
        page.shows("703", "Anna Berg")
        appeared.append(time.monotonic() - began)
        began = time.monotonic()
        site.end("703", "retrieved")
        page.shows("703", "free")
        disappeared.append(time.monotonic() - began)
    print(f"appears within {min(appeared):.2f} to {max(appeared):.2f} s, disappears within {min(disappeared):.2f} to {max(disappeared):.2f} s")
    assert min(appeared) < 1 and min(disappeared) < 1, (appeared, disappeared)


def test_twenty_changes_at_once_are_shown(page, site):
    page.sign_in()
    for number in range(701, 721):
        site.park(f"Caller {number}", f"+4930{number}", str(number))
    until(lambda: page.text("#waiting") == "20", 1, "all twenty are counted")
    assert len(page.all('#boards [data-state="parked"]')) == 20
    for number in range(701, 721):
        site.end(str(number), "retrieved")
    until(lambda: page.text("#waiting") == "0", 1, "none is left")


def test_the_wait_grows(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "Anna Berg")
    def looked():
        began = time.monotonic()
        return page.wait_of("703"), page.timeout_of("703"), began, time.monotonic()

    wait, due, began, looked_at = looked()
    time.sleep(4)
    later, left, again, ended = looked()
    # The page shows whole seconds and is updated once a second.
    for figure in (later - wait, due - left):
        assert again - looked_at - 2 <= figure <= ended - began + 2
    assert page.run("return document.title") == "(1) Call parking"


def test_urgency_is_shown_as_text(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "on time")
    page.later(35)
    page.shows("703", "almost late")
    page.later(65)
    until(lambda: page.text('[data-slot="703"] .urgency').strip() == "late", 1, "the call is late")
    assert len(page.all('[data-slot="703"] .icon-late')) == 1


def test_labels_of_slots_are_on_the_board(page, site):
    page.sign_in()
    assert "Front desk" in page.slot("701") and "free" in page.slot("701")
    site.park("Anna Berg", "+49 30 901820", "701")
    page.shows("701", "Anna Berg")
    assert "Front desk" in page.slot("701")


@pytest.mark.stand_in
def test_the_label_of_a_slot_is_on_its_card_once(page, site):
    """Before: a call that has its label from the slot, as calls without one of their own have, showed it twice."""
    site.park("Anna Berg", "+49 30 901820", "701", label="Front desk")
    page.sign_in().shows("701", "Anna Berg")
    assert page.slot("701").count("Front desk") == 1
    page.choose("701")
    assert page.one('form[data-verb="label"] input').get_attribute("value") == "Front desk"
    page.act("label", "Invoice 4711")
    page.shows("701", "Invoice 4711")
    assert page.slot("701").count("Front desk") == 1


def test_a_large_lot_shows_occupied_slots_and_the_number_of_free_ones(page, site):
    page.sign_in()
    assert page.slot("*5903") == "" and "99 slots are free" in page.text("#boards")
    site.park("Anna Berg", "+49 30 901820", "*5903")
    page.shows("*5903", "Anna Berg")
    assert "98 more slots are free" in page.text("#boards")


def test_ended_calls_are_in_the_history_and_the_charts(page, site):
    page.sign_in()
    site.park("Anna Berg", "+49 30 901820", "703")
    page.shows("703", "Anna Berg")
    site.end("703", "abandoned")
    until(lambda: "abandoned" in page.text("#history tbody tr"), 6, "the end is in the history")
    assert "Anna Berg" in page.text("#history tbody tr")
    page.run("for (const table of document.querySelectorAll('#charts details')) table.open = true")
    until(lambda: "Abandoned\t1" in page.text("#charts .chart:nth-child(3) table"), 6, "the end is in the chart's table")
    assert len(page.all("#charts svg rect")) >= 3


@pytest.mark.stand_in
def test_who_has_left_last_is_first_in_the_history(page, site):
    """Before: a caller who had waited long was below those who were parked later, although "Ended" is the first column."""
    for slot, name, ago in (("701", "Anna Berg", 300), ("702", "Mr Chen", 200), ("703", "Olga Petrova", 100)):
        site.park(name, "+49 30 901820", slot, ago=ago)
    for slot in ("703", "701", "702"):
        site.end(slot, "retrieved")
        time.sleep(0.05)
    page.sign_in()
    until(lambda: [name.text for name in page.all("#history tbody .name")] == ["Mr Chen", "Anna Berg", "Olga Petrova"], 6,
          "they are in the order in which they left")


def test_parks_and_ends_are_announced_to_screen_readers(page, site):
    page.sign_in()
    site.park("Anna Berg", "+49 30 901820", "703")
    until(lambda: "Anna Berg is parked on 703" in page.text("#announcer"), 3, "the park is announced")
    site.end("703", "retrieved")
    until(lambda: "Anna Berg was retrieved from 703" in page.text("#announcer"), 3, "the end is announced")
    assert page.one("#announcer").get_attribute("aria-live") == "polite"


def test_other_calls_do_not_move_the_focus(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "Anna Berg")
    page.run("document.querySelector('[data-slot=\"703\"] button').focus()")
    site.park("Mr Chen", "+44 20 7946 0991", "702")
    site.park("Olga Petrova", "+7 495 123 4567", "704")
    page.shows("704", "Olga Petrova")
    assert page.focused('[data-slot="703"] button')
