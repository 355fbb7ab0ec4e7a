"""Compares the API with its OpenAPI description: the test gets every response that the description has, and checks it against the schema."""

import pytest
from jsonschema import Draft202012Validator

from parking import lot, park_by_transfer
from switch import wait_for
from test_web import ACT, ALL, LOOK, OTHER, listen, site  # noqa: F401  (a fixture)

ACTIONS = {"label": {"text": "x"}, "extend": {"seconds": 30}, "ringback": {}, "transfer": {"extension": "tone-1300"}}
# This response needs a module that unloads, or a database that cannot be reached. test_history has the second.
NOT_TESTED = "503"


@pytest.fixture
def description(site):  # noqa: F811
    return site.ask("/api/v1/openapi.json", token=None)[1]


def test_every_response_conforms_to_the_description(switch, phones, site, description):  # noqa: F811
    assert switch.reload(lot(("park-timeout", "60")), switch.written[1]).startswith("+OK")
    caller, _ = park_by_transfer(phones, switch, "701")
    without_parker = phones().call("do-park-703")
    phones().call("do-park-702").hang_up()
    assert wait_for(lambda: site.get("history"))
    seen = set()

    def check(path, status, answer, method="get"):
        described = description["paths"][path][method]["responses"]
        assert str(status) in described, f"{method} {path} answers {status}: {answer}"
        seen.add((path, method, str(status)))
        content = described[str(status)].get("content", {}).get("application/json")
        if content:
            schema = {**content["schema"], "components": description["components"]}
            errors = list(Draft202012Validator(schema).iter_errors(answer))
            assert not errors, f"{method} {path} {status}: {errors[0].message}"

    for path in ("me", "calls", "lots", "stats", "history", "report"):
        for token in (ALL, None, "wrong", ACT):
            check(f"/api/v1/{path}", *site.ask(f"/api/v1/{path}", token)[:2])
    for path in ("stats?days=x", "history?count=-1", "history?count=", "report?from=x", "report?lot=nowhere"):
        check(f"/api/v1/{path.split('?')[0]}", *site.ask(f"/api/v1/{path}")[:2])
    for token in (None, ACT):
        check("/api/v1/events", *site.ask("/api/v1/events", token)[:2])
    for path in ("channels", "users"):
        for token in (ALL, None, LOOK):
            check(f"/api/v1/{path}", *site.ask(f"/api/v1/{path}", token)[:2])
    for path in ("/healthz", "/api/v1/openapi.json", "/metrics"):
        check(path, *site.ask(path, token=None)[:2])
    heard, line = listen(site)
    seen.add(("/api/v1/events", "get", "200"))


    def check_action(verb, body):
        """Asks for everything that goes wrong before the action. Returns a function that asks for the action."""
        path = f"/api/v1/calls/{{domain}}/{{slot}}/{verb}"
        ask = lambda slot, body, **more: check(path, *site.act(slot, verb, body, **more), "post")
        for token in (None, LOOK, OTHER):
            ask("701", body, token=token)
        ask("702", body)  # an empty slot
        ask("7x", body)  # an invalid slot
        ask("701", "{")
        ask("701", {"text": "x" * 9000})
        ask("701", "text=x", headers={"Content-Type": "application/x-www-form-urlencoded"})
        ask("701", {"text": 1, "seconds": "x", "extension": []})
        return ask

    ask = check_action("retrieve", {"to": "1003"})
    taker = phones("1003")
    taker.on_ring = 486
    ask("701", {"to": "1003"})
    taker.on_ring = None
    ask("701", {"to": "1003"})
    ringing = taker.wait_call()
    taker.respond(ringing.pending, 603, tag=ringing.tag)
    assert wait_for(lambda: site.get("calls")[0]["state"] == "parked")
    alone = phones().call("tone-1300")
    uuid = switch.leg(direction="inbound", dest="tone-1300")
    park = lambda body, token=ALL, **more: check("/api/v1/park", *site.ask("/api/v1/park", token, "POST", body, **more)[:2], "post")
    for token in (None, LOOK):
        park({"uuid": uuid}, token)
    for body in ({}, {"uuid": "x"}, {"uuid": uuid, "slot": "701"}, "{", {"uuid": "x" * 9000}, {"uuid": 1}, {"uuid": uuid}):
        park(body)
    park("uuid=x", headers={"Content-Type": "application/x-www-form-urlencoded"})
    alone.hang_up()
    for verb, body in ACTIONS.items():
        ask = check_action(verb, body)
        ask(*{"transfer": ("701", {"extension": "no-such-extension"})}.get(verb, ("703", body)))  # a call without a parker to ring
        ask("701", body)
    change = {"$ref": "#/components/schemas/Change", "components": description["components"]}
    assert wait_for(lambda: "transfer" in [event["action"] for _, event in heard])
    for _, event in heard:
        assert not list(Draft202012Validator(change).iter_errors(event)), event
    line.close()
    for call in (caller, without_parker):
        call.hang_up()
    described = {(path, method, status) for path, methods in description["paths"].items() for method, operation in methods.items()
                 for status in operation["responses"]}
    # On loopback the metrics need no token, and every call can get a label.
    impossible = {("/metrics", "get", "401"), ("/metrics", "get", "403"), ("/api/v1/calls/{domain}/{slot}/label", "post", "409")}
    assert {entry for entry in described - seen if entry[2] != NOT_TESTED} == impossible


def test_every_error_is_json(site):  # noqa: F811
    for method, path, status in [("GET", "/api/v1/nothing", 404), ("GET", "/nothing", 404), ("POST", "/api/v1/calls", 405),
                                 ("GET", "/api/v1/calls/callpark.test/701/label", 405), ("PUT", "/metrics", 405)]:
        got, answer, _ = site.ask(path, method=method)
        assert got == status and isinstance(answer, dict) and answer["error"], (path, got, answer)
