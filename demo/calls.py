"""Ask for a user over gRPC again and again: `python -m demo.calls TARGET`; prints how long it took.

One connection, one call after another, as a service makes them that calls another one.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import grpc

from services.user.v1.user_service_pb2 import GetUserRequest
from services.user.v1.user_service_pb2_grpc import UserServiceStub


@click.command()
@click.argument("target")
@click.option("--calls", default=300, help="How many.")
@click.option("--ca", type=Path, required=True, help="The authority to trust.")
@click.option("--cert", type=Path, help="The certificate to show.")
@click.option("--key", type=Path, help="Its key.")
@click.option("--token", default="", help="The token to show.")
def main(
    target: str, *, calls: int, ca: Path, cert: Path | None, key: Path | None, token: str
) -> None:
    """Call one method of the user service many times, and print half and the slowest hundredth."""
    own = (key.read_bytes(), cert.read_bytes()) if key and cert else (None, None)
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), *own)
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.secure_channel(target, credentials) as channel:
        get = UserServiceStub(channel).GetUser
        took = []
        for _ in range(calls):
            begun = time.perf_counter()
            get(GetUserRequest(id="ada"), metadata=metadata, timeout=30)
            took.append((time.perf_counter() - begun) * 1000)
    sorted_ms = sorted(took)
    p50, p99 = (sorted_ms[int(calls * share)] for share in (0.5, 0.99))
    click.echo(f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")


if __name__ == "__main__":
    main()
