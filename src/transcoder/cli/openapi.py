"""`transcoder openapi`: the OpenAPI document of services, for files and comparison."""

from __future__ import annotations

import click
from click.core import ParameterSource

from transcoder.cli.source import Loaded, Unreadable, look_here, source_options, told


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "yaml"]),
    default="json",
    show_default=True,
    help="What to print it as.",
)
@click.option("--title", metavar="TEXT", default="", help="Its title; by default the package.")
@click.option(
    "--version", metavar="TEXT", default="", help="Its version; by default the package's."
)
@click.option("--server", metavar="URL", multiple=True, help="Where the API is; may be repeated.")
@click.option(
    "--label",
    metavar="LABEL",
    multiple=True,
    help="Of google.api visibility: what is restricted to it is told, too; may be repeated.",
)
@source_options
@click.argument("app", required=False)
def openapi(
    loaded: Loaded,
    *,
    app: str | None,
    form: str,
    title: str,
    version: str,
    server: tuple[str, ...],
    label: tuple[str, ...],
) -> None:
    """Print the OpenAPI 3.1 document of an application, or of services alone.

    APP is MODULE:ATTRIBUTE, a Gateway or a function that returns one, as `transcoder serve` takes
    it. It is loaded and not started, and its document is the one that it serves at /openapi.json,
    with its limits, timeouts, security schemes and errors. Title, version and the like are its own.

    One of --descriptor-set, --image, --module and --reflection says of which services otherwise.
    Comments come from a descriptor set with --include_source_info, an image, or what is kept beside
    generated modules.

    The same application, or the same services and options, give the same bytes. The exit code is 1
    if a rule is wrong, and 2 if there is nothing to look at.

    \b
    Examples:
      transcoder openapi services.user.app:create_app > openapi.json
      transcoder openapi --module services.user.v1.user_service_pb2 > openapi.json
      buf build -o - | transcoder openapi --image - --format yaml --title Users
    """
    if app:
        click.echo(_served(app, form), nl=False)
        return
    from transcoder.comments import comments_of
    from transcoder.openapi import document, to_json, to_yaml

    files = loaded.descriptors.source.files
    with told(click.ClickException):
        made = document(
            loaded.transcoder(),
            title=title,
            version=version,
            servers=server,
            comments=comments_of(files) if files else None,
            labels=label,
        )
    click.echo((to_json if form == "json" else to_yaml)(made), nl=False)


def _served(app: str, form: str) -> bytes:
    """Return the document of an application.

    Raises:
        click.ClickException: there is no such application, or it does not start.
    """
    from transcoder.loading import load

    _refuse_others(click.get_current_context())
    look_here()
    with told(Unreadable):
        gateway = load(app)
    with told(click.ClickException):
        gateway.compile()
        return gateway.document(yaml=form == "yaml")


def _refuse_others(context: click.Context) -> None:
    """Refuse options that an application has for itself."""
    for name in context.params:
        given = context.get_parameter_source(name) is not ParameterSource.DEFAULT
        if given and name not in {"app", "form"}:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} goes with services: an application says it itself")
