"""`transcoder serve`: an application over HTTP and gRPC."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from transcoder.listeners import Listening

_LEVELS = ["debug", "info", "warning", "error", "critical"]
_Command = Callable[..., None]
_SECONDS = click.FloatRange(min=0)


def _option(name: str, **attributes: Any) -> Callable[[_Command], _Command]:
    variable = f"TRANSCODER_{name.lstrip('-').replace('-', '_').upper()}"
    return click.option(name, envvar=variable, show_envvar=True, show_default=True, **attributes)


_seconds = functools.partial(_option, type=_SECONDS, metavar="SECONDS")


@click.command(short_help="Serve an application over REST and gRPC.")
@_option("--http", metavar="ADDRESS", default=":8080", help="Where REST is served.")
@_option("--grpc", metavar="ADDRESS", default=":50051", help="Where gRPC is served.")
@_option("--workers", type=click.IntRange(1), default=1, help="How many processes serve.")
@_seconds("--settle", default=5.0, help="How long a drain still takes new connections.")
@_seconds("--grace", default=30.0, help="How long calls of one reply may go on then.")
@_seconds("--stream-grace", default=5.0, help="How long streams of replies may.")
@_option("--log-level", type=click.Choice(_LEVELS), default="info", help="What is logged, and up.")
@click.argument("app")
def serve(app: str, *, http: str, grpc: str, workers: int, log_level: str, **drain: Any) -> None:
    """Serve an application, given as MODULE:ATTRIBUTE, over REST and gRPC.

    The attribute is a Gateway, or a function that returns one. An ADDRESS is HOST:PORT, :PORT for
    all interfaces, or unix:/path for a Unix socket. An option may be given as the variable of the
    environment that is named beside it, too.

    SIGTERM ends the server after a drain, a second one at once. What is logged goes to stderr. The
    exit code is 0 after a drain, and 1 if the server cannot start.

    \b
    Examples:
      transcoder serve hello:app
      transcoder serve services.user.app:create_app --http 127.0.0.1:8000 --workers 2
      TRANSCODER_HTTP=unix:/run/hello.sock transcoder serve hello:app
    """
    from transcoder.server import Server

    if "" not in sys.path:
        # As `python -m` does, and as a console script does not.
        sys.path.insert(0, "")
    server = Server(app, log_config=_logging(log_level), on_ready=_tell, **drain)
    server.run(http=http, grpc=grpc, workers=workers)


def _logging(level: str) -> dict[str, Any]:
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    return {
        "formatters": {"line": {"format": line}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
    }


def _tell(listening: Listening) -> None:
    click.echo(f"REST on {listening.http}, gRPC on {listening.grpc}")
