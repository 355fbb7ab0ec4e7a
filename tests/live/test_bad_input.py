"""A thousand hostile values at each boundary: an error that says what is wrong and what is expected, nobody lost, nothing run."""

import http.client
import json
import re
import time
import urllib.parse
from xml.sax.saxutils import quoteattr

from conftest import LOTS, MUSIC
from hostile import within
from phone import DOMAIN
from storm import Storm, quoted
from switch import wait_for
from test_injection import LOTS_OF_TENANTS, phones, trap, watched  # noqa: F401  (fixtures)
from test_web import ALL

COUNT = 1000
ONE_LINE = "\r\n"
MANY = LOTS_OF_TENANTS.replace('value="701-710"', 'value="701-799"')


def audible(switch, phones):  # noqa: F811
    """The module is as it was: a call is parked and taken."""
    caller = phones(says=600).call("do-park-790")
    assert wait_for(lambda: any(row["slot"] == "790" for row in switch.calls()))
    taker = phones("1003", says=900).call("790")
    assert caller.audio.hears(900) and taker.audio.hears(600)
    caller.hang_up()
    assert taker.wait_over()


def test_a_thousand_command_lines(watched, trap, phones):  # noqa: F811
    caller = phones(says=600).call("do-park-701")
    uuid = wait_for(watched.calls)[0]["uuid"]
    verbs = ["list", "show", "show 701", "lots", "park", f"park {uuid}", "park none", "retrieve", "retrieve 701", "ringback", "ringback 701", "transfer", "transfer 701", "label", "label 701",
             "extend", "extend 701", "stats", "history", "reload", "status", "version", "help", ""]
    began, answers = time.monotonic(), set()
    for n, value in enumerate(trap.values(COUNT, 1, without=ONE_LINE)):
        verb = verbs[n % len(verbs)]
        if verb.startswith(("retrieve 701", "transfer 701", "park " + uuid)) and ("loopback" in value or "audit" in value):
            continue  # an administrator's own wish
        answer = watched.api(f"callpark {verb} {value}").replace("+OK", "+OK", 1)
        kind = answer.split()[0] if answer.strip() else ""
        answers.add(kind)
        if kind in ("-ERR", "-USAGE:"):
            assert answer.count("\n") == 1 and len(answer) < 5000 and not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", answer), (verb, value, answer)
            assert len(answer.split()) > 1, "it does not say why"
    within(began, 40, "a thousand lines")
    assert {"+OK", "-ERR", "-USAGE:"} <= answers
    assert [row["uuid"] for row in watched.calls()] == [uuid] and caller.audio.hears(MUSIC)
    caller.hang_up()


def test_a_thousand_requests(watched, trap, phones):  # noqa: F811
    caller = phones(says=600).call("do-park-701")
    assert wait_for(watched.calls)
    line = http.client.HTTPConnection("127.0.0.1", watched.site.port, timeout=10)
    began, statuses = time.monotonic(), {}
    part = lambda text: urllib.parse.quote(text.encode("utf-8", "surrogateescape"), safe="")
    for n, value in enumerate(trap.values(COUNT, 2)):
        text = value.encode("utf-8", "replace").decode()
        headers = {"Authorization": f"Bearer {ALL}", "Content-Type": "application/json"}
        method, path, body = "POST", f"/api/v1/calls/{DOMAIN}/701/transfer", {"extension": text}
        match n % 8:
            case 1: path, body = path.replace("transfer", "label"), {"text": text * 3}
            case 2: path, body = path.replace("transfer", "extend"), {"seconds": text}
            case 3: path = path.replace("701", part(value) or "x")
            case 4: path = path.replace(DOMAIN, part(value) or "x")
            case 5: path = path.replace("transfer", part(value) or "x")
            case 6: method, path, body = "GET", f"/api/v1/{['stats?days=', 'history?count='][n % 2]}{part(value)}", None
            case 7: body = text.encode()
        if n % 16 == 0:
            headers["Authorization"] = "Bearer " + re.sub(r"[^\x20-\x7e]", "", value)
        sent = json.dumps(body) if isinstance(body, dict) else body
        line.request(method, path, sent, headers)
        answer = line.getresponse()
        told = answer.read().decode()
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert answer.status < 500, (path, sent, told)
        if answer.status >= 400:
            assert json.loads(told)["error"] and len(told) < 2000, (path, sent, told)
    within(began, 60, "a thousand requests")
    assert {200, 400, 401, 404, 409} <= set(statuses), statuses
    assert [row["slot"] for row in watched.calls()] == ["701"] and caller.audio.hears(MUSIC)
    caller.hang_up()


def test_a_thousand_words_after_an_application(watched, trap, phones):  # noqa: F811
    """On one leg, one after the other; the dialplan always goes on, and each is told why."""
    values = trap.values(COUNT, 3, without="".join(map(chr, range(32))))
    # What a dialplan itself would fill in never gets to an application, and a slot or a lot that there is would park.
    values = [text.replace("$", "S") for text in values if not re.fullmatch(r"\s*([0-9*#]+|auto|main|ask|oldest|newest)?\s*", text) and "\\" not in text and text.isprintable()]
    actions = "".join(f"<action application=\"callpark_{('park', 'retrieve', 'slot')[n % 3]}\" data={quoteattr(text)}/><action application=\"set\" data=\"result{n}=${{callpark_result}}\"/>"
                      for n, text in enumerate(values))
    extension = f"""<extension name="words"><condition field="destination_number" expression="^words$"><action application="answer"/>{actions}
        <action application="playback" data="tone_stream://%(60000,0,1700)"/></condition></extension>"""
    lots, settings, _, extensions = watched.written
    quiet = '<macro name="callpark_invalid"><input pattern="^$"><match/></input></macro>'
    assert watched.reload(lots, settings, quiet, extension + extensions).startswith("+OK")
    began, before = time.monotonic(), len(watched.log())
    call = phones().call("words")
    assert call.audio.hears(1700, within=60), "the dialplan did not go on"
    within(began, 60, "a thousand applications")
    uuid = watched.leg(direction="inbound")
    found = dict(re.findall(r"^variable_result(\d+): (.*)$", watched.api(f"uuid_dump {uuid}"), re.M))
    results = [found.get(str(n)) for n in range(len(values))]
    assert len(values) > 500 and set(results) <= {"invalid", "empty"}, {text: result for text, result in zip(values, results) if result not in ("invalid", "empty")}
    refusals = re.findall(r"callpark: (?:callpark_\w+|retrieval|parking) refused to [0-9a-f-]{36}: (.*)", watched.log()[before:])
    assert len(refusals) >= len(values)
    for why in refusals:
        assert len(why) < 300 and re.search(r"is not|is neither|at most|no lot|nobody|nothing", why), why
    call.hang_up()
    assert watched.reload(lots, settings, None, extensions).startswith("+OK")


def test_a_thousand_values_of_variables(watched, trap, phones):  # noqa: F811
    """Of those that a dialplan sets before it parks a call. Eight at a time: what will not do is left out, and the call is parked."""
    names = ["callpark_timeout", "callpark_ringback", "callpark_ringback_timeout", "callpark_fallback", "callpark_hold_music", "callpark_announce", "callpark_parker", "callpark_label"]
    lots, settings, _, extensions = watched.written
    waits = '<extension name="waits"><condition field="destination_number" expression="^waits$"><action application="answer"/><action application="sleep" data="60000"/></condition></extension>'
    assert watched.reload(MANY, settings, None, waits + extensions).startswith("+OK")
    values = [text for text in trap.values(COUNT, 4, without="".join(map(chr, range(32)))) if ";" not in text]
    # A file to play is an administrator's own, and FreeSWITCH fills in what is in it.
    file = lambda name, text: text.replace("$", "S") if name == "callpark_hold_music" else text
    callers = [phones(says=600).call("waits") for _ in range(10)]
    assert wait_for(lambda: len(watched.legs()) == len(callers))
    uuids = [leg["uuid"] for leg in watched.legs()]
    began, parked = time.monotonic(), 0
    for turn in range(0, len(values), len(names) * len(uuids)):
        batch = values[turn:turn + len(names) * len(uuids)]
        for n, uuid in enumerate(uuids):
            own = batch[n * len(names):(n + 1) * len(names)]
            for name, text in zip(names, own):
                watched.api(f"uuid_setvar {uuid} {name} {file(name, text)}")
            answer = watched.api(f"callpark park {uuid} auto")
            assert answer.startswith("+OK"), (own, answer)
        assert wait_for(lambda: sum(row["state"] in ("parked", "ringing-back") for row in watched.calls()) == len(uuids)), ([(row["slot"], row["state"], row["uuid"]) for row in watched.calls()], watched.log()[-6000:])
        parked += len(uuids)
        for uuid in uuids:
            assert trap.token not in trap.expanded(uuid)
            watched.api(f"uuid_transfer {uuid} waits")
        assert wait_for(lambda: not watched.calls())
    within(began, 60, f"{parked} calls")
    assert all(not caller.over.is_set() for caller in callers), "a caller was lost"
    for caller in callers:
        caller.hang_up()
    assert watched.reload(LOTS_OF_TENANTS, settings, None, extensions).startswith("+OK")


def outcomes(switch):
    """Of each call that was parked, how often it was, and how often it ended."""
    ends = {"retrieve", "return", "fallback", "transfer", "abandon"}
    counts = {}
    for event in list(switch.events.all):
        parked, ended = counts.get(event.get("Unique-ID"), (0, 0))
        counts[event.get("Unique-ID")] = (parked + (event["CallPark-Action"] == "park"), ended + (event["CallPark-Action"] in ends))
    return {uuid: both for uuid, both in counts.items() if uuid}


def storm_over(switch, trap, phones, dialogs, parked_at_least):  # noqa: F811
    assert wait_for(lambda: not switch.calls(), 10), switch.calls()[:2]
    assert wait_for(lambda: all(both == (1, 1) for both in outcomes(switch).values() if both != (0, 0)), 5), [both for both in outcomes(switch).values() if both != (1, 1)][:3]
    parked = sum(both == (1, 1) for both in outcomes(switch).values())
    assert parked >= parked_at_least, f"only {parked} calls got as far as a slot"
    assert not [row for row in dialogs if row.status >= 500 and row.status not in (502, 503)], [(row.status, row.request) for row in dialogs if row.status >= 500][:3]
    trap.check()
    audible(switch, phones)


def test_a_thousand_calls_with_hostile_headers(watched, trap, phones):  # noqa: F811
    lots, settings, _, extensions = watched.written
    assert watched.reload(MANY, settings, None, extensions).startswith("+OK")
    watched.events.clear()
    values = iter(trap.values(4 * COUNT, 5, without=ONE_LINE + "\0"))
    requests = []
    for n, name in zip(range(COUNT), values):
        text, other, id = next(values), next(values), next(values)
        requests.append({"uri": f"sip:do-park-auto@127.0.0.1:{watched.outside_port}", "from": quoted(name) if n % 3 else name.replace("<", "").replace(",", ""),
                         "call_id": re.sub(r"[^A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]", "", id)[:200],
                         "headers": [f"P-Asserted-Identity: {quoted(text)} <sip:{n}@127.0.0.1>", f"Referred-By: {['<sip:' + other + '@' + DOMAIN + '>', other, quoted(other) + f' <sip:1001@{DOMAIN}>'][n % 3]}",
                                     f"Diversion: {quoted(other)} <sip:{text}@127.0.0.1>;reason=unknown", f"X-CallPark-Ticket: {text}", f"Alert-Info: {text}", f"Privacy: {other}"]})
    storm = Storm(watched.outside_port)
    began = time.monotonic()
    dialogs = storm.run(requests, 60)
    within(began, 60, "a thousand calls")
    storm.close()
    storm_over(watched, trap, phones, dialogs, COUNT // 4)
    assert watched.reload(LOTS_OF_TENANTS, settings, None, extensions).startswith("+OK")


def test_a_thousand_hostile_addresses(watched, trap, phones):  # noqa: F811
    """Where a call is sent: by the URI of an INVITE, and by Refer-To and Referred-By."""
    lots, settings, _, extensions = watched.written
    talk = '<extension name="talk"><condition field="destination_number" expression="^talk$"><action application="set" data="hangup_after_bridge=true"/><action application="bridge" data="loopback/tone-1700/default"/></condition></extension>'
    assert watched.reload(MANY, settings, None, talk + extensions).startswith("+OK")
    watched.events.clear()
    here = f"127.0.0.1:{watched.outside_port}"
    values = iter(trap.values(COUNT, 6, without=ONE_LINE + "\0 <>"))
    requests = []
    for n, text in enumerate(values):
        user = text if n % 2 else urllib.parse.quote(text.encode("utf-8", "surrogateescape"), safe="+*-_.")
        if n % 4 != 3:
            requests.append({"uri": f"sip:{('', 'do-slot-', 'do-park-')[n % 3]}{user}@{here}"})
        else:
            # FreeSWITCH itself fills in the number that a REFER names, in the record of any call.
            user = user.replace("$", "S")
            target = (f"<sip:{user}@{here}>", f"<sip:do-park-auto@{here};{user}>", f"<sip:do-park-auto@{here}?{user}>", f"<sip:7{user}@{here}>")[n // 4 % 4]
            requests.append({"uri": f"sip:talk@{here}", "refer_to": target, "referred_by": f"<sip:{next(values, 'x')}@{DOMAIN}>"})
    storm = Storm(watched.outside_port, at_once=20, stay=0.6)
    began = time.monotonic()
    dialogs = storm.run(requests, 75)
    within(began, 75, "all of them")
    storm.close()
    assert sum(dialog.refer_status is not None for dialog in dialogs) > 50, "hardly any REFER was answered"
    watched.api("hupall")
    storm_over(watched, trap, phones, dialogs, 10)
    assert watched.reload(LOTS_OF_TENANTS, settings, None, extensions).startswith("+OK")
