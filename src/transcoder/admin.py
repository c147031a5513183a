"""The admin port: metrics, health and a console for operators, apart from what clients reach.

It is an HTTP listener of its own in the same event loop. With several processes it is their
supervisor's, which tells of all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from transcoder.admin_guard import Guard
from transcoder.connection_limits import ConnectionLimits
from transcoder.errors import ConfigError, MethodNotAllowed, NotFound
from transcoder.generations import Generations
from transcoder.http_listener import HttpListener
from transcoder.listeners import Address, Claim
from transcoder.readiness import State
from transcoder.refusal import refuse
from transcoder.route import LIVENESS, READINESS

if TYPE_CHECKING:
    # What it needs is an extra.
    from transcoder.console.look import About, Look, Question
    from transcoder.observers.failures import Recent

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

    def look(self, worker: str = "") -> Look:
        """Return what the console shows; see `transcoder.console.look.Source`."""
        ...

    async def explain(self, question: Question) -> Mapping[str, Any]:
        """Return why a request goes where it goes, likewise."""
        ...


@dataclass(frozen=True, slots=True)
class Admin:
    """An admin port as a server is told of it.

    Args:
        address: where.
        token: that its clients must show, and that is shown to peers; "" for none.
        name: of this process, where others tell of it: that of its certificate, if it has one. By
            default it is the first service that it answers itself, or `gateway`.
        peers: the admin ports of other processes, as `127.0.0.1:9902`, of which the console tells
            too.
    """

    address: str
    token: str = ""
    name: str = ""
    peers: Sequence[str] = ()

    @classmethod
    def of(cls, given: Admin | str, token: str | None) -> Admin:
        """Return the port that an option means, with a token that is given apart from it."""
        options = given if isinstance(given, Admin) else cls(given)
        return replace(options, token=token or options.token)

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
        options: of the port.

    Raises:
        ConfigError: others than this machine reach the address, and there is no token; or a peer is
            no address.
    """

    def __init__(self, claim: Claim, source: Source, options: Admin) -> None:
        self.address: Final = claim.address
        pages = _Pages(source)
        app = Starlette(
            routes=[
                Route(METRICS, pages.metrics),
                Route(LIVENESS, pages.live),
                Route(READINESS, pages.ready),
                *_console(source, options),
            ],
            exception_handlers={HTTPException: _refused},
        )
        guarded: Any = Guard(app, claim, options.token)
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


def _console(source: Source, options: Admin) -> list[Route]:
    from transcoder.console.endpoints import routes  # noqa: PLC0415  an extra

    return routes(source, options.peers, options.token, options.name)


class OneProcess:
    """What a port tells of this process.

    Args:
        generations: of the gateway that it serves. One without metrics of its own gets some.
        limits: of what serves it, in words.

    Raises:
        ConfigError: what counts is not installed.
    """

    def __init__(self, generations: Generations, limits: Mapping[str, str]) -> None:
        self._generations = generations
        self._limits = limits
        self._registries = registries(generations)
        self._recent = recent(generations)

    def metrics(self, accept: str, *, apart: bool) -> tuple[bytes, str]:
        """Return the gateway's metrics; see `Source`."""
        from transcoder.observers.scrape import exposition, taken  # noqa: PLC0415  an extra

        return exposition(taken(self._registries), accept)

    async def ready(self) -> Mapping[str, Any]:
        """Return the gateway's report; see `Source`."""
        return (await self._generations.current.readiness.report()).as_json(problems=True)

    def look(self, worker: str = "") -> Look:
        """Return what is known of the gateway; see `Source`."""
        from transcoder.console.look import Look  # noqa: PLC0415  an extra
        from transcoder.observers.scrape import taken  # noqa: PLC0415  as above

        return Look(
            about=about(self._generations, self._limits),
            families=taken(self._registries),
            failures=self._recent.since(),
        )

    async def explain(self, question: Question) -> Mapping[str, Any]:
        """Return what the gateway does with a request; see `Source`."""
        from transcoder.console.explained import plain  # noqa: PLC0415  an extra

        transcoder = self._generations.current.transcoder
        return await asyncio.to_thread(plain, transcoder, asdict(question))


def about(generations: Generations, limits: Mapping[str, str]) -> About:
    """Return what a process says of itself.

    Args:
        generations: of the gateway that it serves.
        limits: of what serves it, in words.
    """
    from transcoder.console.look import About  # noqa: PLC0415  an extra

    gateway = generations.current
    return About(services=gateway.own_services, limits={**limits, **gateway.limits})


def recent(generations: Generations) -> Recent:
    """Return the last failures of a gateway, which are kept from now on."""
    from transcoder.observers.failures import Failures  # noqa: PLC0415  as above

    found = [each for each in generations.current.chain.observers if isinstance(each, Failures)]
    failures = found[0] if found else Failures()
    generations.observe(failures)
    return failures.recent


def registries(generations: Generations) -> list[Any]:
    """Return the registries of a gateway's metrics; one without any gets some.

    Raises:
        ConfigError: what counts is not installed.
    """
    try:
        from transcoder.observers.metrics import Metrics  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigError(f"admin: {error}") from error
    observers = generations.current.chain.observers
    found = [each for each in observers if isinstance(each, Metrics)] or [Metrics()]
    for each in found:
        generations.observe(each)
    return [each.registry for each in found]
