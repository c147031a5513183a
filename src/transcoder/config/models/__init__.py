"""What `gateway.yaml` may say: pydantic models, in the words of the library's keyword arguments.

A policy is on when its name is there, `request_id: {}`; one that is there with nothing has its
defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from transcoder.config.models.listeners import Listen, ServerTls
from transcoder.config.models.model import Model, Texts
from transcoder.config.models.observers import Observers
from transcoder.config.models.policies import Policies
from transcoder.config.models.routes import Route, problem_of
from transcoder.config.models.services import Service
from transcoder.config.models.upstreams import Upstream


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
    tls: ServerTls | None = None
    profile: Literal["google", "grpc-gateway", "envoy", "strict"] = "google"
    rules: Annotated[str | None, Field(description="a service configuration")] = None
    unbound: bool = False
    validate_requests: bool = False
    trusted_proxies: Texts = []
    trusted_peers: Texts = []
    role: Literal["edge", "internal"] | None = None
    internal: Annotated[Texts, Field(description="methods and services")] = []
    strip: Annotated[Texts | None, Field(description="headers of trusted peers alone")] = None
    skip_for_trusted: Annotated[Texts | None, Field(description="names of policies")] = None
    timeouts: Timeouts = Timeouts()
    upstreams: dict[str, Upstream]
    services: list[Service] = []
    routes: list[Route] = []
    policies: Policies = Policies()
    public: Texts = []
    observers: Observers = Observers()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.services and not self.routes:
            raise ValueError("services or routes are expected")
        return self

    def unknown(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield where a name is that nothing has, and what it should name."""
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
            for keys, problem in service.unmatched():
                yield (*at, *keys), problem
        for index, route in enumerate(self.routes):
            for keys, problem in route.unknown(self.upstreams):
                yield ("routes", index, *keys), problem
