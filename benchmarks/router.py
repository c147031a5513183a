"""What the router costs: CPU time for a match, for start, and for a hostile path.

    .venv/bin/python benchmarks/router.py

The templates are shaped like Google's: a version, projects and locations, a collection of its
own, the five standard methods and a custom verb. Matches are asked of 200 paths in turn. Every
figure is process CPU time, the best of several rounds. Exit code 1: a gate was missed. Each kind
of path has its own: 2.5 us, or 6 where percent escapes must be decoded; on a processor that is slow
just now as much more as `yardstick.py` takes longer.

Left out: decoding of query and body, everything of HTTP, and the caches of a machine that does
other things between two requests; here the trie stays warm.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from yardstick import Yardstick

from transcoder.path_template import PathTemplate
from transcoder.route import Match, Miss, Route
from transcoder.routing import Router

ROUNDS = 15
CALLS = 2_000
PATHS = 200

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
        limit = "" if self.limit is None else f"<= {self.limit:.3g}"
        verdict = "MISSED" if self.missed else ""
        return f"{self.what:<60} {self.figure:>9.2f} {self.unit:<5} {limit:<9} {verdict}".rstrip()


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


def cpu(call: Callable[[], object]) -> float:
    """Return the best of some rounds, in CPU seconds; what else the machine does only adds."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def matched(value: Match[int] | Miss) -> bool:
    """Whether a route was found."""
    return isinstance(value, Match)


def unknown(value: Match[int] | Miss) -> bool:
    """Whether it is a 404."""
    return isinstance(value, Miss) and not value.allow


def refused(value: Match[int] | Miss) -> bool:
    """Whether it is a 405."""
    return isinstance(value, Miss) and bool(value.allow)


PLAIN = 2.5
ESCAPED = 6.0
REQUESTS: list[tuple[str, str, str, Check, float]] = [
    # Label, method, what follows the collection, what must come out, and the limit.
    ("list", "GET", "", matched, PLAIN),
    ("one variable of six segments", "GET", "/t-42", matched, PLAIN),
    ("three variables", "PATCH", "/t-42", matched, PLAIN),
    ("custom verb", "POST", "/t-42:cancel", matched, PLAIN),
    ("a colon and no verb", "GET", "/t:42", matched, PLAIN),
    ("404", "GET", "/t-42/parts/7", unknown, PLAIN),
    ("405", "PUT", "/t-42", refused, PLAIN),
    ("405 with a verb", "PUT", "/t-42:cancel", refused, PLAIN),
    ("three variables, one escaped", "PATCH", "/t%2042", matched, ESCAPED),
    ("one variable of six segments, escaped", "GET", "/t%2042", matched, ESCAPED),
    ("three variables, one escaped and not ASCII", "PATCH", "/t%C3%BC42", matched, ESCAPED),
    ("custom verb, escaped", "POST", "/t%2042:cancel", matched, ESCAPED),
    ("404, escaped", "GET", "/t%2042/parts/7", unknown, ESCAPED),
    ("405, escaped", "PUT", "/t%2042", refused, ESCAPED),
]


def paths(count: int, tail: str) -> list[str]:
    """Return paths all over a router of that many templates."""
    step = max(1, count // 6 // PATHS)
    collections = range(0, count // 6, step)
    return [f"/v1/projects/p{n}/locations/europe/things{n}{tail}" for n in collections][:PATHS]


def asked(router: Router[int], method: str, paths: list[str]) -> float:
    """Return the CPU seconds of a match, the mean over the paths."""
    match = router.match
    start = time.process_time()
    for _ in range(CALLS // len(paths)):
        for path in paths:
            match(method, path)
    return (time.process_time() - start) / (CALLS // len(paths) * len(paths))


STICK = Yardstick()


def matches() -> list[Gate]:
    """Measure every request against both sizes of router, turn by turn.

    A processor that has slowed down for a while is waited out: more turns are taken, up to a
    limit, while a gate is missed.
    """
    routers = {count: router_of(count) for count in (5_000, 12_000)}
    best: dict[tuple[int, str], float] = {}
    gates: list[Gate] = []
    for turn in range(4 * ROUNDS):
        for count, router in routers.items():
            for label, method, tail, check, _ in REQUESTS:
                asking = paths(count, tail)
                if turn == 0 and not all(check(router.match(method, path)) for path in asking):
                    raise SystemExit(f"{label}: a wrong answer")
                seconds = asked(router, method, asking) * 1e6
                best[count, label] = min(seconds, best.get((count, label), seconds))
            STICK.measure()
        gates = list(judged(best))
        if turn >= ROUNDS and not any(gate.missed for gate in gates):
            break
    return gates


def judged(best: dict[tuple[int, str], float]) -> Iterator[Gate]:
    """Hold each kind of request against its limit, and the large router against the small one."""
    for label, *_, limit in REQUESTS:
        small, large = best[5_000, label], best[12_000, label]
        yield Gate(f"5000 templates: {label}", small, limit * STICK.slowness, "us")
        yield Gate("    12000 templates", large, None, "us")
        yield Gate("    12000 templates, against 5000", large / small, 2.0, "x")


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
            limit = 10.0 * STICK.slowness if segments == 10_000 else None
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
    gates = [*matches(), *long_paths(), *start()]
    for gate in gates:
        print(gate)
    print(STICK)
    return int(any(gate.missed for gate in gates))


if __name__ == "__main__":
    sys.exit(main())
