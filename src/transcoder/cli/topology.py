"""`transcoder topology`: who calls whom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from transcoder.cli.source import Unreadable, told

if TYPE_CHECKING:
    from transcoder.topology import Edge


@click.command()
@click.option(
    "--token",
    metavar="TOKEN",
    default="",
    envvar="TRANSCODER_ADMIN_TOKEN",
    show_envvar=True,
    help="What the ports want; give it by the environment, for others see command lines.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an edge a line.")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
def topology(addresses: tuple[str, ...], *, token: str, as_json: bool) -> None:
    """Ask the admin ports of processes who calls whom, and print the whole.

    An ADDRESS is the HOST:PORT of an admin port. Each line is of calls from one to another: how
    many a second, what share of them failed, and how long they took. Who calls without a
    certificate is one of the clients. The exit code is 1 if a process does not answer.

    \b
    Examples:
      transcoder topology 127.0.0.1:9901 127.0.0.1:9902
      TRANSCODER_ADMIN_TOKEN=secret transcoder topology --json gate:9901 users:9901
    """
    import asyncio
    import time

    from transcoder.console.peers import Address, Peers
    from transcoder.topology import merged

    with told(Unreadable):
        asked = Peers([Address.parse(each) for each in addresses], token, time.monotonic)
    peers = asyncio.run(asked.look())
    edges = merged([peer.topology for peer in peers if peer.topology is not None])
    if as_json:
        for edge in edges:
            click.echo(json.dumps(edge.as_json(), separators=(",", ":")))
    else:
        _print(edges)
    silent = [peer for peer in peers if peer.topology is None]
    for peer in silent:
        click.echo(f"{peer.address}: {peer.problem}", err=True)
    if silent:
        raise SystemExit(1)


def _print(edges: Sequence[Edge]) -> None:
    # What processes tell of themselves may hold what a terminal would obey.
    names = [(ascii(edge.source)[1:-1], ascii(edge.destination)[1:-1]) for edge in edges]
    width = max((len(source) for source, _ in names), default=0)
    broad = max((len(destination) for _, destination in names), default=0)
    for edge, (source, destination) in zip(edges, names, strict=True):
        rates = f"{edge.rate:8.1f}/s  {edge.failed:6.1%} failed"
        times = f"p50 {_milliseconds(edge.p50)}  p99 {_milliseconds(edge.p99)}"
        click.echo(f"{source:{width}} -> {destination:{broad}}  {rates}  {times}")


def _milliseconds(seconds: float | None) -> str:
    return f"{'-':>7}   " if seconds is None else f"{seconds * 1000:7.1f} ms"
