"""The admin port: metrics and health for operators, apart from what clients reach.

It is an HTTP listener of its own in the same event loop. With several processes it is their
supervisor's, which tells of all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from transcoder.admin_guard import Guard
from transcoder.connection_limits import ConnectionLimits
from transcoder.errors import ConfigError, MethodNotAllowed, NotFound
from transcoder.gateway import Gateway
from transcoder.http_listener import HttpListener
from transcoder.listeners import Address, Claim
from transcoder.readiness import State
from transcoder.refusal import refuse
from transcoder.route import LIVENESS, READINESS

METRICS: Final = "/metrics"
_JSON: Final = "application/json"
_LIMITS: Final = ConnectionLimits(total=100)


class Source(Protocol):
    """What the port tells of."""

    def metrics(self, accept: str, *, apart: bool) -> tuple[bytes, str]:
        """Return metrics as text, and its media type.

        Args:
            accept: the media types that the client takes.
            apart: tell several processes apart, in place of their sum.
        """
        ...

    async def ready(self) -> Mapping[str, Any]:
        """Return the state of all as JSON has it: `status`, and what it comes from."""
        ...


@dataclass(frozen=True, slots=True)
class Admin:
    """An admin port as a server is told of it.

    Args:
        address: where.
        token: that its clients must show; "" for none.
    """

    address: str
    token: str = ""

    @contextmanager
    def claim(self) -> Iterator[Claim]:
        """Hold the address.

        Raises:
            ConfigError: it is none, or it is in use.
        """
        with Claim.take("admin", Address.parse(self.address)) as claim:
            yield claim


class AdminPort:
    """Serves the admin port.

    Args:
        claim: where.
        source: what it tells of.
        token: that its clients must show; "" for none.

    Raises:
        ConfigError: others than this machine reach the address, and there is no token.
    """

    def __init__(self, claim: Claim, source: Source, token: str) -> None:
        self.address: Final = claim.address
        pages = _Pages(source)
        app = Starlette(
            routes=[
                Route(METRICS, pages.metrics),
                Route(LIVENESS, pages.live),
                Route(READINESS, pages.ready),
            ],
            exception_handlers={HTTPException: _refused},
        )
        guarded: Any = Guard(app, claim, token)
        self._listener = HttpListener(
            guarded,
            {},
            claim,
            keep_alive=75,
            backlog=64,
            max_message=1 << 10,
            end_streams=lambda: None,
            limits=_LIMITS,
        )

    async def open(self) -> None:
        """Listen, and accept.

        Raises:
            ConfigError: another process listens there since the address was claimed.
        """
        try:
            await self._listener.open()
        except ConfigError as error:
            raise ConfigError(f"admin: {self.address} is in use") from error

    @property
    def is_open(self) -> bool:
        """Whether it serves."""
        return self._listener.is_open

    def watch(self) -> asyncio.Task[None]:
        """Return a task that is done when the listener has ended."""
        return asyncio.create_task(self._listener.ended(), name="admin")

    async def close(self) -> None:
        """Stop listening; what is asked just now is answered."""
        await self._listener.close(1, 0)


class _Pages:
    def __init__(self, source: Source) -> None:
        self._source = source

    async def metrics(self, request: Request) -> Response:
        # What checks find is among the metrics; nobody else may have asked for long.
        await self._source.ready()
        accept = request.headers.get("accept", "")
        apart = request.query_params.get("by") == "worker"
        text, media_type = self._source.metrics(accept, apart=apart)
        return Response(text, headers={"content-type": media_type})

    async def live(self, request: Request) -> Response:
        return Response(b'{"status":"SERVING"}', media_type=_JSON)

    async def ready(self, request: Request) -> Response:
        told = await self._source.ready()
        status = 503 if told["status"] == State.NOT_SERVING.value else 200
        return Response(orjson.dumps(told), status, media_type=_JSON)


async def _refused(request: Request, error: Exception) -> Response:
    missing = not isinstance(error, HTTPException) or error.status_code != 405
    payload = refuse(NotFound() if missing else MethodNotAllowed(("GET", "HEAD")), request.scope)
    headers = {key.decode(): value.decode() for key, value in payload.headers}
    return Response(payload.body, payload.status, headers, payload.content_type.decode())


class OneProcess:
    """What a port tells of this process.

    Args:
        gateway: that it serves. Without metrics of its own it gets some.

    Raises:
        ConfigError: what counts is not installed.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._registries = registries(gateway)

    def metrics(self, accept: str, *, apart: bool) -> tuple[bytes, str]:
        """Return the gateway's metrics; see `Source`."""
        from transcoder.observers.scrape import exposition, taken  # noqa: PLC0415  an extra

        return exposition(taken(self._registries), accept)

    async def ready(self) -> Mapping[str, Any]:
        """Return the gateway's report; see `Source`."""
        return (await self._gateway.readiness.report()).as_json(problems=True)


def registries(gateway: Gateway) -> list[Any]:
    """Return the registries of a gateway's metrics; one without any gets some.

    Raises:
        ConfigError: what counts is not installed.
    """
    try:
        from transcoder.observers.metrics import Metrics  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigError(f"admin: {error}") from error
    found = [each for each in gateway.chain.observers if isinstance(each, Metrics)]
    if not found:
        found = [Metrics()]
        gateway.observe(found[0])
    return [each.registry for each in found]
