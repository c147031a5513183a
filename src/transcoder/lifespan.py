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

_STOPPED = "lifespan.shutdown.complete"

_logger = logging.getLogger(__name__)


class Lifespan:
    """Runs an ASGI application's lifespan in a task of its own.

    `state` is what the application put into its lifespan state; requests get copies.

    Args:
        app: the application.
        grace: seconds that it gets to stop.
    """

    def __init__(self, app: App, grace: float) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._grace = grace
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._said: set[str] = set()
        self._why = ""
        self._started = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the application; if this is cancelled, `stop` ends what was begun.

        Raises:
            ConfigError: it failed to; the message has the exception's type and text.
        """
        self._task = task = asyncio.create_task(self._run())
        self._events.put_nowait({"type": "lifespan.startup"})
        started = asyncio.create_task(self._started.wait())
        try:
            # An application that failed says so and then raises: the exception says more.
            await asyncio.wait({started, task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            started.cancel()
        if self._started.is_set():
            return
        error = _failure(task) or ConfigError(self._why or "the lifespan ended by itself")
        _logger.debug("the application failed to start", exc_info=error)
        raise ConfigError(_described(error)) from error

    async def stop(self) -> bool:
        """Stop the application; whether it went in time and without an error, which is logged."""
        task = self._task
        if task is None:
            return True
        if self._started.is_set():
            self._events.put_nowait({"type": "lifespan.shutdown"})
        elif not task.cancel():
            return True  # It failed to start, and that was told.
        done, _ = await asyncio.wait({task}, timeout=self._grace)
        if not done:
            task.cancel()
            _logger.error("the application did not stop within %g s", self._grace)
            return False
        error = _failure(task)
        if error is None and self._started.is_set() and _STOPPED not in self._said:
            error = RuntimeError("the lifespan ended by itself")
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

    async def _receive_answer(self, event: Event) -> None:
        self._said.add(event["type"])
        if event["type"] == "lifespan.startup.failed":
            self._why = event.get("message", "")
        if event["type"] == "lifespan.startup.complete":
            self._started.set()


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _described(error: BaseException) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    return f"the application failed to start: {type(error).__name__}: {error}"
