"""`transcoder keys`: the API keys of a file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from transcoder.policies.key_file import ApiKey

T = TypeVar("T")

_LIFETIME = re.compile(r"([1-9][0-9]{0,5})([dh])")

_file = click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("keys.json"),
    show_default=True,
    envvar="TRANSCODER_KEYS",
    show_envvar=True,
    help="The file that holds the keys' hashes.",
)


@click.group()
def keys() -> None:
    """Make, revoke and list API keys.

    The file holds their hashes, and a server sees its changes within a second.

    \b
    Examples:
      transcoder keys create --subject billing --scope orders.read --lifetime 90d
      transcoder keys list
      transcoder keys revoke 9f2c1e07b54ad836
    """


@keys.command()
@_file
@click.option("--subject", required=True, help="Whose key it is.")
@click.option("--scope", "scopes", multiple=True, help="What it grants; may be repeated.")
@click.option("--lifetime", metavar="DAYS", help="How long it holds, as 90d or 12h; else for ever.")
def create(path: Path, *, subject: str, scopes: tuple[str, ...], lifetime: str | None) -> None:
    """Make a key, and print it: this is the only time that it is told."""
    from transcoder.policies.key_file import create_key

    lasting = None if lifetime is None else _lifetime(lifetime)
    click.echo(_tried(lambda: create_key(path, subject, scopes, datetime.now(UTC), lasting)))
    if sys.stdout.isatty():
        click.echo("Keep it: the file holds its hash alone.", err=True)


@keys.command()
@_file
@click.argument("key_id", metavar="ID")
def revoke(path: Path, *, key_id: str) -> None:
    """Have a key no longer hold, by its id: what stands before the dot."""
    from transcoder.policies.key_file import revoke_key

    key = _tried(lambda: revoke_key(path, key_id.partition(".")[0], datetime.now(UTC)))
    click.echo(f"{key.id} of {key.subject} is revoked since {key.revoked}")


@keys.command("list")
@_file
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_(path: Path, *, as_json: bool) -> None:
    """List the keys, without their secrets."""
    from transcoder.policies.key_file import read_keys

    found = _tried(lambda: read_keys(path))
    if as_json:
        rows = [{**asdict(key), "state": _state(key)} for key in found]
        click.echo(json.dumps(rows, indent=2))
    elif found:
        _print_table(found)
    else:
        click.echo("there are no keys", err=True)


def _tried(change: Callable[[], T]) -> T:
    from transcoder.errors import ConfigError

    try:
        return change()
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def _lifetime(text: str) -> timedelta:
    found = _LIFETIME.fullmatch(text)
    if found is None:
        raise click.BadParameter("write one as 90d or 12h", param_hint="--lifetime")
    return timedelta(hours=int(found[1]) * (24 if found[2] == "d" else 1))


def _state(key: ApiKey) -> str:
    if key.revoked:
        return "revoked"
    return "holds" if key.holds(datetime.now(UTC).timestamp()) else "expired"


def _print_table(found: tuple[ApiKey, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names: list[Any] = ["id", "subject", "scopes", "created", "expires", "state"]
    table = Table(*names, box=None, pad_edge=False, header_style="bold")
    for key in found:
        scopes, state = " ".join(key.scopes), _state(key)
        row = (key.id, key.subject, scopes, key.created, key.expires or "never", state)
        table.add_row(*map(Text, row))
    # Only a terminal has a width to keep to.
    width = None if sys.stdout.isatty() else 1 << 12
    plain = click.get_current_context().color is False
    Console(width=width, color_system=None if plain else "auto").print(table)
