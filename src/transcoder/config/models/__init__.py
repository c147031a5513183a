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
from transcoder.config.models.routes import Route
from transcoder.config.models.services import Service
from transcoder.config.models.upstreams import Upstream
from transcoder.values import suggestion


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
    timeouts: Timeouts = Timeouts()
    upstreams: dict[str, Upstream]
    services: Annotated[list[Service], Field(min_length=1)] = []
    routes: Annotated[list[Route], Field(min_length=1)] = []
    policies: Policies = Policies()
    public: Texts = []
    observers: Observers = Observers()

    @model_validator(mode="after")
    def _serves(self) -> Self:
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
                yield from self._upstream(keys, name, http=False)
            versions = [version.name for version in service.versions]
            for number, match in enumerate(service.matches):
                if match.to not in versions:
                    problem = f"no version is named {match.to!r}{suggestion(match.to, versions)}"
                    yield (*at, "matches", number, "to"), problem
        for index, route in enumerate(self.routes):
            yield from self._upstream(("routes", index, "upstream"), route.upstream, http=True)

    def _upstream(
        self, keys: tuple[str | int, ...], name: str | None, *, http: bool
    ) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield what is wrong with the name of an upstream, of HTTP or of gRPC."""
        if name is None:
            return
        found = self.upstreams.get(name)
        if found is None:
            yield keys, f"no upstream is named {name!r}{suggestion(name, self.upstreams)}"
        elif (found.url is not None) != http:
            wanted, key = ("HTTP", "url") if http else ("gRPC", "target")
            yield keys, f"{name} does not speak {wanted}: an upstream with a {key} is expected"
