"""`transcoder serve`: an application over HTTP and gRPC."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import click

from transcoder.cli.serving import LEVELS, logging_of, tell
from transcoder.cli.source import look_here, told

if TYPE_CHECKING:
    from transcoder.admin import Admin

_ASKS = click.Choice(["required", "optional"])
_VERSIONS = click.Choice(["1.2", "1.3"])
_PORTS = {"both": "tls", "http": "http_tls", "grpc": "grpc_tls"}
_Command = Callable[..., None]
_SECONDS = click.FloatRange(min=0)


def _option(name: str, *parameter: str, **attributes: Any) -> Callable[[_Command], _Command]:
    variable = f"TRANSCODER_{name.lstrip('-').replace('-', '_').upper()}"
    shown = {"envvar": variable, "show_envvar": True, "show_default": True}
    return click.option(name, *parameter, **{**shown, **attributes})


_file = functools.partial(_option, metavar="FILE", default=None, show_default="none")
_seconds = functools.partial(_option, type=_SECONDS, metavar="SECONDS")


@click.command()
@_option("--http", metavar="ADDRESS", default=":8080", help="Where REST is served.")
@_option("--grpc", metavar="ADDRESS", default=":50051", help="Where gRPC is served.")
@_option(
    "--admin",
    metavar="ADDRESS",
    default=None,
    show_default="none",
    help="Where operators see metrics, health and a console.",
)
@_option(
    "--admin-token",
    metavar="TOKEN",
    default=None,
    show_default="none",
    help="What they must show there; give it by the environment, for others see command lines.",
)
@_option(
    "--admin-name",
    metavar="NAME",
    default="",
    show_default="none",
    help="What this process is called there; that of its certificate, if it has one.",
)
@_option(
    "--admin-peer",
    "admin_peers",
    metavar="ADDRESS",
    multiple=True,
    show_default="none",
    help="The admin port of another process, of which the console tells too; several times.",
)
@_option("--workers", type=click.IntRange(1), default=1, help="How many processes serve.")
@_seconds("--settle", default=5.0, help="How long a drain still takes new connections.")
@_seconds("--grace", default=30.0, help="How long calls of one reply may go on then.")
@_seconds("--stream-grace", default=5.0, help="How long streams of replies may.")
@_seconds(
    "--max-connection-age",
    default=None,
    show_default="none",
    help="When clients connect anew; with several workers after 300 all the same.",
)
@_file("--tls-certificate", help="Our certificate and its chain, PEM: speak TLS.")
@_file("--tls-key", help="The private key of that, PEM, without a password.")
@_file("--tls-client-ca", help="The authorities of clients, PEM: ask for their certificates.")
@_option(
    "--tls-client-certificates", type=_ASKS, default="required", help="Whether they must show one."
)
@_option("--tls-min-version", type=_VERSIONS, default="1.2", help="The oldest version of TLS.")
@_option(
    "--tls-ports", type=click.Choice(list(_PORTS)), default="both", help="Which ports speak it."
)
@_option("--log-level", type=click.Choice(LEVELS), default="info", help="What is logged, and up.")
@click.argument("app")
def serve(app: str, *, http: str, grpc: str, workers: int, log_level: str, **options: Any) -> None:
    """Serve an application, given as MODULE:ATTRIBUTE, over REST and gRPC.

    The attribute is a Gateway, or a function that returns one. An ADDRESS is HOST:PORT, :PORT for
    all interfaces, or unix:/path for a Unix socket. An option may be given as the variable of the
    environment that is named beside it, too.

    SIGTERM ends the server after a drain, a second one at once. Files of TLS are read again when
    they change, and on SIGHUP. What is logged goes to stderr. The exit code is 0 after a drain, and
    1 if the server cannot start.

    \b
    Examples:
      transcoder serve hello:app
      transcoder serve services.user.app:create_app --http 127.0.0.1:8000 --workers 2
      TRANSCODER_HTTP=unix:/run/hello.sock transcoder serve hello:app
      transcoder serve hello:app --tls-certificate server.pem --tls-key server.key
    """
    from transcoder.server import Server

    look_here()
    with told(click.ClickException):
        tls = _tls(**_taken(options, "tls_"))
    admin = _admin(**_taken(options, "admin"))
    with told(click.ClickException):
        server = Server(
            app, log_config=logging_of(log_level), on_ready=tell, admin=admin, **options, **tls
        )
    server.run(http=http, grpc=grpc, workers=workers)


def _taken(options: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Take the options with a prefix out of all."""
    return {name: options.pop(name) for name in list(options) if name.startswith(prefix)}


def _admin(
    *, admin: str | None, admin_token: str | None, admin_name: str, admin_peers: tuple[str, ...]
) -> Admin | None:
    """Return what the server is told of its admin port."""
    from transcoder.admin import Admin

    if admin is not None:
        return Admin(admin, admin_token or "", admin_name, admin_peers)
    if admin_name or admin_peers:
        raise click.UsageError("--admin-name and --admin-peer go with --admin")
    return None


def _tls(
    *,
    tls_certificate: str | None,
    tls_key: str | None,
    tls_client_ca: str | None,
    tls_client_certificates: Literal["required", "optional"],
    tls_min_version: Literal["1.2", "1.3"],
    tls_ports: str,
) -> dict[str, Any]:
    """Return what the server is told of TLS."""
    from transcoder.server_tls import ServerTls

    if tls_certificate is None and tls_key is None and tls_client_ca is None:
        return {}
    if tls_certificate is None or tls_key is None:
        raise click.UsageError("TLS needs both --tls-certificate and --tls-key")
    tls = ServerTls(
        certificate=tls_certificate,
        key=tls_key,
        client_ca=tls_client_ca,
        client_certificates=tls_client_certificates if tls_client_ca else None,
        min_version=tls_min_version,
    )
    return {_PORTS[tls_ports]: tls}
