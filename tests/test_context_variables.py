"""Context variables of a call are its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from streams import Ask, Sum, Told
from wire import Wire

if TYPE_CHECKING:
    from tests.conftest import Served, Start

EACH = 125
"""Calls of one sort; there are eight sorts."""


def pipelined(served: Served) -> Iterator[tuple[str, str]]:
    """Send requests on one connection without waiting for answers; yield wanted and answered."""
    wire = Wire(served.http_target)
    topics = [f"pipelined{number}" for number in range(2 * EACH)]
    wire.send(
        b"".join(b"GET /v1/%s/single HTTP/1.1\r\nhost: a\r\n\r\n" % t.encode() for t in topics)
    )
    for topic in topics:
        yield f">{topic}", wire.answer().json()["text"]
    wire.close()


def kept_alive(served: Served) -> Iterator[tuple[str, str]]:
    """Read streams of two messages over HTTP; yield wanted and answered."""
    for number in range(EACH):
        topic = f"told{number}"
        _, _, told = served.get(f"/v1/{topic}/told?count=2")
        assert isinstance(told, list)
        texts = [each["text"] for each in told]
        yield f">{topic}.0,{topic}.0>{topic}.1", ",".join(texts)


def over_grpc(served: Served) -> Iterator[tuple[str, str]]:
    """Call every kind of method; yield wanted and answered."""
    with served.channel() as channel:

        def method(kind: str, name: str, reply: Any) -> Any:
            return getattr(channel, kind)(
                f"/streams.v1.Streams/{name}",
                request_serializer=Ask.SerializeToString,
                response_deserializer=reply.FromString,
            )

        single = method("unary_unary", "Single", Told)
        tell = method("unary_stream", "Tell", Told)
        collect = method("stream_unary", "Collect", Sum)
        echo = method("stream_stream", "Echo", Told)
        for number in range(EACH):
            topic = f"grpc{number}"
            ask = Ask(topic=topic, count=2)
            yield f">{topic}", single(ask).text
            texts = ",".join(each.text for each in tell(ask))
            yield f">{topic}.0,{topic}.0>{topic}.1", texts
            yield f"{topic}>{topic}", collect(iter([ask, ask])).topic
            yield (
                f">{topic},{topic}>{topic}",
                ",".join(each.text for each in echo(iter([ask, ask]))),
            )


def test_a_thousand_calls(start: Start) -> None:
    """Of a thousand calls through both doors, at once and pipelined, none sees another's."""
    served = start("variables:create")

    def all_of(sort: Any) -> list[tuple[str, str]]:
        return list(sort(served))

    with ThreadPoolExecutor(4) as executor:
        sorts = (pipelined, kept_alive, kept_alive, over_grpc)
        results = [pair for pairs in executor.map(all_of, sorts) for pair in pairs]

    assert len(results) == 8 * EACH
    assert [wanted for wanted, _ in results] == [answered for _, answered in results]
