"""Tests that hostile names of callers are shown as text."""

import pytest
from browser import until
from layout import faults

pytestmark = pytest.mark.stand_in

NAMES = {
    "image": "<img src=x onerror=\"document.title='owned'\">",
    "script": "</script><script>document.title='owned'</script>",
    "quotes": "\"'`&quot;&#39;\\\" onfocus=alert(1) x=\"",
    "right-to-left": "\u202egnB annA\u202e \u2067x",
    "long": "Wolfeschlegelsteinhausenbergerdorff" * 9,
    "long words": "very long name " * 20,
    "many marks": "Z" + "\u0335\u0322\u0321\u0327\u0328" * 40 + "algo",
    "template": "${7*7} {{7*7}} %s%n",
    "lines": "first\nsecond\tthird",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_hostile_name_is_shown_as_text(page, site, name):
    name = name[:300]
    site.park(name, "+49 30 901820", "703")
    site.park("Mr Chen", "+44 20 7946 0991", "704")
    site.park(name, name[:40], "705")
    page.sign_in().shows("704", "Mr Chen")
    content = "return document.querySelector(arguments[0]).textContent"
    assert page.run(content, '[data-slot="703"] .name') == name
    assert page.all("main img, main script, dialog img, dialog script") == []
    page.choose("703")
    assert page.run(content, "dialog h2 bdi") == name
    assert faults(page, within="dialog") == []
    page.one("dialog .close").click()
    site.end("703", "retrieved")
    page.shows("703", "free")
    for size in [(390, 844), (1280, 900), (1920, 1080)]:
        page.size(size)
        assert faults(page, cut_is_fine=True) == []
    until(lambda: page.run("return document.title") == "(2) Call parking", 1, "the title has the number of calls")


def test_a_direction_override_in_a_name_does_not_affect_other_text(page, site):
    site.park("\u202egnB annA", "+49 30 901820", "703")
    page.sign_in().shows("703", "+49 30 901820")
    number, wait = (page.one(f'[data-slot="703"] {part}').rect for part in (".number", ".wait"))
    assert number["x"] < wait["x"]
    assert page.one('[data-slot="703"] .phone').text == "+49 30 901820"
