"""The upstreams that a file describes."""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from transcoder import discovery
from transcoder.config.file import read_text
from transcoder.config.folder import Folder
from transcoder.config.models.upstreams import Breaker, Upstream
from transcoder.descriptors import Descriptors
from transcoder.discovery.records import Refresh
from transcoder.discovery.source import Source, Unknown
from transcoder.errors import ConfigError
from transcoder.reflection_client import reflect
from transcoder.upstream.balanced import Balanced, connect
from transcoder.upstream.breaker import Thresholds
from transcoder.upstream.channel import Channel
from transcoder.upstream.channel_options import Keepalive
from transcoder.upstream.circuit_breaker import CircuitBreaker
from transcoder.upstream.limited import Limited
from transcoder.upstream.outliers import OutlierDetection
from transcoder.upstream.proxy import Remote

if TYPE_CHECKING:
    from transcoder.graphql_upstream import GraphQl
    from transcoder.http_upstream import HttpUpstream


def remote(_name: str, given: Upstream, at: Folder) -> Remote:
    """Return a backend that speaks gRPC; nothing is connected yet.

    Raises:
        ConfigError: an option is none.
    """
    told = given.told(*_OF_OTHERS)
    if given.timeout is not None or given.retries is not None:
        told["service_config"] = _service_config(given)
    if given.keepalive is not None:
        told["keepalive"] = Keepalive(**given.keepalive.told())
    tls = at.tls(given.tls)
    backend: Remote
    if given.target is not None:
        backend = Channel(given.target, tls=tls, **told)
    else:
        backend = Balanced(
            source(given, at),
            balancing=given.balancing,
            outliers=_outliers(given),
            connect=functools.partial(connect, tls=tls, **told),
        )
    if given.breaker is not None:
        by, slow = given.breaker.by, given.breaker.slow
        backend = CircuitBreaker(backend, _thresholds(given.breaker), by=by, slow=slow)
    # Outermost: what it refuses says nothing of how the backend does.
    return backend if given.limit is None else Limited(backend, **given.limit.told())


_OF_SEVERAL: Final = ("endpoints", "discovery", "balancing", "outliers")
_OF_OTHERS: Final = (
    *("target", *_OF_SEVERAL),
    *("tls", "timeout", "retries", "limit", "breaker", "keepalive"),
)
"""Keys of an upstream that are no options of a channel."""


def source(given: Upstream, at: Folder) -> Source:
    """Return what tells the endpoints of a backend.

    Raises:
        ConfigError: they are none.
        ImportError: it needs a package that is not there.
    """
    found = given.discovery
    if found is None:
        return discovery.Listed(
            discovery.Endpoint(each.address, each.weight) for each in given.endpoints or ()
        )
    if found.file is not None:
        return discovery.EndpointFile(at.unwatched(found.file))
    refresh = Refresh() if found.refresh is None else Refresh(**found.refresh.told())
    if found.dns is not None:
        return discovery.Dns(found.dns, nameserver=found.nameserver, refresh=refresh)
    return discovery.Srv(found.srv or "", nameserver=found.nameserver, refresh=refresh)


def reflected(given: Upstream, at: Folder) -> Descriptors:
    """Return what a backend says that it serves, the first of its endpoints that answers.

    Raises:
        ConfigError: none answers, or none is known.
    """
    tls = at.tls(given.tls)
    if given.target is not None:
        return reflect(given.target, tls=tls)
    asked = source(given, at)
    problem = ConfigError(f"{asked.name}: no endpoints")
    for endpoint in _looked_up(asked)[:_ASKED]:
        shown = tls
        if tls is not None and not tls.server_name and endpoint.name:
            shown = replace(tls, server_name=endpoint.name)
        try:
            return reflect(endpoint.address, tls=shown)
        except ConfigError as error:
            problem = error
    raise problem


_ASKED: Final = 3
"""Endpoints that are asked: each may take its time not to answer."""


def _looked_up(asked: Source) -> tuple[discovery.Endpoint, ...]:
    try:
        # In a thread, for the loop of this one may be running.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, asked.look()).result().endpoints
    except Unknown as error:
        raise ConfigError(f"{asked.name}: {error}") from None


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


def http_upstream(name: str, given: Upstream, at: Folder) -> HttpUpstream:
    """Return a backend that speaks HTTP; as `remote`.

    Raises:
        ConfigError: an option is none, or its extra is not installed.
    """
    try:
        from transcoder.http_upstream import HttpUpstream  # noqa: PLC0415  it needs an extra
    except ImportError as error:
        raise ConfigError(f"url: {error}") from error
    told: dict[str, Any] = given.told("url", "tls", "breaker", *_OF_SEVERAL)
    if given.endpoints is not None or given.discovery is not None:
        told["source"], told["balancing"] = source(given, at), given.balancing
        told["outliers"] = _outliers(given)
    if given.breaker is not None:
        told["breaker"] = _thresholds(given.breaker)
        told["by"], told["slow"] = given.breaker.by, given.breaker.slow
    return HttpUpstream(given.url or "", name=name, tls=at.tls(given.tls), **told)


def _outliers(given: Upstream) -> OutlierDetection:
    return (
        OutlierDetection() if given.outliers is None else OutlierDetection(**given.outliers.told())
    )


def _thresholds(given: Breaker) -> Thresholds:
    return Thresholds(**given.told("by", "slow"))


def graphql(_name: str, given: Upstream, at: Folder) -> GraphQl:
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
