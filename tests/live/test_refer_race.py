"""Tests a REFER at the same time as the answer of the call."""

import random
import threading
import time

import pytest

from parking import lot
from phone import DOMAIN, Failed
from switch import wait_for

TRIES = 30


@pytest.mark.parametrize("who", ["user", "outsider"])
def test_a_refer_right_after_the_answer_parks_the_caller_with_the_parker(switch, phones, who):
    """The REFER is from a user of this server, or from a phone outside. Before: of the latter, every second call had no parker."""
    if who == "user":
        parker, number, name, extensions = phones("1001", says=700), "1001", f"1001@{DOMAIN}", ""
    else:
        parker = phones(says=700)
        number, name = "trunk", None
        extensions = (f'<extension name="trunk"><condition field="destination_number" expression="^trunk$">'
                      f'<action application="bridge" data="sofia/external/sip:{parker.user}@127.0.0.1:{parker.port}"/></condition></extension>')
    assert switch.reload(lot(("park-timeout", "0")), extensions=extensions).startswith("+OK")
    chance, wrong = random.Random(7), []
    calling = phones(says=600, name="Alice")
    for n in range(TRIES):
        delay, made = chance.uniform(0, 0.04), []
        thread = threading.Thread(target=lambda made=made: made.append(calling.call(number)))
        thread.start()
        call = parker.rang.get(timeout=5)
        call.answer()
        time.sleep(delay)
        refused = None
        try:
            call.refer("700")
        except (Failed, TimeoutError) as why:
            refused = repr(why)
        thread.join(5)
        rows = wait_for(lambda: [row for row in switch.calls() if row["state"] == "parked"], 3)
        if not rows or not rows[0]["parker"] or (name and rows[0]["parker"] != name):
            wrong.append((n, round(delay * 1000, 1), refused, [row["parker"] for row in rows or []], [(leg["application"], leg["dest"], leg["state"]) for leg in switch.legs()]))
        for leg in (call, *made):
            leg.hang_up()
        switch.wait_idle()
        assert wait_for(lambda: switch.calls() == [])
    assert not wrong, "\n".join(map(str, wrong))
