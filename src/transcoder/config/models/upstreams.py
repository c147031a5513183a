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
    """A backend; see `transcoder.Channel`."""

    target: str
    tls: Tls | None = None
    service_config: dict[str, Any] | None = None
    load_balancing: Literal["round_robin", "pick_first"] = "round_robin"
    max_message: int = 4 << 20
    identity: Texts = ["authorization"]
    timeout: Annotated[float | None, Field(gt=0, description="seconds of a call")] = None
    retries: Retries | None = None
    limit: Limit | None = None
    breaker: Breaker | None = None

    @model_validator(mode="after")
    def _one_config(self) -> Self:
        if self.service_config is not None and (self.timeout or self.retries):
            raise ValueError("timeout and retries stand in service_config, or beside none")
        return self
