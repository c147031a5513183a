"""Backends as attackers: what their answers become, through a server on real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import any_pb2
from google.rpc import status_pb2

from chunked import Chunked
from evil import Answer, Backend
from listening import serving
from services.user.v1.user_service_pb2 import GetUserRequest, User
from wire import Wire, request

if TYPE_CHECKING:
    from tests.conftest import Served, Start

OK = (b"grpc-status", b"0")
LEAKS = re.compile(
    r"Traceback|<class|Error\b|\.py\b|127\.0\.0\.1|secret|ipv4|RST_STREAM|Stream rem"
)


def replying(*messages: bytes, end: Any = (OK,), head: Any = ()) -> Any:
    """Return a script: messages, and then the end."""

    def script(answer: Answer) -> None:
        answer.headers(*head)
        for message in messages:
            answer.message(message)
        answer.trailers(*end)

    return script


def failing(status: bytes, message: bytes = b"", *more: tuple[bytes, bytes]) -> Any:
    """Return a script: a status and nothing else."""

    def script(answer: Answer) -> None:
        answer.connection.send_headers(
            answer.stream,
            [
                (b":status", b"200"),
                (b"content-type", b"application/grpc"),
                (b"grpc-status", status),
                (b"grpc-message", message),
                *more,
            ],
            end_stream=True,
        )
        answer.flush()

    return script


def truncated(answer: Answer) -> None:
    """Promise more bytes than come."""
    answer.headers()
    answer.data(b"\0\0\0\0\x10abc")
    answer.trailers(OK)


def half(answer: Answer) -> None:
    """Die within a message."""
    answer.headers()
    answer.data(b"\0\0\0\0\x10abc")
    asyncio.get_running_loop().call_later(0.05, answer.abort)


def squeezed(answer: Answer) -> None:
    """Send what is said to be compressed, and is not."""
    answer.headers((b"grpc-encoding", b"gzip"))
    answer.data(b"\x01\0\0\0\x01a")
    answer.trailers(OK)


def late_reset(answer: Answer) -> None:
    """Cancel what has begun."""
    answer.headers()
    answer.reset(8)


def leave(answer: Answer) -> None:
    """Say goodbye to all calls."""
    answer.connection.close_connection(error_code=0, last_stream_id=0)
    answer.flush()


async def huge(answer: Answer) -> None:
    """Send a message of five megabytes."""
    await pour(answer, b"\0" + (5 << 20).to_bytes(4, "big") + b"\n" * (5 << 20))


async def flood(answer: Answer) -> None:
    """Send a million messages of nothing."""
    await pour(answer, bytes(5) * 1_000_000)


async def pour(answer: Answer, left: bytes) -> None:
    """Send bytes of a body as fast as they are taken, and the end."""
    answer.headers()
    while left:
        window = answer.connection.local_flow_control_window(answer.stream)
        if window == 0:
            await asyncio.sleep(0.01)
            continue
        answer.data(left[:window])
        left = left[window:]
    answer.trailers(OK)


def packed(status: status_pb2.Status) -> bytes:
    """Return a rich status as metadata has it."""
    return base64.b64encode(status.SerializeToString())


ADA = User(id="u").SerializeToString()
UNKNOWN_DETAIL = status_pb2.Status(
    code=5,
    message="gone",
    details=[any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"\x01")],
)

# name: (script, HTTP status, code); a script may be met by the first call of a method or a later
CASES: dict[str, tuple[Any, int, int]] = {
    # bytes that are no message
    "garbage": (replying(b"\xff\xff\xff"), 502, 13),
    "utf8": (replying(b"\n\x02\xff\xfe"), 502, 13),
    "truncated": (truncated, 502, 13),
    "squeezed": (squeezed, 502, 13),
    # too few and too many
    "nothing": (replying(), 502, 13),
    "nothing-at-all": (failing(b"0"), 502, 13),
    "two": (replying(ADA, ADA), 502, 13),
    # status codes that are none
    "code-99": (failing(b"99"), 500, 2),
    "code-minus": (failing(b"-1"), 502, 13),
    "code-text": (failing(b"abc"), 502, 13),
    "code-none": (replying(ADA, end=((b"x-a", b"1"),)), 502, 13),
    # messages of a status
    "long": (failing(b"5", b"x" * 9_000), 404, 5),
    "longer": (failing(b"5", b"x" * 30_000), 502, 13),
    "lines": (failing(b"5", b"%0D%0AX-Evil: y%00%FF"), 404, 5),
    "exception": (failing(b"2", b"Unexpected <class 'RuntimeError'>: dsn=secret"), 500, 2),
    "application": (failing(b"2", b"Exception calling application: dsn=secret"), 500, 2),
    # metadata
    "trailers-12k": (replying(ADA, end=(OK, (b"x-a", b"b" * 12_000))), 502, 13),
    "trailers-20k": (replying(ADA, end=(OK, (b"x-a", b"b" * 20_000))), 502, 13),
    "headers-20k": (replying(ADA, head=((b"x-a", b"b" * 20_000),)), 502, 13),
    "many": (replying(ADA, end=(OK, *((b"x-%d" % n, b"1") for n in range(5_000)))), 502, 13),
    "key": (replying(ADA, head=((b"x a", b"1"),)), 502, 13),
    "binary": (replying(ADA, end=(OK, (b"x-bin", b"@@@"))), 502, 13),
    # details
    "details-base64": (failing(b"5", b"", (b"grpc-status-details-bin", b"@@@")), 502, 13),
    "details-bytes": (failing(b"5", b"gone", (b"grpc-status-details-bin", b"////")), 404, 5),
    "details-any": (
        failing(b"5", b"gone", (b"grpc-status-details-bin", packed(UNKNOWN_DETAIL))),
        404,
        5,
    ),
    "details-1mb": (
        failing(b"5", b"gone", (b"grpc-status-details-bin", b"A" * 1_000_000)),
        502,
        13,
    ),
    # too large
    "huge": (huge, 502, 13),
    # ends before the end
    "silent": (lambda _: None, 504, 4),
    "dies": (Answer.abort, 503, 14),
    "dies-half": (half, 503, 14),
    "refused": (lambda answer: answer.reset(7), 503, 14),
    "calm": (lambda answer: answer.reset(11), 503, 14),
    "cancel": (lambda answer: answer.reset(8), 502, 13),
    "cancel-late": (late_reset, 502, 13),
    "no-error": (lambda answer: answer.reset(0), 502, 13),
    "goaway": (leave, 503, 14),
    # not gRPC
    "html": (lambda answer: answer.body(b"200", b"<html>"), 502, 13),
    "html-404": (lambda answer: answer.body(b"404", b"<html>"), 502, 13),
}


async def slow(answer: Answer) -> None:
    """Answer after a moment."""
    await asyncio.sleep(0.4)
    replying(User(id="slow").SerializeToString())(answer)


def body_of(content_type: str) -> Any:
    """Return a script: a body under that content type."""
    return replying(HttpBody(content_type=content_type, data=b"<p>").SerializeToString())


ODD: dict[str, Any] = {
    "slow": slow,
    "framing": replying(
        ADA,
        head=(
            (b"x-odd", b"\xff\x80"),
            (b"content-length", b"5"),
            (b"transfer-encoding", b"chunked"),
            (b"connection", b"close"),
            (b"grpc-foo", b"1"),
            (b"x-fine", b"1"),
        ),
    ),
    "script": replying(User(id="</script>\u2028").SerializeToString()),
    "flood": flood,
    "type-split": body_of("text/html\r\nX: y"),
    "type-long": body_of("text/" + "a" * 10_000),
    "type-none": body_of(""),
}


class Evil(threading.Thread):
    """The backend of all cases, each under its name as the user's id, in a thread of its own."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.backend = Backend(self.script)
        self._ready = threading.Event()
        self._end: asyncio.Event
        self._loop: asyncio.AbstractEventLoop

    def script(self, answer: Answer) -> Any:
        """Answer a call as its case says."""
        name = GetUserRequest.FromString(answer.request).id
        if name in CASES:
            return CASES[name][0](answer)
        if name in ODD:
            return ODD[name](answer)
        return replying(User(id=name).SerializeToString())(answer)

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self.backend.serve) as target:
            self.backend.target = target
            self._ready.set()
            await self._end.wait()

    def __enter__(self) -> Backend:
        self.start()
        assert self._ready.wait(10)
        return self.backend

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self.join(10)


@pytest.fixture(scope="module")
def evil() -> Iterator[Backend]:
    """The backend."""
    with Evil() as backend, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKEND", backend.target)
        patch.setenv("GRPC_VERBOSITY", "NONE")
        yield backend


@pytest.fixture(scope="module")
def served(evil: Backend, start_shared: Start) -> Iterator[Served]:
    """A server before the backend, which gives it all the time that it needs."""
    served = start_shared("routed:patient")
    yield served
    assert served.process.poll() is None


@pytest.fixture(scope="module")
def hasty(evil: Backend, start_shared: Start) -> Iterator[Served]:
    """A server whose calls of the backend may take a second."""
    served = start_shared("routed:create")
    yield served
    assert served.process.poll() is None


def ask(served: Served, name: str) -> tuple[int, dict[str, str], bytes]:
    """Get the user of that id; every header and byte is looked at."""
    wire = Wire(served.http_target)
    wire.send(request("GET", f"/v1/users/{name}"))
    answer = wire.answer()
    wire.close()
    assert answer.headers["content-type"] == "application/json"
    told = f"{answer.headers} {answer.body!r}"
    assert not LEAKS.search(told), told
    return answer.status, dict(answer.headers), answer.body


def canary(served: Served) -> None:
    """Check that the server and its backend go on, if on another connection."""
    until = time.monotonic() + 3
    status, _, body = ask(served, "canary")
    while status == 503 and time.monotonic() < until:
        status, _, body = ask(served, "canary")
    assert (status, json.loads(body)) == (200, {"id": "canary"})


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_failure(request: pytest.FixtureRequest, name: str, *, first: bool) -> None:
    """What a backend does wrong is told as its fault, in little, whenever it begins to."""
    _, http, code = CASES[name]
    if name == "two" and not first:
        # Later, nobody looks: the deadline ends it.
        http, code = 504, 4
    served: Served = request.getfixturevalue("hasty" if http == 504 else "served")
    if first:
        ask(served, "nothing")
    else:
        canary(served)
    start = time.monotonic()
    status, headers, body = ask(served, name)

    told = json.loads(body)
    assert (status, told["code"]) == (http, code)
    assert len(told["message"].encode()) <= 512
    assert len(body) <= 2048
    assert int(headers["content-length"]) == len(body)
    assert "x-evil" not in headers
    assert time.monotonic() - start < 20
    canary(served)


def test_message_with_lines(served: Served) -> None:
    """Control characters of a status are JSON's to escape, and reach no header."""
    _, headers, body = ask(served, "lines")

    assert b"\r" not in body
    assert "\x00" not in json.loads(body)["message"]
    assert "X-Evil" not in str(headers)


def test_unknown_detail(served: Served) -> None:
    """A detail of a type that nobody knows is shown as it came."""
    _, _, body = ask(served, "details-any")

    assert json.loads(body)["details"] == [
        {"@type": "type.googleapis.com/no.Such", "value": "AQ=="}
    ]


def test_refused_call_is_tried_again(served: Served, evil: Backend) -> None:
    """A call that the backend says not to have begun is sent once more."""
    canary(served)
    before = len(evil.calls)
    ask(served, "refused")

    assert len(evil.calls) - before == 2


def test_many_tiny_messages(evil: Backend, start_shared: Start) -> None:
    """A backend that streams a million messages does not keep others from being answered."""
    del evil
    served = start_shared("routed:patient")
    raw = request("GET", "/v1/users:watch?id=flood", "Accept: application/x-ndjson")
    with Chunked(served.http_target, raw) as client:
        assert client.head() == 200
        reader = threading.Thread(target=client.rest, daemon=True)
        reader.start()
        for _ in range(3):
            canary(served)

        assert reader.is_alive()
        client.socket.shutdown(socket.SHUT_RDWR)
        reader.join(20)
        assert not reader.is_alive()
    canary(served)


@pytest.mark.parametrize("name", ["type-split", "type-long", "type-none"])
def test_content_type_that_is_no_header(served: Served, name: str) -> None:
    """A body under a content type that cannot be sent is told as bytes."""
    wire = Wire(served.http_target)
    wire.send(request("GET", f"/v1/users/{name}/avatar"))
    answer = wire.answer()
    wire.close()

    assert (answer.status, answer.body) == (200, b"<p>")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "x" not in answer.headers


def test_a_second_reply_is_noticed(hasty: Served) -> None:
    """A backend with two replies to a call for one does not hold the calls after the first."""
    canary(hasty)
    held, _, _ = ask(hasty, "two")
    status, _, _ = ask(hasty, "two")

    assert (held, status) == (504, 502)


def test_metadata_of_the_connection(served: Served) -> None:
    """What would break the framing of our answer, or cannot be a header, is no header of it."""
    status, headers, body = ask(served, "framing")

    assert (status, json.loads(body)) == (200, {"id": "u"})
    assert int(headers["content-length"]) == len(body)
    assert headers["x-fine"] == "1"
    assert not {"x-odd", "transfer-encoding", "grpc-foo"} & set(headers)
    assert headers.get("connection") != "close"


def test_text_that_scripts_read(served: Served) -> None:
    """A reply's text stays within its JSON string."""
    _, _, body = ask(served, "script")

    assert json.loads(body) == {"id": "</script>\u2028"}


@pytest.mark.parametrize(
    "header",
    [
        "x-bin: @@@",
        "x-a-bin: AAA",
        "grpc-trace-bin: @@@",
        "grpc-timeout: 1x",
        "grpc-encoding: evil",
        "te: x",
        "x-odd: \xff\x80",
        "x_Odd: a",
        "x-large: " + "a" * 7_000,
        "content-language: " + "a" * 7_000,
        "connection: x-a, close, te",
    ],
)
def test_headers_of_one_client(served: Served, evil: Backend, header: str) -> None:
    """What one client sends does not touch another's call on the backend's connection."""
    canary(served)
    connections = evil.connections
    other = Wire(served.http_target)
    other.send(request("GET", "/v1/users/slow"))
    wire = Wire(served.http_target)
    wire.send(request("GET", "/v1/users/canary", header))

    assert wire.answer().status in {200, 400, 431}
    assert other.answer().json() == {"id": "slow"}
    assert evil.connections == connections
    assert evil.calls[-1]["te"] == "trailers"
    assert "grpc-encoding" not in evil.calls[-1]
    wire.close()
    other.close()
