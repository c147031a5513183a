from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvloop

from transcoder.http_listener import HttpListener
from transcoder.listeners import Address, Claim

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer 204."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def asked_as_it_closes(turns: int) -> bytes:
    """Return the answer to a client that came so many turns of the loop before the stop."""
    claim = Claim.take("http", Address("127.0.0.1", 0))
    listener = HttpListener(
        app, {}, claim, keep_alive=1, backlog=10, max_message=1, end_streams=lambda: None
    )
    await listener.open()
    with socket.create_connection(("127.0.0.1", claim.address.port), timeout=5) as client:
        client.sendall(REQUEST)
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.close(5, 5)
        return client.recv(1024)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("turns", range(5))
def test_a_connection_that_comes_with_the_stop(turns: int, loop: Any) -> None:
    """A client is answered wherever between the system and its protocol the stop meets it."""
    with asyncio.Runner(loop_factory=loop) as runner:
        answer = runner.run(asked_as_it_closes(turns))

    assert answer.startswith(b"HTTP/1.1 204 ")
