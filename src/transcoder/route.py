"""A route, and what a router says: that one answers, that none does, that two are in conflict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from transcoder.errors import ConfigError
from transcoder.path_template import PathTemplate

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """A template under an HTTP method, and what answers there.

    Args:
        method: as HTTP spells it, or "*" for any.
        template: the paths.
        name: what it is listed by, such as the full name of an rpc; one word, such as
            `health`, `readiness` or `docs`, if it is reserved.
        endpoint: handed back with a match; the router does not look into it.
        reserved: a path of the gateway's own, such as its health, which no other route takes over.
        hosts: where it answers, as `hosts` has them; none for everywhere.
    """

    method: str
    template: PathTemplate
    name: str
    endpoint: T
    reserved: bool = False
    hosts: tuple[str, ...] = ()

    def __str__(self) -> str:
        name = f"the gateway's {self.name}" if self.reserved else self.name
        at = f" at {', '.join(self.hosts)}" if self.hosts else ""
        told = f"{self.method} {self.template}{at}"
        # What passes paths on has no other name.
        return told if name == str(self.template) else f"{name} ({told})"


HEALTH = "/healthz"
"""The path of a gateway's health, unless it is told another."""

LIVENESS = "/livez"
"""The path that tells whether a gateway lives, unless it is told another."""

READINESS = "/readyz"
"""The path that tells whether it is ready, unless it is told another."""

OPENAPI = "/openapi"
"""The path of a gateway's OpenAPI document without its `.json`, unless it is told another."""

DOCS = "/docs"
"""The path of a gateway's page for people, unless it is told another."""


def health_route(path: str, endpoint: T) -> Route[T]:
    """Return the route of a gateway's own health.

    Raises:
        TemplateError: the path is none.
    """
    return _own(path, "health", endpoint)


def liveness_route(path: str, endpoint: T) -> Route[T]:
    """Return the route that tells whether a gateway lives.

    Raises:
        TemplateError: the path is none.
    """
    return _own(path, "liveness", endpoint)


def readiness_route(path: str, endpoint: T) -> Route[T]:
    """Return the route that tells whether it is ready.

    Raises:
        TemplateError: the path is none.
    """
    return _own(path, "readiness", endpoint)


def openapi_routes(path: str, json: T, yaml: T) -> tuple[Route[T], ...]:
    """Return the routes of a gateway's OpenAPI document: `path` with `.json`, and with `.yaml`.

    Raises:
        TemplateError: the path is none.
    """
    return _own(f"{path}.json", "openapi", json), _own(f"{path}.yaml", "openapi", yaml)


def docs_route(path: str, endpoint: T) -> Route[T]:
    """Return the route of a gateway's page for people.

    Raises:
        TemplateError: the path is none.
    """
    return _own(path, "docs", endpoint)


def _own(path: str, name: str, endpoint: T) -> Route[T]:
    return Route("GET", PathTemplate.parse(path), name, endpoint, reserved=True)


class Match(NamedTuple, Generic[T]):
    """The route that answers, and a value for each of its template's variables, decoded."""

    route: Route[T]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """No route answers; `allow` has the methods under which one would, if there are any."""

    allow: tuple[str, ...] = ()


class Shadowed(NamedTuple, Generic[T]):
    """A route that never answers, because more specific ones share all its paths among them."""

    route: Route[T]
    takers: tuple[Route[T], ...]


class Conflict(NamedTuple, Generic[T]):
    """A route that never answers because another one does.

    `same` says that they answer the same requests, so that either could be meant.
    """

    route: Route[T]
    other: Route[T]
    same: bool

    def __str__(self) -> str:
        if self.same:
            return f"{self.other} and {self.route} answer the same requests: remove one of them"
        return f"{self.route} can never answer: {self.other} takes all its paths"

    @property
    def outcome(self) -> str:
        """What happens where this is no error."""
        return f"{self.route} never answers: {self.other} does"


class RouteConflict(ConfigError):
    """Two routes are in conflict.

    Args:
        conflict: which they are.
    """

    def __init__(self, conflict: Conflict[Any]) -> None:
        super().__init__(f'{conflict}; conflicts="warn" makes this a warning')
        self.conflict: Final = conflict
