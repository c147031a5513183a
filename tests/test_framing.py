from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence

import pytest
from google.api.http_pb2 import HttpRule
from google.longrunning import operations_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.proto import parse_length_prefixed
from hypothesis import given
from hypothesis import strategies as st

from transcoder.errors import NotAcceptable
from transcoder.event_stream import Events, EventStream
from transcoder.framing import Framing, Framings, Raw, ServerSentEvents
from transcoder.http_rule import bindings
from transcoder.json_stream import JsonCutter
from transcoder.marshaler import JSON
from transcoder.message_stream import DelimitedCutter
from transcoder.profile import Stream

STATUS = b'{"code":5,"message":"gone","details":[]}'
NDJSON = "application/x-ndjson"
DELIMITED = "application/x-protobuf; delimited=true"
EVENTS = "text/event-stream"


def framing(accept: str, stream: Stream = "array") -> Framing:
    """The framing of an answer to this Accept."""
    return Framings(stream, protobuf=True)(accept)


def answer(framing: Framing, *messages: bytes, error: bytes = b"") -> bytes:
    """The whole answer that has these messages, and this error in place of the end."""
    body = framing.head() + b"".join(framing.message(data, Empty()) for data in messages)
    return body + ((framing.error(error) or b"CUT") if error else framing.end())


@pytest.fixture(scope="module")
def events() -> Callable[..., Events]:
    """Compile event options for a method whose replies have a text."""
    service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    rule = HttpRule(get="/v1/operations")
    (binding,) = bindings(service.methods_by_name["ListOperations"], rule)
    return lambda **options: Events(binding, EventStream(**options))


@pytest.mark.parametrize(
    ("accept", "stream", "messages", "expected"),
    [
        (JSON, "array", [], b"[]"),
        (JSON, "array", [b"{}"], b"[{}]"),
        (JSON, "array", [b'{"a":1}', b"2", b"[]"], b'[{"a":1},2,[]]'),
        (JSON, "result-lines", [], b""),
        (JSON, "result-lines", [b'{"a":1}', b"2"], b'{"result":{"a":1}}\n{"result":2}\n'),
        (JSON, "ndjson", [b"1"], b"[1]"),
        (NDJSON, "array", [], b""),
        (NDJSON, "array", [b'{"a":1}', b'{\n  "a": [\n    2\n  ]\n}'], b'{"a":1}\n{"a": [2]}\n'),
        (EVENTS, "array", [], b"event: end\ndata: {}\n\n"),
        (EVENTS, "array", [b"1"], b"data: 1\n\nevent: end\ndata: {}\n\n"),
        (EVENTS, "array", [b"{\n 1}"], b"data: {\ndata:  1}\n\nevent: end\ndata: {}\n\n"),
        (DELIMITED, "array", [b"", b"ab", b"x" * 300], b"\x00\x02ab\xac\x02" + b"x" * 300),
    ],
)
def test_whole(accept: str, stream: Stream, messages: Sequence[bytes], expected: bytes) -> None:
    """Messages stand in their framing, which ends as it should."""
    assert expected == answer(framing(accept, stream), *messages)


@pytest.mark.parametrize(
    ("accept", "stream", "expected"),
    [
        (JSON, "array", b"[1CUT"),
        (JSON, "result-lines", b'{"result":1}\n{"error":%b}\n' % STATUS),
        (NDJSON, "array", b'1\n{"error":%b}\n' % STATUS),
        (EVENTS, "array", b"data: 1\n\nevent: error\ndata: %b\n\n" % STATUS),
        (DELIMITED, "array", b"\x011CUT"),
    ],
)
def test_error(accept: str, stream: Stream, expected: bytes) -> None:
    """An error after a message is told in the framing, or cannot be told."""
    assert expected == answer(framing(accept, stream), b"1", error=STATUS)


def test_error_of_a_silent_stream() -> None:
    """An error behind heartbeats alone is told as one behind messages is."""
    events = framing(EVENTS)

    assert events.heartbeat == b":\n\n"
    assert events.error(STATUS) == b"event: error\ndata: %b\n\n" % STATUS


@pytest.mark.parametrize(
    ("accept", "stream", "expected"),
    [
        (JSON, "array", STATUS),
        (NDJSON, "result-lines", STATUS),
        (EVENTS, "array", STATUS),
        (JSON, "result-lines", b'{"error":%b}\n' % STATUS),
    ],
)
def test_refusal(accept: str, stream: Stream, expected: bytes) -> None:
    """An answer that fails before its first message has no framing, but for result lines."""
    assert expected == framing(accept, stream).refusal(STATUS)


@pytest.mark.parametrize(
    ("accept", "stream", "expected"),
    [
        ("", "array", JSON),
        ("*/*", "array", JSON),
        ("*/*", "ndjson", NDJSON),
        ("*/*", "result-lines", JSON),
        ("application/jsonl", "array", "application/jsonl"),
        ("application/x-ndjson, application/json;q=0.9", "result-lines", NDJSON),
        ("text/event-stream", "result-lines", EVENTS),
        ("application/x-protobuf", "array", DELIMITED),
        ("application/protobuf", "array", "application/protobuf; delimited=true"),
    ],
)
def test_type(accept: str, stream: Stream, expected: str) -> None:
    """The answer is of the type that was asked for, or the profile's."""
    assert expected == framing(accept, stream).content_type


def test_not_acceptable() -> None:
    """Who accepts no framing is told which there are."""
    with pytest.raises(NotAcceptable, match=r"x-ndjson or .* or text/event-stream$"):
        Framings("array")("application/x-protobuf")


def test_answers_share_nothing() -> None:
    """An array begins anew with each answer."""
    framings = Framings("array")
    assert answer(framings(JSON), b"1", b"2") == answer(framings(JSON), b"1", b"2")


@pytest.mark.parametrize(
    ("accept", "payload"), [(JSON, JSON), (EVENTS, JSON), (DELIMITED, "application/x-protobuf")]
)
def test_payload(accept: str, payload: str) -> None:
    """A framing says of which type the messages are that it takes."""
    assert payload == framing(accept).payload


def test_headers() -> None:
    """Caches are told that the type depends on Accept, proxies not to wait for more."""
    for accept in (JSON, NDJSON, EVENTS, DELIMITED):
        headers = dict(framing(accept).headers)
        assert (headers[b"vary"], headers[b"x-accel-buffering"]) == (b"Accept", b"no")
    assert dict(framing(EVENTS).headers)[b"cache-control"] == b"no-cache"


def test_raw() -> None:
    """Raw bytes have the type of the first message, and nothing around them."""
    raw = Raw("")

    assert (raw.payload, raw.content_type) == ("", "")
    assert raw.of(b"image/png").content_type == "image/png"
    assert answer(raw.of(b"image/png"), b"a", b"", b"b") == b"ab"
    assert raw.error(STATUS) is None
    assert b"vary" not in dict(raw.headers)


@pytest.mark.parametrize("stream", ["array", "ndjson"])
def test_others_keep_their_type(stream: Stream) -> None:
    """Only raw answers take their type from a message."""
    chosen = framing("*/*", stream)

    assert chosen.of(b"image/png") is chosen


def test_every_framing_says_how() -> None:
    """A framing without a form for messages is a defect."""
    with pytest.raises(NotImplementedError):
        Framing("text/plain").message(b"", Empty())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", b"id: 7\n"),
        ("ü 1", b"id: \xc3\xbc 1\n"),
        ("", b""),  # would take the client's id back
        ("a\nb", b""),
        ("a\rdata: x", b""),
        ("a\0", b""),
        ("x" * 1024, b"id: %b\n" % (b"x" * 1024)),
        ("x" * 1025, b""),  # could not come back
    ],
)
def test_id(events: Callable[..., Events], text: str, expected: bytes) -> None:
    """An event has the id of its reply, where a line can say it."""
    framing = ServerSentEvents(events(id="next_page_token"))
    reply = operations_pb2.ListOperationsResponse(next_page_token=text)

    assert framing.message(b"{}", reply) == expected + b"data: {}\n\n"


def test_retry(events: Callable[..., Events]) -> None:
    """The delay stands at the head, in milliseconds."""
    assert ServerSentEvents(events(retry=2.5)).head() == b"retry: 2500\n\n"
    assert ServerSentEvents(events()).head() == b""
    assert ServerSentEvents().head() == b""


TREES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a"\\\n\r{}[]:, \u2028'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def dumped(tree: object, *, indent: bool) -> bytes:
    """JSON as an answer has it."""
    return json.dumps(tree, ensure_ascii=False, indent=2 if indent else None).encode()


@given(st.lists(TREES), st.booleans())
def test_array_is_json(trees: list[object], indent: bool) -> None:  # noqa: FBT001  drawn
    """The whole array is one JSON document."""
    whole = answer(framing(JSON), *(dumped(tree, indent=indent) for tree in trees))

    assert trees == json.loads(whole)


@given(st.lists(TREES), st.booleans())
def test_lines_are_json(trees: list[object], indent: bool) -> None:  # noqa: FBT001  drawn
    """Each line is the JSON of one message, printed for human eyes or not."""
    whole = answer(framing(NDJSON), *(dumped(tree, indent=indent) for tree in trees))

    assert trees == [json.loads(line) for line in whole.split(b"\n")[:-1]]


@given(st.lists(TREES), st.booleans())
def test_events_are_json(trees: list[object], indent: bool) -> None:  # noqa: FBT001  drawn
    """The data of an event, joined as a client joins them, are one message."""
    body = answer(framing(EVENTS), *(dumped(tree, indent=indent) for tree in trees), b"0")
    found = [
        "\n".join(line.removeprefix("data: ") for line in event.split("\n"))
        for event in body.decode().split("\n\n")[: len(trees)]
    ]

    assert trees == [json.loads(data) for data in found]


@given(st.lists(TREES))
def test_what_is_sent_can_be_sent_back(trees: list[object]) -> None:
    """Lines and arrays are read as a stream of requests."""
    values = [dumped(tree, indent=False) for tree in [0, *trees]]
    for accept in (JSON, NDJSON):
        cutter = JsonCutter()
        assert values == [*cutter.feed(answer(framing(accept), *values)), *cutter.end()]


@given(st.lists(st.binary(max_size=300)))
def test_delimited(messages: list[bytes]) -> None:
    """Messages behind their lengths are cut again."""
    assert messages == list(DelimitedCutter().feed(answer(framing(DELIMITED), *messages)))


def test_delimited_by_protobuf() -> None:
    """Protobuf's own reader takes what is sent."""
    sent: list[Message] = [
        operations_pb2.GetOperationRequest(name="a" * size) for size in (0, 1, 127, 128, 20_000)
    ]
    whole = io.BytesIO(answer(framing(DELIMITED), *(each.SerializeToString() for each in sent)))

    assert sent == [parse_length_prefixed(operations_pb2.GetOperationRequest, whole) for _ in sent]


def test_nothing_is_refused() -> None:
    """Where a client is not refused, it gets the framing of those who do not choose."""
    framings = Framings("result-lines", refuse=False)

    assert type(framings("text/html")) is type(framings(JSON))
