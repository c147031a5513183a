"""`transcoder routes`: what answers where."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import click

from transcoder.cli.source import Loaded, source_options


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    method: str
    path: str
    rpc: str
    body: str
    response_body: str
    place: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@source_options
def routes(loaded: Loaded, *, as_json: bool) -> None:
    """List the routes of services.

    One of --descriptor-set, --image, --module and --reflection says of which. The exit code is 1 if
    a rule is wrong, and 2 if there is nothing to look at.

    \b
    Examples:
      transcoder routes --module services.user.v1.user_service_pb2
      transcoder routes --reflection localhost:50051 --json
      transcoder routes --descriptor-set api.binpb --service-config api.yaml
    """
    rows = list(_rows(loaded))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
    elif rows:
        _print_table(rows)
    else:
        click.echo("no method has a rule; --unbound routes them without one", err=True)


def _rows(loaded: Loaded) -> Iterable[_Row]:
    place = loaded.places()
    for route in loaded.transcoder().routes:
        binding = route.endpoint.binding
        yield _Row(
            method=route.method,
            path=route.template.text,
            rpc=route.name,
            body=binding.body,
            response_body=binding.response_body,
            place=str(place(binding.rpc, binding.index)),
        )


def _print_table(rows: Sequence[_Row]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    names = ["method", "path", "rpc", "body"]
    if any(row.response_body for row in rows):
        names.append("response_body")
    columns = [Column(name.replace("_", " "), overflow="fold") for name in names]
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(getattr(row, name)) for name in names))
    # Only a terminal has a width to keep to.
    width = None if sys.stdout.isatty() else 1 << 12
    # rich keeps bold where no colour is wanted.
    plain = click.get_current_context().color is False
    Console(width=width, color_system=None if plain else "auto").print(table)
