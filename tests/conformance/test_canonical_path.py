"""Whoever decides about a request and whoever answers it see one path.

The paths are made of what proxies, routers and filters read differently: empty segments, dot
segments, slashes, backslashes, semicolons, colons, letters and blanks, raw, encoded and encoded
twice. What they mean is told a second time here, straight from the comments of
`google/api/http.proto`, to hold the router against.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import pytest

from catalogue import SERVICE, serving
from transcoder.errors import InvalidRequest
from transcoder.path_template import Kind, PathTemplate
from transcoder.route import Match, Miss
from transcoder.routing import Router
from wire import Catalogue, check_status, request

pytestmark = pytest.mark.untraced

WORDS = ["v1", "admin", "items", "deep", "between", "end", "any", "query", "child", "healthz", "x"]
PIECES = [
    *("", "", ".", "..", "%2e", "%2E%2e", ".%2E", "%252e", "%c0%ae"),
    *("%2f", "%2F", "%252f", "\\", "%5c", "%5C", ";", ";x=1", "%3b", "%00", "%2500", "~", "%7e"),
    *(":", ":delete", "%3Adelete", ":%64elete", "%3a", ":admin", "%20", "+", "%09", "%0d%0a"),
    *("%ff", "%c3%a4", "%c3", "%ed%a0%80", "%", "%4", "%zz", "%25", "%%", "*", "**", "{x}", "%3F"),
    *("%61", "%41", "Admin", "ADMIN", "%61dmin", "adm%69n", "%2561dmin", "%EF%BC%8F", "@", "-"),
]
SEPARATORS = ["/"] * 12 + ["//", "/./", "/../", "%2f", "%2F", "\\"]
STARTS = [
    *["/v1", "/v1", "/v1/admin", "/deep", "/between", "/child"] * 2,
    "/admin",
    "/any",
    "/",
    "",
]
ENDS = [*[""] * 12, "/", "/end", "/end", ":delete"]
METHODS = ["GET"] * 6 + ["POST", "DELETE", "HEAD", "PUT"]


class Read(NamedTuple):
    """A path as the specification reads it: its segments decoded, the verbs it may have."""

    segments: list[str]
    endings: list[tuple[str, str]]


def generated(seed: int) -> Iterator[tuple[str, str]]:
    """Yield methods and paths without end."""
    dice = random.Random(seed)
    while True:
        path = dice.choice(STARTS)
        for _ in range(dice.choice([0, 1, 1, 1, 2, 2, 3])):
            word, odd = dice.choice(WORDS), dice.choice(PIECES)
            path += dice.choice(SEPARATORS)
            path += dice.choice([word, word, odd, word + odd, odd + word])
        yield dice.choice(METHODS), path + dice.choice(ENDS)


def decoded(text: str) -> str | None:
    """Return a text decoded once; None if it has no meaning."""
    if re.search("%(?![0-9a-fA-F]{2})", text):
        return None
    try:
        plain = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in plain else plain


def read(path: str) -> Read | None:
    """Return what a path means; None if it is refused before any route is looked for."""
    whole = decoded(path)
    if whole is None or path[:1] != "/" or {".", ".."} & set(whole.split("/")):
        return None
    written = path.split("/")[1:]
    segments = [decoded(segment) for segment in written]
    if None in segments:
        return None
    last = written[-1]
    colons = [place for place, letter in enumerate(last) if letter == ":"]
    endings = [(decoded(last[:place]), decoded(last[place + 1 :])) for place in colons]
    plain = [segment for segment in segments if segment is not None]
    known = [(base, verb) for base, verb in endings if base is not None and verb is not None]
    return Read(plain, known)


def fits(template: PathTemplate, path: Read) -> bool:
    """Say whether a template fits a path."""
    if ("", "delete") in path.endings:
        return False  # A verb of nothing; grpc-gateway has it so.
    heads = [path.segments]
    if template.verb:
        heads = [
            [*path.segments[:-1], base] for base, verb in path.endings if verb == template.verb
        ]
    kinds = [(segment.kind, segment.text) for segment in template.segments]
    return any(_fits(kinds, head) for head in heads)


def _fits(kinds: list[tuple[Kind, str]], segments: list[str]) -> bool:
    if not kinds:
        return not segments
    (kind, text), rest = kinds[0], kinds[1:]
    if kind is Kind.DEEP_WILDCARD:
        filled = len(list(itertools.takewhile(bool, segments)))
        return any(_fits(rest, segments[skip:]) for skip in range(filled + 1))
    if not segments or not segments[0]:
        return False
    if kind is Kind.LITERAL and segments[0] != text:
        return False
    return _fits(rest, segments[1:])


@pytest.fixture(scope="module")
def router() -> Router[Any]:
    """The router of the served catalogue."""
    return serving(lambda _: None).transcoder.compile().default


def outcome(router: Router[Any], method: str, path: str) -> Match[Any] | Miss | None:
    """Return what the router says; None if it refuses the path."""
    try:
        return router.match(method, path)
    except InvalidRequest:
        return None


def test_one_decision(router: Router[Any]) -> None:
    """Of 100,000 odd paths, each goes to a route whose template it fits, or fits none."""
    wrong = []
    matched = 0
    for method, path in itertools.islice(generated(seed=1), 100_000):
        found, meant = outcome(router, method, path), read(path)
        if isinstance(found, Match):
            matched += 1
            right = meant is not None and fits(found.route.template, meant)
        elif meant is None or found is None:
            # Dots before a verb are refused as well, though their segment is another text.
            right = found is None and (meant is None or _dotted(meant))
        else:
            answering = [route.method for route in router.routes if fits(route.template, meant)]
            right = method not in answering and bool(found.allow) == bool(answering)
        if not right:
            wrong.append((method, path, found))

    assert wrong == []
    assert 10_000 < matched < 50_000


def _dotted(path: Read) -> bool:
    return any(base.rpartition("/")[2] in {".", ".."} for base, _ in path.endings)


def test_denied_is_never_reached(router: Router[Any]) -> None:
    """Whoever denies by the decoded segments of a path denies each path that gets there."""
    reached = []
    for _, path in itertools.islice(generated(seed=2), 100_000):
        found, meant = outcome(router, "GET", path), read(path)
        admin = meant is not None and (
            meant.segments == ["admin"] or meant.segments[:2] == ["v1", "admin"]
        )
        is_admin = isinstance(found, Match) and found.route.name == f"{SERVICE}.Admin"
        if is_admin and not admin:
            reached.append(path)

    assert reached == []


def test_scope_names_what_was_called() -> None:
    """The route in the scope is the route of the method that ran, and none ran without one."""
    called: list[str] = []
    gateway = serving(called.append)

    async def run() -> list[Any]:
        wrong = []
        for method, path in itertools.islice(generated(seed=3), 5_000):
            called.clear()
            sent: list[Any] = []
            scope = asgi_scope(method, path)

            async def send(message: Any, sent: list[Any] = sent) -> None:
                sent.append(message)

            await gateway(scope, no_body, send)
            names = [f"{SERVICE}.{name}" for name in called]
            answered = sent[0]["status"] == 200 and not _is_health(path)
            if names != ([scope["route"].name] if answered else []):
                wrong.append((method, path, names))
        return wrong

    assert asyncio.run(run()) == []


def _is_health(path: str) -> bool:
    return decoded(path) == "/healthz"


async def no_body() -> dict[str, Any]:
    """Receive a request without a body."""
    return {"type": "http.request", "body": b""}


def asgi_scope(method: str, path: str) -> dict[str, Any]:
    """Return the scope of a request."""
    return {
        "type": "http",
        "method": method,
        "path": unquote_to_bytes(path).decode(errors="replace"),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
    }


def test_control_bytes_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A refused path is logged in printable ASCII, whatever the server let through."""
    scope = {**asgi_scope("GET", "/v1/x"), "raw_path": b"/v1/\x1b[31m\r\n\x9b\xff"}

    async def ignore(_: Any) -> None:
        """Send nothing."""

    with caplog.at_level("INFO", logger="transcoder"):
        asyncio.run(serving(lambda _: None)(scope, no_body, ignore))

    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert record.getMessage().isascii()


def test_one_decision_on_the_wire(catalogue: Catalogue, router: Router[Any]) -> None:
    """A path sent through a socket reaches the method that the router names for it."""
    wrong = []
    wire = catalogue.wire()
    for method, path in itertools.islice(generated(seed=4), 600):
        noted = len(catalogue.served.noted())
        wire.send(request(method, path))
        answer = wire.answer(head=method == "HEAD")
        called = catalogue.served.noted()[noted:]
        found = outcome(router, method, path)
        if answer.closed:
            wire.close()
            wire = catalogue.wire()
        if isinstance(found, Match):
            name = f"{found.route.name} {found.route.template}"
            told = answer.headers.get("x-route")
            calls = [] if _is_health(path) else [found.route.name.rpartition(".")[2]]
            right = (answer.status, told, called) == (200, name, calls)
        else:
            check_status(answer, has_body=method != "HEAD")
            right = called == []
        if not right:
            wrong.append((method, path, answer, called))
    wire.close()

    assert wrong == []
