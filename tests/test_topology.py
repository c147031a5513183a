from __future__ import annotations

from typing import Any

import pytest

from transcoder.topology import CLIENTS, EDGES, Edge, Topology, layers, merged, topology_of

SERVICE = "users.v1.Users"


def gate(rate: float = 10, **more: Any) -> Topology:
    """Return what a gateway before the users sees."""
    inside = Edge(source="gate", destination=SERVICE, target="users:1", rate=rate, **more)
    return Topology(
        name="gate", edges=(Edge(source=CLIENTS, destination="gate", rate=rate), inside)
    )


def users(*callers: tuple[str, float], name: str = "users") -> Topology:
    """Return what the users see."""
    edges = tuple(Edge(source=each, destination=name, rate=rate) for each, rate in callers)
    return Topology(name=name, services=(SERVICE,), edges=edges)


def pairs(*topologies: Topology) -> dict[tuple[str, str], float]:
    """Return the rates between two."""
    return {(each.source, each.destination): each.rate for each in merged(topologies)}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([users(("gate", 9))], {("gate", "users"): 10}),  # By its certificate; the caller's word.
        ([users((CLIENTS, 10.5))], {("gate", "users"): 10}),  # Without one it is no client.
        (
            [users((CLIENTS, 30))],  # Two thirds of them are.
            {("gate", "users"): 10, (CLIENTS, "users"): 20},
        ),
        (
            [users(("gate", 10), (CLIENTS, 5))],
            {("gate", "users"): 10, (CLIENTS, "users"): 5},
        ),
        ([users(("cron.example", 1))], {("gate", "users"): 10, ("cron.example", "users"): 1}),
        ([], {("gate", SERVICE): 10}),  # Nobody tells who that is.
        (
            [users(("gate", 4)), users(("gate", 5), name="others")],  # Versions of one service.
            {("gate", "users"): 4, ("gate", "others"): 5},
        ),
        (
            [users(("gate", 4)), users((CLIENTS, 5), name="others")],  # One knows nobody.
            {("gate", SERVICE): 10, ("gate", "users"): 4, (CLIENTS, "others"): 5},
        ),
    ],
)
def test_merged(seen: list[Topology], expected: dict[tuple[str, str], float]) -> None:
    """What two processes see of the same calls is told once, as the caller sees it."""
    assert pairs(gate(), *seen) == {(CLIENTS, "gate"): 10, **expected}


def test_two_gateways() -> None:
    """Who calls a service through another gateway calls that gateway."""
    inside = Edge(source="edge", destination=SERVICE, target="gate:1", rate=10)
    edge = Topology(name="edge", edges=(inside,))
    passing = Edge(source="gate", destination=SERVICE, target="users:1", rate=9)
    passes = Topology(name="gate", edges=(Edge(source="edge", destination="gate", rate=9), passing))
    expected = {("edge", "gate"): 10, ("gate", "users"): 9}

    assert pairs(edge, passes, users(("gate", 9))) == expected


def test_a_service_that_calls_another() -> None:
    """Who calls a service, and another one that calls it too, calls each of them."""
    other = "orders.v1.Orders"
    orders = Topology(
        name="orders",
        services=(other,),
        edges=(
            Edge(source="gate", destination="orders", rate=5),
            Edge(source="orders", destination=SERVICE, rate=5),
        ),
    )
    calls = Edge(source="gate", destination=other, rate=5)
    both = Topology(name="gate", edges=(*gate().edges, calls))

    assert pairs(both, orders, users(("gate", 10), ("orders", 5))) == {
        (CLIENTS, "gate"): 10,
        ("gate", "orders"): 5,
        ("gate", "users"): 10,
        ("orders", "users"): 5,
    }


def test_a_process_named_as_its_service() -> None:
    """The caller's word holds too where a process has the name of its service."""
    assert pairs(gate(), users(("gate", 9), name=SERVICE))["gate", SERVICE] == 10


def test_replicas() -> None:
    """Processes of one name are one: rates are summed, failures weighed, the longest times told."""
    one, other = gate(30, failed=0.0, p50=0.1, p99=0.5), gate(10, failed=0.4, p50=0.2, p99=0.3)
    (found,) = (each for each in merged([one, other]) if each.source == "gate")

    assert found == Edge(
        source="gate",
        destination=SERVICE,
        target="users:1",
        rate=40,
        failed=0.1,
        p50=0.2,
        p99=0.5,
    )


def test_two_targets() -> None:
    """A service at two targets is one, of no target."""
    edges = [
        Edge(source="gate", destination=SERVICE, target=target, rate=1) for target in ("a:1", "b:1")
    ]
    (found,) = merged([Topology(name="gate", edges=tuple(edges))])
    assert (found.target, found.rate) == ("", 2)


def test_json() -> None:
    """What is told is what is read."""
    told = gate(2.5, failed=0.25, p50=0.001, p99=0.02)
    assert topology_of(told.as_json()) == told


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        {},
        {"name": "a", "services": {}, "edges": []},
        {"name": 1, "services": [], "edges": []},
        {"name": "", "services": [], "edges": []},
        {"name": "a", "services": [None], "edges": []},
        {"name": "a", "services": [], "edges": ["b"]},
        {"name": "a", "services": [], "edges": [{"source": "a", "destination": "b"}]},
        *[
            {
                "name": "a",
                "services": [],
                "edges": [{"source": "a", "destination": "b", "failed": 0, "rate": rate}],
            }
            for rate in (None, "1", True, -1, float("nan"), float("inf"))
        ],
    ],
)
def test_no_topology(told: Any) -> None:
    """What a peer tells may be anything."""
    with pytest.raises(ValueError, match="no "):
        topology_of(told)


def test_bounded() -> None:
    """Of a topology that is too large the beginning is read."""
    edge = {"source": "a" * 9999, "destination": "b", "rate": 1, "failed": 9}
    told = {"name": "n" * 9999, "services": ["s"] * 9999, "edges": [edge] * 9999}
    found = topology_of(told)

    assert (len(found.edges), len(found.services), len(found.name)) == (EDGES, EDGES, 256)
    assert (len(found.edges[0].source), found.edges[0].failed) == (256, 1)


def edges(text: str) -> list[Edge]:
    """Return edges, as `a>b a>c`."""
    found = [each.split(">") for each in text.split()]
    return [Edge(source=source, destination=destination) for source, destination in found]


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        ("", []),
        ("clients>g g>a g>b a>b", [["clients"], ["g"], ["a"], ["b"]]),
        ("clients>g g>a g>b", [["clients"], ["g"], ["a", "b"]]),
        ("clients>g clients>a g>a", [["clients"], ["g"], ["a"]]),  # The longest way counts.
        ("a>b b>c c>a", [["a"], ["b"], ["c"]]),  # A circle ends where it began.
        ("clients>a a>b b>a", [["clients"], ["a"], ["b"]]),
        ("a>a", [["a"]]),
    ],
)
def test_layers(drawn: str, expected: list[list[str]]) -> None:
    """Who calls stands before who is called."""
    assert layers(edges(drawn)) == expected


def test_layers_of_many() -> None:
    """A long chain has as many layers, and takes no recursion."""
    chain = " ".join(f"n{number:05}>n{number + 1:05}" for number in range(5000))
    assert len(layers(edges(chain))) == 5001


@pytest.mark.parametrize(
    ("told", "seen", "rate"),
    [
        (0.0, 5.0, 5.0),  # passed on over HTTP: the caller has counted none of them
        (5.0, 4.0, 5.0),  # some did not arrive
        (5.0, 5.2, 5.0),  # as good as the same
    ],
)
def test_more_is_seen(told: float, seen: float, rate: float) -> None:
    """Who is called tells of calls of which the caller tells less."""
    one = Topology(name="edge", edges=(Edge(source="edge", destination="a.A", rate=told),))
    other = Topology(
        name="a", services=("a.A",), edges=(Edge(source="edge", destination="a", rate=seen),)
    )
    (edge,) = merged([one, other])

    assert (edge.source, edge.destination, edge.rate) == ("edge", "a", rate)
