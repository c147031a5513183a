"""What a GET of the OpenAPI document costs, in CPU time of the server, against uvicorn's own floor.

    .venv/bin/python benchmarks/openapi_served.py

As `one_user.py` measures: two servers side by side, one of them a raw ASGI function that answers
the same bytes, and one client that drives both in turns. Exit code 1: over 1.3 times the floor.

Left out: to make the document, which happens once, see `openapi.py`; the client's own cost; TLS.
"""

from __future__ import annotations

import statistics
import sys
from multiprocessing.connection import Connection

from one_user import Driver, Users
from served import run_constant, run_gateway

from services.user.v1 import user_service_pb2_grpc
from transcoder import Gateway
from transcoder.openapi import document, to_json

GATE = 1.3
ROUNDS = 7
REQUESTS = 10_000


def gateway() -> Gateway:
    """Return a gateway of the user service."""
    made = Gateway()
    user_service_pb2_grpc.add_UserServiceServicer_to_server(Users(), made)  # type: ignore[arg-type]
    return made


def serve_gateway(ready: Connection) -> None:
    """Run the whole stack."""
    run_gateway(gateway(), ready)


def serve_floor(ready: Connection) -> None:
    """Run a constant of about the same size on uvicorn alone."""
    run_constant(to_json(document(gateway().transcoder)), ready)


class DocumentDriver(Driver):
    """Drives a server of a document."""

    def _answer_length(self) -> int:
        connection = self.sockets[0]
        connection.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(1 << 16)
        head, _, body = answer.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < size:
            body += connection.recv(1 << 16)
        assert b'"openapi"' in body
        return len(head) + 4 + size


def main() -> int:
    """Measure and print; 1 when the gate is missed."""
    drivers = [
        DocumentDriver(serve, path="/openapi.json") for serve in (serve_floor, serve_gateway)
    ]
    for driver in drivers:
        driver.round(REQUESTS // 4)
    pairs = [[driver.round(REQUESTS) for driver in drivers] for _ in range(ROUNDS)]
    for driver in drivers:
        driver.process.terminate()
    ratio = statistics.median(high / low for low, high in pairs)
    lows, highs = zip(*pairs, strict=True)
    print(f"GET of a document of {drivers[0].length} bytes, median of {ROUNDS} rounds")
    print(f"  uvicorn's floor  {statistics.median(lows):7.1f} us")
    print(f"  the whole stack  {statistics.median(highs):7.1f} us")
    print(f"  ratio            {ratio:7.2f}   (gate {GATE})")
    return 0 if ratio <= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
