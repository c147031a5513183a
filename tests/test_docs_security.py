"""docs/security.md says what the code does."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from google.longrunning import operations_pb2_grpc
from starlette.testclient import TestClient

from named import SPAN, is_ours
from pages import page
from transcoder import Gateway, Pace, Server, ServerTls, StreamLimits, Timeouts
from transcoder.head import HEADER_LIMIT, HEADERS_LIMIT
from transcoder.inbound import STRIPPED
from transcoder.json_stream import DEPTH_LIMIT
from transcoder.matching import PATH_LIMIT
from transcoder.metadata import METADATA_LIMIT
from transcoder.protojson.cost import LIMIT as VALUES_LIMIT
from transcoder.query_string import QueryLimits
from transcoder.response import REPLY_LIMIT
from transcoder.status import MESSAGE_LIMIT
from wire import Wire

if TYPE_CHECKING:
    from tests.conftest import Served, Start

PAGE = page("security.md")
LIMITS = {row[0]: row for row in PAGE.rows("## What is bounded")}
QUERY, STREAMS, PACE = QueryLimits(), StreamLimits(), Pace()


def default(callable_: Callable[..., Any], name: str) -> Any:
    """Return the default of an option."""
    return inspect.signature(callable_).parameters[name].default


NUMBERS = {
    "a path": (PATH_LIMIT,),
    "a query": (QUERY.size, QUERY.parameters, QUERY.depth),
    "headers of a request": (HEADER_LIMIT, HEADERS_LIMIT),
    "metadata made of headers": (METADATA_LIMIT,),
    "a body": (default(Gateway, "body_limit"),),
    "JSON values in a body": (VALUES_LIMIT,),
    "JSON within JSON": (DEPTH_LIMIT,),
    "the pace of a body": (PACE.rate, PACE.grace),
    "a unary call": (Timeouts().default, Timeouts().maximum),
    "plain methods at once": (default(Gateway, "threads"),),
    "a reply, serialized": (REPLY_LIMIT,),
    "a message of a stream": (STREAMS.message,),
    "streams at once": (STREAMS.count,),
    "a silent stream": (STREAMS.idle,),
    "a client that does not read": (STREAMS.stall,),
    "a message over gRPC": (default(Server, "max_message"),),
    "calls on a gRPC connection": (default(Server, "max_concurrent_streams"),),
    "a handshake of [TLS](tls.md)": (default(ServerTls, "handshake_timeout"),),
    "an idle connection": (default(Server, "keep_alive"),),
    "the text of an error": (MESSAGE_LIMIT,),
}


@pytest.mark.parametrize("what", NUMBERS)
def test_limits(what: str) -> None:
    """A limit is the code's, and so is its option."""
    row = LIMITS[what]
    told = [float(found.replace(",", "")) for found in re.findall(r"[\d,]*\d", row[1])]

    assert told == [float(number or 0) for number in NUMBERS[what]]
    assert [name for name in SPAN.findall(row[2]) if not is_ours(name)] == []


def test_rows() -> None:
    """No limit is told that is not looked at here."""
    assert LIMITS.keys() == NUMBERS.keys()


def test_nobody_is_trusted() -> None:
    """The list of what is stripped is the one that the page names, and nobody is on the others."""
    assert STRIPPED == ("x-internal",)
    assert "`X-Internal` is removed" in PAGE.text
    assert not default(Gateway, "trusted_proxies").trusts("127.0.0.1")
    assert not default(Gateway, "trusted_proxies").trusts(None)
    assert default(Gateway, "trusted_peers") == default(Gateway, "origins") == ()
    assert default(Gateway, "policies") == ()


def gateway() -> Gateway:
    """Return a gateway with a service."""
    made = Gateway()
    operations = operations_pb2_grpc.OperationsServicer()
    operations_pb2_grpc.add_OperationsServicer_to_server(operations, made)  # type: ignore[no-untyped-call]
    return made


def test_what_anybody_reads() -> None:
    """Document and page are open, each with nosniff and without the server's name."""
    web = TestClient(gateway())
    for path in ("/openapi.json", "/docs", "/healthz?service=google.longrunning.Operations"):
        answer = web.get(path)
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
        assert "server" not in answer.headers


OPERATION = "/v1/operations/1"
JSON = {"content-type": "application/json"}
TOO_MUCH: dict[str, dict[str, Any]] = {
    "a path": {"method": "GET", "url": f"{OPERATION}{'1' * PATH_LIMIT}"},
    "a query": {"method": "GET", "url": f"{OPERATION}?name={'1' * QUERY.size}"},
    "metadata made of headers": {
        "method": "GET",
        "url": OPERATION,
        "headers": {"x-long": "1" * METADATA_LIMIT},
    },
    "a body": {
        "method": "POST",
        "url": f"{OPERATION}:cancel",
        "content": b" " * (1 + default(Gateway, "body_limit")),
        "headers": JSON,
    },
    "JSON values in a body": {
        "method": "POST",
        "url": f"{OPERATION}:cancel",
        "content": b"[%b1]" % (b"1," * VALUES_LIMIT),
        "headers": JSON,
    },
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_over_a_limit(what: str) -> None:
    """What is over a limit is answered as the table tells."""
    answer = TestClient(gateway()).request(**TOO_MUCH[what])

    assert answer.status_code == int(LIMITS[what][3])


def test_compressed() -> None:
    """A compressed body is a 415."""
    answer = TestClient(gateway()).post(
        "/v1/operations/1:cancel", content=b"{}", headers={"content-encoding": "gzip"}
    )

    assert answer.status_code == 415


REQUESTS = {
    "101 headers": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"x: y\r\n" * 100,
    "a header of 40,000 bytes": b"GET /healthz HTTP/1.1\r\nHost: a\r\nx: %b\r\n" % (b"y" * 40_000),
    "no `Host`": b"GET /healthz HTTP/1.1\r\n",
    "two `Host` headers": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
    "`Host: a/b`": b"GET /healthz HTTP/1.1\r\nHost: a/b\r\n",
    "a target of another host than `Host`": b"GET http://b/healthz HTTP/1.1\r\nHost: a\r\n",
}
TOLD = {row[0]: row[1:] for row in PAGE.rows("## What our server adds")}


@pytest.fixture(scope="module")
def served(start_shared: Start) -> Served:
    """Our server."""
    return start_shared("operations:create")


def status(target: str, head: bytes) -> str:
    """Return the status of the answer to a request's head."""
    wire = Wire(target)
    wire.send(head + b"Connection: close\r\n\r\n")
    answer = wire.answer()
    wire.close()
    return str(answer.status)


async def under_uvicorn() -> dict[str, str]:
    """Return the statuses that uvicorn's answers have, with what it chooses itself."""
    server = uvicorn.Server(uvicorn.Config(gateway(), log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        target = f"127.0.0.1:{listening.getsockname()[1]}"
        # The kernel takes the connections, whether or not the server has begun to.
        found = {
            name: await asyncio.to_thread(status, target, head) for name, head in REQUESTS.items()
        }
        server.should_exit = True
        await serving
    return found


def test_our_server(served: Served) -> None:
    """Our server answers as the table tells."""
    found = {name: status(served.http_target, head) for name, head in REQUESTS.items()}

    assert found == {name: ours for name, (ours, _) in TOLD.items()}


def test_another_server() -> None:
    """So does uvicorn, without what ours adds."""
    found = asyncio.run(under_uvicorn())

    assert found == {name: theirs for name, (_, theirs) in TOLD.items()}
