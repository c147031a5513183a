"""`transcoder check`: all that is wrong with rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from transcoder.cli.source import Loaded, Unreadable, look_here, source_options, told

if TYPE_CHECKING:
    from transcoder.config.tiers import Tier


@click.command()
@click.option(
    "--health",
    metavar="PATH",
    default="/healthz",
    show_default=True,
    help="Where the gateway tells of its own health; '' for nowhere.",
)
@click.option(
    "--liveness",
    metavar="PATH",
    default="/livez",
    show_default=True,
    help="Where it tells whether it lives; '' for nowhere.",
)
@click.option(
    "--readiness",
    metavar="PATH",
    default="/readyz",
    show_default=True,
    help="Where it tells whether it is ready; '' for nowhere.",
)
@click.option(
    "--openapi",
    metavar="PATH",
    default="/openapi",
    show_default=True,
    help="Where its OpenAPI document is, without .json; '' for nowhere.",
)
@click.option(
    "--docs",
    metavar="PATH",
    default="/docs",
    show_default=True,
    help="Where its page for people is; '' for nowhere.",
)
@click.option(
    "--diff",
    type=click.File("rb"),
    metavar="FILE",
    help="Tell what changed since another descriptor set or image, instead.",
)
@click.argument("file", nargs=-1)
@source_options
def check(
    loaded: Loaded | None, file: tuple[str, ...], diff: BinaryIO | None, **paths: str
) -> None:
    """Find bad templates, unknown fields, and routes in conflict.

    One of --descriptor-set, --image, --module and --reflection says in which services, or FILE is
    what `transcoder gateway` serves, and is checked with all that it names; of several files, what
    an internal gateway asks again or believes of everybody is noted. Each problem is one line with
    file, line and column, as far as they are known: compile with --include_source_info, or use an
    image of buf. The exit code is 1 if there is any, and 2 if there is nothing to look at. With
    --diff each line is a change, and the exit code is 1 if one of them breaks clients of before.

    \b
    Examples:
      protoc --include_imports --include_source_info -o api.binpb api.proto
      transcoder check --descriptor-set api.binpb
      buf build -o - | transcoder check --image - --service-config api.yaml
      transcoder check edge.yaml internal.yaml
    """
    if loaded is None:
        if diff is not None:
            raise click.UsageError("--diff compares services: say where they come from")
        _check_gateways(file)
        return
    if file:
        raise click.UsageError("FILE says itself where its services come from")
    if diff is not None:
        _compare(loaded, diff)
        return
    from transcoder.check import check as checked

    with told(Unreadable):
        problems = checked(
            loaded.descriptors,
            config=loaded.config,
            mistakes=loaded.mistakes,
            profile=loaded.profile,
            unbound=loaded.unbound,
            conflicts=loaded.conflicts,
            **{name: path or None for name, path in paths.items()},
        )
    for problem in problems:
        note = "" if problem.fatal else "note: "
        click.echo(f"{click.style(str(problem.where), bold=True)}: {note}{problem.message}")
    fatal = sum(problem.fatal for problem in problems)
    count = f"{fatal} problem{'' if fatal == 1 else 's'}" if fatal else "no problems"
    services = len(loaded.descriptors.services)
    click.echo(f"{count} in {services} service{'' if services == 1 else 's'}", err=True)
    if fatal:
        raise SystemExit(1)


def _compare(loaded: Loaded, before: BinaryIO) -> None:
    from transcoder.descriptors import read_descriptors
    from transcoder.schema_diff import differences

    with told(Unreadable):
        old = read_descriptors(before.read(), before.name)
    found = list(differences(old.services, loaded.descriptors.services))
    for each in found:
        click.echo(str(each))
    breaking = sum(each.breaks for each in found)
    click.echo(f"{len(found)} changes, {breaking} incompatible", err=True)
    if breaking:
        raise SystemExit(1)


def _check_gateways(files: tuple[str, ...]) -> None:
    from transcoder.config.file import noted
    from transcoder.config.tiers import Tier, notes
    from transcoder.config.unmeant import unmeant

    look_here()
    tiers: list[Tier] = []
    found: list[str] = []
    for file in files:
        made = _read(file)
        if isinstance(made, Tier):
            tiers.append(made)
        else:
            found += made
    for problem in found:
        click.echo(problem)
    alone = [
        noted(tier.text, tier.name, keys, told)
        for tier in tiers
        for keys, told in unmeant(tier.built, Path(tier.name).parent)
    ]
    for note in (*alone, *notes(tiers)):
        click.echo(f"{note.name}:{note.line}:{note.column}: note: {note.message}")
    count = f"{len(found)} problem{'' if len(found) == 1 else 's'}" if found else "no problems"
    click.echo(f"{count} in {', '.join(files)}", err=True)
    if found:
        raise SystemExit(1)


def _read(file: str) -> Tier | list[str]:
    """Return the gateway of a file, or all that is wrong with it."""
    from transcoder.cli.gateway_file import serving_of
    from transcoder.config import mistakes, open_file
    from transcoder.config.file import read_text
    from transcoder.config.tiers import Tier
    from transcoder.errors import ConfigError

    with told(Unreadable):
        text = read_text(file)
        found = mistakes(file)
    if found:
        return [str(each) for each in found]
    wrong = []
    try:
        serving_of(file)
    except ConfigError as error:
        wrong.append(str(error))
    try:
        built = open_file(file)
    except ConfigError as error:
        return [*wrong, str(error)]
    return wrong or Tier(file, text, built.config, built)
