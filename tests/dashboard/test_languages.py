"""Tests that the page speaks the languages of its viewers."""

import json
import re

import pytest
from browser import DESK, PHONE, WALL, until
from fake_server import PAGE
from layout import faults

pytestmark = pytest.mark.stand_in
LANGUAGES = ["en", "de", "es", "fr", "pt", "ru"]
SIZES = {"phone": PHONE, "desk": DESK, "wall": WALL}
WORDS = {"de": ("Wartende Anrufer", "Freie Plätze", "frei"), "es": ("En espera", "Plazas libres", "libre"),
         "fr": ("En attente", "Places libres", "libre"), "pt": ("Em espera", "Vagas livres", "livre"), "ru": ("Ожидают", "Свободные места", "свободно"),
         "en": ("Waiting now", "Free slots", "free")}


def all_texts(page):
    return {language: page.module(f"return (await import('./text_{language}.js')).texts") for language in LANGUAGES}


def values_in(entry):
    return set(re.findall(r"\{(\w+)\}", json.dumps(entry)))


def test_each_language_has_the_same_texts_with_the_same_values(page):
    texts = all_texts(page)
    for language, own in texts.items():
        assert list(own) == list(texts["en"]), language
        for key, entry in own.items():
            assert values_in(entry) == values_in(texts["en"][key]), (language, key)
            assert isinstance(entry, dict) == isinstance(texts["en"][key], dict), (language, key)
            assert all((form.strip() == form) and form for form in ([entry] if isinstance(entry, str) else entry.values())), (language, key)


def test_plural_forms_are_those_of_the_language(page):
    for language, own in all_texts(page).items():
        needed = set(page.module(f"""
          const rules = new Intl.PluralRules("{language}");
          return [...Array(1000).keys()].map((n) => rules.select(n)).concat("other");"""))
        for key, entry in own.items():
            assert isinstance(entry, str) or set(entry) == needed, (language, key)


def test_each_text_is_used_and_each_used_text_exists(page):
    sources = "\n".join(file.read_text() for file in PAGE.iterdir() if file.suffix in (".js", ".html") and not file.name.startswith("text_"))
    # A key that the page builds, such as `state.${call.state}`, covers all texts with that beginning or end.
    quoted = set(re.findall(r'"([a-z0-9.-]+)"', sources))
    built = [re.compile(re.escape(built).replace(r"\$\{\}", "[a-z0-9-]+")) for built in
             {re.sub(r"\$\{[^}]*\}", "${}", key) for key in re.findall(r"`([a-z0-9.-]*\$\{[^`]+\}[a-z0-9.-]*)`", sources)}]
    keys = set(all_texts(page)["en"])
    assert [key for key in keys if key not in quoted and not any(pattern.fullmatch(key) for pattern in built)] == []
    used = set(re.findall(r'\b(?:t|pieces)\("([^"]+)"', sources)) | set(re.findall(r'data-(?:text|name)="([^"]+)"', sources))
    assert used - keys == set() and len(used) > 40


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_browser_chooses_the_language_and_all_of_it_fits(page, site, language):
    site.busy_day()
    page.prefer_languages(f"nl,{language}-XX,{language},en")
    page.sign_in()
    until(lambda: page.all("#history tbody tr") and page.all('[data-slot="702"] .due'), 6, "the dashboard is shown")
    assert page.run("return document.documentElement.lang") == f"{language}-XX"
    shown = page.text("main")
    assert [word for word in WORDS[language] if word not in shown] == []
    for size in SIZES.values():
        page.size(size)
        assert faults(page) == []
    page.choose("702")
    assert faults(page, within="dialog") == []
    page.size(PHONE)
    assert faults(page, within="dialog") == []


def test_numbers_and_dates_follow_the_viewer(page):
    page.prefer_languages("de-AT")
    assert page.module("""
      const { t, unit } = await import('./text.js');
      const { moment } = await import('./time.js');
      return [t('lot.range', { from: 1, to: 100, n: 10_000 }), unit(10, 'second'), moment(new Date(2026, 0, 31, 16, 5).getTime())];
    """) == ["1–100 von 10\u00a0000", "10 Sek.", "31. Jän., 16:05"]


def test_plurals_follow_the_language(page):
    page.prefer_languages("ru")
    assert page.module("const { t } = await import('./text.js'); return [1, 3, 5, 21].map((n) => t('now.lots', { n }))") == [
        "1 парковка", "3 парковки", "5 парковок", "21 парковка"]


def test_without_a_known_language_the_page_is_english(page):
    page.prefer_languages("nl,sv")
    until(lambda: page.text("#sign-in h2") == "Sign in", 2, "the page is in English")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_right_to_left_does_not_break_the_layout(page, site, size):
    """A browser in Hebrew turns the page around: the beginning of a card is then on the right. Numbers stay as they are."""
    site.busy_day()
    page.run("document.documentElement.dir = 'rtl'")
    page.sign_in().shows("702", "Lyon")
    assert page.run("return getComputedStyle(document.body).direction") == "rtl"
    until(lambda: page.all("#history tbody tr"), 6, "the history is shown")
    page.size(size)
    assert faults(page) == []
    number, wait = (page.one(f'[data-slot="702"] {part}').rect for part in (".number", ".wait"))
    assert number["x"] > wait["x"]
    title, figure = page.run("return ['dt', '.figure'].map((part) => { const range = document.createRange();"
                             "range.selectNodeContents(document.querySelector(`.totals ${part}`)); return range.getBoundingClientRect().right; })")
    assert abs(title - figure) < 2, "a figure stands below its title"
    star = page.run("""
      const cell = [...document.querySelectorAll('.history .where')].find((cell) => cell.textContent.startsWith('*')), range = document.createRange();
      return [0, 1].map((at) => { range.setStart(cell.firstChild, at); range.setEnd(cell.firstChild, at + 1); return range.getBoundingClientRect().left; });""")
    assert star[0] < star[1], "the star stands before the number of the slot"
    plus, last = page.run("""
      const text = document.querySelector('[data-slot="702"] .phone').firstChild, range = document.createRange();
      return [0, text.length - 1].map((at) => { range.setStart(text, at); range.setEnd(text, at + 1); return range.getBoundingClientRect().left; });""")
    assert plus < last, "the number is read from left to right"
    page.choose("702")
    assert faults(page, within="dialog") == []
