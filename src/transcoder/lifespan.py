"""The application's life: it starts before a listener opens, and ends after the last has closed.

The events are those of the ASGI lifespan protocol, version 2.0.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from transcoder.errors import ConfigError

Event = MutableMapping[str, Any]
App = Callable[
    [Event, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[None]
]

_logger = logging.getLogger(__name__)


class Lifespan:
    """Runs an ASGI application's lifespan in a task of its own.

    `state` is what the application put into its lifespan state; requests get copies.
    """

    def __init__(self, app: App) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._answer: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the application.

        Raises:
            ConfigError: it failed to; the message has the exception's type and text.
        """
        self._task = asyncio.create_task(self._run())
        error = await self._pass({"type": "lifespan.startup"})
        if error is not None:
            _logger.debug("the application failed to start", exc_info=error)
            raise ConfigError(_described(error)) from error

    async def stop(self) -> bool:
        """Stop the application; whether it went without an error, which is logged."""
        error = await self._pass({"type": "lifespan.shutdown"})
        if error is not None:
            _logger.error("the application failed to stop", exc_info=error)
        return error is None

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        await self._app(scope, self._events.get, self._receive_answer)

    async def _pass(self, event: Event) -> BaseException | None:
        if self._task is None:
            return None
        self._answer = answer = asyncio.get_running_loop().create_future()
        await self._events.put(event)
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            # An application that failed says so and then raises: the exception says more.
            await asyncio.wait({self._task})
            return self._task.exception() or RuntimeError("the lifespan ended by itself")
        if event["type"] == "lifespan.shutdown":
            await asyncio.wait({self._task})
        return None

    async def _receive_answer(self, event: Event) -> None:
        answered = event["type"].endswith(".complete")
        if answered and self._answer is not None and not self._answer.done():
            self._answer.set_result(None)


def _described(error: BaseException) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    return f"the application failed to start: {type(error).__name__}: {error}"
