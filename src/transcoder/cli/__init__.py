"""The command `transcoder`: begin a project, look at its routes, serve and call them.

Each command is a module. What needs protobuf, gRPC or rich is imported by the command that runs.
"""

from __future__ import annotations

import os
from typing import Any

try:
    import click
except ImportError as missing:
    raise ImportError("the command needs click: install transcoder[cli]") from missing

from transcoder.cli.call import call
from transcoder.cli.check import check
from transcoder.cli.explain import explain
from transcoder.cli.keys import keys
from transcoder.cli.logs import logs
from transcoder.cli.new import new
from transcoder.cli.openapi import openapi
from transcoder.cli.routes import routes
from transcoder.cli.serve import serve

_SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    # Without a say, click colours what goes to a terminal.
    "color": False if os.environ.get("NO_COLOR") else None,
}


class _InOrder(click.Group):
    """Lists its commands in the order in which a project needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(context_settings=_SETTINGS, cls=_InOrder)
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


main.add_command(new)
main.add_command(serve)
main.add_command(call)
main.add_command(routes)
main.add_command(explain)
main.add_command(check)
main.add_command(openapi)
main.add_command(keys)
main.add_command(logs)
