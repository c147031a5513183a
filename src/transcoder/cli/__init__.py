"""The command `transcoder`: begin a project, look at its routes, serve and call them.

Each command is a module, imported when it is called; and what needs protobuf, gRPC or rich is
imported by the command that runs.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

try:
    import click
except ImportError as missing:
    raise ImportError("the command needs click: install transcoder[cli]") from missing

_COMMANDS = {
    "new": "Write a project that runs.",
    "serve": "Serve an application over REST and gRPC.",
    "gateway": "Serve what a file of YAML describes.",
    "call": "Call a method by its name, over gRPC or REST.",
    "routes": "List which path calls which method.",
    "explain": "Tell what a request matches, and what it becomes.",
    "check": "Find all that is wrong with rules, or with a gateway's file.",
    "openapi": "Print the OpenAPI 3.1 document of services.",
    "keys": "Make, revoke and list API keys.",
    "logs": "Join the access logs of several processes.",
    "topology": "Tell who calls whom, as several processes see it.",
}
"""What each does, in the order in which a project needs them; each is in the module of its name."""

_EXTRA = "install transcoder["
"""What the message says of a package that not every installation has."""

_SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    # Without a say, click colours what goes to a terminal.
    "color": False if os.environ.get("NO_COLOR") else None,
}


class _Commands(click.Group):
    """Imports a command when it is asked for, and none to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        found: click.Command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ImportError as error:
            if _EXTRA not in str(error):
                raise
            raise click.ClickException(str(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(context_settings=_SETTINGS, cls=_Commands)
@click.version_option(package_name="transcoder")
def main() -> None:
    """Serve gRPC services over REST too, by their google.api.http rules, and look at their routes.

    The help of each command tells its options, defaults and exit codes, and has examples.

    \b
    Examples:
      transcoder new greeter
      transcoder serve greeter.app:create_app
      transcoder routes --module services.user.v1.user_service_pb2
      transcoder explain --reflection localhost:50051 GET '/v1/users/42?x=1'
      buf build -o - | transcoder check --image -
    """
