"""Serve users over REST and gRPC: `python -m services.user`."""

from __future__ import annotations

import os

import click

from services.command import LOGGING, option
from services.user.app import DATABASE, DATABASE_VARIABLE, create_app
from transcoder import Gateway, Listening, Server

_USER = '{"name": "Ann", "email": "ann@example.com"}'


@click.command(context_settings={"auto_envvar_prefix": "USER"})
@option("--http", default=":8080", help="Address for REST: HOST:PORT or unix:/path.")
@option("--grpc", default=":50051", help="Address for gRPC: HOST:PORT or unix:/path.")
@option("--workers", default=1, type=click.IntRange(1), help="How many processes serve.")
@option(
    "--database",
    default=DATABASE,
    help="sqlite:///path, sqlite:// (in memory) or postgresql://user@host/name.",
)
def main(http: str, grpc: str, workers: int, database: str) -> None:
    """Serve users over REST and gRPC from one process."""
    app: Gateway | str
    try:
        app = create_app(database)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--database") from None
    if workers > 1:
        if database in {"sqlite://", "sqlite:///:memory:"}:
            raise click.UsageError("with several workers the database cannot be in memory")
        os.environ[DATABASE_VARIABLE] = database
        app = "services.user.app:create_app"
    Server(app, log_config=LOGGING, on_ready=_tell).run(http=http, grpc=grpc, workers=workers)


def _tell(listening: Listening) -> None:
    http, grpc = listening.http, listening.grpc
    rest = f"--unix-socket {http.path} localhost" if http.path else http.target
    grpcurl = f"-unix {grpc.path}" if grpc.path else grpc.target
    click.echo(f"REST on {http}, gRPC on {grpc}. Try:")
    click.echo(f"  curl {rest}/v1/users")
    click.echo(f"  curl --json '{_USER}' {rest}/v1/users")
    click.echo(f"  grpcurl -plaintext {grpcurl} list")


if __name__ == "__main__":
    main()
