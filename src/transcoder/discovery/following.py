"""Asks a source again and again, and keeps its last good answer."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from typing import Final

from transcoder.discovery.source import Answer, Endpoint, Source, Unknown
from transcoder.errors import ConfigError

_log = logging.getLogger(__name__)

RETRY: Final = 1.0
"""Seconds from a question without an answer to the next."""

Take = Callable[[tuple[Endpoint, ...]], None]


class Following:
    """The endpoints of a source, in the loop that first asks for them.

    Args:
        source: whose.
        take: called with the endpoints whenever they are others; it may raise ConfigError where
            it can do nothing with them.
    """

    def __init__(self, source: Source, take: Take) -> None:
        self.source: Final = source
        self.endpoints: tuple[Endpoint, ...] = ()
        """Those of the last good answer."""
        self.problem = ""
        """Why there was none the last time; empty where there was."""
        self._take = take
        self._task: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()

    async def known(self) -> None:
        """Return when the source was asked, whether it knew an answer or not."""
        if not self._asked.is_set() or not self._is_asking():
            self._begin()
            await self._asked.wait()

    async def close(self) -> None:
        """Ask no more, until somebody wants to know again."""
        task, self._task = self._task, None
        self.endpoints = ()
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            await asyncio.wait([task])

    def _is_asking(self) -> bool:
        task = self._task
        if task is None or task.done():
            return False
        return task.get_loop() is asyncio.get_running_loop()

    def _begin(self) -> None:
        if not self._is_asking():
            self._asked = asyncio.Event()
            # It is no part of the call that happens to be the first.
            loop, apart = asyncio.get_running_loop(), contextvars.Context()
            self._task = loop.create_task(self._follow(), context=apart)

    async def _follow(self) -> None:
        while True:
            seconds = await self._look()
            self._asked.set()
            await asyncio.sleep(seconds)

    async def _look(self) -> float:
        """Ask once; return in how many seconds to ask again."""
        try:
            answer = await self.source.look()
            self._found(answer)
        except (Unknown, ConfigError) as error:
            self._note(str(error))
        except Exception as error:  # noqa: BLE001  a defect in a source must not end the asking
            _log.exception("%s: looking for endpoints", self.source.name)
            self._note(f"{type(error).__name__}: {error}")
        else:
            self._note("")
            return min(answer.seconds, _LONGEST)
        return RETRY

    def _found(self, answer: Answer) -> None:
        if answer.endpoints != self.endpoints:
            self._take(answer.endpoints)
            self.endpoints = answer.endpoints
            addresses = [endpoint.address for endpoint in self.endpoints]
            more = f" and {len(addresses) - _TOLD} more" if len(addresses) > _TOLD else ""
            told = ", ".join(addresses[:_TOLD])
            _log.info("%s: the endpoints are %s%s", self.source.name, told, more)

    def _note(self, problem: str) -> None:
        if problem and problem != self.problem:
            kept = f"; the {len(self.endpoints)} of before stay" if self.endpoints else ""
            _log.warning("%s: no endpoints: %s%s", self.source.name, problem, kept)
        elif self.problem and not problem:
            _log.warning("%s: there are endpoints again", self.source.name)
        self.problem = problem


_LONGEST: Final = 86_400.0
_TOLD: Final = 8
