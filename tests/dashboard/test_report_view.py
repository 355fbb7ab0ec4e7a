"""Tests the report on the page: ranges, figures, table, CSV, print, keyboard."""

import base64
import datetime
import re

import pytest
from accessibility import violations
from browser import DESK, PHONE, WALL, Keys, until
from layout import faults
from test_keyboard import tab_to

SIZES = {"phone": PHONE, "desk": DESK, "wall": WALL}


def open_report(page):
    until(lambda: page.one("#show-report").is_displayed(), 3, "the report can be opened")
    page.one("#show-report").click()
    until(lambda: page.text("#report .report-range"), 6, "the report is shown")


def choose(page, name, value):
    page.run("const field = document.querySelector(`#report [name=${arguments[0]}]`); field.value = arguments[1];"
             "field.dispatchEvent(new Event('change'))", name, value)


def cells(page):
    """The rows of the table as lists of texts."""
    return page.run("return [...document.querySelectorAll('.report-table tr')].map((row) => [...row.cells].map((cell) => cell.textContent))")


def total(page):
    return next((row for row in cells(page) if row[0] == "Total"), ["Total", "0"])


def submit(page):
    page.one("#report button[type=submit]").click()


@pytest.fixture
def busy(page, site):
    site.busy_day()
    page.sign_in().shows("703", "Invoice 2026-118")
    return page


def test_a_call_that_has_ended_is_in_the_report(page, site):
    """With the real module, if FreeSWITCH is installed."""
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "Anna Berg")
    open_report(page)
    assert not page.one("#dashboard").is_displayed()
    until(lambda: "Nobody was parked" in page.text("#report"), 3, "the report is empty")
    site.end("703", "abandoned")
    page.one("#report .presets button").click()
    until(lambda: total(page)[1] == "1" or submit(page), 10, "the call is in the report")
    head, *rows = cells(page)
    assert head[:3] == ["Hour", "Parked", "Retrieved"] and head[6] == "Abandoned", "one day is shown by hour"
    assert rows[0][1:7] == ["1", "0", "0", "0", "0", "1"] and [row[0] for row in rows[1:]] == ["Total", "Period before"]
    choose(page, "by", "parker")
    until(lambda: cells(page) and cells(page)[1][0].startswith("1001@"), 5, "the report is by parker")
    choose(page, "by", "lot")
    until(lambda: cells(page) and cells(page)[1][0].startswith("main@"), 5, "the report is by lot")
    page.one("#show-report").click()
    until(lambda: "free" in page.slot("703"), 3, "the board is shown again")
    assert page.text("#report") == ""


@pytest.mark.stand_in
def test_a_single_day_is_shown_by_hour(busy, site):
    """Before: "Today" was one bar as wide as the chart."""
    site.park("Anna Berg", "+49 30 901820", "718")  # also soon after midnight, today has a call
    site.end("718", "retrieved")
    open_report(busy)
    press = lambda name: next(button for button in busy.all("#report .presets button") if button.text == name).click()
    grouped = lambda: busy.run("return document.querySelector('#report [name=by]').value")
    press("Today")
    until(lambda: cells(busy) and cells(busy)[0][0] == "Hour", 3, "today is shown by hour")
    press("30 days")
    until(lambda: cells(busy) and cells(busy)[0][0] == "Day", 3, "thirty days are shown by day")
    choose(busy, "by", "hour")
    press("7 days")
    assert grouped() == "hour", "what somebody has chosen stays"
    choose(busy, "by", "lot")
    press("Today")
    assert grouped() == "lot"


@pytest.mark.stand_in
def test_an_hour_has_one_line(busy):
    """Before: on a desktop, "10:00–11:00" was broken, and the table of a day was nearly twice as high."""
    open_report(busy)
    choose(busy, "by", "hour")
    until(lambda: busy.all(".report-table[data-by=hour] tbody th"), 3, "the hours are shown")
    assert busy.run("""return [...document.querySelectorAll('.report-table tbody th bdi')].every((hour) => hour.getClientRects().length === 1)""")
    assert faults(busy, within="#report") == []


@pytest.mark.stand_in
def test_what_was_chosen_is_kept_and_the_browser_goes_back(busy):
    """Before: a look at the lots lost the range, and the browser's Back left the page."""
    open_report(busy)
    choose(busy, "from", "2026-02-01")
    choose(busy, "lot", "support@example.com")
    submit(busy)
    until(lambda: "Feb 1" in busy.text("#report .report-range"), 3, "the range is that of the fields")
    busy.driver.back()
    until(lambda: busy.one("#dashboard").is_displayed() and not busy.one("#report").is_displayed(), 3, "the lots are shown")
    open_report(busy)
    assert busy.run("return ['from', 'lot'].map((name) => document.querySelector(`#report [name=${name}]`).value)") == ["2026-02-01", "support@example.com"]
    busy.one("#show-report").click()
    until(lambda: busy.one("#dashboard").is_displayed(), 3, "the lots are shown")
    busy.driver.forward()
    until(lambda: busy.one("#report").is_displayed(), 3, "and the report again")


@pytest.mark.stand_in
def test_the_controls_stand_in_two_rows(busy):
    """Before: three buttons stood above each other, beside an empty space."""
    open_report(busy)
    assert busy.run("return document.querySelector('.report-form').offsetHeight") < 150


@pytest.mark.stand_in
def test_each_range_and_grouping_has_its_figures(busy, site):
    open_report(busy)
    assert len([row for row in site.board.ended]) == 140
    until(lambda: total(busy)[1] == "140", 3, "all calls of the last seven days are counted")
    names = [button.text for button in busy.all("#report .presets button")]
    assert names == ["Today", "Yesterday", "7 days", "30 days"]
    pressed = lambda: [button.text for button in busy.all('#report [aria-pressed="true"]')]
    assert pressed() == ["7 days"]
    zone = busy.run("return Intl.DateTimeFormat().resolvedOptions().timeZone")
    assert busy.run("return document.querySelector('#report [name=tz]').value") == zone and zone in busy.text("#report .report-range")
    for by, head in [("hour", "Hour"), ("day", "Day"), ("lot", "Lot"), ("parker", "Parked by"), ("retriever", "Taken by")]:
        choose(busy, "by", by)
        until(lambda head=head: cells(busy)[0][0] == head, 3, f"the report is by {by}")
        rows = [row for row in cells(busy)[1:] if row[0] not in ("Total", "Period before")]
        assert sum(int(row[1]) for row in rows) == 140 == int(total(busy)[1])
        assert len(busy.all("#report .chart svg rect")) >= 2
    choose(busy, "by", "hour")
    choose(busy, "lot", "support@example.com")
    of_support = sum(row["lot"] == "support" for row in site.board.ended)
    until(lambda: total(busy)[1] == str(of_support), 3, "the report is of one lot")
    for finding in site.board.report("from=2000-01-01&to=2100-01-01&by=day&lot=support%40example.com&tz=UTC")[1]["findings"]:
        day = ["Mon", "Tues", "Wednes", "Thurs", "Fri", "Satur", "Sun"][finding["weekday"] - 1]
        when = f"{day}day {finding['hour']}:00–{finding['hour'] + 1}:00"
        assert f"{when}: {finding['count']} of {finding['of']} callers waited longer than 2 min" in busy.text("#report .findings")


@pytest.mark.stand_in
def test_a_range_is_chosen_by_keyboard(busy):
    tab_to(busy, "#show-report", 60)  # from the first control of the dashboard, around the page
    busy.press(Keys.ENTER)
    until(lambda: busy.focused("#report-title"), 2, "the report has the focus")
    tab_to(busy, "#report .presets button:nth-child(2)")
    busy.press(Keys.SPACE)
    until(lambda: [b.text for b in busy.all('#report [aria-pressed="true"]')] == ["Yesterday"], 2, "yesterday is chosen")
    day = datetime.date.fromisoformat(busy.run("return document.querySelector('#report [name=from]').value"))
    assert busy.run("return document.querySelector('#report [name=to]').value") == str(day)
    busy.run("document.querySelector('#report [name=from]').focus()")
    busy.press("01022026")
    assert busy.run("return document.querySelector('#report [name=from]').value") == "2026-01-02"
    tab_to(busy, "#report [name=to]")
    busy.press("01032026", Keys.ENTER)
    until(lambda: "Jan 2" in busy.text("#report .report-range"), 3, "the range is that of the fields")
    assert busy.all('#report [aria-pressed="true"]') == []
    busy.run("document.querySelector('#show-report').focus()")
    busy.press(Keys.ENTER)
    until(lambda: busy.one("#dashboard").is_displayed() and busy.focused("#show-report"), 2, "the board is shown")


@pytest.mark.stand_in
def test_what_the_server_refuses_is_shown(busy):
    open_report(busy)
    choose(busy, "tz", "Mars/Phobos")
    submit(busy)
    until(lambda: "Mars/Phobos" in busy.text("#report .error"), 3, "the error is shown")
    assert busy.text("#report .report-body") == ""
    choose(busy, "tz", "America/New_York")
    submit(busy)
    until(lambda: "America/New_York" in busy.text("#report .report-range") and busy.text("#report .error") == "", 3, "the report is shown")
    choose(busy, "from", "2026-02-02")
    choose(busy, "to", "2026-02-01")
    submit(busy)
    until(lambda: "is not before" in busy.text("#report .error"), 3, "the error is shown")


@pytest.mark.stand_in
def test_the_report_is_saved_as_csv(busy):
    open_report(busy)
    busy.run("""
      window.saved = [];
      const made = URL.createObjectURL;
      URL.createObjectURL = (blob) => { blob.text().then((text) => saved.push(text)); return made.call(URL, blob); };
      HTMLAnchorElement.prototype.click = function () { saved.push(this.download); };""")
    next(button for button in busy.all("#report button") if button.text == "Save as CSV").click()
    until(lambda: len(busy.run("return saved")) == 2, 3, "the report is saved")
    name, text = sorted(busy.run("return saved"), key=lambda piece: "," in piece)
    assert re.fullmatch(r"callpark-\d{4}-\d\d-\d\d-\d{4}-\d\d-\d\d-day\.csv", name)
    head, *rows = text.splitlines()
    assert head.startswith("group,parked,retrieved,") and sum(int(row.split(",")[1]) for row in rows) == 140


@pytest.mark.stand_in
def test_the_report_is_printed_without_the_controls(busy):
    """Before: an error that nobody had closed was printed over the figures."""
    busy.module("const { Notices } = await import('./notices.js'); new Notices(document.getElementById('notices')).fail('An error');")
    assert busy.one("#notices .alert").is_displayed()
    open_report(busy)
    busy.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not [part for part in ("#report .report-form", "#show-report", "#sign-out", "#dashboard", "#notices") if busy.one(part).is_displayed()]
        assert busy.one(".report-table").is_displayed() and busy.one("#report .chart svg").is_displayed()
        printed = base64.b64decode(busy.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    finally:
        busy.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", printed)) <= 2


@pytest.mark.stand_in
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_nothing_is_cut_and_each_text_can_be_read(busy, size):
    busy.size(size)
    open_report(busy)
    for by in ("day", "hour", "parker"):
        choose(busy, "by", by)
        until(lambda: busy.run("return document.querySelector('.report-body').getAttribute('aria-busy')") == "false", 3, "the report is shown")
        assert faults(busy) == []
    for scheme in ("light", "dark"):
        busy.prefer(scheme)
        assert violations(busy) == []


@pytest.mark.stand_in
def test_signing_out_removes_the_report(busy):
    open_report(busy)
    busy.one("#sign-out").click()
    until(lambda: busy.one("#sign-in").is_displayed(), 2, "the sign-in is shown")
    assert not busy.one("#report").is_displayed() and busy.run("return document.querySelector('#report').childElementCount") == 0
    assert not busy.one("#show-report").is_displayed() and not busy.one("#dashboard").is_displayed()
    busy.sign_in()
    assert busy.one("#dashboard").is_displayed() and busy.one("#show-report").text == "Report"
