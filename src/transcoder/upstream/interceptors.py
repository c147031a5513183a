"""The user's interceptors, in front of the handlers of both doors.

They are `grpc.aio.ServerInterceptor`s, and see what they would see in a server of grpc.aio: the
method's path, the metadata, and handlers that speak messages.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import grpc
import grpc.aio

from transcoder.errors import ConfigError, StatusError
from transcoder.status import Code
from transcoder.upstream.behaviours import Behaviour, Handler, behaviour_of

Find: TypeAlias = "Callable[[Any], Awaitable[Handler | None]]"


class HandlerDetails(NamedTuple):
    """What handlers are looked up by; it answers to `grpc.HandlerCallDetails`."""

    method: str
    invocation_metadata: tuple[Any, ...] = ()


grpc.HandlerCallDetails.register(HandlerDetails)


def chained(interceptors: Sequence[Any], find: Callable[[Any], Handler | None]) -> Find | None:
    """Return what finds a handler through the interceptors, the first of them first.

    Args:
        interceptors: theirs is what is found.
        find: what the last of them asks.

    Returns:
        None when there are no interceptors.

    Raises:
        ConfigError: one of them is no interceptor of grpc.aio.
    """
    for interceptor in interceptors:
        if not isinstance(interceptor, grpc.aio.ServerInterceptor):
            kind = type(interceptor).__name__
            raise ConfigError(f"interceptors: {kind} is no grpc.aio.ServerInterceptor")
    if not interceptors:
        return None

    async def last(details: Any) -> Handler | None:
        return find(details)

    chain: Find = last
    for interceptor in reversed(interceptors):
        chain = functools.partial(interceptor.intercept_service, chain)
    return chain


async def intercepted(
    chain: Find, details: HandlerDetails, handler: Handler, behaviour: Behaviour
) -> Behaviour:
    """Return the behaviour that the interceptors have answer a call.

    Args:
        chain: see `chained`.
        details: of the call.
        handler: the method's own.
        behaviour: what it does.

    Raises:
        StatusError: UNIMPLEMENTED, for they found no handler.
    """
    found = await chain(details)
    if found is handler:
        return behaviour
    if found is None:
        raise StatusError(Code.UNIMPLEMENTED, f"{details.method} is not served")
    return behaviour_of(found)
