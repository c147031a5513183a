"""Backends, as a file says them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from transcoder.config.models.discovery import Discovery, Endpoint, Outliers
from transcoder.config.models.model import Model, Texts
from transcoder.upstream.balancers import Balancing

_NO_TARGET: Final = re.compile(r"|.*\s.*|[^:/]*:(?![0-9]{1,5}$)[^:/]*", re.DOTALL)
"""What gRPC takes, and finds nothing at: nothing, what has spaces, and a port that is no number."""
_SERVICE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off"})
"""Texts that are meant for true or false."""

_OF_ONE_COLON: Final = ("dns:", "unix:", "unix-abstract:", "ipv4:", "ipv6:", "vsock:", "xds:")


def _target(text: str) -> str:
    if _NO_TARGET.fullmatch(text) and not text.startswith(_OF_ONE_COLON):
        raise ValueError(f"{text!r} is no target: HOST:PORT is expected, or a URI of gRPC")
    return text


Target = Annotated[str, AfterValidator(_target), Field(description="where gRPC is spoken")]


def _asked(value: Any) -> Any:
    words = isinstance(value, str) and _SERVICE.fullmatch(value) and value.lower() not in _WORDS
    if isinstance(value, bool) or words:
        return value
    raise ValueError("true, false or the full name of a service is expected")


HealthCheck = Annotated[bool | str, BeforeValidator(_asked)]


class Keepalive(Model):
    """When a silent connection counts as dead; see `transcoder.Channel`."""

    time: Annotated[float, Field(gt=0, description="seconds of silence until a ping")] = 10.0
    timeout: Annotated[float, Field(gt=0, description="seconds until its answer")] = 5.0


class Tls(Model):
    """Whom a backend must be, and who we are; see `transcoder.Tls`."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None


class Breaker(Model):
    """See `transcoder.CircuitBreaker` and `transcoder.Thresholds`."""

    consecutive: int = 5
    ratio: float = 0.5
    least: int = 20
    window: float = 10.0
    pause: float = 0.5
    probes: int = 1
    by: Literal["backend", "method"] = "backend"
    slow: float = 1.0


class Retries(Model):
    """Calls that are tried again, where the backend ended them with one of the codes.

    Between two attempts lie seconds that double each time, from `backoff` to `maximum`.
    """

    attempts: Annotated[int, Field(ge=2, le=5, description="the first included")] = 2
    backoff: Annotated[float, Field(gt=0)] = 0.1
    maximum: Annotated[float, Field(gt=0)] = 1.0
    codes: Annotated[Texts, Field(min_length=1)] = ["UNAVAILABLE"]


class Limit(Model):
    """How much it may have at once; see `transcoder.Limited`."""

    calls: int = 256
    streams: int = 256


class Upstream(Model):
    """A backend; what it speaks is said by the key that tells where it is.

    See `transcoder.Channel` for a `target`, `transcoder.Balanced` for `endpoints` and `discovery`,
    `transcoder.HttpUpstream` for a `url`, beside which the latter may stand too, and
    `transcoder.GraphQl` for `graphql`.
    """

    target: Target | None = None
    endpoints: Annotated[list[Endpoint] | None, Field(min_length=1)] = None
    discovery: Discovery | None = None
    url: Annotated[str | None, Field(description="http(s)://HOST:PORT/PATH")] = None
    graphql: Annotated[str | None, Field(description="the URL of GraphQL over HTTP")] = None
    balancing: Balancing = "round_robin"
    outliers: Outliers | None = None
    tls: Tls | None = None
    host: Literal["backend", "keep"] = "backend"
    service_config: dict[str, Any] | None = None
    load_balancing: Literal["round_robin", "pick_first"] = "round_robin"
    health_check: HealthCheck = False
    keepalive: Keepalive | None = None
    max_message: int = 4 << 20
    identity: Texts = ["authorization"]
    timeout: Annotated[float | None, Field(gt=0, description="seconds of a call")] = None
    retries: Retries | None = None
    limit: Limit | None = None
    breaker: Breaker | None = None
    sdl: Annotated[str | None, Field(description="a file of GraphQL's schema language")] = None
    answer_limit: int = 4 << 20

    @model_validator(mode="after")
    def _one_config(self) -> Self:
        if self.service_config is not None and (self.timeout or self.retries):
            raise ValueError("timeout and retries stand in service_config, or beside none")
        return self

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        addresses = [endpoint.address for endpoint in self.endpoints or ()]
        for address in addresses:
            if addresses.count(address) > 1:
                raise ValueError(f"endpoints: {address} is there twice")
        return self

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [kind for kind in OPTIONS if getattr(self, kind) is not None]
        found = [kind for kind in kinds if kind in _FOUND]
        if "url" in kinds and len(found) == 1:
            kinds.remove(found[0])
        if len(kinds) != 1:
            raise ValueError(f"one of {', '.join(OPTIONS)} is expected")
        (kind,) = kinds
        more = {*found, "balancing", "outliers"} if found else set()
        for name in sorted(self.model_fields_set - {kind} - OPTIONS[kind] - more):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} is no option of an upstream with {kind}")
        return self

    @property
    def place(self) -> str:
        """Where it is, in words; several endpoints apart by commas."""
        found = self.discovery
        if found is not None and self.url is None:
            return found.dns or found.srv or found.file or ""
        listed = ", ".join(endpoint.address for endpoint in self.endpoints or ())
        return self.target or self.url or self.graphql or listed

    @property
    def kind(self) -> str:
        """What it speaks: `url`, `graphql`, or `target` for gRPC, however it is told where."""
        if self.url is not None:
            return "url"
        return "target" if self.graphql is None else "graphql"


_OF_GRPC: Final = {
    "tls",
    "service_config",
    "load_balancing",
    "health_check",
    "keepalive",
    "max_message",
    "identity",
    "timeout",
    "retries",
    "limit",
    "breaker",
}
_FOUND: Final = frozenset({"endpoints", "discovery"})

OPTIONS: Final = {
    "target": _OF_GRPC,
    "endpoints": _OF_GRPC,
    "discovery": _OF_GRPC,
    "url": {"tls", "host", "timeout", "breaker"},
    "graphql": {"tls", "identity", "timeout", "sdl", "answer_limit"},
}
"""The kinds of upstreams, by the key that tells where they are; with the options of each.

Those that are found, alone or for a `url`, have `balancing` and `outliers` too.
"""
