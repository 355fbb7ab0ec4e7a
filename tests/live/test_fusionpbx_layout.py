"""`make install`, `make doctor` and the module where a script in mod_lua serves SIP profiles, dialplan, users and languages: a script in the shape of FusionPBX's,
and FusionPBX's own with its configuration and its database, if the environment variable FUSIONPBX names a clone of its repository."""

import os
import re
import shutil

import pytest

from conftest import stopped_after
from phone import DOMAIN
from fusionpbx import FusionPbxSwitch
from served import ServedSwitch
from switch import ROOT, find_prefix, module_dir, wait_for
from test_history import BIN, Postgres
from test_install import problems, start

WELL = "nothing is missing, in conflict or at fault\n"


@pytest.fixture(scope="module")
def database():
    """A PostgreSQL for FusionPBX."""
    made = []
    yield lambda: made.append(Postgres()) or made[0]
    for server in made:
        server.close()


@pytest.fixture(scope="module", params=["served", "fusionpbx"])
def served(request, failures, database):
    module, prefix = os.environ.get("CALLPARK_MODULE", ROOT / "target/debug/libmod_callpark.so"), find_prefix()
    needed = ["lua", "valet_parking"] if request.param == "served" else ["lua", "valet_parking", "pgsql"]
    if any(not (module_dir(prefix) / f"mod_{name}.so").exists() for name in needed):
        pytest.skip(f"FreeSWITCH without one of the modules {needed}")
    if request.param == "served":
        switch = ServedSwitch(module, prefix)
    elif "FUSIONPBX" not in os.environ:
        pytest.skip("the environment variable FUSIONPBX names no clone of FusionPBX")
    elif shutil.which("php") is None or BIN is None:
        pytest.skip("php (package php-cli) or PostgreSQL is not installed")
    else:
        switch = FusionPbxSwitch(module, prefix, database())
    if not switch.doctor_program.exists():
        pytest.fail(f"{switch.doctor_program} is not built")
    with stopped_after(switch, failures):
        yield switch


@pytest.fixture
def phones(served, phones_of):
    yield phones_of(served)
    served.api("hupall")
    assert served.wait_idle()
    assert not re.findall(r"\[ERR\] mod_lua.*", served.log())


def test_install_and_doctor_name_the_pages(served):
    """Before: `make install` named the line of modules.conf.xml, which is lost when the page of the modules is next used."""
    said = served.install()
    assert (served.conf / "languages/en/ivr/callpark.xml").exists() and (served.root / "usr/lib/freeswitch/mod/mod_callpark.so").exists()
    assert "in FusionPBX, under Advanced, Modules, disable Valet Parking and enable Callpark" in said
    assert "in FusionPBX, under Advanced, SIP Profiles, internal, set dialplan to callpark,XML" in said
    assert not re.search(r"(?:modules.conf.xml|sip_profiles\S*), (?:line|add)", said)

    start(served)
    status, said = served.doctor()
    assert status == 1 and sorted(problems(said)) == sorted([
        "missing: FreeSWITCH does not load mod_callpark at its start", "missing: mod_callpark is not loaded", "conflict: mod_valet_parking is loaded",
        "missing: parked callers of the SIP profile internal are lost if FreeSWITCH crashes",
        "missing: parked callers of the SIP profile external are lost if FreeSWITCH crashes"]), said
    assert said.count("under Advanced, SIP Profiles, internal, set track-calls to true") == 1 and "/etc/freeswitch/" not in said
    served.api("shutdown")
    served.process.wait(60)

    served.write_modules("mod_lua", "mod_callpark")
    served.set_in_profiles("track-calls", "true", "internal", "external")
    start(served)
    status, said = served.doctor()
    assert status == 0 and said.startswith("note: the SIP profile internal does not ask the dialplan callpark") and "external" not in said, said


def test_a_park_extension_and_its_orbit_work_on_the_served_dialplan(served, phones):
    """The orbit is a user, whom the dialplan recognises by a variable that an earlier extension sets."""
    receptionist = phones("1001", says=700)
    receptionist.on_ring = 0.1
    caller = phones(says=600).call("1001")
    call = receptionist.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.refer("*5901")
    (row,) = wait_for(served.calls)
    assert (row["slot"], row["lot"], row["domain"], row["parker"]) == ("*5901", "park", DOMAIN, f"1001@{DOMAIN}")
    assert f'<extension uuid="{row["uuid"]}">*5901</extension>' in served.api(f"valet_info park@{DOMAIN}")
    call.hang_up()
    back = receptionist.wait_call(8)
    assert back.audio.hears(600, within=5) and caller.audio.hears(700)


def test_a_fallback_is_looked_up_by_its_own_number(served, phones):
    """Before: the script was asked for the number that the caller had dialled, did not find it, and the caller never went to the fallback."""
    caller = phones("1002", says=600).call("outside-5551000")
    assert wait_for(lambda: [row["slot"] for row in served.calls()] == ["701"])
    assert caller.audio.hears(1300, within=5) and served.calls() == []


@pytest.fixture
def change(served):
    """Changes callpark.conf.xml for the time of a test."""
    file = served.conf / "autoload_configs/callpark.conf.xml"
    before = file.read_text()

    def write(text):
        file.write_text(text)
        served.api("reloadxml")
        assert served.api("callpark reload").startswith("+OK")

    yield lambda expression, text: write(re.sub(expression, text, before))
    write(before)


def test_the_feature_code_parks_where_the_operator_panel_looks(served, change, phones):
    """With the lot of the panel configured, as docs/install.md describes it."""
    change('(?s)"default-lot" value="main"(.*)<lot name="main"(.*)701-720', r'"default-lot" value="park"\1<lot name="park"\2*5901-*5999')
    user = phones("1001", says=700)
    user.on_ring = 0.1
    caller = phones(says=600).call("1001")
    call = user.wait_call()
    assert call.answered.wait(5) and caller.audio.hears(700)
    call.press("*5")
    (row,) = wait_for(served.calls)
    assert f'<extension uuid="{row["uuid"]}">*5901</extension>' in served.api(f"valet_info park@{DOMAIN}") and caller.audio.hears_sound()
    caller.hang_up()
    assert served.wait_idle()


def test_the_numbers_of_the_lots_work_with_one_setting_of_the_profile(served, phones):
    """Before: the language was asked for without the parameters that FusionPBX's script needs, and each prompt whose sound files are missing made errors."""
    served.set_in_profiles("dialplan", "callpark,XML", "internal")
    served.api("sofia profile internal rescan")
    assert wait_for(lambda: "SIP profile internal" not in served.doctor()[1], 10) and served.doctor()[0] == 0 and served.doctor()[1].endswith(WELL), served.doctor()
    user = phones("1001", says=700).call("700")
    (row,) = wait_for(served.calls)
    assert (row["slot"], row["domain"], row["caller_number"]) == ("701", DOMAIN, "1001")
    assert wait_for(lambda: "phrase is not heard" in served.log()), "the language is looked up"
    taker = phones("1002", says=900).call("701")
    assert taker.audio.hears(700) and user.audio.hears(900)


def test_a_registered_user_with_the_number_of_a_slot_is_a_conflict(served, change, phones):
    """The users are not in files, so they are known when they are registered."""
    change("701-720", "1002-1009")
    phones("1002")
    status, said = served.doctor()
    assert status == 1 and "conflict: the numbers 1002 are slots and users" in problems(said), said
