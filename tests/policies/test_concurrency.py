from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from entrances import ENTRANCES, Running, over_grpc, over_http, over_sse, run
from transcoder import Code
from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.policies.ceilings import Gradient
from transcoder.policies.concurrency import ConcurrencyLimit
from transcoder.policies.policy import Denied, Now

NOW = Now(0.0, 0.0)


async def enter(policy: ConcurrencyLimit, *, streams: bool = False) -> CallDetails:
    """Return a call that was let in."""
    call = CallDetails("http", streams=streams)
    waiting = policy.decide(call, NOW)
    if waiting is not None:
        await waiting
    return call


def leave(call: CallDetails, code: Code = Code.OK) -> None:
    """End a call."""
    call.code = code
    call.ended = call.started + 0.01
    for callback in call.on_end or ():
        callback()


def test_limit() -> None:
    """As many calls run at once as the limit says; when one ends, another may run."""

    async def fact() -> None:
        policy = ConcurrencyLimit(2, queue=0)
        first = await enter(policy)
        await enter(policy)
        with pytest.raises(Denied) as caught:
            await enter(policy)
        assert caught.value.reason == "queue-full"
        leave(first)
        await enter(policy)
        assert policy.running == 2

    asyncio.run(fact())


def test_turns() -> None:
    """Those that wait run in the order in which they came, and before whoever comes later."""

    async def fact() -> list[str]:
        policy, order = ConcurrencyLimit(1, queue=3, patience=20), []
        running = await enter(policy)

        async def wait(name: str) -> None:
            call = await enter(policy)
            order.append(name)
            leave(call)

        async with asyncio.TaskGroup() as tasks:
            for name in "abc":
                tasks.create_task(wait(name))
                await asyncio.sleep(0)
            assert policy.waiting == 3
            leave(running)
        assert (policy.running, policy.waiting) == (0, 0)
        return order

    assert asyncio.run(fact()) == ["a", "b", "c"]


def test_patience() -> None:
    """Nothing waits for longer than the patience."""

    async def fact() -> None:
        policy = ConcurrencyLimit(1, patience=0.01)
        running = await enter(policy)
        with pytest.raises(Denied) as caught:
            await enter(policy)
        assert caught.value.reason == "queue-time"
        assert policy.waiting == 0
        leave(running)
        assert policy.running == 0

    asyncio.run(fact())


def test_patience_ends_with_a_call() -> None:
    """A call whose patience ends in the moment in which another one ends is refused as any is."""

    async def fact() -> None:
        policy = ConcurrencyLimit(1, patience=0.01)
        running = await enter(policy)
        waiting = asyncio.create_task(enter(policy))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.011, leave, running)
        time.sleep(0.05)  # noqa: ASYNC251  both come due while the loop is blocked
        with pytest.raises(Denied) as caught:
            await waiting
        assert caught.value.reason == "queue-time"
        assert (policy.running, policy.waiting) == (0, 0)

    asyncio.run(fact())


def test_gone_while_waiting() -> None:
    """A call that is given up while it waits leaves its place, even if its turn has just come."""

    async def fact() -> None:
        policy = ConcurrencyLimit(1, patience=20)
        running = await enter(policy)
        first, second = (asyncio.create_task(enter(policy)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        second_turn = asyncio.create_task(enter(policy))
        await asyncio.sleep(0)
        leave(running)
        # By now the turn is the second's, which does not live to see it.
        second.cancel()
        await asyncio.wait([first, second])
        leave(await second_turn)
        assert (policy.running, policy.waiting) == (0, 0)

    asyncio.run(fact())


def test_streams() -> None:
    """Streams have a limit of their own, and do not wait."""

    async def fact() -> None:
        policy = ConcurrencyLimit(1, queue=0, streams=1)
        await enter(policy)
        stream = await enter(policy, streams=True)
        with pytest.raises(Denied) as caught:
            await enter(policy, streams=True)
        assert caught.value.reason == "streams"
        leave(stream)
        await enter(policy, streams=True)
        assert policy.streaming == 1

    asyncio.run(fact())


def test_ceiling() -> None:
    """A ceiling learns from the calls that ended well, and from no others."""

    async def fact(code: Code) -> int:
        ceiling = Gradient(10, least=1, most=100)
        policy = ConcurrencyLimit(ceiling)
        for _ in range(30):
            for call in [await enter(policy) for _ in range(ceiling.limit)]:
                leave(call, code)
        return ceiling.limit

    assert asyncio.run(fact(Code.OK)) > 10
    assert asyncio.run(fact(Code.UNAVAILABLE)) == 10


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_refused(entrance: str) -> None:
    """What is too much is refused through every entrance, and told when to come again."""
    policy = ConcurrencyLimit(1, queue=0, streams=0)
    policy.running = 1

    async def fact(running: Running) -> Any:
        return await ENTRANCES[entrance](running, {})

    outcome = run(fact, policies=[policy])
    assert (outcome.code, outcome.message) == (Code.UNAVAILABLE, "the service is overloaded")
    assert outcome.headers["retry-after"] == "1"


@pytest.mark.parametrize("enter", [over_http, over_sse, over_grpc])
def test_ends(enter: Any) -> None:
    """Whatever comes of a call, its place is free in the end."""
    policy = ConcurrencyLimit(4, queue=100, patience=20, streams=50)

    async def fact(running: Running) -> set[Code]:
        outcomes = await asyncio.gather(*(enter(running, {}) for _ in range(40)))
        return {each.code for each in outcomes}

    assert run(fact, policies=[policy]) == {Code.OK}
    assert (policy.running, policy.streaming, policy.waiting) == (0, 0, 0)


def test_wrong_options() -> None:
    """Numbers below what they can be are told at start."""
    with pytest.raises(ConfigError, match="concurrency: queue, patience and streams"):
        ConcurrencyLimit(queue=-1)
    with pytest.raises(ConfigError, match="concurrency: limit 0"):
        ConcurrencyLimit(0)
