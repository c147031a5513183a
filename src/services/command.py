"""What the commands of services have in common: their options, and how they serve."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from transcoder import Admin, ConfigError, Gateway, Listening, Server, ServerTls

LOGGING = {
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
}

Command = Callable[..., None]

option = functools.partial(click.option, show_default=True, show_envvar=True)
_file = functools.partial(option, metavar="FILE", required=True)


def options(*, http: str, grpc: str, database: str) -> Callable[[Command], Command]:
    """Return what adds the options that every service has.

    Args:
        http: the address for REST, unless told otherwise.
        grpc: that for gRPC.
        database: the URL of the database.
    """
    added = (
        option("--http", default=http, help="Address for REST: HOST:PORT or unix:/path."),
        option("--grpc", default=grpc, help="Address for gRPC: HOST:PORT or unix:/path."),
        option("--database", default=database, help="sqlite:///path or sqlite:// (in memory)."),
        _file("--tls-certificate", help="Our certificate and its chain, PEM."),
        _file("--tls-key", help="The private key of that, PEM, without a password."),
        _file("--tls-ca", help="The authority of all who call and are called, PEM."),
        option("--access-log", metavar="FILE", help="Where calls are logged, as lines of JSON."),
        option("--admin", metavar="ADDRESS", help="Where operators see metrics and a console."),
        option("--admin-name", default="", help="What the service is called there."),
    )

    def add(command: Command) -> Command:
        for each in reversed(added):
            command = each(command)
        return command

    return add


def run(
    create: Callable[..., Gateway],
    *,
    http: str,
    grpc: str,
    tls_certificate: str,
    tls_key: str,
    tls_ca: str,
    access_log: str | None,
    admin: str | None,
    admin_name: str,
) -> None:
    """Serve an application on both ports, to clients that show certificates, until a signal.

    Args:
        create: returns the application, given what more its gateway is told.
        http: where.
        grpc: where.
        tls_certificate: the file of our certificate.
        tls_key: the file of its key.
        tls_ca: the file of the authority.
        access_log: the file of the log; None for no log.
        admin: where operators look; None for nowhere.
        admin_name: what the service is called there; empty for its full name.
    """
    tls = ServerTls(certificate=tls_certificate, key=tls_key, client_ca=tls_ca)
    try:
        app = create(observers=_observers(access_log))
    except (ConfigError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    seen = None if admin is None else Admin(admin, name=admin_name)
    Server(app, tls=tls, admin=seen, log_config=LOGGING, on_ready=_tell).run(http=http, grpc=grpc)


def _observers(access_log: str | None) -> list[Any]:
    if access_log is None:
        return []
    # Who writes no log need not have what it takes.
    from transcoder.observers import AccessLog  # noqa: PLC0415

    return [AccessLog(access_log)]


def _tell(listening: Listening) -> None:
    click.echo(f"REST on {listening.http}, gRPC on {listening.grpc}")
