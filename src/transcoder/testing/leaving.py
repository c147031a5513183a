"""A client that leaves in the middle of an answer, told to the application as servers tell it."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GRACE = 5.0
_DISCONNECT: Message = {"type": "http.disconnect"}


class Leaving:
    """Sends `http.disconnect` where starlette's test client cancels the application.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; when this is cancelled, its client is gone."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        gone = asyncio.Event()

        async def receiving() -> Message:
            return await _until(gone, receive()) or _DISCONNECT

        async def sending(message: Message) -> None:
            await _until(gone, send(message))

        task = asyncio.ensure_future(self._app(scope, receiving, sending))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            gone.set()
            with anyio.CancelScope(shield=True):
                await asyncio.wait({task}, timeout=_GRACE)
                task.cancel()
                await asyncio.wait({task}, timeout=_GRACE)
            raise


async def _until(gone: asyncio.Event, waiting: Any) -> Any:
    """Return what is waited for, or None when the client is gone first."""
    wanted = asyncio.ensure_future(waiting)
    leaving = asyncio.ensure_future(gone.wait())
    try:
        await asyncio.wait({wanted, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return wanted.result() if wanted.done() else None
    finally:
        wanted.cancel()
        leaving.cancel()
