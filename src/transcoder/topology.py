"""Who calls whom: what each of several processes sees of it, and the whole that it makes.

A process sees its callers, by the names in their certificates, and the services that it calls. What
a caller tells of a call holds, for it knows of those that did not arrive; but of what it passes on
over HTTP it tells nothing, and who is called sees more. A process takes callers without a
certificate for clients; calls that another process tells of are not those.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

EDGES: Final = 200
"""Edges of one process; more are not read."""

CLIENTS: Final = "clients"
"""Callers without a certificate, and those that are too many to be told apart."""

_NAME_LIMIT = 256
_NEAR = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Calls of one to another.

    Args:
        source: who calls.
        destination: who is called: the name of a process, or the full name of a service.
        target: where, if a process calls a service elsewhere.
        rate: calls a second.
        failed: the share of those that fail by the fault of who is called.
        p50: the seconds that half of them take at most; None where there are none.
        p99: the same of 99 in 100.
    """

    source: str
    destination: str
    target: str = ""
    rate: float = 0.0
    failed: float = 0.0
    p50: float | None = None
    p99: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "source": self.source,
            "destination": self.destination,
            **({"target": self.target} if self.target else {}),
            "rate": round(self.rate, 3),
            "failed": round(self.failed, 6),
            "p50": self.p50,
            "p99": self.p99,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What one process sees.

    Args:
        name: of the process.
        services: full names of those that it answers itself.
        edges: to it and from it.
    """

    name: str
    services: tuple[str, ...] = ()
    edges: tuple[Edge, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        edges = [each.as_json() for each in self.edges]
        return {"name": self.name, "services": list(self.services), "edges": edges}


def topology_of(told: Any) -> Topology:
    """Return what JSON tells, which may be anything.

    Raises:
        ValueError: it is no topology.
    """
    if not isinstance(told, Mapping):
        raise ValueError("no topology: it is no object")  # noqa: TRY004  its value is wrong
    services, edges = told.get("services"), told.get("edges")
    if not isinstance(services, list) or not isinstance(edges, list):
        raise ValueError("no topology: services and edges are missing")  # noqa: TRY004  as above
    return Topology(
        name=_name(told.get("name")),
        services=tuple(_name(each) for each in services[:EDGES]),
        edges=tuple(_edge(each) for each in edges[:EDGES]),
    )


def _edge(told: Any) -> Edge:
    if not isinstance(told, Mapping):
        raise ValueError("no edge: it is no object")  # noqa: TRY004  as above
    return Edge(
        source=_name(told.get("source")),
        destination=_name(told.get("destination")),
        target=_name(told.get("target") or "-").removeprefix("-"),
        rate=_number(told.get("rate")),
        failed=min(1.0, _number(told.get("failed"))),
        p50=None if told.get("p50") is None else _number(told["p50"]),
        p99=None if told.get("p99") is None else _number(told["p99"]),
    )


def _name(told: Any) -> str:
    if not isinstance(told, str) or not told:
        raise ValueError("no name")
    return told[:_NAME_LIMIT]


def _number(told: Any) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float):
        raise ValueError("no number")  # noqa: TRY004  as above
    number = float(told)
    if not math.isfinite(number) or number < 0:
        raise ValueError("no number of calls or seconds")
    return number


def merged(topologies: Collection[Topology]) -> list[Edge]:
    """Return the edges that several processes see, each once, between their names.

    >>> gate = Topology(name="gate", edges=(
    ...     Edge(source="clients", destination="gate", rate=5),
    ...     Edge(source="gate", destination="users.v1.Users", target="users:1", rate=5)))
    >>> users = Topology(name="users", services=("users.v1.Users",), edges=(
    ...     Edge(source="clients", destination="users", rate=5),))
    >>> [(each.source, each.destination) for each in merged([gate, users])]
    [('clients', 'gate'), ('gate', 'users')]
    """
    homes = _homes(topologies)
    passing = _passing(topologies)
    seen: dict[tuple[str, str], Edge] = {}
    made: dict[tuple[str, str], Edge] = {}
    for topology in topologies:
        for edge in topology.edges:
            if edge.source == topology.name:
                _add(made, _at_home(edge, passing.get((edge.source, edge.destination)), homes))
            else:
                _add(seen, edge)
    told = {key: edge for key, edge in made.items() if not _is_told(key, homes, seen)}
    found = {**_without_known(seen, told), **told}
    found |= {key: edge for key, edge in seen.items() if key in told and _is_more(edge, told[key])}
    return sorted(found.values(), key=lambda each: (each.source, each.destination))


def _is_more(seen: Edge, told: Edge) -> bool:
    return seen.rate > (1 + _NEAR) * told.rate


def _homes(topologies: Iterable[Topology]) -> dict[str, set[str]]:
    """Return which processes answer a service."""
    found: dict[str, set[str]] = {}
    for topology in topologies:
        for service in topology.services:
            found.setdefault(service, set()).add(topology.name)
    return found


def _passing(topologies: Collection[Topology]) -> dict[tuple[str, str], set[str]]:
    """Return which processes pass a service on that they are called for, by caller and service.

    Those are gateways: they answer no service themselves.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for topology in topologies:
        if topology.services:
            continue
        name = topology.name
        callers = {edge.source for edge in topology.edges if edge.destination == name} - {name}
        called = {edge.destination for edge in topology.edges if edge.source == name}
        for caller in callers:
            for service in called:
                found.setdefault((caller, service), set()).add(name)
    return found


def _at_home(
    edge: Edge, passing: Collection[str] | None, homes: Mapping[str, Collection[str]]
) -> Edge:
    """Return an edge that leads to the one process that is called for the service, if it is one."""
    names = passing or homes.get(edge.destination, ())
    return replace(edge, destination=next(iter(names))) if len(names) == 1 else edge


def _is_told(
    key: tuple[str, str], homes: Mapping[str, Collection[str]], seen: Collection[tuple[str, str]]
) -> bool:
    """Say whether several that answer a service, as versions of it, all know who calls it."""
    source, service = key
    names = homes.get(service, ())
    return len(names) > 1 and all((source, name) in seen for name in names)


def _without_known(
    seen: Mapping[tuple[str, str], Edge], made: Mapping[tuple[str, str], Edge]
) -> dict[tuple[str, str], Edge]:
    """Return what is seen, in which those who tell of their calls are no clients."""
    found = dict(seen)
    for (source, destination), edge in seen.items():
        unnamed = [
            each.rate for key, each in made.items() if key[1] == destination and key not in seen
        ]
        if source == CLIENTS and unnamed:
            left = max(0.0, edge.rate - sum(unnamed))
            if left > _NEAR * edge.rate:
                found[source, destination] = replace(edge, rate=left)
            else:
                del found[source, destination]
    return found


def _add(edges: dict[tuple[str, str], Edge], edge: Edge) -> None:
    """Add an edge, to the one between the same two if there is one."""
    key = edge.source, edge.destination
    other = edges.get(key)
    if other is None:
        edges[key] = edge
        return
    rate = edge.rate + other.rate
    failed = edge.rate * edge.failed + other.rate * other.failed
    edges[key] = replace(
        other,
        target=other.target if edge.target == other.target else "",
        rate=rate,
        failed=failed / rate if rate else max(edge.failed, other.failed),
        p50=_longest(edge.p50, other.p50),
        p99=_longest(edge.p99, other.p99),
    )


def _longest(one: float | None, other: float | None) -> float | None:
    return max((each for each in (one, other) if each is not None), default=None)


def layers(edges: Sequence[Edge], more: Iterable[str] = ()) -> list[list[str]]:
    """Return the names of a whole in layers: who calls stands before who is called.

    Where calls go round in a circle, the one that leads back is passed over.

    Args:
        edges: of the whole.
        more: names that have no edge.

    >>> layers([Edge(source="a", destination="b"), Edge(source="b", destination="a")], ["c"])
    [['a', 'c'], ['b']]
    """
    called: dict[str, list[str]] = {}
    for edge in edges:
        called.setdefault(edge.source, []).append(edge.destination)
        called.setdefault(edge.destination, [])
    for name in more:
        called.setdefault(name, [])
    order = _order(called)
    place = dict.fromkeys(order, 0)
    rank = {name: number for number, name in enumerate(order)}
    for name in order:
        for other in called[name]:
            if rank[other] > rank[name]:
                place[other] = max(place[other], place[name] + 1)
    found: list[list[str]] = [[] for _ in range(max(place.values(), default=-1) + 1)]
    for name in sorted(place):
        found[place[name]].append(name)
    return found


def _order(called: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names so that who calls stands before who is called, but for circles."""
    found: list[str] = []
    met: set[str] = set()
    targets = {name for others in called.values() for name in others}
    # Those that nobody calls begin.
    for start in sorted(called, key=lambda name: (name in targets, name != CLIENTS, name)):
        stack = [(start, False)]
        while stack:
            name, is_done = stack.pop()
            if is_done:
                found.append(name)
            elif name not in met:
                met.add(name)
                stack.append((name, True))
                stack += [(other, False) for other in called[name] if other not in met]
    return found[::-1]
