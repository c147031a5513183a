from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Receive

from transcoder.body import Bodies, Disconnected, Holding, read_body, read_form
from transcoder.errors import InvalidRequest, PayloadTooLarge, StatusError, UnsupportedMedia
from transcoder.multipart import FormLimits, Multipart
from transcoder.pace import Pace

TYPE = "multipart/form-data; boundary=b"
HEAD = b'--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\n'
TAIL = b"\r\n--b--"


def sent(*chunks: bytes, disconnect: bool = False) -> Receive:
    """Return the ASGI channel of a body in chunks."""
    messages: list[Any] = [
        {"type": "http.request", "body": chunk, "more_body": disconnect or at < len(chunks)}
        for at, chunk in enumerate(chunks, 1)
    ]
    messages.append({"type": "http.disconnect"})

    async def receive() -> Any:
        return messages.pop(0)

    return receive


def read(headers: list[tuple[bytes, bytes]], receive: Receive, limit: int) -> bytes:
    return asyncio.run(read_body(headers, receive, limit))


@pytest.mark.parametrize("chunks", [[b""], [b"abc"], [b"a", b"", b"bc"], [b"abc", b""]])
def test_body(chunks: list[bytes]) -> None:
    """A body is its chunks, up to the limit."""
    body = b"".join(chunks)

    assert read([], sent(*chunks), len(body)) == body
    if body:
        with pytest.raises(PayloadTooLarge, match="over the limit of 2 bytes"):
            read([], sent(*chunks), 2)


def test_body_without_keys() -> None:
    """A message without body and more_body is the end of an empty body."""

    async def receive() -> Any:
        return {"type": "http.request"}

    assert read([], receive, 1) == b""


@pytest.mark.parametrize("length", [b"4", b"1" + b"0" * 30])
def test_content_length(length: bytes) -> None:
    """A body that says it is over the limit is refused before it is read."""
    with pytest.raises(PayloadTooLarge):
        read([(b"content-length", length)], sent(disconnect=True), 3)


@pytest.mark.parametrize("length", [b"", b"-1", b"x", b"1, 1"])
def test_bad_content_length(length: bytes) -> None:
    """A Content-Length that is no number is refused."""
    with pytest.raises(InvalidRequest, match="content-length: expected a number"):
        read([(b"content-length", length)], sent(), 3)


def test_two_media_types() -> None:
    """A second Content-Type is refused, even the same again (RFC 9110, section 8.3)."""
    with pytest.raises(InvalidRequest, match="content-type: sent twice"):
        read([(b"content-type", b"application/json")] * 2, sent(), 3)


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd", b"gzip, gzip", b"identity, gzip"])
def test_compressed(coding: bytes) -> None:
    """A compressed body is refused before it is read, with the header to blame."""
    with pytest.raises(UnsupportedMedia, match="Content-Encoding") as refused:
        read([(b"content-encoding", coding)], sent(disconnect=True), 3)

    assert refused.value.http == 415
    assert refused.value.headers == (("accept-encoding", "identity"),)


@pytest.mark.parametrize("coding", [b"identity", b" Identity", b""])
def test_not_compressed(coding: bytes) -> None:
    """A body whose encoding is none is taken."""
    assert read([(b"content-encoding", coding)], sent(b"abc"), 3) == b"abc"


def test_disconnect() -> None:
    """A client that goes away before the end of its body is noticed."""
    with pytest.raises(Disconnected):
        read([], sent(b"a", disconnect=True), 3)


@pytest.mark.parametrize(("rate", "status"), [(1000, 408), (0, 200)])
def test_pace(rate: float, status: int) -> None:
    """A body that stays behind its pace is refused, and who reads it is not cancelled by that."""

    async def slow() -> Any:
        await asyncio.sleep(0.1)
        return {"type": "http.request", "body": b"abc"}

    async def run() -> int:
        try:
            await read_body([], slow, 3, Pace(grace=0.01, rate=rate))
        except StatusError as error:
            # The next wait of the task is as any.
            await asyncio.sleep(0)
            return error.http
        return 200

    assert asyncio.run(run()) == status


def test_cancelled_within_its_pace() -> None:
    """A reader that is cancelled is told nothing of a pace."""

    async def never() -> Any:
        await asyncio.Event().wait()

    async def run() -> None:
        reading = asyncio.create_task(read_body([], never, 3, Pace()))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(run())


class Watched(Multipart):
    """A form that notes on which threads it was fed, and whether it was closed."""

    def __init__(self, limits: FormLimits) -> None:
        super().__init__(TYPE, limits)
        self.threads: list[int] = []
        self.closed = False

    def feed(self, data: bytes) -> None:
        self.threads.append(threading.get_ident())
        super().feed(data)

    def close(self) -> None:
        self.closed = True
        super().close()


def test_form() -> None:
    """A form is fed as it arrives, on a thread when that writes to disk."""
    form = Watched(FormLimits(memory=8))
    chunks = [HEAD, b"1234", b"56789", TAIL]

    assert asyncio.run(read_form([], sent(*chunks), 1000, form)) is form
    assert [part.read() for part in form.parts] == [b"123456789"]
    here = threading.get_ident()
    assert [thread == here for thread in form.threads] == [True, True, False, False]
    assert not form.closed
    form.close()


@pytest.mark.parametrize(
    ("headers", "receive", "error"),
    [
        ([], lambda: sent(HEAD), InvalidRequest),
        ([], lambda: sent(b"x"), InvalidRequest),
        ([], lambda: sent(HEAD, disconnect=True), Disconnected),
        ([], lambda: sent(HEAD, b"a" * 1000, TAIL), PayloadTooLarge),
        ([(b"content-length", b"9999")], sent, PayloadTooLarge),
        ([(b"content-encoding", b"gzip")], sent, UnsupportedMedia),
    ],
)
def test_failed_form(
    headers: list[tuple[bytes, bytes]], receive: Callable[[], Receive], error: type[Exception]
) -> None:
    """A form that cannot be read whole is closed."""
    form = Watched(FormLimits(memory=8))

    with pytest.raises(error):
        asyncio.run(read_form(headers, receive(), 500, form))
    assert form.closed


def test_all_bodies() -> None:
    """Of all bodies there are never more bytes than may be, and each lets go in the end."""
    bodies = Bodies(10)
    with Holding(bodies) as first:
        first.take(6)
        with Holding(bodies) as second:
            second.take(4)
            with pytest.raises(StatusError, match="too much is sent at once") as caught:
                second.take(1)
        assert caught.value.http == 503
        assert ("retry-after", "1") in caught.value.headers
        assert bodies.held == 6
    assert bodies.held == 0
