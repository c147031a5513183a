"""A TCP server of streams, in the loop of a test, that leaves no connection behind."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(
    serve: Serve, tls: ssl.SSLContext | None = None, *, port: int = 0
) -> AsyncIterator[str]:
    """Listen, and serve each connection; the address is the value. No task outlives the block."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await serve(reader, writer)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(run(reader, writer))
        tasks.add(task)
        # A task that is cancelled before it begins runs none of its own lines.
        task.add_done_callback(lambda _: writer.transport.abort())
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=tls)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await _stop_accepting(server)
        server.close()
        running = set(tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        # An aborted connection closes its socket when the loop comes round to it.
        await asyncio.sleep(0)


async def _stop_accepting(server: asyncio.Server) -> None:
    """Accept no more, and let what was accepted reach the server.

    In Python 3.11 a server that is closed in between forgets the connection, which stays open.
    """
    for listener in server.sockets:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    # The listener's callback, the task that it starts, the connection's own.
    for _ in range(3):
        await asyncio.sleep(0)
