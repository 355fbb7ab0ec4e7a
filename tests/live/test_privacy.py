"""Tests what the history keeps of a caller: a caller is exported and erased in every spelling, and a withheld number stays withheld."""

import csv
import io

import pytest

from conftest import LOTS
from switch import wait_for
from test_history import history, own, postgres  # noqa: F401  (fixtures)
from test_report import ALL, at, office, record  # noqa: F401  (a fixture)

SPELLINGS = ["+4930901820", "004930901820", "4930901820", "+49 (30) 90-18/20"]


def test_a_caller_is_exported_and_erased_in_every_spelling(office, phones_of):  # noqa: F811
    """Before: a row could only be deleted in the database by hand."""
    others = ["030901820", "+493090182", "+49309018200", "anonymous", "", "+49_0901820", "O'Neil"]
    rows = [record(n, at("2025-06-02T10:00") + n, caller_number=number, caller_name=f"caller {n}") for n, number in enumerate(SPELLINGS + others)]
    office.insert(rows)
    exported = office.json("export +49 30 901820")
    assert {row["uuid"] for row in exported} == {row["uuid"] for row in rows[:4]}
    # A spreadsheet would take a plus sign with more than digits for a formula.
    assert [row["caller_number"] for row in csv.DictReader(io.StringIO(office.api("callpark export 4930901820 as csv")))] == [f"'{SPELLINGS[3]}", *SPELLINGS[2::-1]]
    assert office.json("export +1 555 0100") == [] and [row["uuid"] for row in office.json("export o'NEIL")] == [rows[-1]["uuid"]]
    assert office.api("callpark forget 0049 (30) 901820") == "+OK 4 rows of the history erased\n"
    assert {row["caller_number"] for row in history(office)} == set(others) and office.json("export +4930901820") == []
    assert office.json("report 2025-06-02 2025-06-02")["total"]["parked"] == len(others)
    assert office.api("callpark forget 0049 (30) 901820") == "+OK 0 rows of the history erased\n"
    assert office.api("callpark forget O'Neil") == "+OK 1 row of the history erased\n"
    assert "901820" not in office.log() and "erased a caller from the history" in office.log()

    # A call that has just ended may not be written yet.
    call = phones_of(office)(says=600, name="Alice").call("do-park-701")
    number = wait_for(office.calls)[0]["caller_number"]
    call.hang_up()
    assert wait_for(lambda: not office.calls())
    assert office.api(f"callpark forget {number}") == "+OK 1 row of the history erased\n"
    assert office.json(f"export {number}") == [] and all(row["caller_name"] != "Alice" for row in history(office))


def test_a_caller_is_erased_as_soon_as_the_database_is_back(own, postgres, phones_of):  # noqa: F811
    own.configure(LOTS, f'<param name="db-dsn" value="{postgres.dsn}"/>')
    own.start()
    assert "+OK" in own.api("load mod_pgsql")
    phones = phones_of(own)
    call = phones(says=600).call("do-park-701")
    number = wait_for(own.calls)[0]["caller_number"]
    call.hang_up()
    assert wait_for(lambda: postgres.rows() == "1|1", 10)
    postgres.kill()
    answer = own.api(f"callpark forget {number}")
    assert answer == "-ERR the database does not answer; the caller is erased as soon as it does\n"
    postgres.start()
    assert wait_for(lambda: postgres.rows() == "0|0", 40, 0.5), postgres.rows()
    assert wait_for(lambda: "erased a caller from the history" in own.log())


@pytest.mark.parametrize("office", ["sqlite"], indirect=True)
def test_what_is_no_number_erases_nobody(office):  # noqa: F811
    office.insert([record(n, at("2025-06-02T10:00") + n, caller_number=number) for n, number in enumerate(["", "anonymous", "+"])])
    for text in ("anonymous", "Anonymous", "+", "()", "%", "*", "''"):
        for verb in ("forget", "export"):
            answer = office.api(f"callpark {verb} {text}")
            assert answer.startswith(f'-ERR "{text}" is not the number of one caller, expected digits such as'), answer
    assert office.api("callpark forget") == "-USAGE: callpark forget <number>\n"
    assert office.api("callpark export as json") == "-USAGE: callpark export <number> [as json|xml|csv]\n"
    assert office.api("callpark forget ' OR '1'='1") == "+OK 0 rows of the history erased\n"
    assert len(history(office)) == 3


@pytest.mark.parametrize("privacy", ["full", "masked", "none"])
@pytest.mark.parametrize("office", ["sqlite"], indirect=True)
def test_a_withheld_number_stays_withheld_in_the_history(office, phones_of, privacy):  # noqa: F811
    """Before: with `record-privacy` = `masked`, the number of such a caller was `*******us`."""
    lots, settings = office.written[:2]
    assert office.reload(lots, f'{settings}<param name="record-privacy" value="{privacy}"/>').startswith("+OK")
    headers = ['P-Asserted-Identity: "Secret" <sip:0301234567@callpark.test>', "Privacy: id"]
    caller = phones_of(office)(says=600, name="Secret").call("do-park-701", headers=headers)
    assert wait_for(office.calls)[0]["caller_number"] == "anonymous"
    assert office.api("callpark label 701 knocks twice").startswith("+OK")
    caller.hang_up()
    row = wait_for(lambda: history(office))[0]
    kept = {"full": ("Anonymous", "anonymous", "knocks twice"), "masked": ("Anonymous", "anonymous", "knocks twice"), "none": ("", "", "")}[privacy]
    assert (row["caller_name"], row["caller_number"], row["label"]) == kept
    told = [office.api("callpark history as csv"), office.api("callpark report today today by parker as json"),
            str(office.site.get("history")), str(office.site.get("report?by=parker")), office.api("callpark export 0301234567")]
    assert not [text for text in told if "Secret" in text or "0301234567" in text]
