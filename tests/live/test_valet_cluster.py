"""`valet_park` on two nodes that share their lots."""

from phone import DOMAIN
from parking import extension
from switch import wait_for
from test_cluster import cluster, slots  # noqa: F401  (a fixture)
from test_history import postgres  # noqa: F401  (a fixture)

VALET = extension("valet-(.*)", ("answer", ""), ("valet_park", "shared $1"))


def with_extension(node):
    lots, settings, phrases, extensions = node.written
    node.configure(lots, settings, phrases, extensions + VALET)


def test_a_call_in_a_lot_that_no_node_has_configured_is_retrieved_on_the_other_node(cluster, phones_of):  # noqa: F811
    """The other node reaches the caller by `valet_park` too."""
    first, second = cluster(prepare=with_extension, dial="valet-${slot}")
    caller = phones_of(first)(says=600).call("valet-6001")
    assert wait_for(lambda: slots(second) == ["6001"], 4)
    (row,) = second.calls()
    assert (row["lot"], row["domain"], row["node"]) == ("shared", DOMAIN, first.name)
    assert f'<extension uuid="{row["uuid"]}">6001</extension>' in second.api("valet_info")
    late = phones_of(second)("1001", says=650).call("valet-6002")
    assert wait_for(lambda: slots(first) == ["6001", "6002"], 4)
    taker = phones_of(second)("1002", says=900).call("valet-6001")
    assert caller.audio.hears(900) and taker.audio.hears(600)
    assert first.events.of(row["uuid"]) == ["park", "retrieve"]
    late.hang_up()
    caller.hang_up()
    assert taker.wait_over() and wait_for(lambda: not slots(first) and not slots(second), 4)
