"""Streams over HTTP, through real servers and sockets."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.conftest import Served, Start

from chunked import Chunked, noted
from over_tls import HERE, write
from wire import Wire, request

CHUNKS = "Transfer-Encoding: chunked"
LINES = "Accept: application/x-ndjson"


@pytest.fixture(scope="module")
def served(start_shared: Start) -> Served:
    """The server of all streams."""
    return start_shared("streams:create")


@pytest.fixture(scope="module")
def secured(start_shared: Start, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """The same within TLS."""
    return start_shared("streams:create", tls=write(tmp_path_factory.mktemp("files"), HERE))


@pytest.fixture(params=["served", "secured"], ids=["HTTP", "HTTPS"])
def either(request: pytest.FixtureRequest) -> Any:
    """Each of both."""
    return request.getfixturevalue(request.param)


def opened(served: Served, target: str, *headers: str, method: str = "GET") -> Chunked:
    """Return a connection whose answer has begun, with 200."""
    client = Chunked(served.http_target, request(method, target, *headers))
    assert client.head() == 200
    return client


def answered(served: Served, target: str, *headers: str) -> tuple[bytes, bool]:
    """Return the body of a streamed answer, and whether it came to its end."""
    with opened(served, target, *headers) as client:
        return client.rest()


def refused(served: Served, raw: bytes) -> tuple[int, Any]:
    """Return status and body of an answer that is no stream."""
    wire = Wire(served.http_target)
    wire.send(raw)
    answer = wire.answer()
    wire.close()
    return answer.status, answer.json()


FIRST = b'{"text":"a"}'
SECOND = b'{"number":"1","text":"a"}'
RANGE = b'{"code":11,"message":"no message 2","details":[]}'


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("", b"[%b,%b]" % (FIRST, SECOND)),
        ("Accept: application/json", b"[%b,%b]" % (FIRST, SECOND)),
        ("Accept: application/x-ndjson", b"%b\n%b\n" % (FIRST, SECOND)),
        ("Accept: application/jsonl;q=0.9, text/html", b"%b\n%b\n" % (FIRST, SECOND)),
        (
            "Accept: text/event-stream",
            b"data: %b\n\ndata: %b\n\nevent: end\ndata: {}\n\n" % (FIRST, SECOND),
        ),
        ("Accept: application/x-protobuf; delimited=true", b"\x03\x12\x01a\x05\x08\x01\x12\x01a"),
    ],
)
def test_framing(either: Served, accept: str, body: bytes) -> None:
    """Accept says how the messages are told apart."""
    headers = [accept] if accept else []

    assert answered(either, "/v1/a/told?count=2", *headers) == (body, True)


def test_no_message(served: Served) -> None:
    """An array of nothing is still an array."""
    assert answered(served, "/v1/a/told") == (b"[]", True)


def test_nothing_acceptable(served: Served) -> None:
    """What is offered is said when none of it is accepted; the method is not called."""
    status, told = refused(served, request("GET", "/v1/a/told?count=2", "Accept: image/png"))

    assert status == 406
    assert "text/event-stream" in told["message"]


def test_status(served: Served) -> None:
    """The HTTP status that a servicer sets is that of its stream; without a body it is a defect."""
    client = Chunked(served.http_target, request("GET", "/v1/a/told?count=1&how=status+202"))
    with client:
        assert client.head() == 202
        assert client.headers["x-content-type-options"] == "nosniff"
    assert refused(served, request("GET", "/v1/a/told?count=1&how=status+204"))[0] == 502


def test_response_body(served: Served) -> None:
    """A field that is the whole answer is the message of the stream."""
    assert answered(served, "/v1/a/texts?count=2") == (b'["a","a"]', True)


def test_selected_fields(served: Served) -> None:
    """What a client asks for with $fields holds for each message."""
    body, _ = answered(served, "/v1/a/told?count=2&%24fields=number", LINES)

    assert body == b'{}\n{"number":"1"}\n'


def test_first_message_is_sent_at_once(either: Served) -> None:
    """The first byte goes out with the first message, not with the last."""
    start = time.monotonic()
    with opened(either, "/v1/a/told?count=2&pause=1", LINES) as client:
        first, first_at = client.chunk(), time.monotonic() - start
        second, second_at = client.chunk(), time.monotonic() - start

    assert (first, second) == (FIRST + b"\n", SECOND + b"\n")
    assert second_at - first_at > 0.3


def test_headers_when_the_call_is_taken(served: Served) -> None:
    """Initial metadata are told before the first message comes."""
    start = time.monotonic()
    with opened(served, "/v1/a/told?count=1&pause=3", LINES) as client:
        took = time.monotonic() - start

        assert client.headers["x-topic"] == "a"
        assert took < 2
        assert client.rest() == (FIRST + b"\n", True)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [("", 400, 11), ("&how=abort", 409, 10), ("&how=defect", 500, 13)],
)
def test_error_before_the_first_message(served: Served, query: str, status: int, code: int) -> None:
    """An error before the first message is an HTTP status like any other."""
    raw = request("GET", f"/v1/a/told?count=2&fail_at=0{query}", LINES)
    found, told = refused(served, raw)

    assert (found, told["code"]) == (status, code)
    assert "secret" not in json.dumps(told)


@pytest.mark.parametrize(
    ("accept", "rest"),
    [
        (LINES, b'{"error":%b}\n' % RANGE),
        ("Accept: text/event-stream", b"event: error\ndata: %b\n\n" % RANGE),
    ],
)
def test_error_after_a_message(either: Served, accept: str, rest: bytes) -> None:
    """A framing that can tell an error tells it, and ends."""
    body, whole = answered(either, "/v1/a/told?count=3&fail_at=2", accept)

    assert whole
    assert body.endswith(rest)


def test_details_of_the_gateways_own_types(served: Served) -> None:
    """The details of an error are of types that the gateway's pool knows, and nobody else's."""
    detail = {"@type": "type.googleapis.com/streams.v1.Told", "number": "7"}
    _, early = refused(served, request("GET", "/v1/a/single?fail_at=0&how=detail"))
    body, _ = answered(served, "/v1/a/told?count=2&fail_at=1&how=detail", LINES)

    assert early["details"] == [detail]
    assert json.loads(body.splitlines()[-1])["error"]["details"] == [detail]


@pytest.mark.parametrize(
    "target", ["/v1/a/told?count=3&fail_at=2", "/v1/a/file?count=3&fail_at=2&size=256"]
)
def test_error_that_cannot_be_told(either: Served, target: str) -> None:
    """Where the framing has no word for an error, the answer is never ended as if it were whole."""
    body, whole = answered(either, target)

    assert body
    assert not whole


def test_cut_is_quiet(start: Start) -> None:
    """A connection that is cut is no defect of the server: its log has the error, in one line."""
    served = start("streams:counted")
    answered(served, "/v1/a/told?count=3&fail_at=2")
    answered(served, "/v1/a/told?count=3&fail_at=2&how=defect")
    served.signal()
    log = served.ledger.with_name("log").read_text()

    assert served.ended() == 0
    assert served.errors() == ""
    assert [line[:5] for line in log.splitlines() if "failed" in line or "ASGI" in line] == [
        "ERROR"
    ]


def test_error_that_cannot_be_told_without_chunks(either: Served) -> None:
    """To an HTTP/1.0 client a connection that ends well is a whole answer: it is reset."""
    raw = request("GET", "/v1/a/told?count=3&fail_at=2").replace(b"HTTP/1.1", b"HTTP/1.0")
    # Within TLS, Python does not tell a reset from an end without close_notify.
    reset = (ConnectionResetError, ssl.SSLEOFError)
    with Chunked(either.http_target, raw) as client, pytest.raises(reset):
        client.all()


def test_without_chunks(either: Served) -> None:
    """An HTTP/1.0 client gets the messages alone, and the end of the connection."""
    raw = request("GET", "/v1/a/told?count=2").replace(b"HTTP/1.1", b"HTTP/1.0")
    with Chunked(either.http_target, raw) as client:
        client.head()

        assert "transfer-encoding" not in client.headers
        assert client.all() == b"[%b,%b]" % (FIRST, SECOND)


def test_head(served: Served) -> None:
    """HEAD says what GET would begin with, and begins nothing."""
    before = len(served.noted())
    wire = Wire(served.http_target)
    wire.send(request("HEAD", "/v1/a/told?count=3", LINES) + request("GET", "/v1/a/single"))
    answer = wire.answer(head=True)

    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert wire.answer().json() == {"text": "a"}
    assert len(served.noted()) == before
    wire.close()


@pytest.mark.parametrize("how", ["return", "go+on"])
@pytest.mark.parametrize(("accept", "told"), [("", b"["), (LINES, b'{"error":%b}\n')])
def test_servicer_that_does_not_heed_the_deadline(
    served: Served, how: str, accept: str, told: bytes
) -> None:
    """A stream whose deadline has passed ends with that, whatever its servicer makes of it."""
    late = b'{"code":4,"message":"the deadline has passed","details":[]}'
    headers = [accept] if accept else []
    target = f"/v1/a/told?count=3&pause=0.3&how={how}"
    expected = (told, False) if told == b"[" else (told % late, True)

    assert answered(served, target, "X-Request-Timeout: 0.1", *headers) == expected


def test_servicer_that_cancels_itself(start: Start) -> None:
    """It is a defect as any: INTERNAL with a request id, one line in the log, no end of others."""
    served = start("streams:counted")
    wire = Wire(served.http_target)
    wire.send(request("GET", "/v1/a/single?fail_at=0&how=cancel", "X-Request-ID: abc-1"))
    answer = wire.answer()
    wire.send(request("GET", "/v1/a/single"))

    assert wire.answer().status == 200
    wire.close()
    assert (answer.status, answer.json()["code"]) == (500, 13)
    assert answer.headers["x-request-id"] == "abc-1"
    log = served.ledger.with_name("log").read_text()
    assert log.count("Traceback") == 1
    assert log.count("failed, request id abc-1") == 1


def test_client_goes_away(either: Served) -> None:
    """The servicer is cancelled soon after its client has gone, at whichever message."""
    with opened(either, "/v1/a/told?count=1000000&pause=0.02&after=5000", LINES) as client:
        client.chunk()
        client.chunk()
    gone = time.monotonic()

    assert noted(either.noted, "cancelled 50", 5)
    assert time.monotonic() - gone < 2


def test_reader_that_stalls(either: Served) -> None:
    """A client that does not read stops the servicer, and holds little of the server."""
    raw = request("GET", "/v1/a/told?count=1000000&size=1000&after=9000000", LINES)
    before, lines = memory(either), len(either.noted())
    with Chunked(either.http_target, raw, room=4096) as client:
        client.head()
        time.sleep(1.0)
        grown = memory(either) - before

    # Both servers of this module write into one ledger.
    assert noted(lambda: either.noted()[lines:], "cancelled 90", 3)
    (sent,) = [int(each[10:]) for each in either.noted()[lines:] if "cancelled 90" in each]
    # What the systems' sockets hold is theirs; the whole would be a gigabyte.
    assert sent - 9_000_000 < 20_000
    assert grown < 8 << 20


def test_many_readers_that_stall(served: Served) -> None:
    """A hundred clients that do not read hold less than a megabyte each."""
    raw = request("GET", "/v1/a/file?count=100000&size=65536")
    before = memory(served)
    clients = [Chunked(served.http_target, raw, room=4096) for _ in range(100)]
    time.sleep(1.0)
    grown = memory(served) - before
    answer = served.get("/v1/b/single")
    for client in clients:
        client.socket.close()

    assert answer[0] == 200
    assert grown < 100 << 20


def test_many_messages_in_flat_memory(served: Served) -> None:
    """A hundred thousand messages leave nothing behind."""
    answered(served, "/v1/a/told?count=1000&size=200", LINES)
    before = memory(served)
    body, whole = answered(served, "/v1/a/told?count=100000&size=200", LINES)

    assert whole
    assert body.count(b"\n") == 100_000
    assert memory(served) - before < 5 << 20


def test_others_get_their_turns(served: Served) -> None:
    """A stream that never waits does not keep others from being answered."""
    with opened(served, "/v1/a/told?count=3000000", LINES) as client:
        wire = Wire(served.http_target)
        wire.send(request("GET", "/v1/b/single"))
        while not wire.is_answered(0):
            assert client.socket.recv(1 << 20)
        assert wire.answer().json() == {"text": "b"}
        wire.close()


def test_download(served: Served) -> None:
    """Raw bytes go out as they are, under the content type of the first piece."""
    before = memory(served)
    with opened(served, "/v1/a/file?count=1600&size=65536") as client:
        body, whole = client.rest()

    assert whole
    assert memory(served) - before < 8 << 20
    assert client.headers["content-type"] == "application/x-tar"
    assert body == bytes(range(256)) * 256 * 1600


def test_download_of_nothing(served: Served) -> None:
    """Where no piece says a content type, the answer is bytes of no known one."""
    with opened(served, "/v1/a/file?count=0") as client:
        assert client.rest() == (b"", True)

    assert client.headers["content-type"] == "application/octet-stream"


def test_download_with_early_metadata(served: Served) -> None:
    """Headers that a servicer sends at once wait for the content type of the first piece."""
    with opened(served, "/v1/early/file?count=1&size=256&pause=0.05") as client:
        assert client.rest() == (bytes(range(256)), True)

    assert client.headers["content-type"] == "application/x-tar"
    assert client.headers["x-topic"] == "early"


def test_upload(served: Served) -> None:
    """A hundred megabytes go in as they come, in flat memory, and none is lost or added."""
    pieces = [os.urandom(1 << 20)] * 100
    digest = hashlib.sha256(b"".join(pieces)).hexdigest()
    before = memory(served)
    wire = Wire(served.http_target)
    length = f"Content-Length: {100 << 20}"
    wire.send(request("PUT", "/v1/a/file", length, "Content-Type: application/x-big"))
    for piece in pieces:
        wire.send(piece)
    told = wire.answer().json()
    wire.close()

    assert (told["bytes"], told["hash"]) == (str(100 << 20), digest)
    assert (told["topic"], told["contentType"]) == ("a", "application/x-big")
    assert memory(served) - before < 8 << 20


@pytest.mark.parametrize(
    "body",
    [
        b'{"count":1}\n{"count":2}\n',
        b'{"count":1}{"count":2}',
        b' [ {"count":1} , {"count":2} ] ',
    ],
)
def test_requests(served: Served, body: bytes) -> None:
    """Lines, values side by side and an array are the same stream; the path is of the first."""
    status, told = refused(served, request("POST", "/v1/a/asks", body=body))

    assert (status, told) == (200, {"topic": "a", "count": "2"})


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/x-ndjson", 200),
        ("application/jsonl; charset=utf-8", 200),
        ("application/x-ndjson; charset=utf-16", 415),
        ("text/plain", 415),
    ],
)
def test_type_of_requests(served: Served, content_type: str, status: int) -> None:
    """The types that say that a body is lines of JSON are taken, as JSON's own is."""
    raw = request(
        "POST", "/v1/a/asks", f"Content-Type: {content_type}", body=b'{"count":1}\n{"count":2}\n'
    )

    assert refused(served, raw)[0] == status


def test_no_requests(served: Served) -> None:
    """An empty body is a stream without messages."""
    assert refused(served, request("POST", "/v1/a/asks")) == (200, {})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"count":1}{"count":"x"}', "[1].count"),
        (b'{"count":1}{"nope":1}', "[1]"),
        (b'{"count":1}{"count":', "the body ends"),
        (b'{"count":1}' + b'{"topic":"' + b"a" * (1 << 20) + b'"}', "limit"),
    ],
)
def test_bad_request_in_a_stream(served: Served, body: bytes, message: str) -> None:
    """A message that is wrong is told with its place in the stream."""
    status, told = refused(served, request("POST", "/v1/a/asks", body=body))

    assert status == (413 if message == "limit" else 400)
    assert message in told["message"]


def test_both_directions_at_once(either: Served) -> None:
    """A message is answered while the next one is still to come."""
    raw = request("POST", "/v1/a/echo", CHUNKS, LINES)
    with Chunked(either.http_target, raw) as client:
        for number in range(3):
            client.send(b'{"topic":"%d"}' % number)
            if number == 0:
                assert client.head() == 200
            assert json.loads(client.chunk() or b"")["text"] == (
                "a" if number == 0 else str(number)
            )
        client.send(b"")

        assert client.chunk() == b""


def test_client_goes_away_in_mid_upload(either: Served) -> None:
    """A servicer that waits for the next message is cancelled when none will come."""
    raw = request("POST", "/v1/gone/asks", CHUNKS)
    with Chunked(either.http_target, raw) as client:
        for _ in range(7):
            client.send(b"{}")
        time.sleep(0.2)
    gone = time.monotonic()

    assert noted(either.noted, "cancelled 7", 5)
    assert time.monotonic() - gone < 2


def test_wrong_status_of_a_unary_reply(served: Served) -> None:
    """A stream of requests that fails is an HTTP status, after however many messages."""
    body = b'{"fail_at":0,"count":1}'

    assert refused(served, request("POST", "/v1/a/asks", body=body))[0] == 400


def test_connection_goes_on(served: Served) -> None:
    """After a streamed answer the connection takes the next request."""
    with opened(served, "/v1/a/told?count=1") as client:
        assert client.rest() == (b"[%b]" % FIRST, True)
        client.socket.sendall(request("GET", "/v1/a/told?count=2"))
        assert client.head() == 200
        assert client.rest()[1]


def test_drain(start: Start) -> None:
    """A stream that is open when the server stops ends with UNAVAILABLE, in its framing."""
    served = start("streams:create", settle=0, stream_grace=0.5)
    with opened(served, "/v1/a/told?count=1000&pause=0.05", LINES) as client:
        client.chunk()
        served.signal()
        body, whole = client.rest()

    assert whole
    assert (
        json.loads(body.splitlines()[-1])["error"]["code"] == grpc.StatusCode.UNAVAILABLE.value[0]
    )
    assert served.ended() == 0
    assert "Traceback" not in served.errors()


def test_limits(start: Start) -> None:
    """Silence, a long life and one stream too many are ended or refused, each with its reason."""
    served = start("streams:bounded")
    with opened(served, "/v1/a/told?count=9&pause=0.4", LINES) as client:
        assert refused(served, request("GET", "/v1/a/told?count=9", LINES))[0] == 503
        body, whole = client.rest()
    assert whole
    assert json.loads(body.splitlines()[-1])["error"]["code"] == 4

    raw = request("POST", "/v1/a/asks", CHUNKS)
    with Chunked(served.http_target, raw) as client:
        assert client.head() == 408


def test_heartbeat(start: Start) -> None:
    """Events say in a silence that they go on, before the first of them too."""
    served = start("streams:bounded")
    with opened(served, "/v1/a/told?count=1&pause=0.7", "Accept: text/event-stream") as client:
        body, whole = client.rest()

    assert whole
    assert body.startswith(b":\n\n")


def test_stalled_for_too_long(start: Start) -> None:
    """A client that does not read for too long loses its connection."""
    served = start("streams:bounded")
    raw = request("GET", "/v1/a/told?count=1000000&size=1000", LINES)
    with Chunked(served.http_target, raw, room=4096) as client:
        client.head()

        assert noted(served.noted, "cancelled", 5)


def memory(served: Served) -> int:
    """Return how many bytes the server holds."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(
    ("target", "method", "first"),
    [
        ("/v1/a/told", "POST", b'{"topic"'),
        ("/v1/a/asks", "POST", b'{"topic"'),
        ("/v1/a/file", "PUT", b"a"),
    ],
)
def test_slow_writers(start: Start, target: str, method: str, first: bytes) -> None:
    """Bodies that trickle in are refused, and keep nobody else from being answered."""
    served = start("streams:paced")
    raw = request(method, target, CHUNKS)
    clients = [Chunked(served.http_target, raw) for _ in range(50)]
    for client in clients:
        client.send(first)
    assert served.get("/v1/b/single")[0] == 200
    time.sleep(0.6)
    for client in clients:
        with client:
            assert client.head() == 408
    assert served.get("/v1/b/single")[0] == 200


def test_slow_but_steady_writer(start: Start) -> None:
    """Who sends messages now and then, each at once, is not too slow."""
    served = start("streams:paced")
    with Chunked(served.http_target, request("POST", "/v1/a/asks", CHUNKS)) as client:
        for _ in range(4):
            client.send(b"{}")
            time.sleep(0.3)
        client.send(b"")

        assert client.head() == 200
