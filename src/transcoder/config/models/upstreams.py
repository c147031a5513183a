"""Backends, as a file says them."""

from __future__ import annotations

from typing import Any, Literal

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
    """A backend; see `transcoder.Channel`."""

    target: str
    tls: Tls | None = None
    service_config: dict[str, Any] | None = None
    load_balancing: Literal["round_robin", "pick_first"] = "round_robin"
    max_message: int = 4 << 20
    identity: Texts = ["authorization"]
    breaker: Breaker | None = None
