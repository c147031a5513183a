"""Streams over WebSocket, through real servers and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any, TypeAlias

import pytest
from google.api.http_pb2 import HttpRule
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

import streams
from over_tls import HERE, write
from sockets import Door, Ended, Hold, Telling, rest, run, texts
from streams import POOL, Ask, Streams, Told
from transcoder import Gateway, ServerTls
from transcoder.asgi import CONNECTION
from transcoder.handshake import Token
from transcoder.profile import STRICT
from transcoder.status import Code
from transcoder.stream_limits import StreamLimits

FIRST = '{"text":"a"}'
SECOND = '{"number":"1","text":"a"}'
Tls: TypeAlias = "ServerTls | None"


@pytest.fixture(scope="module", params=["HTTP", "HTTPS"])
def tls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """TLS of a server, or none."""
    secured = request.param == "HTTPS"
    return ServerTls(**write(tmp_path_factory.mktemp("files"), HERE)) if secured else None


@pytest.mark.parametrize(
    ("path", "sent", "received"),
    [
        ("/v1/a/told?count=2", [], [FIRST, SECOND]),
        ("/v1/a/told?count=0", [], []),
        ("/v1/a/texts?count=2", [], ['"a"', '"a"']),
        ("/v1/a/asks", ['{"count":1}', "{}", ""], ['{"topic":"a","count":"2"}']),
        ("/v1/a/asks", [""], ["{}"]),
        ("/v1/a/echo", ["{}", '{"topic":"b"}', ""], [FIRST, '{"number":"1","text":"b"}']),
        ("/v1/a/echo", [""], []),
        # Of a page that ends what has ended, or that never does.
        ("/v1/a/told?count=1", ["", ""], [FIRST]),
        ("/v1/a/told?count=1&pause=0.1", ["{}", "{}"], [FIRST]),
        ("/v1/a/asks", ["{}", "", "{}", "what"], ['{"topic":"a","count":"1"}']),
    ],
)
def test_each_kind(tls: Tls, path: str, sent: list[str], received: list[str]) -> None:
    """Each kind of stream goes over a WebSocket, one message a frame, and ends with 1000."""

    async def fact(door: Door) -> Ended:
        return await door.exchange(path, *sent)

    assert run(fact, tls=tls) == Ended(list(received), 1000, "")


def test_one_by_one() -> None:
    """A reply is there as soon as the message is that it answers."""

    async def fact(door: Door) -> list[Any]:
        async with door.open("/v1/a/echo") as client:
            told = []
            for topic in "bcd":
                await client.send(json.dumps({"topic": topic}))
                told.append(json.loads(await client.recv())["text"])
            return told

    # The path's value is of the first message.
    assert run(fact) == ["a", "c", "d"]


def test_binary_messages() -> None:
    """A binary frame holds a serialized message, whatever the frames around it hold."""

    async def fact(door: Door) -> Ended:
        first, second = Ask(topic="b"), Ask(topic="c")
        sent = first.SerializeToString(), '{"topic":"d"}', second.SerializeToString(), b"", ""
        return await door.exchange("/v1/a/echo", *sent)

    ended = run(fact)
    topics = [json.loads(text).get("text", "") for text in texts(ended.messages)]

    assert (topics, ended.code) == (["a", "d", "c", ""], 1000)


def test_binary_replies() -> None:
    """A client that selects the subprotocol for it receives serialized replies."""

    async def fact(door: Door) -> tuple[Ended, str | None]:
        options = {"subprotocols": ["bearer.x", "transcoder.protobuf", "transcoder.json"]}
        async with door.open("/v1/a/told?count=2", **options) as client:
            return await rest(client), client.subprotocol

    ended, subprotocol = run(fact)

    assert subprotocol == "transcoder.protobuf"
    assert [Told.FromString(data) for data in ended.messages] == [
        Told(text="a"),
        Told(number=1, text="a"),
    ]


def test_raw_replies() -> None:
    """The bytes of an HttpBody are a binary frame, as they are."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/file?count=2&size=256")

    assert run(fact) == Ended([bytes(range(256))] * 2, 1000, "")


@pytest.mark.parametrize(
    ("piece", "kind"),
    [(b"abc", "application/octet-stream"), ("abc", "text/plain; charset=utf-8")],
)
def test_raw_messages(piece: str | bytes, kind: str) -> None:
    """What a route takes as raw bytes, it takes as frames; of the first one's type."""

    async def fact(door: Door) -> Any:
        ended = await door.exchange("/v1/a/file?%24method=PUT", piece, b"", b"de", "")
        return json.loads(ended.messages[0])

    total = run(fact)
    del total["hash"]

    assert total == {"topic": "a", "count": "3", "bytes": "5", "contentType": kind}


def post_only(name: str, path: str = "/v1/{topic}/posted", **others: Any) -> dict[str, HttpRule]:
    """Return rules by which a method is posted to."""
    return {f"streams.v1.Streams.{name}": HttpRule(post=path, body="*", **others)}


@pytest.mark.parametrize(
    ("sent", "ended"),
    [
        (['{"count":2}', "{}"], Ended([FIRST, SECOND], 1000, "")),
        ([Ask(count=1).SerializeToString()], Ended([FIRST], 1000, "")),
    ],
)
def test_a_request_in_the_body(sent: list[str | bytes], ended: Ended) -> None:
    """Where a route without a stream of requests has a body, the first message is the request."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/posted", *sent)

    assert run(fact, rules=post_only("Tell")) == ended


def test_a_request_that_never_comes() -> None:
    """A client that ends its messages before the request is told that it is missing."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/posted", "")

    ended = run(fact, rules=post_only("Tell"))

    assert ended.code == 4003
    assert "the request" in str(ended.reason)


def test_a_rule_without_a_body() -> None:
    """Where a stream of requests has no body, its one message is path and query."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/got?how=b", "{}", "{}")

    rules = {"streams.v1.Streams.Collect": HttpRule(get="/v1/{topic}/got")}

    assert run(fact, rules=rules) == Ended(['{"topic":"a","count":"1"}'], 1000, "")


def test_a_method_with_a_stream_beside_one_without() -> None:
    """A handshake fits the method with streams on its path, though GET there has none."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/single", "{}", "")

    assert run(fact, rules=post_only("Echo", "/v1/{topic}/single")).messages == [FIRST]


def test_a_method_under_any_method() -> None:
    """A handshake fits a route of any HTTP method."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/any?count=1")

    rule = HttpRule()
    rule.custom.kind, rule.custom.path = "*", "/v1/{topic}/any"

    assert run(fact, rules={"streams.v1.Streams.Tell": rule}).messages == [FIRST]


def test_presentation() -> None:
    """Replies are printed as the query says, as over REST."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/told?count=1&$prettyPrint=true")

    assert run(fact).messages == ['{\n  "text": "a"\n}']


def test_strict() -> None:
    """The strictest profile takes frames without a Content-Type."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/echo", "{}", b"", "")

    assert run(fact, profile=STRICT).code == 1000


NO_ASK = "[1]: the body is not a serialized streams.v1.Ask"


@pytest.mark.parametrize(
    ("path", "sent", "code", "status"),
    [
        ("/v1/a/told?count=2&failAt=1", [], 4011, (11, "no message 1")),
        ("/v1/a/told?count=2&failAt=1&how=abort", [], 4010, (10, "no message 1")),
        ("/v1/a/told?count=2&failAt=1&how=defect", [], 4013, (13, "internal error")),
        ("/v1/a/echo", ["{}", '{"count":"x"}'], 4003, (3, "[1].count: expected a 32-bit integer")),
        (
            "/v1/a/echo",
            ["{}", b"\xff"],
            4003,
            (3, "[1]: the body is not a serialized streams.v1.Ask"),
        ),
    ],
)
def test_errors(path: str, sent: list[str | bytes], code: int, status: tuple[int, str]) -> None:
    """An error is the last message as on the lines of a stream, and the code of the close."""

    async def fact(door: Door) -> Ended:
        return await door.exchange(path, *sent)

    ended = run(fact)
    first, last = texts(ended.messages)
    told = json.loads(last)["error"]

    assert (first, ended.code) == (FIRST, code)
    assert (told["code"], told["message"]) == status
    assert ended.reason == f"{Code(status[0]).name}: {status[1]}"


def test_a_server_that_cancels() -> None:
    """A server that cancels the application at its own end ends the call too."""
    raw, notes, hold = b"/v1/a/echo", list[str](), Hold()
    app = Gateway(pool=POOL)
    streams.register(Streams(notes.append), app)

    async def fact() -> None:
        extensions = {CONNECTION: hold}
        given = {"path": raw.decode(), "raw_path": raw, "extensions": extensions}
        task = asyncio.create_task(
            events(app, {"type": "websocket.receive", "text": "{}"}, **given)
        )
        await asyncio.sleep(0.1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(fact())

    assert (notes, hold.cuts) == (["cancelled 1"], [False])


REFUSALS = [
    ("/v1/a/told?count=x", {}, 400, 3),
    ("/v1/a/told?unknown=1", {}, 400, 3),
    ("/v1/a/told?$timeout=soon", {}, 400, 3),
    ("/v1/a/told?$timeout=0.00001", {}, 504, 4),
    ("/v1/a/told", {"origin": "https://evil.test"}, 403, 7),
    ("/v1/a/told", {"origin": "null"}, 403, 7),
    ("/v1/a/told", {"subprotocols": ["mqtt"]}, 400, 3),
    ("/v1/a/told", {"subprotocols": ["bearer.secret"]}, 400, 3),
    ("/v1/a/single", {}, 400, 12),
    ("/healthz", {}, 400, 12),
    ("/v1/nothing", {}, 404, 5),
    ("/v1/a/told?$method=DELETE", {}, 404, 5),
    ("/v1/a/single?$method=GET", {}, 400, 12),
    ("/v1/%ff/told", {}, 400, 3),
]


@pytest.mark.parametrize(("path", "options", "status", "code"), REFUSALS)
def test_refusals(
    path: str, options: dict[str, Any], status: int, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A handshake is refused by an HTTP status, and in one line of the log without its query."""
    caplog.set_level(logging.INFO)

    async def fact(door: Door) -> Any:
        caplog.clear()
        return await door.refused(path, **options)

    refused = run(fact)
    lines = [record.getMessage() for record in caplog.records if "GET " in record.getMessage()]

    assert (refused.status, json.loads(refused.body)["code"]) == (status, code)
    assert refused.headers["content-type"] == "application/json"
    assert len(lines) == 1
    assert refused.headers["x-request-id"] in lines[0]
    assert "?" not in lines[0]


def test_a_page_of_a_listed_origin() -> None:
    """A page of another origin may connect when that is listed."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/told?count=1", origin="https://app.example")

    assert run(fact, origins=["https://app.example"]).messages == [FIRST]


def test_a_page_of_the_same_origin() -> None:
    """A page of the origin that the gateway has itself may connect."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/told?count=1", origin=f"http://{door.target}")

    assert run(fact).messages == [FIRST]


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", {"subprotocols": ["transcoder.json", "bearer.s3cr3t"]}),
        ("?token=s3cr3t", {}),
        ("", {"additional_headers": {"Cookie": "session=s3cr3t"}}),
        ("", {"additional_headers": {"Authorization": "Bearer s3cr3t"}}),
    ],
)
def test_tokens(query: str, options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A token is the Authorization that the servicer sees, and no log on any level shows it."""
    caplog.set_level(logging.DEBUG)
    # The client of the test logs what it sends.
    caplog.set_level(logging.WARNING, "websockets.client")

    async def fact(door: Door) -> Ended:
        return await door.exchange(f"/v1/a/echo{query}", '{"how":"authorization"}', "", **options)

    token = Token(query="token", cookie="session")
    ended = run(fact, servicer=Telling, websocket_token=token)

    assert ended.messages == ['{"text":"Bearer s3cr3t"}']
    assert "s3cr3t" not in caplog.text


def test_metadata_of_a_handshake() -> None:
    """What a handshake says of the WebSocket is no metadata, other headers are."""

    async def fact(door: Door) -> Ended:
        keys = "sec-websocket-key", "sec-websocket-version", "upgrade", "x-tenant"
        sent = [json.dumps({"how": key}) for key in keys]
        headers = {"X-Tenant": "a"}
        return await door.exchange("/v1/a/echo", *sent, "", additional_headers=headers)

    assert run(fact, servicer=Telling).messages == ["{}", "{}", "{}", '{"text":"a"}']


@pytest.mark.parametrize("said", ["query", "header"])
def test_a_deadline(said: str) -> None:
    """A deadline ends the call, whether a header or the query of a page says it."""

    async def fact(door: Door) -> tuple[Ended, list[str]]:
        query = "&$timeout=0.2" if said == "query" else ""
        headers = {"Grpc-Timeout": "200m"} if said == "header" else {}
        path = f"/v1/a/told?count=2&pause=20{query}"
        ended = await door.exchange(path, additional_headers=headers)
        return ended, await door.noted(bool)

    ended, notes = run(fact)

    assert (ended.code, ended.reason) == (4004, "DEADLINE_EXCEEDED: the deadline has passed")
    assert notes == ["cancelled 0"]


@pytest.mark.parametrize("how", ["return", "go+on"])
def test_a_servicer_that_does_not_heed_the_deadline(how: str) -> None:
    """A stream whose deadline has passed ends with that, whatever its servicer makes of it."""

    async def fact(door: Door) -> Ended:
        return await door.exchange(f"/v1/a/told?count=3&pause=0.3&how={how}&$timeout=0.1")

    ended = run(fact)

    assert ended.code == 4004
    assert [json.loads(message)["error"]["code"] for message in ended.messages] == [4]


def test_the_number_of_streams() -> None:
    """More streams than there may be at once are refused, over HTTP and WebSocket together."""

    async def fact(door: Door) -> tuple[int, Ended]:
        async with door.open("/v1/a/echo"):
            refused = await door.refused("/v1/a/told")
        await door.noted(bool)
        return refused.status, await door.exchange("/v1/a/told?count=1")

    status, later = run(fact, streams=StreamLimits(count=1))

    assert (status, later.messages) == (503, [FIRST])


def test_a_drain(tls: Tls) -> None:
    """A server that stops ends the streams when their grace is over, with 1012."""

    async def fact(door: Door) -> tuple[Ended, list[str]]:
        async with door.open("/v1/a/echo") as client:
            await client.send("{}")
            await client.recv()
            door.server.stop()
            return await rest(client), await door.noted(bool)

    ended, notes = run(fact, tls=tls)

    assert (ended.code, ended.reason) == (1012, "UNAVAILABLE: the server is shutting down")
    assert notes == ["cancelled 1"]


@pytest.mark.parametrize("path", ["/v1/a/echo", "/v1/a/told?count=9&pause=20", "/v1/a/asks"])
@pytest.mark.parametrize("how", ["close", "abort", "nothing read"])
def test_a_client_that_goes(
    tls: Tls, path: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that goes away ends the call, however it goes, and without a word in the log."""

    async def fact(door: Door) -> list[str]:
        async with door.open(path) as client:
            await client.send("{}")
            if how == "abort":
                client.transport.abort()
            elif how == "nothing read":
                await client.send(json.dumps({"pause": 20}))
        return await door.noted(bool)

    [note] = run(fact, tls=tls)

    assert note.startswith("cancelled")
    assert caplog.text == ""


def test_a_message_over_the_limit() -> None:
    """A message over the limit of streams ends the connection with 1009."""

    async def fact(door: Door) -> tuple[Ended, list[str]]:
        async with door.open("/v1/a/echo") as client:
            await client.send("{}")
            await client.recv()
            await client.send(json.dumps({"how": "x" * 1000}))
            return await rest(client), await door.noted(bool)

    ended, notes = run(fact, streams=StreamLimits(message=1000))

    assert (ended.code, notes) == (1009, ["cancelled 1"])


def test_silence() -> None:
    """A client that may send and does not for too long ends its stream."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/echo", "{}")

    ended = run(fact, streams=StreamLimits(idle=0.2))

    assert (ended.messages[0], ended.code) == (FIRST, 4004)
    assert "no message" in str(ended.reason)


def test_a_client_that_does_not_read() -> None:
    """A client that does not read stops the servicer, and is cut off after a while."""

    async def fact(door: Door) -> int:
        reader, writer = await asyncio.open_connection(*door.target.split(":"), limit=1024)
        path = "/v1/a/told?count=100000&size=1000"
        writer.write(handshake(path))
        await reader.readuntil(b"\r\n\r\n")
        [note] = await door.noted(bool)
        writer.close()
        return int(note.removeprefix("cancelled "))

    count = run(fact, streams=StreamLimits(stall=0.3))

    # What the sockets of the system hold on both sides is most of it.
    assert count * 1000 < 16 << 20


def handshake(path: str, *headers: str) -> bytes:
    """Return the bytes of a handshake."""
    ours = [
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    return "\r\n".join([f"GET {path} HTTP/1.1", *ours, *headers, "", ""]).encode()


class Letterbox:
    """An application's own WebSocket."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        await socket.send_text(f"own {scope['query_string'].decode()}")
        await socket.close(3000)


@pytest.mark.parametrize("path", ["/own", "/v1/a/single"])
def test_a_websocket_of_the_application(path: str) -> None:
    """An application's own WebSockets work, also where a method has no stream."""

    async def fact(door: Door) -> Ended:
        return await door.exchange(f"{path}?$timeout=1")

    routes = [WebSocketRoute("/own", Letterbox()), WebSocketRoute("/v1/a/{_}", Letterbox())]

    assert run(fact, routes=routes) == Ended(["own $timeout=1"], 3000, "")


class Seen:
    """A middleware that says what it saw of the credentials."""

    def __init__(self, app: ASGIApp, seen: list[bytes]) -> None:
        self.app = app
        self.seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            self.seen += [value for name, value in scope["headers"] if name == b"authorization"]
        await self.app(scope, receive, send)


def test_a_middleware() -> None:
    """A middleware sees handshakes, with the token where it is with other requests."""
    seen: list[bytes] = []

    async def fact(door: Door) -> Ended:
        options = {"subprotocols": ["transcoder.json", "bearer.abc"]}
        return await door.exchange("/v1/a/told?count=1", **options)

    ended = run(fact, middleware=[Middleware(Seen, seen=seen)])

    assert (ended.messages, seen) == ([FIRST], [b"Bearer abc"])


async def events(app: ASGIApp, *sent: Any, **scope: Any) -> list[Any]:
    """Return what an application answers on a WebSocket without a server."""
    received = [{"type": "websocket.connect"}, *sent]
    answered: list[Any] = []

    async def receive() -> Any:
        if received:
            return received.pop(0)
        return await asyncio.get_running_loop().create_future()

    async def send(event: Any) -> None:
        answered.append(event)

    given = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", **scope}
    await app(given, receive, send)
    return answered


def gateway() -> Gateway:
    """A gateway of the test service."""
    gateway = Gateway(pool=POOL)
    streams.register(Streams(lambda _: None), gateway)
    return gateway


def test_a_server_that_cannot_refuse() -> None:
    """A server without a way to send HTTP statuses is asked to close: it answers 403."""
    answered = asyncio.run(events(gateway(), path="/v1/nothing", raw_path=b"/v1/nothing"))

    assert answered == [{"type": "websocket.close", "code": 1008, "reason": ""}]


def test_a_mounted_gateway() -> None:
    """A gateway that is mounted into another application answers handshakes below its path."""
    app = Starlette(routes=[Mount("/api", gateway())])
    raw = b"/api/v1/a/told"
    answered = asyncio.run(events(app, path=raw.decode(), raw_path=raw, query_string=b"count=1"))

    assert [event["type"].removeprefix("websocket.") for event in answered] == [
        "accept",
        "send",
        "close",
    ]


def test_a_server_with_a_higher_limit() -> None:
    """A message over the limit ends the call with 1009 where the server let it pass."""
    big = {"type": "websocket.receive", "text": json.dumps({"how": "x" * (1 << 20)})}
    raw = b"/v1/a/echo"
    answered = asyncio.run(events(gateway(), big, path=raw.decode(), raw_path=raw))

    assert (answered[-1]["code"], answered[-1]["reason"]) == (
        1009,
        "RESOURCE_EXHAUSTED: a message is over the limit of 1048576 bytes",
    )


def test_a_client_that_goes_while_it_is_sent_to() -> None:
    """A server that says by an exception that the client has gone ends the call, no more."""
    raw = b"/v1/a/told"
    scope = {"type": "websocket", "path": raw.decode(), "raw_path": raw, "headers": []}

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:
        if event["type"] == "websocket.send":
            raise ConnectionResetError

    asyncio.run(gateway()({**scope, "query_string": b"count=2"}, receive, send))
