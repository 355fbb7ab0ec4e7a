"""`make install` and `make doctor` on the stock configuration of the FreeSWITCH that is installed.

Before: after `make install`, 700 had no route, `park+701` went into a queue of the stock dialplan, and nothing said so."""

import re
import signal

import pytest

from conftest import new_switch, stopped_after
from phone import DOMAIN, Phone
from sounds import heard, write_sounds
from stock import PASSWORD, StockSwitch, follow
from switch import wait_for


@pytest.fixture(scope="module")
def stock(failures):
    switch = new_switch(StockSwitch)
    if not switch.doctor_program.exists():
        pytest.fail(f"{switch.doctor_program} is not built")
    with stopped_after(switch, failures):
        yield switch


@pytest.fixture
def phones_at(stock):
    made = []

    def make(user="", **more):
        phone = Phone(stock, user, password=PASSWORD, **more)
        made.append(phone)
        return phone.register() if user else phone

    yield make
    for phone in made:
        phone.close()


def problems(text):
    """The first lines of the findings that are more than advice."""
    return re.findall(r"^(?:missing|conflict|fault): .*", text, re.M)


def start(switch):
    switch.start()
    assert wait_for(lambda: switch.api("module_exists mod_sofia") == "true")


def test_install_names_what_remains_and_following_it_is_enough(stock, phones_at):
    """A newcomer's way: install, write the lines, start; the doctor is satisfied, and a call is parked and retrieved."""
    said = stock.install()
    assert (stock.conf / "autoload_configs/callpark.conf.xml").exists() and (stock.conf / "lang/en/ivr/callpark.xml").exists()
    assert not (stock.conf / "dialplan/default/00_callpark.xml").exists()
    assert re.search(r'modules.conf.xml, line \d+, replace\n +<load module="mod_valet_parking"/>\n  by\n +<load module="mod_callpark"/>', said)
    assert re.search(r'internal.xml, line \d+, replace\n +<param name="dialplan" value="XML"/>\n  by\n +<param name="dialplan" value="callpark,XML"/>', said)
    assert len(re.findall(r'<param name="track-calls" value="true"/>', said)) == 2 and len(problems(said)) == 4

    start(stock)
    status, before = stock.doctor()
    assert status == 1
    assert {"missing: mod_callpark is not loaded", "conflict: mod_valet_parking is loaded"} <= set(problems(before))
    assert set(problems(said)) <= set(problems(before)), "the running FreeSWITCH has the same shortcomings as its files"
    stock.api("shutdown")
    stock.process.wait(60)

    assert follow(said) == 4
    assert "nothing is missing" in stock.install()
    start(stock)
    status, after = stock.doctor()
    assert status == 0 and after.endswith("nothing is missing, in conflict or at fault\n") and not problems(after), after
    # This FreeSWITCH has neither sound files nor music. Before: nothing was said about them.
    assert "make sounds-install" in after and "make moh-install" in after and "the lot has no fallback" in after, after

    reception = phones_at("1001", says=700)
    reception.on_ring = 0.1
    caller = phones_at("1003", says=600).call("1001")
    call = reception.wait_call()
    assert call.answered.wait(10) and caller.audio.hears(700, within=10)
    call.refer("700")
    row = wait_for(stock.calls)[0]
    assert (row["slot"], row["domain"], row["parker"]) == ("701", DOMAIN, f"1001@{DOMAIN}")
    taker = phones_at("1002", says=900).call("701")
    assert taker.audio.hears(600, within=10) and caller.audio.hears(900)
    caller.hang_up()
    assert stock.wait_idle()


def test_phones_that_know_the_address_alone(stock, phones_at):
    """They are users of the domain, which has a name here."""
    lamp = phones_at("1005", domain="127.0.0.1").subscribe("703", domain="127.0.0.1")
    phone = phones_at("1001", domain="127.0.0.1", says=700)
    phone.on_ring = 0.1
    caller = phones_at(says=600).call("1001")
    call = phone.wait_call()
    assert caller.audio.hears(700) and lamp.shows("terminated")
    call.refer("park+703")
    assert lamp.shows("confirmed")
    assert [(row["slot"], row["domain"], row["parker"]) for row in stock.calls()] == [("703", DOMAIN, f"1001@{DOMAIN}")]
    taker = phones_at("1002", domain="127.0.0.1", says=900).call("703")
    assert taker.audio.hears(600) and caller.audio.hears(900) and lamp.shows("terminated")
    caller.hang_up()
    assert stock.wait_idle()


def reload_with(stock, name, expression, text):
    stock.edit(name, expression, text)
    stock.api("reloadxml")
    stock.api("callpark reload")


@pytest.mark.parametrize("file, expression, broken, said", [
    ("sip_profiles/internal.xml", "callpark,XML", "XML,callpark", "asks the XML dialplan before callpark"),
    ("sip_profiles/internal.xml", "callpark,XML", "XML", "internal does not ask the dialplan callpark"),
    ("sip_profiles/external.xml", '<param name="track-calls" value="true"/>', "", "profile external are lost"),
    ("autoload_configs/modules.conf.xml", '<load module="mod_callpark"/>', "", "does not load mod_callpark at its start"),
    ("autoload_configs/callpark.conf.xml", "701-720", "1001-1010", "1001, 1002, 1003.* are slots and users"),
    ("autoload_configs/callpark.conf.xml", "701-720", "720-701", r"callpark.conf.xml has 1 error, not in force"),
    ("autoload_configs/callpark.conf.xml", "<settings>", '<settings><param name="http-listen" value="127.0.0.1:0"/><param name="http-token-file" value="/nowhere/tokens"/>', "token file /nowhere/tokens cannot be read"),
    ("lang/en/ivr/callpark.xml", "callpark_announce_slot", "other_announce_slot", "lacks the phrases callpark_announce_slot"),
    ("vars.xml", "<include>", '<include>\n<X-PRE-PROCESS cmd="set" data="default_language=de"/>', "language de has no phrases"),
])
def test_the_doctor_names_each_fault(stock, file, expression, broken, said):
    """And is satisfied again as soon as the fault is corrected."""
    original = (stock.conf / file).read_text()
    try:
        reload_with(stock, file, re.escape(expression) if expression[0] == "<" else expression, broken)
        status, text = stock.doctor()
        assert status == 1 and any(re.search(said, problem) for problem in problems(text)), text
        assert re.search(r"^  \S", text, re.M), "the line that fixes it"
    finally:
        (stock.conf / file).write_text(original)
        if file == "vars.xml":
            stock.api("global_setvar default_language=")
        reload_with(stock, file, "$^", "")
    assert stock.doctor()[0] == 0, stock.doctor()[1]


# The lines that each language of the stock configuration needs.
LANGUAGES = {"de": 1, "fr": 1, "sv": 1, "es": 0, "he": 0, "pt": 0, "ru": 0}
DIGITS = [f"digits/{digit}.wav" for digit in range(10)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_doctor_names_the_include_that_a_language_lacks(stock, phones_at, language):
    """The stock files of some languages include no file that is added, and freeswitch.xml leaves Swedish out. After the lines that the doctor names, the
    prompts are heard. Before: for Swedish it named a line that was there already."""
    lines = LANGUAGES[language]
    files = ["vars.xml", "freeswitch.xml", *(f"lang/{language}/{file.name}" for file in stock.conf.glob(f"lang/{language}/*.xml"))]
    originals = {file: (stock.conf / file).read_text() for file in files}
    try:
        reload_with(stock, "vars.xml", "<include>", f'<include>\n<X-PRE-PROCESS cmd="set" data="default_language={language}"/>')
        status, said = stock.doctor()
        assert status == min(lines, 1) and follow(said) == lines, said
        for file in files[2:]:
            stock.edit(file, r'"(?:\$\$\{sounds_dir\}|/snds)[^"]*"', f'"{stock.dir}/sounds/{language}"')
        stock.api("reloadxml")
        assert stock.doctor()[0] == 0, stock.doctor()[1]
        if lines:
            sounds = write_sounds(stock.dir / "sounds" / language, DIGITS)
            call = phones_at("1002", says=900).call("700")
            assert wait_for(lambda: ["digits/7.wav", "digits/0.wav", "digits/1.wav"] == [name for name in heard(call.audio, sounds) if name in DIGITS])
            call.hang_up()
            assert stock.wait_idle()
    finally:
        for file, text in originals.items():
            (stock.conf / file).write_text(text)
        stock.api("global_setvar default_language=")
        reload_with(stock, "vars.xml", "$^", "")


def test_a_token_file_that_others_can_read_is_a_fault(stock):
    tokens = stock.dir / "tokens"
    tokens.write_text("0123456789abcdef0123456789abcdef view *\n")
    tokens.chmod(0o644)
    file = "autoload_configs/callpark.conf.xml"
    original = (stock.conf / file).read_text()
    try:
        reload_with(stock, file, "<settings>", f'<settings><param name="http-listen" value="127.0.0.1:0"/><param name="http-token-file" value="{tokens}"/>')
        status, text = stock.doctor()
        assert status == 1 and f"chmod 600 {tokens}" in text, text
        tokens.chmod(0o600)
        stock.api("callpark reload")
        assert wait_for(lambda: stock.doctor()[0] == 0, 10), stock.doctor()[1]
    finally:
        (stock.conf / file).write_text(original)
        reload_with(stock, file, "$^", "")


def test_the_doctor_says_that_freeswitch_does_not_respond(stock):
    """Before: the doctor waited for ever, as fs_cli does."""
    stock.process.send_signal(signal.SIGSTOP)
    try:
        status, said = stock.doctor()
    finally:
        stock.process.send_signal(signal.SIGCONT)
    assert status == 2 and "got no answer within 10 s" in said, said


def test_an_upgrade_leaves_the_loaded_module_in_place(stock, phones_at):
    """FreeSWITCH goes on with the module that it has loaded, and calls stay parked."""
    caller = phones_at("1003", says=600).call("700")
    assert wait_for(stock.calls)
    loaded = (stock.dir / "mod/mod_callpark.so").resolve()
    inode = loaded.stat().st_ino
    assert "kept" not in stock.install()
    assert loaded.stat().st_ino != inode
    maps = open(f"/proc/{stock.process.pid}/maps").read()
    assert f"{loaded} (deleted)" in maps and len(stock.calls()) == 1
    assert "Module in use" in stock.api("reload mod_callpark")
    status, said = stock.doctor()
    assert status == 1 and problems(said) == ["fault: mod_callpark has been replaced, and FreeSWITCH goes on with the version that it has loaded"]
    caller.hang_up()
    assert stock.wait_idle()
    # Before: `reload` was said to load the new version.
    stock.api("reload mod_callpark")
    assert wait_for(lambda: "earlier version of the module is still in memory" in stock.log())


def test_uninstall_leaves_only_what_was_changed(stock):
    (stock.conf / "autoload_configs/callpark.conf.xml").open("a").write("<!-- changed -->\n")
    said = stock.install("--remove")
    assert "kept, because it was changed" in said
    left = [path.name for path in stock.root.rglob("*callpark*")]
    assert left == ["callpark.conf.xml"]
