"""Clients that show a certificate to the server of `identified.py`, through each door."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import trustme
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as websocket

from chunked import Chunked
from over_tls import SECURED, connect, credentials, trust
from streams import Told
from wire import request

if TYPE_CHECKING:
    from tests.conftest import Served


@dataclass(frozen=True)
class Answer:
    """What came of a call.

    Args:
        code: gRPC's; 0 for OK.
        text: what was told then.
    """

    code: int
    text: str = ""


def over_http(served: Served, client: trustme.LeafCert) -> Answer:
    """Call a method of one reply."""
    with connect(served.http_target, context=trust(client)) as connection:
        connection.sendall(request("GET", "/v1/a/single"))
        return _answer(connection.recv(1 << 16).partition(b"\r\n\r\n")[2])


def over_events(served: Served, client: trustme.LeafCert) -> Answer:
    """Listen to Server-Sent Events."""
    raw = request("GET", "/v1/a/told", "Accept: text/event-stream", "Connection: close")
    with Chunked(served.http_target, raw, context=trust(client)) as stream:
        if stream.head() != 200:
            return _answer(stream.all())
        return _answer(stream.rest()[0].partition(b"\n")[0].removeprefix(b"data: "))


def over_websocket(served: Served, client: trustme.LeafCert) -> Answer:
    """Exchange a message over a WebSocket."""
    address = served.http_target.replace(SECURED, "wss://") + "/v1/a/echo"
    try:
        with websocket(address, ssl=trust(client), proxy=None, open_timeout=20) as connection:
            connection.send("{}")
            return _answer(bytes(connection.recv(timeout=20, decode=False)))
    except InvalidStatus as error:
        return _answer(bytes(error.response.body))


def over_grpc(served: Served, client: trustme.LeafCert) -> Answer:
    """Call over gRPC."""
    target = served.grpc_target.removeprefix(SECURED)
    with grpc.secure_channel(target, credentials(client)) as channel:
        call = channel.unary_unary("/streams.v1.Streams/Single", bytes, Told.FromString)
        try:
            return Answer(0, str(call(b"", timeout=20).text))
        except grpc.RpcError as error:
            number, _ = error.code().value
            return Answer(number)


def _answer(body: bytes) -> Answer:
    told = json.loads(body)
    return Answer(told.get("code", 0), told.get("text", ""))


DOORS = {
    "HTTP": over_http,
    "events": over_events,
    "WebSocket": over_websocket,
    "gRPC": over_grpc,
}
