"""docs/security.md says what the code does."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import socket
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import uvicorn
from google.longrunning import operations_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.testclient import TestClient

from named import SPAN, is_ours
from pages import page
from transcoder import (
    ConnectionLimits,
    Gateway,
    Pace,
    Server,
    ServerTls,
    StreamLimits,
    Timeouts,
)
from transcoder.connection_limits import MOST
from transcoder.doors import AGE_AT_SEVERAL
from transcoder.grpc_listener import listening_options
from transcoder.head import HEADER_LIMIT, HEADERS_LIMIT
from transcoder.inbound import STRIPPED
from transcoder.json_stream import DEPTH_LIMIT
from transcoder.matching import PATH_LIMIT
from transcoder.metadata import METADATA_LIMIT
from transcoder.protojson.cost import LIMIT as VALUES_LIMIT
from transcoder.query_string import QueryLimits
from transcoder.response_encoder import REPLY_LIMIT
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
    "all bodies at once": (default(Gateway, "bodies_limit"),),
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
    "HTTP connections": (MOST,),
    "the head of a request": (ConnectionLimits().head,),
    "an answer that is not read": (ConnectionLimits().stall,),
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


SWITCHES = PAGE.rows("## What must be switched on")


@pytest.mark.parametrize("row", SWITCHES, ids=lambda row: row[0])
def test_switches(row: list[str]) -> None:
    """What is to be switched on is there."""
    names = [name for name in SPAN.findall(row[1]) if name not in {"TrustedHostMiddleware", "None"}]

    assert names
    assert all(is_ours(name) for name in names)


def test_any_host() -> None:
    """Any name is taken as Host, unless Starlette's middleware says which."""
    made = {
        status: Gateway(middleware=middleware)
        for status, middleware in (
            (200, []),
            (400, [Middleware(TrustedHostMiddleware, allowed_hosts=["api.example"])]),
        )
    }
    for status, app in made.items():
        operations = operations_pb2_grpc.OperationsServicer()
        operations_pb2_grpc.add_OperationsServicer_to_server(operations, app)  # type: ignore[no-untyped-call]
        answer = TestClient(app).get("/openapi.json", headers={"host": "evil.example"})
        assert answer.status_code == status


def test_grpc_options() -> None:
    """GRPC is told what the table says, with several workers and TLS."""
    told = listening_options(
        reuse_port=True,
        max_concurrent_streams=default(Server, "max_concurrent_streams"),
        max_message=default(Server, "max_message"),
        max_connection_age=AGE_AT_SEVERAL,
        age_grace=default(Server, "grace"),
        handshake_timeout=default(ServerTls, "handshake_timeout"),
    )
    rows = PAGE.rows("## What gRPC does on its port")

    assert {row[0].strip("`"): int(row[1].replace(",", "")) for row in rows} == dict(told)


def test_pace_under_another_server() -> None:
    """The pace of a body holds under uvicorn too."""

    async def slow() -> int:
        app = Gateway(pace=Pace(grace=0.2))
        operations = operations_pb2_grpc.OperationsServicer()
        operations_pb2_grpc.add_OperationsServicer_to_server(operations, app)  # type: ignore[no-untyped-call]
        head = b"POST /v1/operations/1:cancel HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
        async with uvicorn_alone(app) as target:
            return int(await asyncio.to_thread(status, target, head))

    assert asyncio.run(slow()) == 408


REQUESTS = {
    "a path of 9,000 bytes": b"GET /v1/operations/%b HTTP/1.1\r\nHost: a\r\n" % (b"1" * 9000),
    "1,001 query parameters": b"GET /v1/operations/1?%b HTTP/1.1\r\nHost: a\r\n"
    % b"&".join(b"a=%d" % number for number in range(1001)),
    "a body over its limit": b"POST /v1/operations/1:cancel HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 1048577\r\n",
    "a compressed body": b"POST /v1/operations/1:cancel HTTP/1.1\r\nHost: a\r\n"
    b"Content-Encoding: gzip\r\nContent-Length: 1\r\n",
    "`Content-Length` beside `Transfer-Encoding`": b"POST /healthz HTTP/1.1\r\nHost: a\r\n"
    b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
    "`Transfer-Encoding: x, chunked`": b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: x, chunked\r\n",
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


@contextlib.asynccontextmanager
async def uvicorn_alone(app: Gateway) -> AsyncGenerator[str, None]:
    """Serve by uvicorn, with what it chooses itself."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        # The kernel takes the connections, whether or not the server has begun to.
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await serving


@pytest.mark.parametrize(
    ("size", "metadata", "code"),
    [
        (0, 7_000, "OK"),
        (0, 20_000, "RESOURCE_EXHAUSTED"),
        # A few kilobytes on the wire.
        (5 << 20, 1, "RESOURCE_EXHAUSTED"),
    ],
)
def test_too_much_for_grpc(served: Served, size: int, metadata: int, code: str) -> None:
    """Metadata that are large do not pass, nor messages that are once they are decompressed."""
    with grpc.insecure_channel(served.grpc_target, compression=grpc.Compression.Gzip) as channel:
        asked = HealthCheckRequest(service="a" * size)
        told = (("x-long", "a" * metadata),)
        stub: Any = HealthStub(channel)
        future = stub.Check.future(asked, metadata=told, timeout=20)

        assert future.code().name == code


async def under_uvicorn() -> dict[str, str]:
    """Return the statuses that uvicorn's answers have."""
    async with uvicorn_alone(gateway()) as target:
        return {
            name: await asyncio.to_thread(status, target, head) for name, head in REQUESTS.items()
        }


def test_our_server(served: Served) -> None:
    """Our server answers as the table tells."""
    found = {name: status(served.http_target, head) for name, head in REQUESTS.items()}

    assert found == {name: ours for name, (ours, _) in TOLD.items()}


def test_another_server() -> None:
    """So does uvicorn, without what ours adds."""
    found = asyncio.run(under_uvicorn())

    assert found == {name: theirs for name, (_, theirs) in TOLD.items()}
