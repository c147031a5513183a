from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.message import Message

from transcoder.body import Disconnected
from transcoder.errors import StatusError
from transcoder.json_stream import JsonCutter
from transcoder.pulse import Pulse
from transcoder.request_stream import RequestStream
from transcoder.response import Payload
from transcoder.stream_limits import StreamLimits
from transcoder.upstream import Call
from transcoder.watch import Watch


class Answer:
    """An answer that notes what is asked of it."""

    media_type = "application/json"

    def __init__(self, waiting_since: float | None = None) -> None:
        self.count = 0
        self.waiting_since = waiting_since
        self.last = 0.0
        self.beats = 0
        self.cuts: list[bool] = []

    def beat(self) -> None:
        self.beats += 1

    async def message(self, reply: Message, printed: Payload) -> None:
        self.count += 1

    def cut(self, *, at_once: bool = False) -> None:
        self.cuts.append(at_once)


async def never() -> None:
    """Be a client that stays."""
    await asyncio.Event().wait()


def lasted(
    seconds: float, answer: Answer | None = None, *, streams: bool = False, **limits: Any
) -> BaseException | None:
    """Return what ended a stream of so many seconds."""

    async def decoded(data: bytes, _: bool) -> bytes:  # noqa: FBT001  a callback
        return data

    async def main() -> None:
        request: Any = RequestStream(JsonCutter(9), decoded) if streams else None
        with Watch(Call("/a.B/C"), never) as watch:
            pulse = Pulse(watch, StreamLimits(**limits), request, answer)
            try:
                await asyncio.sleep(seconds)
            finally:
                pulse.stop()

    try:
        asyncio.run(main())
    except (StatusError, Disconnected) as error:
        return error
    return None


def test_nothing_over_a_limit() -> None:
    """A stream within its limits goes on."""
    assert lasted(0.05, Answer(), streams=True, heartbeat=9) is None


def test_life() -> None:
    """A stream that lasts too long ends as if its deadline had passed."""
    error = lasted(5, Answer(), life=0.02)

    assert isinstance(error, StatusError)
    assert error.http == 504


def test_silence() -> None:
    """A client that may send, and does not, is not waited for without an end."""
    error = lasted(5, streams=True, idle=0.02)

    assert isinstance(error, StatusError)
    assert error.http == 408


def test_silence_of_a_servicer() -> None:
    """Who has asked its one question may wait for answers as long as it likes."""
    assert lasted(0.1, Answer(), idle=0.02, heartbeat=9) is None
    assert lasted(0.1, streams=True, idle=None) is None


def test_stalled_reader() -> None:
    """A client that does not read loses its connection at once."""
    answer = Answer(waiting_since=0)
    error = lasted(5, answer, stall=0.02)

    assert isinstance(error, Disconnected)
    assert answer.cuts[0]


def test_heartbeats() -> None:
    """In a silence the answer beats, again and again."""
    answer = Answer()
    lasted(0.2, answer, heartbeat=0.02)

    assert answer.beats > 1
