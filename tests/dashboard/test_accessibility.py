"""Measures the page with axe-core: WCAG 2.2, level AA, in each size and in both colour schemes."""

import pytest
from accessibility import violations
from browser import DESK, PHONE, WALL, until

pytestmark = pytest.mark.stand_in
SIZES = {"phone": PHONE, "desk": DESK, "wall": WALL}


@pytest.fixture
def busy(page, site):
    site.busy_day()
    page.sign_in().shows("703", "Invoice 2026-118")
    until(lambda: page.all("#history tbody tr"), 6, "the history is shown")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_the_dashboard_and_a_dialog(busy, size, scheme):
    busy.size(size)
    busy.prefer(scheme)
    assert violations(busy) == []
    busy.run("for (const table of document.querySelectorAll('#charts details')) table.open = true")
    busy.choose("702")
    assert violations(busy) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sign_in_with_an_error(page, scheme):
    page.prefer(scheme)
    page.one("#token").send_keys("wrong\n")
    until(lambda: page.text("#sign-in-error"), 2, "the error is shown")
    assert violations(page) == []


def test_a_violation_is_found(page):
    page.run("document.body.append(document.createElement('button'))")
    assert any(line.startswith("button-name: <button>") for line in violations(page))
