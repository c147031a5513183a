from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from backend import SERVICE as USERS
from backend import Users, backend
from entrances import Running, run, serving
from streams import POOL
from toggles import Toggle
from transcoder import Channel, Gateway, Health, readiness
from transcoder.upstream.channel_options import Backoff

STREAMS = "streams.v1.Streams"
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports do not hold long here."""
    monkeypatch.setattr("transcoder.health_service.KEPT", 0.02)
    monkeypatch.setattr(readiness, "KEPT", 0.01)


def method(channel: grpc.aio.Channel, name: str) -> Any:
    """Return a method of health."""
    make = channel.unary_unary if name == "Check" else channel.unary_stream
    return make(
        f"/grpc.health.v1.Health/{name}",
        health_pb2.HealthCheckRequest.SerializeToString,
        health_pb2.HealthCheckResponse.FromString,
    )


async def over_grpc(running: Running, service: str = "") -> int:
    """Return the status of a service on the gRPC port."""
    async with grpc.aio.insecure_channel(running.listening.grpc.target) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return int((await method(channel, "Check")(request, timeout=10)).status)


async def ready(running: Running, service: str = "") -> bool:
    """Say whether it is ready over HTTP."""

    def ask() -> bool:
        url = f"http://{running.listening.http.target}/readyz?service={service}"
        try:
            with urllib.request.urlopen(url, timeout=10):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code != 503

    return await asyncio.to_thread(ask)


async def states(running: Running, service: str) -> AsyncGenerator[int, None]:
    """Yield the states of a service, as they change."""
    async with grpc.aio.insecure_channel(running.listening.grpc.target) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        async for told in method(channel, "Watch")(request):
            yield told.status


def test_in_step() -> None:
    """When a check turns, HTTP, a question by gRPC and who watches by gRPC see it alike."""
    check = Toggle()

    async def fact(running: Running) -> list[tuple[Any, ...]]:
        seen = []
        async with aclosing(states(running, STREAMS)) as watched:
            for problem in ("", "gone", ""):
                check.problem = problem
                told = await asyncio.wait_for(anext(watched), 10)
                asked = [await over_grpc(running), await over_grpc(running, STREAMS)]
                seen.append((await ready(running), *asked, told))
        return seen

    assert run(fact, health=Health(checks=[check])) == [
        (True, SERVING, SERVING, SERVING),
        (False, NOT_SERVING, NOT_SERVING, NOT_SERVING),
        (True, SERVING, SERVING, SERVING),
    ]


def test_degraded() -> None:
    """What calls can live with leaves gRPC's health as it is, which has no word for it."""
    check = Toggle(problem="gone", vital=False)

    async def fact(running: Running) -> tuple[bool, int]:
        return await ready(running), await over_grpc(running)

    assert run(fact, health=Health(checks=[check])) == (True, SERVING)


def test_unknown_service() -> None:
    """Who watches a service that there is not learns that, and may wait for it."""

    async def fact(running: Running) -> int:
        async with aclosing(states(running, "no.Such")) as watched:
            return await asyncio.wait_for(anext(watched), 10)

    assert run(fact) == UNKNOWN


def test_backend() -> None:
    """A service is as its backend can be reached, and the others are as they are."""

    async def fact() -> list[tuple[Any, ...]]:
        gateway = Gateway(pool=POOL)
        async with backend(Users()) as target:
            held = target
        gateway.route(USERS, Channel(held, backoff=Backoff(first=0.05, longest=0.05)))
        name = USERS.full_name
        seen = []
        async with serving(gateway) as running, aclosing(states(running, name)) as watched:

            async def note() -> None:
                told = await asyncio.wait_for(anext(watched), 10)
                both = [await ready(running, name), await ready(running, STREAMS)]
                seen.append((told, *both, await over_grpc(running, STREAMS)))

            await note()
            async with backend(Users(), port=int(held.rpartition(":")[2])):
                await note()
            await note()
        return seen

    assert asyncio.run(asyncio.wait_for(fact(), 30)) == [
        (NOT_SERVING, False, True, SERVING),
        (SERVING, True, True, SERVING),
        (NOT_SERVING, False, True, SERVING),
    ]


def test_nobody_watches() -> None:
    """When the last of those who watch has gone, nobody is asked any more."""
    check = Toggle()

    async def fact(running: Running) -> tuple[int, int]:
        watched = [states(running, STREAMS) for _ in range(2)]
        for each in watched:
            await anext(each)
        for each in watched:
            await each.aclose()
        while looking():  # noqa: ASYNC110  their end is the server's to notice
            await asyncio.sleep(0.01)
        before = check.asked
        await asyncio.sleep(0.1)
        return before, check.asked

    before, after = run(fact, health=Health(checks=[check]))
    assert before == after > 0


def looking() -> list[Any]:
    """Return the tasks that look for those who watch."""
    return [task for task in asyncio.all_tasks() if "HealthService._look" in repr(task)]
