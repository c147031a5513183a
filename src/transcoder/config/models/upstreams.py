"""Backends, as a file says them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from transcoder.config.models.model import Model, Texts


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
    pause: float = 1.0
    probes: int = 1
    by: Literal["backend", "method"] = "backend"
    slow: float = 1.0


class Upstream(Model):
    """A backend: of gRPC by its target, see `transcoder.Channel`; of HTTP by its URL.

    For those see `transcoder.HttpUpstream`.
    """

    target: str | None = None
    url: Annotated[str | None, Field(description="http(s)://HOST:PORT/PATH")] = None
    tls: Tls | None = None
    host: Literal["backend", "keep"] = "backend"
    timeout: float | None = None
    service_config: dict[str, Any] | None = None
    load_balancing: Literal["round_robin", "pick_first"] = "round_robin"
    max_message: int = 4 << 20
    identity: Texts = ["authorization"]
    breaker: Breaker | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.target is None) == (self.url is None):
            raise ValueError("one of target and url is expected")
        kind, others = ("url", _OF_GRPC) if self.target is None else ("target", _OF_HTTP)
        misplaced = sorted(others & self.model_fields_set)
        if misplaced:
            raise ValueError(f"{misplaced[0]} is no option of an upstream with a {kind}")
        return self


_OF_GRPC = {"service_config", "load_balancing", "max_message", "identity"}
_OF_HTTP = {"host", "timeout"}
