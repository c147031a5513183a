"""What a gateway tells of its own health over HTTP: whether it lives, and whether it is ready."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.types import Scope

from transcoder.errors import SHUTTING_DOWN, ConfigError, NotFound, StatusError
from transcoder.policies.policy import Check, check_texts
from transcoder.readiness import Readiness, Report, State
from transcoder.response import JSON, Payload
from transcoder.route import (
    HEALTH,
    LIVENESS,
    READINESS,
    Route,
    health_route,
    liveness_route,
    readiness_route,
)
from transcoder.status import Code

_LIVES: Final = Payload(200, JSON, b'{"status":"SERVING"}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Where a gateway tells of its health, and what that depends on.

    Args:
        path: of the answer in one word, 200 or 503, as grpc-gateway has it; None for none.
        liveness: the path that answers 200 as long as the process answers anything; None for none.
        readiness: the path that answers with each check, and with 503 where one of them says that
            calls had better go elsewhere; None for none.
        checks: beside those of policies, of what services are routed to, and of the listeners. What
            has a `name` and an `async check()` that returns the problem, or nothing; with a
            `vital` that is False, calls can live with the problem.
        tolerates: names of checks with whose problems calls can live.
        timeout: seconds that a check may take.

    Raises:
        ConfigError: the timeout is none, or something is no check.
    """

    path: str | None = HEALTH
    liveness: str | None = LIVENESS
    readiness: str | None = READINESS
    checks: Sequence[Check] = ()
    tolerates: Collection[str] = ()
    timeout: float = 1.0

    def __post_init__(self) -> None:
        """Check what can be checked."""
        if not self.timeout > 0:
            raise ConfigError(f"health: timeout {self.timeout!r}: seconds above 0 are expected")
        check_texts("health: tolerates", self.tolerates)
        for each in self.checks:
            given: object = each
            if not isinstance(given, Check):
                kind = type(each).__name__
                raise ConfigError(f"health: {kind} is no check: name and check() are expected")

    @classmethod
    def of(cls, given: Health | str | None) -> Health:
        """Return the options that an argument stands for: a path, or None for nowhere."""
        if given is None:
            return cls(path=None, liveness=None, readiness=None)
        return cls(path=given) if isinstance(given, str) else given

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths, which are public."""
        return tuple(filter(None, (self.path, self.liveness, self.readiness)))


DEFAULT_HEALTH: Final = Health()


class HealthPages:
    """Answers the requests for a gateway's health.

    Args:
        options: where.
        readiness: knows.
        is_service: whether the gateway has a service of that full name.
    """

    def __init__(
        self, options: Health, readiness: Readiness, is_service: Callable[[str], bool]
    ) -> None:
        self._options = options
        self._readiness = readiness
        self._is_service = is_service

    @property
    def routes(self) -> Iterator[Route[Any]]:
        """The routes, for the transcoder.

        Raises:
            TemplateError: an option is no path.
        """
        options = self._options
        if options.path is not None:
            yield health_route(options.path, self._health)
        if options.liveness is not None:
            yield liveness_route(options.liveness, self._live)
        if options.readiness is not None:
            yield readiness_route(options.readiness, self._ready)

    async def _health(self, scope: Scope) -> Payload:
        report = await self._report(scope)
        if report.state() is State.NOT_SERVING:
            drains = any(each.problem == SHUTTING_DOWN for each in report.verdicts)
            raise StatusError(Code.UNAVAILABLE, SHUTTING_DOWN if drains else "not ready")
        return _LIVES

    async def _live(self, scope: Scope) -> Payload:
        return _LIVES

    async def _ready(self, scope: Scope) -> Payload:
        return readiness_payload(await self._report(scope))

    async def _report(self, scope: Scope) -> Report:
        query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
        service = query.get("service", [""])[0]
        if service and not self._is_service(service):
            raise NotFound("no such service")
        return (await self._readiness.report()).about(service)


def readiness_payload(report: Report, *, problems: bool = False) -> Payload:
    """Return a report as an answer.

    Args:
        report: which.
        problems: whether the reader is an operator.
    """
    status = 503 if report.state() is State.NOT_SERVING else 200
    return Payload(status, JSON, orjson.dumps(report.as_json(problems=problems)))
