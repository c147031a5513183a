"""`transcoder explain`: why a request goes where it goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from transcoder.cli.source import Loaded, Unreadable, look_here, source_options, told

if TYPE_CHECKING:
    from transcoder.config.hops import Hop
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
@click.option(
    "--gateway",
    "gateways",
    metavar="FILE",
    multiple=True,
    help="What `transcoder gateway` serves; those behind the first one may be given, too.",
)
@click.option(
    "--header",
    "-H",
    "headers",
    metavar="NAME:VALUE",
    multiple=True,
    help="A header; with --gateway.",
)
@click.option(
    "--claim",
    "claims",
    metavar="NAME=VALUE",
    multiple=True,
    help="A claim of the caller's token, which is taken for verified; with --gateway.",
)
@source_options
@click.argument("method")
@click.argument("target")
def explain(
    loaded: Loaded | None,
    *,
    data: str,
    content_type: str,
    gateways: tuple[str, ...],
    headers: tuple[str, ...],
    claims: tuple[str, ...],
    method: str,
    target: str,
) -> None:
    """Tell what a request matches, what it binds, and the message it becomes.

    METHOD is that of HTTP, and TARGET the path with its query, as a client sends them. One of
    --descriptor-set, --image, --module and --reflection says which services there are; or
    --gateway names files of gateways, and TARGET is a URL: then each hop is told, its listener,
    route, policies, version and upstream, from the first file to the last.

    If no route answers, tell where each of the nearest ones stopped matching. The exit code is 1
    if the request would be refused, and 2 if there is nothing to look at.

    \b
    Examples:
      transcoder explain --module services GET '/v1/users/42?x=1'
      transcoder explain --image api.binpb POST /v1/users -d '{"name": "Ann"}'
      transcoder explain --gateway edge.yaml --gateway users.yaml GET https://api.example/v1/users
    """
    if loaded is None:
        _explain_hops(gateways, _asked(method, target, headers, claims))
        return
    if gateways:
        raise click.UsageError("--gateway says itself where its services come from")
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


def _asked(
    method: str, target: str, headers: Iterable[str], claims: Iterable[str]
) -> dict[str, Any]:
    """Return the parts of a request to a gateway."""
    parts = {
        "headers": dict(_pair(each, ":", "--header") for each in headers),
        "claims": dict(_pair(each, "=", "--claim") for each in claims),
    }
    return {"method": method, "url": target, **parts}


def _pair(text: str, by: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition(by)
    if not found or not name.strip():
        raise click.BadParameter(f"{text!r}: NAME{by}VALUE is expected", param_hint=option)
    return name.strip(), value.strip()


def _explain_hops(files: Sequence[str], asked: dict[str, Any]) -> None:
    from transcoder.config import open_file
    from transcoder.config.hops import Described, Request, hops

    look_here()
    described = []
    with told(Unreadable):
        for file in files:
            built = open_file(file)
            described.append(Described(file, built.config, built))
        found = hops(described, Request(**asked))
    for hop in found:
        _print_hop(hop)
    if found[-1].refused:
        raise SystemExit(1)


def _print_hop(hop: Hop) -> None:
    click.secho(f"{hop.name}: {hop.listener}", bold=True)
    for what, text in hop.told:
        click.echo(f"  {what:9} {text}")
    if hop.refused:
        click.secho(f"  {'refused':9} {hop.refused}", fg="red")


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
