"""`transcoder logs`: what several processes did for one request."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any

import click

from transcoder.cli.causal_order import Line, ordered, record_of

_COLUMNS = ("time", "log", "call", "code", "ms", "caller", "why")


@click.command()
@click.option("--request-id", metavar="ID", required=True, help="Of the request.")
@click.option("--json/--table", "as_json", default=None, help="What is printed, terminal or not.")
@click.argument("files", nargs=-1, required=True, type=click.File("rb"), metavar="FILE...")
def logs(request_id: str, files: tuple[IO[bytes], ...], *, as_json: bool | None) -> None:
    """Join what access logs tell of one request, in causal order.

    A FILE is an access log, or - for standard input. A call stands behind the call that caused it,
    as the spans of traces tell, or, where there are none, as their times do.

    A terminal gets a table, anything else one line of JSON for each record, with the file (`log`)
    and the number of calls between it and the first one (`depth`). The caller is whoever a policy
    knew it for. The exit code is 1 if no log tells of the request.

    \b
    Examples:
      transcoder logs --request-id 6f1c gateway.log users.log orders.log
      ssh users cat /var/log/users.log | transcoder logs --request-id 6f1c gateway.log -
    """
    found = list(_found(request_id, files))
    if not found:
        raise click.ClickException(f"no record of {request_id!a}")
    lines = list(ordered(found))
    if not as_json and (as_json is not None or sys.stdout.isatty()):
        _print_table(lines)
        return
    for log, depth, record in lines:
        text = json.dumps({"log": log, "depth": depth, **record}, separators=(",", ":"))
        click.echo(text.replace("\x7f", "\\u007f"))


def _found(request_id: str, files: Iterable[IO[bytes]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of a request, with the names of their logs."""
    # As it stands in a line: most lines need not be read to know that they are others'.
    needle = json.dumps(request_id)[1:-1].replace("\x7f", "\\u007f").encode()
    for file in files:
        name = "-" if file.name == "<stdin>" else str(file.name)
        broken = 0
        for line in file:
            if needle not in line:
                continue
            record = record_of(line)
            if record is None:
                broken += 1
            elif record.get("request_id") == request_id:
                yield name, record
        if broken:
            click.echo(f"{name}: {broken} lines are no records of an access log", err=True)


def _print_table(lines: Iterable[Line]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = [Column(name, overflow="fold") for name in _COLUMNS]
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for line in lines:
        table.add_row(*(Text(cell) for cell in _cells(line)))
    plain = click.get_current_context().color is False
    Console(color_system=None if plain else "auto").print(table)


def _cells(line: Line) -> tuple[str, ...]:
    record = line.record
    what = record.get("method") or f"{record.get('http_method', '')} {record.get('path', '')}"
    begins = " begins" if record.get("event") == "stream-start" else ""
    why = ": ".join(str(record[name]) for name in ("denied_by", "reason") if name in record)
    cells = (
        str(record["time"]).partition("T")[2],
        line.log,
        f"{'  ' * line.depth}{what}{begins}",
        record.get("code", ""),
        record.get("duration_ms", ""),
        record.get("subject", ""),
        why,
    )
    # A log that somebody else wrote may hold what a terminal would obey.
    return tuple(ascii(str(cell))[1:-1] for cell in cells)
