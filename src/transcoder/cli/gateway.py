"""`transcoder gateway`: the gateway that a file describes."""

from __future__ import annotations

import json

import click

from transcoder.cli.serving import LEVELS, logging_of, tell
from transcoder.cli.source import look_here, told


@click.command()
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="info",
    envvar="TRANSCODER_LOG_LEVEL",
    show_default=True,
    show_envvar=True,
    help="What is logged, and up.",
)
@click.option(
    "--admin-token",
    metavar="TOKEN",
    envvar="TRANSCODER_ADMIN_TOKEN",
    show_envvar=True,
    help="What operators must show; give it by the environment, for others see command lines.",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of such files, and end.")
@click.argument("file", required=False)
def gateway(file: str | None, *, log_level: str, admin_token: str | None, schema: bool) -> None:
    """Serve what a file of YAML describes: services, their backends, and what stands before them.

    Paths in the file are relative to it. SIGTERM ends the gateway after a drain, a second one at
    once. The exit code is 1 if the file is wrong, or it cannot start; `transcoder check FILE` tells
    all that is wrong.

    \b
    Examples:
      transcoder gateway gateway.yaml
      transcoder gateway --schema > gateway.schema.json
    """
    from transcoder.admin import Admin
    from transcoder.cli.gateway_file import serving_of
    from transcoder.config import Config
    from transcoder.reloading import GatewayFile
    from transcoder.server import Server

    if schema:
        click.echo(json.dumps(Config.model_json_schema(), indent=2))
        return
    if file is None:
        raise click.UsageError("say which file describes the gateway")
    look_here()
    with told(click.ClickException):
        config, serving, http = serving_of(file)
    listen = config.listen
    admin = None
    if listen.admin is not None:
        admin = Admin(listen.admin, name=listen.admin_name, peers=tuple(listen.admin_peers))
    server = Server(
        GatewayFile(file),
        admin=admin,
        admin_token=admin_token,
        log_config=logging_of(log_level),
        on_ready=tell,
        **serving,
    )
    server.run(http=http, grpc=listen.grpc, workers=config.server.workers)
