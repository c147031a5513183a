"""How a command serves: where it logs, and what it tells once it listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from transcoder.listeners import Listening

LEVELS = ["debug", "info", "warning", "error", "critical"]


def logging_of(level: str) -> dict[str, Any]:
    """Return a configuration that logs to stderr, from a level up."""
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    return {
        "formatters": {"line": {"format": line}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
    }


def tell(listening: Listening) -> None:
    """Print where a server listens."""
    aside = "" if listening.admin is None else f", admin on {listening.admin}"
    click.echo(f"REST on {listening.fronts}, gRPC on {listening.grpc}{aside}")
