"""A status that is not OK, as a person reads it on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from transcoder.errors import Unprintable

if TYPE_CHECKING:
    from transcoder.cli.message_types import Types

TRAILER = "grpc-status-details-bin"
"""The key of the metadata that has a serialized `google.rpc.Status`."""


def details_of(trailers: Iterable[tuple[str, str | bytes]], types: Types) -> list[str]:
    """Return a line for each detail of a gRPC status, which its trailing metadata has."""
    for key, value in trailers:
        if key == TRAILER and isinstance(value, bytes):
            try:
                return [_packed(each, types) for each in Status.FromString(value).details]
            except DecodeError:
                return [f"{TRAILER}: {len(value)} bytes that are no google.rpc.Status"]
    return []


def details_in(status: dict[str, Any]) -> list[str]:
    """Return a line for each detail of a status in JSON."""
    listed = status.get("details")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [
        _line(
            str(each.get("@type", "")).rpartition("/")[2],
            json.dumps(
                {key: value for key, value in each.items() if key != "@type"},
                ensure_ascii=False,
                separators=(",", ":"),
            ),
        )
        for each in found
    ]


def tell(code: str, message: str, details: Iterable[str] = ()) -> None:
    """Print a status with its details: a line of its own, and one for each of them."""
    click.secho(f"{code}: {_printable(message)}", fg="red", err=True)
    for each in details:
        click.echo(f"  {_printable(each)}", err=True)


def _packed(packed: Any, types: Types) -> str:
    name, message = types.packed(packed)
    if message is None:
        return _line(name, f"{len(packed.value)} bytes that nobody here can read")
    try:
        return _line(name, types.to_json(message))
    except Unprintable as error:
        return _line(name, str(error))


def _line(name: str, text: str) -> str:
    return f"{name} {text}"


def _printable(text: str) -> str:
    """Return a text in one line, without what a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in text)
