"""`transcoder explain`: why a request goes where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from transcoder.cli.source import Loaded, source_options

if TYPE_CHECKING:
    from transcoder.errors import StatusError
    from transcoder.explain import Bound, Candidate
    from transcoder.route import Route


@click.command()
@click.option("--data", "-d", metavar="TEXT", default="", help="The body of the request.")
@click.option(
    "--content-type",
    metavar="TYPE",
    default="application/json",
    show_default=True,
    help="The type of the body.",
)
@source_options
@click.argument("method")
@click.argument("target")
def explain(loaded: Loaded, *, data: str, content_type: str, method: str, target: str) -> None:
    """Tell what a request matches, what it binds, and the message it becomes.

    METHOD is that of HTTP, and TARGET the path with its query, as a client sends them. One of
    --descriptor-set, --image, --module and --reflection says which services there are.

    If no route answers, tell where each of the nearest ones stopped matching. The exit code is 1
    if the request would be refused, and 2 if there is nothing to look at.

    \b
    Examples:
      transcoder explain --module services GET '/v1/users/42?x=1'
      transcoder explain --image api.binpb POST /v1/users -d '{"name": "Ann"}'
    """
    from transcoder.explain import explain as explained

    found = explained(loaded.transcoder(), method, target, data.encode(), content_type)
    if found.route is not None:
        _print_match(found.route, found.bound, loaded)
        click.echo()
    if found.allow:
        click.echo(f"204 with Allow: {', '.join(found.allow)}")
    if found.error is not None:
        _print_error(found.error)
    if found.request:
        click.echo(found.request)
    if found.candidates:
        _print_candidates(found.candidates, "Others" if found.route else "The nearest routes")
    if found.error is not None:
        raise SystemExit(1)


def _print_match(route: Route[Any], bound: Sequence[Bound], loaded: Loaded) -> None:
    binding = route.endpoint.binding
    click.secho(route.name, bold=True)
    click.echo(f"  {route.method} {route.template}")
    click.echo(f"  {loaded.places()(binding.rpc, binding.index)}")
    if bound:
        click.echo()
    for each in bound:
        click.echo(_told(each))


def _told(bound: Bound) -> str:
    said = f"{bound.origin:5} {bound.name} = {bound.value!r}"
    return f"{said} -> {bound.field} ({bound.note})" if bound.field else f"{said}: {bound.note}"


def _print_error(error: StatusError) -> None:
    line = f"{error.http} {error.status.code.name}: {error.status.message}"
    click.secho(line, fg="red")


def _print_candidates(candidates: Sequence[Candidate], title: str) -> None:
    click.echo(f"\n{title}:")
    for candidate in candidates:
        route = candidate.route
        click.echo(f"  {route.method} {route.template}  {route.name}")
        click.echo(f"    {candidate.stopped}")
