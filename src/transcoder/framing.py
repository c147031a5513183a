r"""How the messages of a streamed answer are told apart, and how its end and errors are told.

    framing           a message            an error after a message   the end
    JSON array        [m  ,m               cannot be told             ]
    NDJSON            m\n                  {"error":s}\n              the body's
    result lines      {"result":m}\n       {"error":s}\n              the body's
    events            id: i\ndata: m\n\n   event: error\ndata: s\n\n  event: end\ndata: {}\n\n
    delimited         length, message      cannot be told             the body's
    raw               its bytes            cannot be told             the body's

m is the JSON of a message, s that of a google.rpc.Status. Where an error cannot be told, whoever
sends cuts the connection, so that half an answer is never taken for a whole one. An error before
the first message is an HTTP status, with no framing around it. NDJSON tells it as result lines do:
a Status alone could be a message, and clients know the object with the one key `error`.

Every framing ends a message with the bytes that say so, so that it can be read when it comes. Only
the array waits with the comma, as it must.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import ClassVar

from google.protobuf.message import Message

from transcoder.errors import NotAcceptable
from transcoder.event_stream import ID_LIMIT, Events
from transcoder.marshaler import JSON, PROTOBUF, Offers, offers
from transcoder.metadata import RawHeaders
from transcoder.profile import Stream

EVENTS = "text/event-stream"
NDJSON = ("application/x-ndjson", "application/jsonl")
DELIMITED = tuple(f"{name}; delimited=true" for name in PROTOBUF)

_UNBUFFERED = ((b"x-accel-buffering", b"no"),)
"""Asks a proxy to pass each message on, as nginx understands."""
_NEGOTIATED = (*_UNBUFFERED, (b"vary", b"Accept"))
_BREAKS = re.compile(rb"\n *")


class Framing:
    """The framing of one answer.

    Args:
        content_type: of the answer; empty when the first message says it.
    """

    __slots__ = ("content_type",)

    payload: ClassVar[str] = JSON
    """The media type of the bytes that `message` takes; empty for those of an HttpBody."""
    headers: ClassVar[RawHeaders] = _NEGOTIATED
    heartbeat: ClassVar[bytes | None] = None
    """What may be sent in a silence, to show that the answer goes on; None for nothing."""

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type

    def of(self, content_type: bytes) -> Framing:
        """Return the framing of an answer whose first message says this type."""
        return self

    def head(self) -> bytes:
        """Return what comes before all else; sent with it."""
        return b""

    def message(self, data: bytes, reply: Message) -> bytes:
        """Return a message as it is sent.

        Args:
            data: the message, as `payload` has it.
            reply: what it was made of.
        """
        raise NotImplementedError

    def error(self, status: bytes) -> bytes | None:
        """Return an error after the first message, in place of the end; None: cannot be told.

        Args:
            status: the JSON that an answer of this status has as its body.
        """
        return None

    def refusal(self, status: bytes) -> bytes:
        """Return the body of an answer that failed before the first message."""
        return status

    def end(self) -> bytes:
        """Return what ends the answer."""
        return b""


class JsonArray(Framing):
    """One JSON array, as Google's and Envoy's transcoding has it; `[]` when it is empty.

    >>> array = JsonArray(JSON)
    >>> array.head() + array.message(b"1", None) + array.message(b"2", None) + array.end()
    b'[1,2]'
    """

    __slots__ = ("_is_later",)

    def __init__(self, content_type: str) -> None:
        super().__init__(content_type)
        self._is_later = False

    def head(self) -> bytes:
        """Open the array."""
        return b"["

    def message(self, data: bytes, reply: Message) -> bytes:
        """Return an element, behind a comma if it is not the first."""
        if self._is_later:
            return b"," + data
        self._is_later = True
        return data

    def end(self) -> bytes:
        """Close the array."""
        return b"]"


class JsonLines(Framing):
    """A JSON value on each line (github.com/ndjson/ndjson-spec, jsonlines.org)."""

    __slots__ = ()

    def message(self, data: bytes, reply: Message) -> bytes:
        """Return a line."""
        return _line(data) + b"\n"

    def error(self, status: bytes) -> bytes:
        """Return a last line that says the error."""
        return b'{"error":%b}\n' % _line(status)


class ResultLines(JsonLines):
    """Lines of `{"result":…}`, as grpc-gateway has them; errors are `{"error":…}`, also alone."""

    __slots__ = ()

    def message(self, data: bytes, reply: Message) -> bytes:
        """Return a line."""
        return b'{"result":%b}\n' % _line(data)

    def refusal(self, status: bytes) -> bytes:
        """Return the line that says an error, which is all there is."""
        return self.error(status)


class ServerSentEvents(Framing):
    r"""Server-Sent Events (HTML, section 9.2), for `EventSource`.

    An `EventSource` takes the end of an answer for a failure and connects again. The event `end`
    tells it to close.

    >>> from google.protobuf.empty_pb2 import Empty
    >>> ServerSentEvents().message(b'{"a":1}', Empty())
    b'data: {"a":1}\n\n'
    """

    __slots__ = ("_events",)

    headers: ClassVar[RawHeaders] = (*_NEGOTIATED, (b"cache-control", b"no-cache"))
    heartbeat: ClassVar[bytes | None] = b":\n\n"

    def __init__(self, events: Events | None = None) -> None:
        super().__init__(EVENTS)
        self._events = events

    def head(self) -> bytes:
        """Return the delay before the client connects again, if there is one."""
        retry = self._events.retry if self._events else b""
        return b"retry: %b\n\n" % retry if retry else b""

    def message(self, data: bytes, reply: Message) -> bytes:
        """Return an event without a name, which `onmessage` gets."""
        name = self._events.id_of(reply) if self._events else ""
        return b"%b%b\n" % (_id_line(name), _data_lines(data))

    def error(self, status: bytes) -> bytes:
        """Return an event named `error`."""
        return b"event: error\n%b\n" % _data_lines(status)

    def end(self) -> bytes:
        """Return an event named `end`; without data it would not be told."""
        return b"event: end\ndata: {}\n\n"


class Delimited(Framing):
    r"""Serialized messages, each behind its length as a varint, as protobuf's libraries read them.

    >>> Delimited(DELIMITED[0]).message(b"ab", None)
    b'\x02ab'
    """

    __slots__ = ()

    payload: ClassVar[str] = PROTOBUF[0]

    def message(self, data: bytes, reply: Message) -> bytes:
        """Return a message behind its length."""
        return _varint(len(data)) + data


class Raw(Framing):
    """The bytes of each `google.api.HttpBody`; the first says the type, nothing is added."""

    __slots__ = ()

    payload: ClassVar[str] = ""
    headers: ClassVar[RawHeaders] = _UNBUFFERED

    def of(self, content_type: bytes) -> Framing:
        """Return the framing of this type."""
        return Raw(content_type.decode("latin-1"))

    def message(self, data: bytes, reply: Message) -> bytes:
        """Return the bytes as they are."""
        return data


class Framings:
    """The framings that the answers of one method may have; compiled once.

    Args:
        stream: which one answers who does not choose; the others' types are chosen by Accept.
        events: of the method.
        protobuf: whether a reply is a message that can be sent serialized.
        refuse: whether who accepts none of them is refused, or gets the first.

    Raises (on call):
        NotAcceptable: none of them is accepted.

    >>> from transcoder.event_stream import Events
    >>> type(Framings("array", protobuf=True)("application/jsonl")).__name__
    'JsonLines'
    """

    __slots__ = ("_make", "offers")

    def __init__(
        self,
        stream: Stream,
        events: Events | None = None,
        *,
        protobuf: bool = False,
        refuse: bool = True,
    ) -> None:
        plain = ResultLines if stream == "result-lines" else JsonArray
        lines = [(name, JsonLines) for name in NDJSON]
        named: Iterable[tuple[str, Callable[[str], Framing]]] = [(JSON, plain), *lines]
        self._make = dict([*lines, (JSON, plain)] if stream == "ndjson" else named)
        self._make[EVENTS] = lambda _: ServerSentEvents(events)
        if protobuf:
            self._make |= dict.fromkeys(DELIMITED, Delimited)
        self.offers: Offers = offers(*self._make, refuse=refuse)

    def __call__(self, accept: str) -> Framing:
        """Return the framing that is accepted most.

        Args:
            accept: all values of the header, joined by commas.
        """
        chosen = self.offers.choose(accept)
        if chosen is None:
            raise NotAcceptable(self.offers.types)
        return self._make[chosen](chosen)


def _line(data: bytes) -> bytes:
    """Return JSON on one line: an indented one has breaks, but no string of it has."""
    return data if b"\n" not in data else _BREAKS.sub(b"", data)


def _id_line(text: str) -> bytes:
    """Return the line that says an id; nothing for one that a line or a header cannot say."""
    if not text or not text.isprintable():
        return b""
    data = text.encode("utf-8", "replace")
    return b"id: %b\n" % data if len(data) <= ID_LIMIT else b""


def _data_lines(data: bytes) -> bytes:
    return b"data: %b\n" % data.replace(b"\n", b"\ndata: ")


def _varint(number: int) -> bytes:
    low = bytearray()
    while number > 0x7F:
        low.append(number & 0x7F | 0x80)
        number >>= 7
    low.append(number)
    return bytes(low)
