"""Tests that FreeSWITCH neither expands nor runs text that comes from callers, administrators or holders of a token."""

import re

import pytest

from conftest import LOTS, MUSIC, new_switch, stopped_after
from hostile import AUDIT, CDR, Trap
from switch import free_port, wait_for
from test_web import ALL, Site

SECOND = "second-tenant-0123456789"
PARKED = """<extension name="parked"><condition field="destination_number" expression="^parked$">
    <action application="set" data="callpark_parker=1001@callpark.test"/><action application="callpark_park" data="701"/></condition></extension>"""
ELSEWHERE = """<extension name="one of the tenant's own"><condition field="destination_number" expression="^ours$">
    <action application="answer"/><action application="playback" data="tone_stream://%(60000,0,1300)"/></condition></extension>"""
LOTS_OF_TENANTS = LOTS + f"""
<lot name="tenant" domain="other.test">
  <param name="slots" value="801-803"/>
  <param name="hold-music" value="tone_stream://%(1000,0,{MUSIC});loops=-1"/>
  <param name="park-timeout" value="0"/>
  <param name="fallback" value="ours XML tenant"/>
</lot>"""


@pytest.fixture(scope="module")
def watched(failures):
    """A FreeSWITCH with the CDRs of the stock configuration. `site` is its HTTP API."""
    switch = new_switch()
    switch.more = CDR.replace("@DIR@", str(switch.dir))
    tokens, port = switch.dir / "tokens", free_port()
    tokens.write_text(f"{ALL} view,act *\n{SECOND} view,act other.test\n")
    tokens.chmod(0o600)
    switch.site = Site(port)
    switch.configure(LOTS_OF_TENANTS, f'<param name="http-listen" value="127.0.0.1:{port}"/><param name="http-token-file" value="{tokens}"/>',
                     extensions=AUDIT + PARKED + "</context><context name=\"tenant\">" + ELSEWHERE)
    with stopped_after(switch, failures):
        switch.start()
        assert "+OK" in switch.api("load mod_cdr_csv")
        yield switch


@pytest.fixture
def trap(watched):
    trap = Trap(watched)
    yield trap
    assert watched.wait_idle(), watched.api("show channels")
    trap.close()
    assert watched.process.poll() is None and "panics caught    0" in watched.api("callpark status")


@pytest.fixture
def phones(watched, trap, phones_of):
    """Phones that are closed before the trap is checked."""
    return phones_of(watched)


DESTINATIONS = ["system:touch {marker} inline", "9999 inline:system:touch${{IFS}}{marker}", "system:touch {marker}", "x inline:system:touch {marker} default", "1001 XML other",
                "audit XML default", "audit default XML", "audit  XML", " audit", "audit ", "audit\n", "audit\tXML", "m:^:system:touch^{marker}", "audit,system:x", "audit;x",
                "lua:~os.execute('touch {marker}') inline", "&park()", "&system(touch {marker})", "1001@other.test", "sofia/gateway/x/1", "loopback/audit", "audit/default",
                "'audit'", '"audit"', "audit|", "-both audit", "\u0661\u0662", "audit\u00a0XML", "a" * 65, "", "audit\u0000"]


def test_a_token_cannot_run_a_command_by_a_transfer(watched, trap, phones):
    """Before: `{"destination": "system:id>/tmp/x inline"}` ran `id` as FreeSWITCH's user, and `9999 inline:system:...` as well."""
    caller = phones(says=600).call("do-park-701")
    assert wait_for(watched.calls)
    hostile = [text.format(marker=trap.marker) for text in DESTINATIONS] + [text for text in trap.payloads() if not re.fullmatch(r"[A-Za-z0-9_.*#+-]{1,64}", text)]
    assert len(hostile) >= 50
    for text in hostile:
        status, answer = watched.site.act("701", "transfer", {"extension": text.encode("utf-8", "replace").decode()})
        assert status == 400 and answer["error"].startswith("extension ") and "1 to 64 of A-Z a-z 0-9 _ . * # + -" in answer["error"], (text, answer)
        assert len(answer["error"]) < 600, answer
    for body in ({"destination": "audit"}, {"destination": "system:id inline"}):
        status, answer = watched.site.act("701", "transfer", body)
        assert status == 400 and "is called extension" in answer["error"], answer
    for word in ("dialplan", "context", "application", "variables"):
        status, answer = watched.site.act("701", "transfer", {"extension": "audit", word: "inline"})
        assert status == 422 and f"unknown field `{word}`" in answer["error"], answer
    assert watched.calls()[0]["state"] == "parked" and caller.audio.hears(MUSIC)
    assert watched.site.act("701", "transfer", {"extension": "tone-1300"})[0] == 200 and caller.audio.hears(1300)
    caller.hang_up()


def test_a_transfer_stays_in_the_lots_own_context(watched, trap, phones):
    """The dialplan and the context are those of the lot's fallback. An extension of another context is not found."""
    caller = phones("2000", domain="other.test", says=600).call("do-park-801_tenant@other.test")
    assert wait_for(watched.calls)
    status, answer = watched.site.act("801", "transfer", {"extension": "tone-1300"}, SECOND, "other.test")
    assert status == 409 and "no extension tone-1300 in context tenant of dialplan XML" in answer["error"], answer
    assert watched.site.act("801", "transfer", {"extension": "hangup"}, SECOND, "other.test")[0] == 409, "the name of an application was accepted as an extension"
    assert watched.site.act("801", "transfer", {"extension": "ours"}, SECOND, "other.test")[0] == 200 and caller.audio.hears(1300)
    assert watched.var(caller_uuid(watched), "context") == "tenant"
    caller.hang_up()


def caller_uuid(switch):
    return switch.leg(direction="inbound")


def asserts(phone, name, number="1002"):
    """Lets the phone add a P-Asserted-Identity to its responses."""
    respond = phone.respond
    header = 'P-Asserted-Identity: "{}" <sip:{}@callpark.test>'.format(name.replace("\\", "\\\\").replace('"', '\\"'), number)
    phone.respond = lambda message, status, headers=(), *rest, **more: respond(message, status, [*headers, header], *rest, **more)


def test_the_name_of_a_callee_runs_no_command_in_a_cdr(watched, trap, phones):
    """Before: the retriever's caller profile got the name that a callee asserts, unchanged, and mod_cdr_csv ran the command in it."""
    for name in ("${system(touch ${marker})}", "${canary}"):
        callee = phones("1002", says=800)
        callee.on_ring = 0.1
        asserts(callee, name)
        user = phones("1001", says=700)
        call = user.call("1002")
        far = callee.wait_call()
        assert far.audio.hears(700)
        call.refer("701")
        row = wait_for(watched.calls)[0]
        assert row["caller_name"] == name, "the test's phone did not assert the name"
        call.hang_up()
        taker = phones("1003", says=900).call("701")
        assert far.audio.hears(900) and taker.audio.hears(800)
        uuid = watched.leg(direction="inbound")
        assert watched.var(uuid, "caller_id_name") == name.replace("$", "%"), "the name was not neutralised, or lost"
        assert trap.token not in trap.expanded(uuid) and trap.token not in trap.expanded(row["uuid"])
        far.hang_up()
        assert taker.wait_over()
        for phone in (callee, user, taker.phone):
            phone.close()
            phones.made.remove(phone)
        assert watched.wait_idle()
    assert "%{canary}" in (watched.dir / "log/cdr-csv/Master.csv").read_text(), "the CDR does not have the name"


def test_a_label_is_expanded_nowhere(watched, trap, phones):
    """Before: dialplans and CDRs expanded `${...}` in a label and ran the commands in it."""
    callers = [phones(says=600).call("do-park-auto") for _ in range(8)]
    assert wait_for(lambda: len(watched.calls()) == len(callers))
    texts = [text.encode("utf-8", "replace").decode() for text in trap.payloads()]
    for n in range(0, len(texts), len(callers)):
        rows, batch = watched.calls(), texts[n:n + len(callers)]
        for row, text in zip(rows, batch):
            status, answer = watched.site.act(row["slot"], "label", {"text": text})
            assert (status == 200 and answer["label"] == text) if len(text) <= 200 else status == 400, answer
            assert trap.token not in trap.expanded(row["uuid"]), text
        watched.events.clear()
        for row in rows:
            assert watched.api(f"callpark transfer {row['slot']} audit").startswith("+OK")
        back = lambda: sum(event["CallPark-Action"] == "park" for event in watched.events.all) == len(callers)
        assert wait_for(back), "a call did not come back from the dialplan that read its label"
        assert not trap.marker.exists(), batch
    assert watched.api("callpark label 701 ${system(touch ${marker})}").startswith("+OK")
    assert watched.calls()[0]["label"] == "${system(touch ${marker})}", "the label is not shown as it was typed"
    for caller in callers:
        caller.hang_up()


def test_a_callers_headers_are_expanded_nowhere(watched, trap, phones):
    """The text is in every header that names somebody. The module passes it to events, a recall, a page, a message, a command and CDRs."""
    notify = "message:parker,page:user/1003@callpark.test,api:global_setvar told=${caller_name}~${label}~${parker}"
    lots = LOTS_OF_TENANTS.replace('<lot name="main" domain="*">', f'<lot name="main" domain="*"><param name="notify" value="{notify}"/><param name="ringback-cid-prefix" value="$"/>')
    assert watched.reload(lots, *watched.written[1:]).startswith("+OK")
    parker, speaker = phones("1001", says=700), phones("1003", says=800)
    speaker.on_ring = 486
    payloads = trap.payloads()
    names = [text for text in payloads if "\x01" not in text and text.isprintable()]
    assert len(names) >= 50
    accepted = []
    for n, name in enumerate(names):
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        headers = [f'P-Asserted-Identity: "{quoted}" <sip:{n}@127.0.0.1>', f'Remote-Party-ID: "{quoted}" <sip:{n}@127.0.0.1>;party=calling', f'Diversion: "{quoted}" <sip:1001@127.0.0.1>;reason=unconditional',
                   f'Referred-By: "{quoted}" <sip:1001@callpark.test>', f"Subject: {name}", f"X-CallPark-Label: {name}", f"User-to-User: {name}"]
        try:
            caller = phones(says=600, name=quoted).call("parked", headers=headers, timeout=5)
        except Exception as refused:  # FreeSWITCH refuses some of it as invalid SIP
            assert "400" in str(refused) or "no answer" in str(refused), (name, refused)
            continue
        row = wait_for(watched.calls)[0]
        accepted.append(name)
        assert trap.token not in trap.expanded(row["uuid"]) and not trap.marker.exists(), name
        if len(accepted) % 8 == 1:
            parker.on_ring = None
            watched.api("callpark ringback 701")
            assert wait_for(lambda: not parker.rang.empty())
            parker.rang.get()
        caller.hang_up()
        assert wait_for(lambda: not watched.calls())
    assert watched.reload(LOTS_OF_TENANTS, *watched.written[1:]).startswith("+OK")
    assert trap.token not in watched.api("global_getvar told")
    assert len(accepted) > 0.8 * len(names), f"FreeSWITCH accepted only {len(accepted)} of {len(names)} calls"


def test_a_number_runs_no_application_by_a_dial_string(watched, trap, phones):
    """Before: a value that was filled into the dial string could have slashes. The third part after `loopback/` is a dialplan, so `inline` there
    ran an application."""
    ring = '<param name="ringback" value="loopback/${callpark_test}"/><param name="park-timeout" value="1"/>'
    lots, settings, _, extensions = watched.written
    sets = '<extension name="ring"><condition field="destination_number" expression="^ring$"><action application="set" data="callpark_test=hash:insert/ran/inline"/><action application="callpark_park" data="701"/></condition></extension>'
    assert watched.reload(lots.replace('<param name="park-timeout" value="0"/>', ring, 1), settings, None, sets + extensions).startswith("+OK")
    watched.events.clear()
    caller = phones(says=600).call("ring")
    assert watched.events.wait("ringback-failed", 8)
    assert "EXECUTE" not in "".join(line for line in watched.log().splitlines() if "loopback/hash" in line), "an application was run"
    caller.hang_up()
    assert watched.reload(lots, settings, None, extensions).startswith("+OK")
