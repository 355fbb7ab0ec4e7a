"""What happens is on the screen within a second."""

import time

from browser import until


def test_slots_appear_and_go(page, site):
    page.sign_in()
    assert "free" in page.slot("703")
    site.park("Anna Berg", "+49 30 901820", "703")
    page.shows("703", "Anna Berg")
    assert "+49 30 901820" in page.slot("703") and "on time" in page.slot("703")
    assert page.text("#waiting") == "1" and "703" in page.text("#longest-note")
    site.end("703", "abandoned")
    page.shows("703", "free")
    assert page.text("#waiting") == "0" and page.text("#longest-note") == "nobody waits"


def test_it_takes_less_than_a_second(page, site):
    """The best of some: what the page and the server need; a machine that is busy with other things may need longer now and then."""
    page.sign_in()
    appeared, went = [], []
    for _ in range(5):
        began = time.monotonic()
        site.park("Anna Berg", "+49 30 901820", "703")
        page.shows("703", "Anna Berg")
        appeared.append(time.monotonic() - began)
        began = time.monotonic()
        site.end("703", "retrieved")
        page.shows("703", "free")
        went.append(time.monotonic() - began)
    print(f"appears within {min(appeared):.2f} s, goes within {min(went):.2f} s, at best; {max(appeared):.2f} and {max(went):.2f} s at worst")
    assert min(appeared) < 1 and min(went) < 1, (appeared, went)


def test_a_burst_is_all_there_within_a_second(page, site):
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
    # Whole seconds, drawn once a second.
    for figure in (later - wait, due - left):
        assert again - looked_at - 2 <= figure <= ended - began + 2
    assert page.run("return document.title") == "(1) Call parking"


def test_urgency_is_said_in_words(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "on time")
    page.later(35)
    page.shows("703", "soon late")
    page.later(65)
    until(lambda: page.text('[data-slot="703"] .urgency').strip() == "late", 1, "the call is late")
    assert len(page.all('[data-slot="703"] .icon-late')) == 1


def test_labels_of_slots_stand_on_the_board(page, site):
    page.sign_in()
    assert "Front desk" in page.slot("701") and "free" in page.slot("701")
    site.park("Anna Berg", "+49 30 901820", "701")
    page.shows("701", "Anna Berg")
    assert "Front desk" in page.slot("701")


def test_a_large_lot_shows_what_is_taken_and_counts_the_rest(page, site):
    page.sign_in()
    assert page.slot("*5903") == "" and "99 slots are free" in page.text("#boards")
    site.park("Anna Berg", "+49 30 901820", "*5903")
    page.shows("*5903", "Anna Berg")
    assert "98 more slots are free" in page.text("#boards")


def test_ends_reach_history_and_charts(page, site):
    page.sign_in()
    site.park("Anna Berg", "+49 30 901820", "703")
    page.shows("703", "Anna Berg")
    site.end("703", "abandoned")
    until(lambda: "abandoned" in page.text("#history tbody tr"), 6, "the end is in the history")
    assert "Anna Berg" in page.text("#history tbody tr")
    page.run("for (const table of document.querySelectorAll('#charts details')) table.open = true")
    until(lambda: "Abandoned\t1" in page.text("#charts .chart:nth-child(3) table"), 6, "the end is in the chart's table")
    assert len(page.all("#charts svg rect")) >= 3


def test_parks_and_ends_are_said(page, site):
    page.sign_in()
    site.park("Anna Berg", "+49 30 901820", "703")
    until(lambda: "Anna Berg is parked on 703" in page.text("#announcer"), 3, "the park is announced")
    site.end("703", "retrieved")
    until(lambda: "Anna Berg was retrieved from 703" in page.text("#announcer"), 3, "the end is announced")
    assert page.one("#announcer").get_attribute("aria-live") == "polite"


def test_others_calls_leave_the_focus_where_it_is(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "Anna Berg")
    page.run("document.querySelector('[data-slot=\"703\"] button').focus()")
    site.park("Mr Chen", "+44 20 7946 0991", "702")
    site.park("Olga Petrova", "+7 495 123 4567", "704")
    page.shows("704", "Olga Petrova")
    assert page.focused('[data-slot="703"] button')
