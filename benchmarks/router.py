"""What the router costs: CPU time for a match, for start, and for a hostile path.

    .venv/bin/python benchmarks/router.py

The templates are shaped like Google's: a version, projects and locations, a collection of its
own, the five standard methods and a custom verb. Every figure is the median of several rounds of
process CPU time. Exit code 1: a gate was missed.

Left out: decoding of query and body, everything of HTTP, and the caches of a machine that does
other things between two requests; here the trie stays warm. The rows with percent escapes have no
gate: such paths are rare, and they pay for their decoding.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from transcoder.path_template import PathTemplate
from transcoder.routing import Match, Miss, Route, Router

ROUNDS = 9
CALLS = 4_000

Check = Callable[[Match[int] | Miss], bool]


class Gate(NamedTuple):
    """A figure and its limit, both in the same unit; no limit means that it is only shown."""

    what: str
    figure: float
    limit: float | None
    unit: str

    @property
    def missed(self) -> bool:
        """Whether the figure is over the limit."""
        return self.limit is not None and self.figure > self.limit

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"<= {self.limit:g}"
        verdict = "MISSED" if self.missed else ""
        return f"{self.what:<46} {self.figure:>9.2f} {self.unit:<5} {limit:<9} {verdict}".rstrip()


def templates(count: int) -> Iterator[tuple[str, str]]:
    """Yield methods and templates, six for each collection."""
    for number in range(count):
        collection = f"things{number // 6}"
        parent = "projects/*/locations/*"
        yield (
            ("GET", f"/v1/{{parent={parent}}}/{collection}"),
            ("POST", f"/v1/{{parent={parent}}}/{collection}"),
            ("GET", f"/v1/{{name={parent}/{collection}/*}}"),
            ("PATCH", f"/v1/projects/{{project}}/locations/{{location}}/{collection}/{{id}}"),
            ("DELETE", f"/v1/{{name={parent}/{collection}/*}}"),
            ("POST", f"/v1/{{name={parent}/{collection}/*}}:cancel"),
        )[number % 6]


def router_of(count: int) -> Router[int]:
    """Return a router of that many routes."""
    return Router(
        Route(method, PathTemplate.parse(text), f"Service.Method{number}", number)
        for number, (method, text) in enumerate(templates(count))
    )


def cpu(call: Callable[[], object], calls: int = 1) -> float:
    """Return the median of the CPU seconds that one of `calls` calls takes."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            call()
        taken.append((time.process_time() - start) / calls)
    return statistics.median(taken)


def matched(value: Match[int] | Miss) -> bool:
    """Whether a route was found."""
    return isinstance(value, Match)


def unknown(value: Match[int] | Miss) -> bool:
    """Whether it is a 404."""
    return isinstance(value, Miss) and not value.allow


def refused(value: Match[int] | Miss) -> bool:
    """Whether it is a 405."""
    return isinstance(value, Miss) and bool(value.allow)


def requests(count: int) -> list[tuple[str, str, str, Check, bool]]:
    """Return what is asked of a router: label, method, path, what must come out, if it is gated."""
    things = f"/v1/projects/alpha/locations/europe/things{count // 12}"
    return [
        ("list", "GET", things, matched, True),
        ("one variable of six segments", "GET", f"{things}/t-42", matched, True),
        ("three variables", "PATCH", f"{things}/t-42", matched, True),
        ("custom verb", "POST", f"{things}/t-42:cancel", matched, True),
        ("404, at the root", "GET", "/favicon", unknown, True),
        ("404, deep down", "GET", f"{things}/t-42/parts/7", unknown, True),
        ("405", "PUT", f"{things}/t-42", refused, True),
        ("405, with a verb", "PUT", f"{things}/t-42:cancel", refused, True),
        ("three variables, one escaped", "PATCH", f"{things}/t%2042", matched, False),
        ("one variable of six segments, escaped", "GET", f"{things}/t%2042", matched, False),
    ]


def matches(count: int, limit: float) -> Iterator[Gate]:
    """Measure every request against a router of that many templates."""
    router = router_of(count)
    for label, method, path, check, gated in requests(count):
        if not check(router.match(method, path)):
            raise SystemExit(f"{method} {path}: {router.match(method, path)}")
        seconds = cpu(lambda m=method, p=path: router.match(m, p), CALLS)  # type: ignore[misc]
        yield Gate(f"{count}: {label}", seconds * 1e6, limit if gated else None, "us")


def long_paths() -> Iterator[Gate]:
    """Measure paths that only `**` fits, and whether twice the segments cost twice the time."""
    router = Router(
        Route("GET", PathTemplate.parse(text), text, 0)
        for text in ("/v1/{name=**}", "/v1/{name=**}/a", "/v1/{name=**}/{kind}/a", "/v2/{a}/{b=**}")
    )
    cost: dict[tuple[str, int], float] = {}
    for part in ("a", "%41"):
        for segments in (1_000, 10_000):
            path = "/v1" + f"/{part}" * segments
            seconds = cpu(lambda p=path: router.match("GET", p))  # type: ignore[misc]
            cost[part, segments] = seconds
            limit = 10.0 if segments == 10_000 else None
            yield Gate(f"**, {segments} segments of {part}", seconds * 1e3, limit, "ms")
        ratio = cost[part, 10_000] / cost[part, 1_000]
        yield Gate(f"**, 10x the segments of {part}", ratio, 20.0, "x")


def start() -> Iterator[Gate]:
    """Measure what happens once, when a server starts."""
    texts = list(templates(12_000))
    yield Gate(
        "parse 12000 templates", cpu(lambda: [PathTemplate.parse(t) for _, t in texts]), 1, "s"
    )
    routes = [Route(m, PathTemplate.parse(t), f"Service.M{t}", 0) for m, t in texts]
    yield Gate("compile 12000 routes", cpu(lambda: Router(routes)), 1, "s")


def main() -> int:
    """Print the table; return 1 if a gate was missed."""
    gates = [*matches(5_000, 2.5), *matches(12_000, 5.0), *long_paths(), *start()]
    for gate in gates:
        print(gate)
    return int(any(gate.missed for gate in gates))


if __name__ == "__main__":
    sys.exit(main())
