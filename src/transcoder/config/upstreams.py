"""The upstreams that a file describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transcoder.config.file import read_text
from transcoder.config.folder import Folder
from transcoder.config.models.upstreams import Upstream
from transcoder.errors import ConfigError
from transcoder.upstream.breaker import Thresholds
from transcoder.upstream.channel import Channel
from transcoder.upstream.circuit_breaker import CircuitBreaker
from transcoder.upstream.limited import Limited
from transcoder.upstream.proxy import Remote

if TYPE_CHECKING:
    from transcoder.graphql_upstream import GraphQl


def remote(given: Upstream, at: Folder) -> Remote:
    """Return a backend that speaks gRPC; nothing is connected yet.

    Raises:
        ConfigError: an option is none.
    """
    told = given.told("tls", "timeout", "retries", "limit", "breaker")
    if given.timeout is not None or given.retries is not None:
        told["service_config"] = _service_config(given)
    backend: Remote = Channel(tls=at.tls(given.tls), **told)
    if given.breaker is not None:
        thresholds = Thresholds(**given.breaker.told("by", "slow"))
        by, slow = given.breaker.by, given.breaker.slow
        backend = CircuitBreaker(backend, thresholds, by=by, slow=slow)
    # Outermost: what it refuses says nothing of how the backend does.
    return backend if given.limit is None else Limited(backend, **given.limit.told())


def _service_config(given: Upstream) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": [{}]}
    if given.timeout is not None:
        entry["timeout"] = f"{given.timeout:.3f}s"
    retries = given.retries
    if retries is not None:
        entry["retryPolicy"] = {
            "maxAttempts": retries.attempts,
            "initialBackoff": f"{retries.backoff:.3f}s",
            "maxBackoff": f"{retries.maximum:.3f}s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": retries.codes,
        }
    return {"methodConfig": [entry]}


def graphql(given: Upstream, at: Folder) -> GraphQl:
    """Return a backend that speaks GraphQL; as `remote`.

    Raises:
        ConfigError: an option is none, or its extra is not installed.
    """
    try:
        from transcoder.graphql_upstream import GraphQl  # noqa: PLC0415  it needs an extra
    except ImportError as error:
        raise ConfigError(f"graphql: {error}") from error
    told = given.told("graphql", "tls", "sdl")
    if given.sdl is not None:
        told["sdl"] = read_text(at(given.sdl))
    return GraphQl(given.graphql or "", tls=at.tls(given.tls), **told)
