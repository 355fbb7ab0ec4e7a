"""Sends a thousand hostile values to each interface: each error says what is wrong, no caller is lost, and no command is run."""

import collections
import http.client
import itertools
import json
import re
import time
import urllib.parse
from xml.sax.saxutils import quoteattr

from conftest import MUSIC
from hostile import within
from phone import DOMAIN
from raw_sip import RawCalls, Refer, quoted
from switch import wait_for
from test_injection import LOTS_OF_TENANTS, phones, trap, watched  # noqa: F401  (fixtures)
from test_web import ALL

COUNT = 1000
ONE_LINE = "\r\n"
MANY = LOTS_OF_TENANTS.replace('value="701-710"', 'value="701-799"')


def check_that_parking_works(switch, phones):  # noqa: F811
    """Asserts that a call can be parked and retrieved, with audio."""
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
            continue  # an administrator may do this
        answer = watched.api(f"callpark {verb} {value}").replace("+OK", "+OK", 1)
        kind = answer.split()[0] if answer.strip() else ""
        answers.add(kind)
        if kind in ("-ERR", "-USAGE:"):
            assert answer.count("\n") == 1 and len(answer) < 5000 and not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", answer), (verb, value, answer)
            assert len(answer.split()) > 1, "the answer has no reason"
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


def test_three_hundred_words_after_an_application(watched, trap, phones):  # noqa: F811
    """The applications run on one leg, one after the other. The dialplan always continues, and the log has a reason for each refusal."""
    values = trap.values(COUNT, 3, without="".join(map(chr, range(32))))
    # The core expands `$` before the application gets the data, and a valid slot or lot would park the call.
    values = [text.replace("$", "S") for text in values if not re.fullmatch(r"\s*([0-9*#]+|auto|main|ask|oldest|newest)?\s*", text) and "\\" not in text and text.isprintable()]
    values = values[:300]  # each refusal is heard, for a tenth of a second
    actions = "".join(f"<action application=\"callpark_{('park', 'retrieve', 'slot')[n % 3]}\" data={quoteattr(text)}/><action application=\"set\" data=\"result{n}=${{callpark_result}}\"/>"
                      for n, text in enumerate(values))
    extension = f"""<extension name="words"><condition field="destination_number" expression="^words$"><action application="answer"/>{actions}
        <action application="playback" data="tone_stream://%(60000,0,1700)"/></condition></extension>"""
    lots, settings, _, extensions = watched.written
    # Each refusal is heard. Without a phrase, a tone of a second would be.
    short = '<action function="play-file" data="silence_stream://10"/>'
    quiet = "".join(f'<macro name="callpark_{name}"><input pattern="^(.*)$"><match>{short}</match></input></macro>' for name in ("invalid", "empty"))
    assert watched.reload(lots, settings, quiet, extension + extensions).startswith("+OK")
    began, before = time.monotonic(), len(watched.log())
    call = phones().call("words")
    assert call.audio.hears(1700, within=60), "the dialplan did not continue"
    within(began, 60, "three hundred applications")
    uuid = watched.leg(direction="inbound")
    found = dict(re.findall(r"^variable_result(\d+): (.*)$", watched.api(f"uuid_dump {uuid}"), re.M))
    results = [found.get(str(n)) for n in range(len(values))]
    assert len(values) == 300 and set(results) <= {"invalid", "empty"}, {text: result for text, result in zip(values, results) if result not in ("invalid", "empty")}
    refusals = re.findall(r"callpark: refused (?:callpark_\w+|retrieval|parking) .*cause=\"?([^\"]*)", watched.log()[before:])
    assert len(refusals) >= len(values)
    for why in refusals:
        assert len(why) < 300 and re.search(r"is not|is neither|at most|no lot|nobody|nothing", why), why
    call.hang_up()
    assert watched.reload(lots, settings, None, extensions).startswith("+OK")


def test_a_thousand_values_of_variables(watched, trap, phones):  # noqa: F811
    """A dialplan sets these variables before it parks a call. The module ignores invalid values, and the call is parked."""
    names = ["callpark_timeout", "callpark_ringback", "callpark_ringback_timeout", "callpark_fallback", "callpark_hold_music", "callpark_announce", "callpark_parker", "callpark_label"]
    lots, settings, _, extensions = watched.written
    waits = '<extension name="waits"><condition field="destination_number" expression="^waits$"><action application="answer"/><action application="sleep" data="60000"/></condition></extension>'
    assert watched.reload(MANY, settings, None, waits + extensions).startswith("+OK")
    values = [text for text in trap.values(COUNT, 4, without="".join(map(chr, range(32)))) if ";" not in text]
    # FreeSWITCH itself expands the name of a file to play, which only an administrator sets.
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
    """For each call with an event: how often it was parked, and how many outcomes it had."""
    ends = {"retrieve", "return", "fallback", "transfer", "abandon"}
    counts = {}
    for event in list(switch.events.all):
        parked, ended = counts.get(event.get("Unique-ID"), (0, 0))
        counts[event.get("Unique-ID")] = (parked + (event["CallPark-Action"] == "park"), ended + (event["CallPark-Action"] in ends))
    return {uuid: both for uuid, both in counts.items() if uuid}


def check_calls(switch, trap, phones, dialogs, parked_at_least):  # noqa: F811
    """Asserts that each call that was parked had one outcome, that no request failed with a server error, and that nothing was expanded."""
    assert wait_for(lambda: not switch.calls(), 10), switch.calls()[:2]
    assert wait_for(lambda: all(both == (1, 1) for both in outcomes(switch).values() if both != (0, 0)), 5), [both for both in outcomes(switch).values() if both != (1, 1)][:3]
    parked = sum(both == (1, 1) for both in outcomes(switch).values())
    assert parked >= parked_at_least, f"only {parked} calls were parked, expected at least {parked_at_least}"
    assert not [row for row in dialogs if row.status >= 500 and row.status not in (502, 503)], [(row.status, row.request) for row in dialogs if row.status >= 500][:3]
    trap.check()
    check_that_parking_works(switch, phones)


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
    raw_calls = RawCalls(watched.outside_port)
    began = time.monotonic()
    dialogs = raw_calls.run(requests, 60)
    within(began, 60, "a thousand calls")
    raw_calls.close()
    check_calls(watched, trap, phones, dialogs, COUNT // 4)
    assert watched.reload(LOTS_OF_TENANTS, settings, None, extensions).startswith("+OK")


def test_a_thousand_hostile_addresses(watched, trap, phones):  # noqa: F811
    """Tests hostile request URIs in INVITEs."""
    lots, settings, _, extensions = watched.written
    assert watched.reload(MANY, settings, None, extensions).startswith("+OK")
    watched.events.clear()
    requests = []
    for n, text in enumerate(trap.values(COUNT, 6, without=ONE_LINE + "\0 <>")):
        user = text if n % 2 else escaped(text)
        requests.append({"uri": f"sip:{('', 'do-slot-', 'do-park-')[n % 3]}{user}@127.0.0.1:{watched.outside_port}"})
    raw_calls = RawCalls(watched.outside_port)
    dialogs = raw_calls.run(requests, 60)
    raw_calls.close()
    check_calls(watched, trap, phones, dialogs, 1)
    assert watched.reload(LOTS_OF_TENANTS, settings, None, extensions).startswith("+OK")


def escaped(text):
    return urllib.parse.quote(text.encode("utf-8", "surrogateescape"), safe="+*-_.")


LONG_VALUES = ["7" * 5000, "%41" * 2000, '<call uuid="x"/>' * 200, "'||(SELECT 1)||'" * 100]


def hostile_refers(trap, here):  # noqa: F811
    """A queue of a thousand REFERs for all calls, with hostile Refer-To, Referred-By and Replaces in turn, raw and escaped. `parks` marks those
    whose target is the park extension."""
    values = [*LONG_VALUES, *trap.values(2 * COUNT - len(LONG_VALUES), 7, without=ONE_LINE + "\0")]
    queue = collections.deque()
    for n, (text, other) in enumerate(zip(values[::2], values[1::2])):
        turn = n // 3
        # FreeSWITCH itself expands the number of a REFER in the CDR of any call.
        number = (text if n % 2 else escaped(text)).replace("$", "S")
        by = [f"<sip:{escaped(other)}@{DOMAIN}>", f"{quoted(other)} <sip:1001@{DOMAIN}>", f"<sip:1001@{other}>", other, f"<sip:{other}@{DOMAIN}>;{text}"][turn % 5]
        replaces = [escaped(text), f"{escaped(text)}%3Bto-tag%3D{escaped(other)}%3Bfrom-tag%3D{escaped(text)}", f"a%40b%3Bto-tag%3D1%3Bfrom-tag%3D{text}"][turn % 3]
        to, parks = [([f"<sip:{number}@{here}>", f"<sip:do-slot-{number}@{here}>", f"<sip:do-park-{number}@{here}>", f"<sip:7{number}@{here}>", number][turn % 5], False),
                     ([f"<sip:700@{here}>", f"sip:700@{here}", f"<sip:700@{here};user={escaped(text)}>", f"{quoted(text)} <sip:700@{here}>"][turn % 4], True),
                     (f"<sip:700@{here}?Replaces={replaces}>", False)][n % 3]
        queue.append(Refer([f"Refer-To: {to}", f"Referred-By: {by}"], parks))
    return queue


def test_a_thousand_hostile_transfers(watched, trap, phones):  # noqa: F811
    """Phones with hostile names send hostile Refer-To, Referred-By and Replaces. Every caller who is sent to the park extension is parked, no
    caller is hung up on, and the history has the text unchanged."""
    lots, settings, _, extensions = watched.written
    # The other party is a leg without media, which hangs up after four seconds.
    talk = """<extension name="talk"><condition field="destination_number" expression="^talk$"><action application="bridge"
        data="[test_call=${sip_call_id},execute_on_answer='sched_hangup +4 allotted_timeout']null/caller"/></condition></extension>"""
    assert watched.reload(MANY.replace("701-799", "701-799,7000-7999"), settings, None, talk + extensions).startswith("+OK")
    watched.events.clear()
    refers = hostile_refers(trap, f"127.0.0.1:{watched.outside_port}")
    sent, names = list(refers), trap.payloads()
    assert len(sent) == COUNT
    users = [text[:30] for text in trap.values(2 * COUNT, 8, without=ONE_LINE + "\0") if text]
    requests = ({"uri": f"sip:talk@127.0.0.1:{watched.outside_port}", "user": escaped(user), "from": quoted(names[n % len(names)].replace("\x01", "")), "refers": refers}
                for n, user in enumerate(users))
    raw_calls = RawCalls(watched.outside_port, at_once=32, stay=2)
    dialogs = raw_calls.run(itertools.takewhile(lambda _: refers, requests), 60)
    raw_calls.close()
    assert not refers and sum(refer.status is not None for refer in sent) > 0.95 * COUNT, collections.Counter(refer.status for refer in sent)
    check_calls(watched, trap, phones, dialogs, COUNT // 4)
    events = [event for event in watched.events.all if "variable_test_call" in event]
    parked = {event["variable_test_call"] for event in events if event["CallPark-Action"] == "park"}
    meant = [dialog.id for dialog in dialogs if any(refer.parks and refer.told == 200 for refer in dialog.referred)]
    assert len(meant) > COUNT // 4 and not set(meant) - parked, f"not parked: {sorted(set(meant) - parked)[:5]}"
    ends = [event for event in events if event["CallPark-Action"] in ("abandon", "transfer", "fallback")]
    assert {(event["CallPark-Action"], event.get("Hangup-Cause")) for event in ends} == {("abandon", "ALLOTTED_TIMEOUT")}, "a call was not ended by the caller's own timer"
    kept = {row["uuid"]: row for row in json.loads(watched.api(f"callpark history {3 * COUNT} as json"))}
    for event in ends:
        row = kept[event["Unique-ID"]]
        assert (row["parker"], row["outcome"]) == (event.get("CallPark-Parker", ""), "abandoned"), row
    # `$` is neutralised, and a name with quotes is cut at them; otherwise the text is unchanged.
    parkers = {kept[event["Unique-ID"]]["parker"].removesuffix(f"@{DOMAIN}") for event in ends} - {""}
    odd = {parker.replace("$", "%") for parker in parkers} - {part.replace("$", "%") for user in users for part in [user, *user.split('"')]}
    assert len(parkers) > 10 and not odd, odd
    shown = {row["caller_name"].replace("$", "%") for row in kept.values()} & {name.replace("$", "%") for name in names}
    assert len(shown) > 20, shown
    assert watched.reload(LOTS_OF_TENANTS, settings, None, extensions).startswith("+OK")
