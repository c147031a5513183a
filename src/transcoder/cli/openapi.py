"""`transcoder openapi`: the OpenAPI document of services, for files and comparison."""

from __future__ import annotations

import click

from transcoder.cli.source import Loaded, source_options, told


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
def openapi(
    loaded: Loaded,
    *,
    form: str,
    title: str,
    version: str,
    server: tuple[str, ...],
    label: tuple[str, ...],
) -> None:
    """Print the OpenAPI 3.1 document of services.

    One of --descriptor-set, --image, --module and --reflection says of which. The same services and
    options give the same bytes. Comments come from a descriptor set with
    --include_source_info, an image, or what is kept beside generated modules. A running gateway
    tells of its limits too, at /openapi.json. The exit code is 1 if a rule is wrong, and 2 if there
    is nothing to look at.

    \b
    Examples:
      transcoder openapi --module services.user.v1.user_service_pb2 > openapi.json
      buf build -o - | transcoder openapi --image - --format yaml --title Users
    """
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
