import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backend import GET, SERVICE, Users, backend
from services.user.v1.user_service_pb2 import GetUserRequest, User
from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream import Call
from transcoder.upstream.channel import Channel
from transcoder.upstream.hedging import hedged
from transcoder.upstream.method_config import Hedging

UNAVAILABLE = frozenset({Code.UNAVAILABLE})


class Attempts:
    """Attempts that end as they are told to: with a text, an error, or never."""

    def __init__(self, *outcomes: str | Exception | None) -> None:
        self.outcomes = outcomes
        self.begun = 0
        self.cancelled = 0

    async def __call__(self) -> str:
        outcome = self.outcomes[self.begun]
        self.begun += 1
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            return outcome
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return ""


def run(attempts: Callable[[], Awaitable[str]], policy: Hedging) -> str:
    """Hedge a call; no attempt may outlive it."""

    async def running() -> str:
        try:
            return await asyncio.wait_for(hedged(attempts, policy), 5)
        finally:
            assert len(asyncio.all_tasks()) <= 1

    return asyncio.run(running())


def failure(code: Code) -> StatusError:
    """Return an error."""
    return StatusError(code, code.name)


def test_first_reply() -> None:
    """A reply in time is all there is."""
    attempts = Attempts("a", "b")

    assert (run(attempts, Hedging(2, 3600, UNAVAILABLE)), attempts.begun) == ("a", 1)


def test_another_attempt_after_the_delay() -> None:
    """A silent attempt gets a rival, and is cancelled when that replies."""
    attempts = Attempts(None, "b")

    assert run(attempts, Hedging(2, 0.01, UNAVAILABLE)) == "b"
    assert attempts.cancelled == 1


def test_another_attempt_after_a_failure() -> None:
    """A failure that is not fatal does not wait for the delay."""
    attempts = Attempts(failure(Code.UNAVAILABLE), "b")

    assert run(attempts, Hedging(2, 3600, UNAVAILABLE)) == "b"


def test_fatal_failure() -> None:
    """Any other failure is the call's."""
    attempts = Attempts(None, failure(Code.NOT_FOUND))

    with pytest.raises(StatusError, match="NOT_FOUND"):
        run(attempts, Hedging(3, 0.01, UNAVAILABLE))
    assert (attempts.begun, attempts.cancelled) == (2, 1)


def test_last_failure() -> None:
    """When all attempts failed, the last failure is the call's."""
    attempts = Attempts(*[failure(Code.UNAVAILABLE)] * 3)

    with pytest.raises(StatusError, match="UNAVAILABLE"):
        run(attempts, Hedging(3, 0.01, UNAVAILABLE))
    assert attempts.begun == 3


def test_two_at_once() -> None:
    """Of two outcomes at the same time the reply counts."""
    gate = asyncio.Event()

    class Together(Attempts):
        async def __call__(self) -> str:
            if self.begun == 1:
                gate.set()
            outcome = self.outcomes[self.begun]
            self.begun += 1
            await gate.wait()
            if isinstance(outcome, Exception):
                raise outcome
            return outcome or ""

    assert run(Together(failure(Code.NOT_FOUND), "b"), Hedging(2, 0.01, UNAVAILABLE)) == "b"


def test_a_failure_while_others_run() -> None:
    """A failure is not the call's while an attempt may still reply."""

    async def slow() -> str:
        await asyncio.sleep(0.05)
        return "a"

    attempts: list[Callable[[], Awaitable[str]]] = [Attempts(failure(Code.UNAVAILABLE)), slow]

    async def attempt() -> str:
        return await attempts.pop()()

    assert run(attempt, Hedging(2, 0.01, UNAVAILABLE)) == "a"


def test_cancelled() -> None:
    """Who cancels the call cancels its attempts."""
    attempts = Attempts(None, None)

    async def running() -> None:
        task = asyncio.ensure_future(hedged(attempts, Hedging(2, 0.01, UNAVAILABLE)))
        while attempts.begun < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(running())

    assert attempts.cancelled == 2


def test_hedged_channel() -> None:
    """A channel hedges the methods that its service config says."""

    class Forgetful(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            self.calls += 1
            if self.calls == 1:
                await self._hang()
            return User(id=request.id)

    async def running() -> None:
        users = Forgetful()
        hedging = {"maxAttempts": 3, "hedgingDelay": "0.05s"}
        entry = {"name": [{"service": SERVICE.full_name}], "hedgingPolicy": hedging}
        config = {"methodConfig": [entry]}
        async with backend(users) as target, Channel(target, service_config=config) as channel:
            channel.add(SERVICE)

            assert await channel.unary(Call(GET), GetUserRequest(id="7")) == User(id="7")
            await asyncio.wait_for(users.cancelled.wait(), 5)

    asyncio.run(running())
