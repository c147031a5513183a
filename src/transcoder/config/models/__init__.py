"""What `gateway.yaml` may say: pydantic models, in the words of the library's keyword arguments.

A policy is on when its name is there, `request_id: {}`; one that is there with nothing has its
defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from transcoder.config.models.listeners import (
    Listen,
    Listener,
    ServerTls,
    clashes,
    not_over_grpc,
)
from transcoder.config.models.model import HeaderPattern, Model, Texts
from transcoder.config.models.observers import Observers
from transcoder.config.models.policies import Overrides, Policies
from transcoder.config.models.requests import Events, Forms, Health, OpenApi, Pace, Streams, Token
from transcoder.config.models.routes import Route, problem_of
from transcoder.config.models.server import Server
from transcoder.config.models.services import Service
from transcoder.config.models.upstreams import Upstream
from transcoder.hosts import Host, unserved


class Timeout(Model):
    """See `transcoder.Timeout`."""

    default: float | None = None
    maximum: float | None = None


class Timeouts(Model):
    """See `transcoder.Timeouts`."""

    default: float | None = 30.0
    maximum: float = 300.0
    methods: dict[str, Timeout] = {}


class Config(Model):
    """A whole file."""

    listen: Listen = Listen()
    listeners: Annotated[list[Listener], Field(description="further ports for HTTP")] = []
    server: Server = Server()
    tls: ServerTls | None = None
    profile: Literal["google", "grpc-gateway", "envoy", "strict"] = "google"
    rules: Annotated[str | None, Field(description="a service configuration")] = None
    unbound: bool = False
    conflicts: Literal["refuse", "warn"] = "refuse"
    validate_requests: bool = False
    body_limit: Annotated[int, Field(ge=0)] = 1 << 20
    bodies_limit: Annotated[int, Field(ge=0)] = 64 << 20
    pace: Pace = Pace()
    forms: Forms | None = None
    streams: Streams = Streams()
    events: dict[str, Events] = {}
    origins: Texts = []
    websocket_token: Token = Token()
    health: Health | None = Health()
    openapi: OpenApi | None = OpenApi()
    trusted_proxies: Texts = []
    trusted_peers: Texts = []
    role: Literal["edge", "internal"] | None = None
    internal: Annotated[Texts, Field(description="methods and services")] = []
    strip: Annotated[
        list[HeaderPattern] | None,
        Field(description="headers of trusted peers alone, as x-user-id or x-user-*"),
    ] = None
    keep: Annotated[
        list[HeaderPattern],
        Field(description="headers that anybody may send, of those that a role strips"),
    ] = []
    skip_for_trusted: Annotated[Texts | None, Field(description="names of policies")] = None
    timeouts: Timeouts = Timeouts()
    upstreams: dict[str, Upstream]
    services: list[Service] = []
    routes: list[Route] = []
    policies: Policies = Policies()
    public: Texts = []
    overrides: dict[str, Overrides] = {}
    observers: Observers = Observers()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.services and not self.routes:
            raise ValueError("services or routes are expected")
        return self

    @property
    def refresh(self) -> float | None:
        """After how many seconds servers are asked again what they have; None for never."""
        found = [each.refresh for each in self.services if each.refresh is not None]
        return min(found, default=None)

    def selectors(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield each selector of methods, and where it is."""
        for name in ("public", "internal"):
            for index, text in enumerate(getattr(self, name)):
                yield (name, index), text
        for text in self.overrides:
            yield ("overrides", text), text
        standing: list[tuple[tuple[str, ...], Policies | Overrides]] = [
            (("policies",), self.policies),
            *((("overrides", text), each) for text, each in self.overrides.items()),
        ]
        for at, policies in standing:
            given: dict[tuple[str, str], Mapping[str, object]] = {}
            if policies.jwt is not None:
                given["jwt", "require"] = policies.jwt.require
            if policies.authorization is not None:
                given["authorization", "allow"] = policies.authorization.allow
                given["authorization", "deny"] = policies.authorization.deny
            for keys, by_selector in given.items():
                yield from (((*at, *keys, text), text) for text in by_selector)

    def method_names(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield each full name of a method, and where it is."""
        yield from ((("timeouts", "methods", name), name) for name in self.timeouts.methods)
        yield from ((("events", name), name) for name in self.events)

    def unknown(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield where a name is that nothing has, and what it should name."""
        yield from clashes(self.listen, self.listeners)
        yield from not_over_grpc(self.tls)
        yield from self._unserved()
        for index, service in enumerate(self.services):
            at = ("services", index)
            named: list[tuple[tuple[str | int, ...], str | None]] = [
                ((*at, "upstream"), service.upstream),
                ((*at, "reflection"), service.reflection),
            ]
            for number, version in enumerate(service.versions):
                named.append(((*at, "versions", number, "upstream"), version.upstream))
            for keys, name in named:
                problem = "" if name is None else problem_of(name, self.upstreams, "target")
                if problem:
                    yield keys, problem
        for index, route in enumerate(self.routes):
            for keys, problem in route.unknown(self.upstreams):
                yield ("routes", index, *keys), problem

    def _unserved(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the hosts to which something is bound, and that no listener serves."""
        served = [Host.parse(text) for text in self.listen.hosts]
        bound = [(("services", index), each.hosts) for index, each in enumerate(self.services)]
        bound += [(("routes", index), each.hosts) for index, each in enumerate(self.routes)]
        for keys, hosts in bound:
            for place, text in enumerate(hosts):
                if problem := unserved(Host.parse(text), served):
                    yield (*keys, "hosts", place), problem
