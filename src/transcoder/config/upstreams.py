"""The upstreams that a file describes."""

from __future__ import annotations

from transcoder.config.folder import Folder
from transcoder.config.models.upstreams import Upstream
from transcoder.upstream.breaker import Thresholds
from transcoder.upstream.channel import Channel
from transcoder.upstream.circuit_breaker import CircuitBreaker
from transcoder.upstream.proxy import Remote


def remote(given: Upstream, at: Folder) -> Remote:
    """Return a backend that speaks gRPC; nothing is connected yet.

    Raises:
        ConfigError: an option is none.
    """
    channel = Channel(tls=at.tls(given.tls), **given.told("tls", "breaker"))
    if given.breaker is None:
        return channel
    thresholds = Thresholds(**given.breaker.told("by", "slow"))
    return CircuitBreaker(channel, thresholds, by=given.breaker.by, slow=given.breaker.slow)
