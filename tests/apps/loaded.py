"""Clients that load both ports of a server of `operations`, and a ledger of what came of it."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc

ENOUGH = 200
"""Answers on each port that are a load."""


class Targets(Protocol):
    """Where a server listens."""

    @property
    def http_target(self) -> str: ...

    @property
    def grpc_target(self) -> str: ...


class Ledger:
    """What became of each request that was sent."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.unanswered: list[str] = []
        self.busy = asyncio.Event()
        self._number = 0
        self._lock = threading.Lock()

    def name(self, client: str) -> str:
        with self._lock:
            self._number += 1
            return f"operations/5/{client}-{self._number}"

    def enter(self, outcome: str, name: str = "") -> None:
        with self._lock:
            self.outcomes[outcome] += 1
            if name:
                self.unanswered.append(name)
        if min(self.outcomes["rest answered"], self.outcomes["grpc answered"]) > ENOUGH:
            self.busy.set()


async def keep_alive_client(target: str, ledger: Ledger, requests: int) -> None:
    """Send requests, `requests` on a connection or until it is closed, until refused."""
    host, _, port = target.rpartition(":")
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
        except (ConnectionRefusedError, ConnectionResetError):
            # Reset, where the listener closed during the handshake: no connection was made.
            ledger.enter("rest refused")
            return
        for number in range(requests):
            name = ledger.name("rest")
            try:
                writer.write(f"GET /v1/{name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                assert length is not None
                body = await reader.readexactly(int(length[1]))
            except (OSError, EOFError) as error:
                # The system makes connections that nobody accepts any more, in the moment in which
                # the last listener closes: nothing of them may have run, as of refused calls.
                unaccepted = number == 0 and isinstance(error, ConnectionResetError)
                outcome = "refused" if unaccepted else f"lost: {type(error).__name__}"
                ledger.enter(f"rest {outcome}", name)
                break
            answered = head.startswith(b"HTTP/1.1 200 ") and name.encode() in body
            ledger.enter("rest answered" if answered else "rest wrong")
            if b"connection: close" in head:
                break
        writer.close()


async def grpc_client(channel: grpc.aio.Channel, ledger: Ledger) -> None:
    """Send calls until one is refused."""
    stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
    while True:
        name = ledger.name("grpc")
        try:
            reply = await stub.GetOperation(operations_pb2.GetOperationRequest(name=name))
        except grpc.aio.AioRpcError as error:
            refused = error.code() is grpc.StatusCode.UNAVAILABLE
            ledger.enter("grpc refused" if refused else f"grpc lost: {error.code()}", name)
            return
        ledger.enter("grpc answered" if reply.name.startswith(name) else "grpc wrong")


async def load_until_refused(served: Targets, ledger: Ledger, drain: Callable[[], object]) -> None:
    """Load both ports, drain, and go on until every client is refused."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(served.grpc_target, options) for _ in range(3)]
    clients = [grpc_client(channel, ledger) for channel in channels for _ in range(4)]
    clients += [keep_alive_client(served.http_target, ledger, 1 << 30) for _ in range(8)]
    clients += [keep_alive_client(served.http_target, ledger, 1) for _ in range(4)]
    loading = asyncio.gather(*clients)
    await asyncio.wait_for(ledger.busy.wait(), 60)
    drain()
    await asyncio.wait_for(loading, 60)
    for channel in channels:
        await channel.close()
