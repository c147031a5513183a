"""Replies without a JSON form, through a real server: what the client is told, and the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chunked import Chunked
from transcoder.errors import Unprintable
from transcoder.protojson import to_json
from unprintable import SECRET, pool, reply_of
from wire import request

if TYPE_CHECKING:
    from tests.conftest import Served, Start

CASES = [
    ("unknown-any", "any: an Any of a type that is not in the descriptor pool"),
    ("bad-any", "any: an Any whose bytes are not of its type"),
    ("in-any", "any.text: text that is not UTF-8"),
    ("time-in-any", "any.value: a time before the year 1 or after 9999"),
    ("nan", "value: holds NaN or an infinity, for which JSON has no number"),
    ("infinity", "struct: holds NaN or an infinity, for which JSON has no number"),
    ("time", "createTime: a time before the year 1 or after 9999"),
    ("duration", "duration: a duration beyond 10,000 years, or with parts of two signs"),
    ("mask", "mask: a path that would be another one when read"),
    ("nested", "replies[1].byName.*.createTime: a time before the year 1 or after 9999"),
    ("utf8", "text: text that is not UTF-8"),
    ("utf8-list", "texts[1]: text that is not UTF-8"),
    ("utf8-map", "textsByName.*: text that is not UTF-8"),
    ("utf8-key", "textsByName.*: text that is not UTF-8"),
    ("extension", "[unprintable.v1.more].createTime: a time before the year 1 or after 9999"),
]
BODY = {"code": 13, "message": "internal error", "details": []}


@pytest.fixture(scope="module")
def served(start_shared: Start) -> Served:
    """A server of such replies."""
    return start_shared("unprintable:create")


@pytest.fixture(scope="module")
def remote(start_shared: Start, served: Served) -> Served:
    """A gateway before that server, its replies of a dynamic type."""
    served.ledger.with_name("backend").write_text(served.grpc_target)
    return start_shared("unprintable:remote")


def lines(served: Served, log: str = "log") -> list[str]:
    """Return the lines of a log so far."""
    return served.ledger.with_name(log).read_text().splitlines()


@pytest.mark.parametrize("size", [0, 50_000], ids=["on the loop", "off the loop"])
@pytest.mark.parametrize(("name", "told"), CASES)
def test_unprintable_reply(served: Served, name: str, told: str, size: int) -> None:
    """The client has the fixed 500, the log one line without a value, and the next call works."""
    before = len(lines(served))
    status, headers, body = served.get(f"/v1/{name}?size={size}")
    logged = lines(served)[before:]

    assert (status, body) == (500, BODY)
    (line,) = logged
    assert line.endswith(
        f" ERROR GET /v1/{name} failed, request id {headers['x-request-id']}: "
        f"unprintable.v1.Reply has no JSON form: {told}"
    )
    assert served.get("/v1/fine")[2]["texts"] == ["a"]
    assert len(lines(served)) == before + 1


@pytest.mark.parametrize(("name", "told"), CASES)
def test_unprintable_reply_of_a_peer(remote: Served, name: str, told: str) -> None:
    """So it is when the reply is another process's, which checked nothing."""
    before = len(lines(remote, "remote-log"))
    status, _, body = remote.get(f"/v1/{name}")
    logged = lines(remote, "remote-log")[before:]

    assert (status, body) == (500, BODY)
    (line,) = logged
    assert line.endswith(f": unprintable.v1.Reply has no JSON form: {told}")
    assert remote.get("/v1/fine")[2]["texts"] == ["a"]


@pytest.mark.parametrize("size", [0, 50_000], ids=["on the loop", "off the loop"])
@pytest.mark.parametrize(
    ("accept", "end"),
    [
        ("application/x-ndjson", b'{"error":%b}\n'),
        ("text/event-stream", b"event: error\ndata: %b\n\n"),
        ("application/json", None),
    ],
)
@pytest.mark.parametrize("case", CASES)
def test_unprintable_reply_of_a_stream(
    served: Served, case: tuple[str, str], accept: str, end: bytes | None, size: int
) -> None:
    """Within a stream the framing tells it, or ends the answer in its midst; nothing comes after.

    The log has one line without a value, and the next stream works.
    """
    name, told = case
    before = len(lines(served))
    raw = request("GET", f"/v1/{name}/list?size={size}", f"Accept: {accept}")
    with Chunked(served.http_target, raw) as client:
        status = client.head()
        body, whole = client.rest()
    logged = lines(served)[before:]

    assert (status, whole) == (200, end is not None)
    assert body.count(b'"texts":["a"]') == 2
    assert end is None or body.endswith(end % json.dumps(BODY, separators=(",", ":")).encode())
    assert SECRET.encode() not in body
    (line,) = logged
    assert line.endswith(f"unprintable.v1.Reply has no JSON form: {told}")
    with Chunked(served.http_target, request("GET", "/v1/fine/list")) as fine:
        assert fine.head() == 200
        assert len(json.loads(fine.rest()[0])) == 4
    assert len(lines(served)) == before + 1


@pytest.mark.parametrize("print_defaults", [False, True])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(("name", "told"), CASES)
def test_unprintable(name: str, told: str, *, print_defaults: bool, indent: int | None) -> None:
    """Alone, the codec says the same, with nothing behind the error that would say more."""
    with pytest.raises(Unprintable) as caught:
        to_json(reply_of(name), print_defaults=print_defaults, indent=indent, pool=pool())

    assert str(caught.value) == f"unprintable.v1.Reply has no JSON form: {told}"
    assert caught.value.__cause__ is None
    assert SECRET not in str(caught.value)


def test_too_deep() -> None:
    """Where a reply is too deep to look into, what ended the look is told in the place's stead."""
    reply: Any = type(reply_of("nan"))()
    deepest = reply
    for _ in range(2000):
        deepest = deepest.replies.add()
    deepest.CopyFrom(reply_of("nan"))

    with pytest.raises(Unprintable) as caught:
        to_json(reply, pool=pool())

    problem = "cannot be printed: RecursionError"
    assert str(caught.value) == f"unprintable.v1.Reply has no JSON form: {problem}"
