"""Tests the phrases of each language, and what is heard where something of a language is missing. The sound files are tones, which are recognised in
what the phones hear."""

import shutil

import pytest

from conftest import LOTS
from parking import extension, lot
from proxy import ADDRESS, Proxy
from sounds import MARK, heard, write_sounds
from switch import LANGUAGES, wait_for

NUMBER = "*59#"
SPELLED = ["ascii/42.wav", "digits/5.wav", "digits/9.wav", "ascii/35.wav"]
CHARACTERS = [*(f"digits/{digit}.wav" for digit in range(10)), "ascii/42.wav", "ascii/35.wav"]
SORRY, AGAIN = "ivr/ivr-im_sorry.wav", "ivr/ivr-please_try_again.wav"
UNAVAILABLE, INVALID = "voicemail/vm-not_available.wav", "ivr/ivr-that_was_an_invalid_entry.wav"
DENIED, TOO_MANY = "ivr/ivr-not_have_permission.wav", "ivr/ivr-maximum_number_of_channels.wav"
NO_CALLS, EXTENSION = "ivr/ivr-no_calls_waiting_in_queue.wav", "ivr/ivr-enter_ext.wav"
PIN, PASSWORD = "ivr/ivr-please_enter_pin_followed_by_pound.wav", ["voicemail/vm-enter_pass.wav", "ascii/35.wav"]
REFUSED = ["refusal tone"]


def sentences(unavailable, none, full, denied, limit, invalid, slot, pin):
    """What each phrase says with a number, and `empty` without one."""
    return {"empty": [*SPELLED, unavailable], "gone": [*SPELLED, unavailable], "taken": [*SPELLED, unavailable], "none": none, "full": full,
            "denied": denied, "limit": limit, "invalid": [invalid], "ask_slot": slot, "ask_pin": pin}


NOT_THERE = [SORRY, *SPELLED, UNAVAILABLE]
SWEDISH = "voicemail/vm-ar_inte_tillganglig.wav"
SAID = {
    **dict.fromkeys(("en", "de"), sentences(UNAVAILABLE, [NO_CALLS], [SORRY, AGAIN], [DENIED], [SORRY, TOO_MANY], INVALID, [EXTENSION], [PIN])),
    **dict.fromkeys(("pt", "ru"), sentences(UNAVAILABLE, [NO_CALLS], [SORRY, AGAIN], NOT_THERE, [SORRY], INVALID, [EXTENSION], [PIN])),
    **dict.fromkeys(("es", "fr"), sentences(UNAVAILABLE, [SORRY], [SORRY], NOT_THERE, [SORRY], INVALID, [EXTENSION], PASSWORD)),
    "he": sentences(UNAVAILABLE, REFUSED, REFUSED, [*SPELLED, UNAVAILABLE], REFUSED, "voicemail/vm-that_was_an_invalid_ext.wav", ["dial tone"], PASSWORD),
    "sv": sentences(SWEDISH, REFUSED, REFUSED, [*SPELLED, SWEDISH], REFUSED, "voicemail/vm-det_var_ett_felaktigt_val.wav", ["dial tone"],
                    ["voicemail/vm-knappa_in_ditt_pinnummer_foljt_av.wav", "ascii/35.wav"]),
    # No sound package has Greek sentences.
    "el": {**dict.fromkeys(("empty", "gone", "taken", "denied"), [*REFUSED, *SPELLED]), **dict.fromkeys(("none", "full", "limit", "invalid"), REFUSED),
           **dict.fromkeys(("ask_slot", "ask_pin"), ["dial tone"])},
}
FILES = {language: {*CHARACTERS, *(file for said in phrases.values() for file in said if file.endswith(".wav"))} for language, phrases in SAID.items()}


# Slots with each kind of character. Only users hear the slot, so the tests that park are made with phones of users.
SLOTS = f"""
<lot name="main" domain="*"><param name="slots" value="701-709"/><param name="hold-music" value="tone_stream://%(1000,0,440);loops=-1"/></lot>
<lot name="star" domain="*"><param name="slots" value="*5901"/></lot>
<lot name="pound" domain="*"><param name="slots" value="#12"/></lot>
"""


def shipped(name):
    return (LANGUAGES / name / "callpark.xml").read_text()


def language(switch, name, phrases=None, folder=None):
    """The XML of a language, without a say module; `phrases` are its macros (None: the shipped ones)."""
    macros = shipped(name) if phrases is None else phrases
    return f'<language name="{name}" sound-prefix="{switch.dir}/sounds/{folder or name}"><phrases><macros>{macros}</macros></phrases></language>'


def sounds(switch, name, files=()):
    return write_sounds(switch.dir / "sounds" / name, files or FILES[name])


def in_language(name, number, *actions):
    """An extension on whose legs a language is set; empty: none."""
    chosen = [("set", f"default_language={name}")] if name else []
    return extension(number, *chosen, ("answer", ""), *actions)


@pytest.fixture
def speaks(switch):
    """Configures languages beside English, given as XML, and extensions; `phrases` are the English ones (None: the shipped ones)."""
    def configure(*languages, extensions="", phrases=None, settings="", lots=SLOTS):
        switch.languages = "".join(languages)
        assert switch.reload(lots, settings, phrases, extensions).startswith("+OK")

    yield configure
    switch.languages = ""
    shutil.rmtree(switch.dir / "sounds")
    (switch.dir / "sounds").mkdir()
    assert switch.reload(LOTS).startswith("+OK")


def hears(call, frequencies, *expected, within=5):
    """Waits until the first sounds that a call has heard, beside music, are these. Returns whether that happened in time."""
    def first():
        return heard(call.audio, frequencies)[:len(expected)]

    wait_for(lambda: first() == list(expected), within, step=0.3)
    assert first() == list(expected)


def test_each_phrase_of_each_language_is_built_from_its_own_sound_files(switch, phones, speaks):
    """Before: phrases in English only. In other languages nothing was heard, and English said "no user response" for an empty slot."""
    assert sorted(SAID) == sorted(folder.name for folder in LANGUAGES.iterdir())
    frequencies, extensions = {}, ""
    mark = ("playback", f"tone_stream://%(120,0,{MARK})")
    for name, phrases in SAID.items():
        frequencies[name] = sounds(switch, "" if name == "en" else name, FILES[name])
        actions = [mark]
        for what in ["announce_slot", *phrases, "page"]:
            macro, data = ("empty", "") if what == "none" else (what, f"{NUMBER}:Front desk" if what == "page" else NUMBER)
            actions += [("phrase", f"callpark_{macro},{data}"), mark]
        extensions += in_language(name, f"all-{name}", *actions, ("hangup", ""))
    speaks(*(language(switch, name) for name in SAID if name != "en"), extensions=extensions)
    calls = {name: phones().call(f"all-{name}") for name in SAID}
    for name, call in calls.items():
        assert call.wait_over(30), name
        parts = [[]]
        for sound in heard(call.audio, frequencies[name]):
            if sound == "mark":
                parts.append([])
            else:
                parts[-1].append(sound)
        expected = [SPELLED, *SAID[name].values(), ["page tone", "second page tone", *SPELLED, *SPELLED]]
        assert parts[1:-1] == expected, name


@pytest.mark.parametrize("slot, spelled", [("701", ["digits/7.wav", "digits/0.wav", "digits/1.wav"]), ("*5901_star", [*SPELLED[:3], "digits/0.wav", "digits/1.wav"]),
                                           ("#12_pound", ["ascii/35.wav", "digits/1.wav", "digits/2.wav"])])
def test_star_and_pound_of_a_slot_are_said(switch, phones, speaks, slot, spelled):
    frequencies = sounds(switch, "de")
    speaks(language(switch, "de"), extensions=in_language("de", "de-(.*)_(.*)", ("callpark_park", "$1 $2")))
    call = phones("1002").call(f"de-{slot}" if "_" in slot else f"de-{slot}_main")
    hears(call, frequencies, *spelled)
    call.hang_up()


def test_a_user_hears_the_language_of_the_directory_when_calling_and_when_called(switch, phones, speaks):
    frequencies = sounds(switch, "de")
    speaks(language(switch, "de"))
    dialler = phones("1004").call("do-retrieve-701")
    hears(dialler, frequencies, "digits/7.wav", "digits/0.wav", "digits/1.wav", UNAVAILABLE)
    phone = phones("1004", says=700)
    phone.on_ring = 0
    caller = phones(says=600).call("1004")
    call = phone.wait_call()
    assert call.audio.hears(600)
    call.press("*5")
    assert wait_for(switch.calls)
    assert wait_for(lambda: heard(call.audio, frequencies)[-3:] == ["digits/7.wav", "digits/0.wav", "digits/1.wav"], 3, step=0.3), heard(call.audio, frequencies)
    assert call.wait_over()
    for leg in (dialler, caller):
        leg.hang_up()


def test_the_language_of_the_leg_comes_before_that_of_the_user(switch, phones, speaks):
    german, swedish = sounds(switch, "de"), sounds(switch, "sv")
    speaks(language(switch, "de"), language(switch, "sv"), extensions=in_language("sv", "swedish", ("callpark_retrieve", "701")))
    assert german[UNAVAILABLE] != swedish[SWEDISH]
    call = phones("1004").call("swedish")
    hears(call, swedish, "digits/7.wav", "digits/0.wav", "digits/1.wav", SWEDISH)


def test_a_user_behind_a_proxy_hears_the_language_of_the_directory(switch, phones, speaks):
    """FreeSWITCH sets no variables of the directory on a leg that a proxy has authenticated."""
    frequencies = sounds(switch, "de")
    proxy = Proxy(switch)
    speaks(language(switch, "de"), settings=f'<param name="trusted-proxies" value="{ADDRESS}/32"/>')
    phone = phones()
    phone.user, phone.domain = "3003", "proxied.test"
    call = proxy.connect(phone).call("do-retrieve-701")
    hears(call, frequencies, "digits/7.wav", "digits/0.wav", "digits/1.wav", UNAVAILABLE)
    call.hang_up()
    proxy.close()


SAYS = '<macro name="callpark_announce_slot"><input pattern="(.*)"><match><action function="say" data="$1" method="iterated" type="name_spelled"/></match></input></macro>'


@pytest.mark.parametrize("missing", ["phrases", "say module", "region"])
def test_without_a_phrase_the_slot_is_spelled_in_the_language(switch, phones, speaks, missing):
    """Before: silence. FreeSWITCH reports a phrase whose say module is missing as said."""
    frequencies = sounds(switch, "de", CHARACTERS)
    speaks(language(switch, "de", SAYS if missing == "say module" else "<macro/>"),
           extensions=in_language("de-AT" if missing == "region" else "de", "de-slot", ("callpark_park", "701")))
    call = phones("1002").call("de-slot")
    hears(call, frequencies, "digits/7.wav", "digits/0.wav", "digits/1.wav")
    call.hang_up()


def test_without_the_language_the_slot_is_spelled_in_that_of_the_sound_prefix(switch, phones, speaks):
    """Before: silence."""
    frequencies = sounds(switch, "de", CHARACTERS)
    speaks(extensions=in_language("it", "it-slot", ("set", f"sound_prefix={switch.dir}/sounds/de"), ("callpark_park", "701")))
    call = phones("1002").call("it-slot")
    hears(call, frequencies, "digits/7.wav", "digits/0.wav", "digits/1.wav")
    call.hang_up()


def test_where_a_sentence_has_no_sound_the_number_is_said(switch, phones, speaks):
    frequencies = sounds(switch, "de", CHARACTERS)
    speaks(language(switch, "de"), extensions=in_language("de", "de-empty", ("callpark_retrieve", "701")) + in_language("de", "de-denied", ("callpark_park", "799")))
    call = phones().call("de-empty")
    hears(call, frequencies, "digits/7.wav", "digits/0.wav", "digits/1.wav")
    denied = phones("1002").call("de-denied")
    hears(denied, frequencies, "refusal tone", "digits/7.wav", "digits/9.wav")
    for leg in (call, denied):
        leg.hang_up()


@pytest.mark.parametrize("number, tone", [("do-park-701", "confirmation tone"), ("do-retrieve-701", "refusal tone"), ("do-retrieve-ask", "dial tone")])
def test_without_any_sound_file_a_tone_is_heard(switch, phones, speaks, number, tone):
    """Before: silence."""
    speaks()
    call = phones("1002").call(number)
    hears(call, {}, tone)
    call.hang_up()


def test_a_parker_hears_why_there_is_no_slot_in_the_own_language(switch, phones, speaks):
    frequencies = sounds(switch, "de")
    speaks(language(switch, "de"), lots=lot(slots="701"))
    first = phones().call("do-park-701")
    assert wait_for(switch.calls)
    phone = phones("1004", says=700)
    phone.on_ring = 0
    caller = phones(says=600).call("1004")
    call = phone.wait_call()
    assert call.audio.hears(600)
    call.refer("700")
    recall = phone.wait_call()
    hears(recall, frequencies, SORRY, AGAIN)
    assert recall.audio.hears(600) and caller.audio.hears(700)
    for leg in (first, caller):
        leg.hang_up()
