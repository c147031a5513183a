"""The upstreams that a file describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transcoder.config.folder import Folder
from transcoder.config.models.upstreams import Breaker, Upstream
from transcoder.upstream.breaker import Thresholds
from transcoder.upstream.channel import Channel
from transcoder.upstream.circuit_breaker import CircuitBreaker
from transcoder.upstream.proxy import Remote

if TYPE_CHECKING:
    from transcoder.http_upstream import HttpUpstream


def remote(given: Upstream, at: Folder) -> Remote:
    """Return a backend that speaks gRPC; nothing is connected yet.

    Raises:
        ConfigError: an option is none.
    """
    channel = Channel(tls=at.tls(given.tls), **given.told("tls", "breaker"))
    if given.breaker is None:
        return channel
    thresholds = _thresholds(given.breaker)
    return CircuitBreaker(channel, thresholds, by=given.breaker.by, slow=given.breaker.slow)


def http_upstream(name: str, given: Upstream, at: Folder) -> HttpUpstream:
    """Return a backend that speaks HTTP; nothing is connected yet.

    Raises:
        ConfigError: an option is none.
        ImportError: the extra `http` is missing.
    """
    # Not every gateway has such a backend, nor what it needs.
    from transcoder.http_upstream import HttpUpstream  # noqa: PLC0415

    told: dict[str, Any] = given.told("url", "tls", "breaker")
    if given.breaker is not None:
        told["breaker"] = _thresholds(given.breaker)
        told["by"], told["slow"] = given.breaker.by, given.breaker.slow
    return HttpUpstream(given.url or "", name=name, tls=at.tls(given.tls), **told)


def _thresholds(given: Breaker) -> Thresholds:
    return Thresholds(**given.told("by", "slow"))
