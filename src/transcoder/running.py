"""The life of a gateway: what it has for itself opens before its application and closes after it.

`lifespan` runs an application's from the outside, as a server does; this is its inside.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from transcoder.errors import ConfigError
from transcoder.events import Follower
from transcoder.forwarding import Forwarder
from transcoder.measured import Measured
from transcoder.policies.chain import Chain
from transcoder.policies.policy import Resource
from transcoder.registry import Registry


class Own:
    """Opens and closes what a gateway has for itself.

    Args:
        chain: the policies and observers.
        registry: the services, with the upstreams that they are passed on to.
        forwarders: who answers paths in the place of methods; it may grow.
    """

    def __init__(self, chain: Chain, registry: Registry, forwarders: Iterable[Forwarder]) -> None:
        self._chain = chain
        self._registry = registry
        self._forwarders = forwarders

    async def start(self) -> None:
        """Open what policies and observers need."""
        await self._chain.start()

    async def close(self) -> None:
        """Close the upstreams, then what policies and observers opened."""
        await self._registry.close()
        for forwarder in self._forwarders:
            await forwarder.close()
        await self._chain.close()


class Running:
    """The lifespan of a gateway, around the one that it is given.

    Args:
        given: the lifespan of the application.
        keeper: opens and closes what the gateway has for itself.
        chain: whose observers tell what the gateway counts.
        compile: builds what can be built before the first request.
        measured: the gateway, as those who count see it.
    """

    def __init__(
        self,
        given: Lifespan[Any],
        keeper: Resource,
        *,
        chain: Chain,
        compile: Callable[[], None],  # noqa: A002  the gateway's word for it
        measured: Measured,
    ) -> None:
        self.keeper = keeper
        """Opens and closes; another may take its place before the start."""
        self._given = given
        self._chain = chain
        self._compile = compile
        self._measured = measured

    @contextlib.asynccontextmanager
    async def __call__(self, app: Any) -> AsyncIterator[Any]:
        """Run, for a server or, by Starlette's router, for who mounts the gateway.

        Args:
            app: what the lifespan that is given gets.

        Raises:
            ConfigError: the gateway cannot start.
        """
        self._compile()
        await self.keeper.start()
        for each in self._chain.observers:
            if isinstance(each, Follower):
                each.follow(self._measured)
        try:
            async with self._given(app) as state:
                yield state
        finally:
            await self.keeper.close()


async def live(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run a lifespan for a server, and tell it why there is no start, in one line.

    Args:
        app: whose lifespan.
        scope: of the lifespan.
        receive: the ASGI channel.
        send: the ASGI channel.
    """
    refused = False

    async def sending(message: Any) -> None:
        nonlocal refused
        error = sys.exception()
        if message["type"] == "lifespan.startup.failed" and isinstance(error, ConfigError):
            refused = True
            message = {**message, "message": str(error)}
        await send(message)

    try:
        await app(scope, receive, sending)
    except ConfigError:
        if not refused:
            raise
