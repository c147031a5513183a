"""Bodies that come at once, through a real server."""

from __future__ import annotations

import asyncio

from entrances import Running, run

PIECE = b'{"topic":"' + b"a" * 600_000


def test_budget() -> None:
    """When clients send more at once than may be held, some are told 503, and later all is well."""

    async def fact(running: Running) -> list[bytes]:
        clients = [await _begin(running) for _ in range(4)]
        told = [await asyncio.wait_for(_ended(*client), 20) for client in clients[2:]]
        told += [await _finish(*client) for client in clients[:2]]
        told.append(await _finish(*await _begin(running)))
        return told

    lines = run(fact, bodies_limit=1_300_000)
    statuses = [line.split()[1] for line in lines]
    assert statuses == [b"503", b"503", b"200", b"200", b"200"]


async def _begin(running: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = running.listening.http.target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    length = len(PIECE) + 2
    head = f"POST /v1/a/told HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n"
    writer.write(head.encode() + b"content-type: application/json\r\n\r\n" + PIECE)
    await writer.drain()
    # Until the server has read it, or has answered.
    await asyncio.sleep(0.3)
    return reader, writer


async def _finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b'"}')
    return await _ended(reader, writer)


async def _ended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    line = await reader.readline()
    writer.close()
    return line
