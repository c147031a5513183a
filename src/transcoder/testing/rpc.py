"""The server's side of an in-process call: a method's guarded handler, run in the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from transcoder.testing.pipe import Pipe
from transcoder.upstream import Call
from transcoder.upstream.behaviours import Handler
from transcoder.upstream.codes import status_code
from transcoder.upstream.context import LocalContext

_AHEAD = 16
"""Replies that a servicer writes before its client reads one; HTTP/2 counts bytes."""


class Rpc:
    """One call: everything but the events and `outcome` is of the event loop.

    Args:
        handler: the method's, of bytes; None where there is no such method.
        call: what comes with it; its deadline ends it.
        request: the one request, or None for the stream that `requests` takes.
    """

    def __init__(self, handler: Handler | None, call: Call, request: bytes | None) -> None:
        self.requests = Pipe(1)
        self.replies = Pipe(_AHEAD)
        self.opened = threading.Event()
        """Set when initial metadata are there, or never will be."""
        self.ended = threading.Event()
        """Set when `outcome` is there."""
        self.reply = b""
        self.code = grpc.StatusCode.UNKNOWN
        self.details = ""
        self.call = call
        self._handler = handler
        self._request = request
        self._context = _Context(call, self)
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._callbacks: list[Callable[[], object]] = []
        call.on_open = self.opened.set

    async def start(self) -> None:
        """Have the method called."""
        if self._handler is None:
            self.end(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
            return
        left = self.call.time_remaining()
        if left is not None:
            if left <= 0:
                self._expire()
                return
            self._timer = asyncio.get_running_loop().call_later(left, self._expire)
        self._task = asyncio.create_task(self._serve(self._handler))

    def end(self, code: grpc.StatusCode, details: str) -> None:
        """End the call with a status, unless it is over."""
        if self.ended.is_set():
            return
        self.code, self.details = code, details
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None and self._task is not asyncio.current_task():
            self.call.cancelled = True
            self._task.cancel()
        self.requests.end()
        self.replies.end()
        self.opened.set()
        self.ended.set()
        for callback in self._callbacks:
            callback()

    def on_end(self, callback: Callable[[], object]) -> bool:
        """Have a callback called at the end; whether there is one to come."""
        if self.ended.is_set():
            return False
        self._callbacks.append(callback)
        return True

    def _expire(self) -> None:
        self.end(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")

    async def _serve(self, handler: Handler) -> None:
        takes, returns = handler.request_streaming, handler.response_streaming
        kind = f"{'stream' if takes else 'unary'}_{'stream' if returns else 'unary'}"
        context = self._context
        try:
            reply = await getattr(handler, kind)(self.requests if takes else self._request, context)
            self.reply = reply or b""
        except grpc.aio.AbortError:
            pass
        except asyncio.CancelledError as error:
            context.finish(error)
            self.end(grpc.StatusCode.CANCELLED, "")
            raise
        context.finish()
        self.end(status_code(context.code()), context.details())


class _Context(LocalContext):
    """What a guarded handler writes goes to the client, as it is."""

    __slots__ = ("_rpc",)

    def __init__(self, call: Call, rpc: Rpc) -> None:
        super().__init__(call)
        self._rpc = rpc

    async def write(self, message: Any) -> None:
        """Pass a reply on."""
        self.raise_if_aborted()
        self.begin()
        self._rpc.opened.set()
        await self._rpc.replies.write(message)
