"""Tests that the page is readable in every size and in both colour schemes."""

import pytest
from browser import DESK, PHONE, WALL, until
from layout import contrasts, faults

pytestmark = pytest.mark.stand_in

# 320 px is also the width of a desktop browser at 400 % zoom.
SIZES = {"smallest": (320, 640), "phone": PHONE, "tablet": (768, 1024), "desk": DESK, "wall": WALL, "large wall": (3840, 2160)}
CALLERS = [("701", "Anna Berg", "+49 30 901820"), ("702", "Northwind Logistics GmbH & Co. KG", "+49 40 3344 5500"),
           ("703", "Garage Lefèvre", "+33 1 42 68 53 00"), ("705", "", "+1 212 555 0123"), ("706", "Mr Chen", "+44 20 7946 0991"),
           ("710", "Dr. Abdul-Rahman Al-Khatib", "+971 4 555 0142"), ("*5904", "Olga Petrova", "+7 495 123 4567"),
           ("*5917", "Sofía Núñez", "+34 91 555 01 13")]


@pytest.fixture
def full(page, site):
    for outcome in ("retrieved", "returned", "fallback", "transferred", "abandoned"):
        for slot, name, number in CALLERS[:2]:
            site.park(name, number, slot)
            site.end(slot, outcome)
    for slot, name, number in CALLERS:
        site.park(name, number, slot)
    page.sign_in().shows("*5917", "Sofía Núñez")
    page.choose("703")
    page.act("label", "Delivery to Lyon")
    page.shows("703", "Delivery to Lyon")
    page.choose("705")
    page.act("ringback")
    page.shows("705", "ringing back")
    until(lambda: len(page.all("#history tbody tr")) == 10, 6, "the history is shown")
    return page


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_nothing_overlaps_or_is_cut(full, size):
    full.size(size)
    assert faults(full) == []
    full.run("for (const table of document.querySelectorAll('#charts details')) table.open = true")
    assert faults(full) == []
    full.choose("702")
    assert faults(full, within="dialog") == []
    assert faults(full, within=".dashboard") == []


def test_the_sign_in_fits_a_phone(page):
    page.size(PHONE)
    assert faults(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(full, site, scheme):
    site.end("701", "retrieved")
    full.shows("701", "free")
    site.park(*CALLERS[0][1:], "701")  # parked again, for a short wait
    full.shows("701", "Anna Berg")
    full.prefer(scheme)
    ground = full.run("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(16, 22, 28)") == (scheme == "dark")
    for seconds, urgency in [(0, "on time"), (48, "almost late"), (200, "late")]:
        full.later(seconds)
        full.shows("701", urgency)
        assert [row for row in contrasts(full) if row[1] < 4.5] == []
    full.choose("703")
    assert [row for row in contrasts(full, within="dialog") if row[1] < 4.5] == []


def test_prefers_reduced_motion_is_respected(full):
    moving = "return document.getAnimations().filter((animation) => animation.playState === 'running').length"
    assert full.run(moving) == 0
    full.prefer("light", motion="no-preference")
    until(lambda: full.run(moving) > 0, 1, "a ringing slot is animated without that preference")


def test_names_stand_beside_their_bars(full):
    """Before: on a wall, "Zurückgegangen" reached into its bar."""
    full.prefer_languages("de")
    until(lambda: full.all("#charts .rows text"), 6, "the charts are shown")
    for size in SIZES.values():
        full.size(size)
        assert full.run("""
          const right = (nodes) => Math.max(...[...nodes].map((node) => node.getBoundingClientRect().right));
          const rows = document.querySelector("#charts .rows");
          return right(rows.querySelectorAll(".name")) < rows.querySelector("rect").getBoundingClientRect().left;""")


def test_on_a_phone_the_callers_are_near(page, site):
    """Before: the header had three rows, and the first caller began 510 px below the first screen."""
    site.talk("Olga Petrova", "+7 495 123 4567")
    site.directory(*((str(1000 + n), f"Colleague {n}", True, False) for n in range(3, 10)))
    site.park(*CALLERS[0][1:], "701")
    page.size(PHONE)
    page.sign_in().shows("701", "Anna Berg")
    until(lambda: page.all(".mine-call"), 6, "my call is shown")
    assert page.run("return document.querySelector('.bar').offsetHeight") < 80
    assert page.run("return document.querySelector('[data-slot=\"701\"]').getBoundingClientRect().top") < PHONE[1] * 0.8
    site.down()
    until(lambda: "lost" in page.connection(), 5, "the loss is said")
    assert faults(page) == []
