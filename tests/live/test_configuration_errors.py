"""Tests the error messages for a faulty callpark.conf.xml: they name all faults, each with its line."""

import re

import pytest

FAULTY = """<configuration name="callpark.conf" description="Call parking">
  <settings>
    <param name="default-lot" value="mian"/>
  </settings>
  <!-- Two lots,
       of one office. -->
  <lots>
    <lot name="main" domain="$${domain}">
      <param name="slots" value="701-710"/>
      <param name="park-timeout" value="soon"/>
      <param name="overflow-lot" value="more"/>
      <slot number="701" lable="Front desk"/>
    </lot>
    <lot name="sales" domain="$${domain}">
      <param name="slots" value="710-712"/>
      <param name="retrieve-pin" value="12x4"/>
    </lot>
  </lots>
</configuration>
"""


@pytest.fixture
def included(switch):
    """Moves the configuration into a file of its own, as in an installation. Yields the file."""
    main = switch.dir / "conf/freeswitch.xml"
    before = main.read_text()
    folder = switch.dir / "conf/autoload_configs"
    folder.mkdir(exist_ok=True)
    file = folder / "callpark.conf.xml"
    include = f'<X-PRE-PROCESS cmd="include" data="{file}"/>'
    main.write_text(re.sub(r'<configuration name="callpark\.conf">.*?</configuration>', include, before, count=1, flags=re.S))
    yield file
    file.unlink()
    main.write_text(before)
    assert switch.api("callpark reload") == "+OK\n"


def test_every_fault_is_reported_with_its_line_lot_and_parameter(switch, included):
    """Before: the only message was `unknown field `@lable``, without a line and a lot. Without that fault, the missing lot `more` was not
    reported."""
    included.write_text(FAULTY)
    answer = switch.api("callpark reload")
    assert answer.startswith("-ERR nothing changed: ") and "12x4" not in answer, answer
    reported = answer.removeprefix("-ERR nothing changed: ").strip().split("; ")
    assert reported == [
        'callpark.conf.xml, line 10: lot main@callpark.test: park-timeout="soon": expected a whole number from 0 to 31536000',
        'callpark.conf.xml, line 12: lot main@callpark.test: lable="Front desk": unknown attribute of <slot>, expected number, label',
        'callpark.conf.xml, line 16: lot sales@callpark.test: retrieve-pin="***": expected 1 to 32 digits or *',
        'callpark.conf.xml, line 15: lot sales@callpark.test: slots="710": slot 710 belongs to lot main@callpark.test already, expected each slot once in a domain',
        'callpark.conf.xml, line 11: lot main@callpark.test: overflow-lot="more": there is no such lot in this domain',
        'callpark.conf.xml, line 3: settings: default-lot="mian": no lot has this name',
    ]
    assert all(line in switch.api("callpark status") for line in reported)
