"""Where a command's services come from: the options that all commands share."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from transcoder.profile import PROFILES, Profile

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

    from transcoder.descriptors import Descriptors, Place
    from transcoder.service_config import Mistake, ServiceConfig
    from transcoder.transcoder import Transcoder


class Unreadable(click.ClickException):
    """There is nothing to look at; the exit code is that of wrong options."""

    exit_code = 2


_OPTIONS = [
    click.option(
        "--descriptor-set",
        type=click.File("rb"),
        metavar="FILE",
        help="Services of a descriptor set of protoc; - for stdin.",
    ),
    click.option(
        "--image",
        type=click.File("rb"),
        metavar="FILE",
        help="Services of an image of buf build, binary or JSON; - for stdin.",
    ),
    click.option(
        "--module",
        metavar="NAME",
        help="Services of a generated module, or of a package of them; looked for here, too.",
    ),
    click.option(
        "--reflection",
        metavar="HOST:PORT",
        help="Services of a running server that has gRPC reflection.",
    ),
    click.option("--tls", is_flag=True, help="Speak TLS to that server."),
    click.option("--ca", metavar="FILE", help="Authorities to trust in place of gRPC's own, PEM."),
    click.option("--cert", metavar="FILE", help="Our certificate, for a server that asks, PEM."),
    click.option("--key", metavar="FILE", help="The private key of --cert, PEM."),
    click.option(
        "--service",
        multiple=True,
        metavar="NAME",
        help="A service to look at, also one of an imported file; may be given several times.",
    ),
    click.option(
        "--service-config",
        type=click.File("rb"),
        metavar="FILE",
        help="Rules in place of options: the YAML of google.api.Service.",
    ),
    click.option(
        "--profile",
        type=click.Choice(list(PROFILES)),
        default="google",
        show_default=True,
        help="The system to behave like.",
    ),
    click.option(
        "--unbound",
        is_flag=True,
        help="Route methods without a rule: POST /package.Service/Method.",
    ),
    click.option(
        "--conflicts",
        type=click.Choice(["refuse", "warn"]),
        default="refuse",
        show_default=True,
        help="Whether a route that never answers because another one does is an error.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Services, and how to route them."""

    descriptors: Descriptors
    config: ServiceConfig | None
    mistakes: tuple[Mistake, ...]
    profile: Profile
    unbound: bool
    conflicts: Literal["refuse", "warn"]

    def transcoder(self) -> Transcoder:
        """Return the transcoder of the services.

        Raises:
            click.ClickException: a rule is wrong, or two routes conflict.
        """
        from transcoder.transcoder import Transcoder

        if self.mistakes:
            raise Unreadable(str(self.mistakes[0]))
        services = self.descriptors.services
        with told(click.ClickException):
            made = Transcoder(
                services,
                profile=self.profile,
                rules=self.config,
                unbound=self.unbound,
                conflicts=self.conflicts,
            )
            made.compile()
        return made

    def places(self) -> Callable[[MethodDescriptor, int], Place]:
        """Return what tells where the nth binding of a method is written."""
        selected = self.config.select(self.descriptors.services) if self.config else {}

        def place(rpc: MethodDescriptor, index: int) -> Place:
            rule = selected.get(rpc.full_name)
            return rule.places[index] if rule else self.descriptors.source.binding(rpc, index)

        return place


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where services come from; it is passed `loaded`.

    That is None for a command that was given an application or a file instead.
    """

    @functools.wraps(command)
    def with_source(
        *,
        descriptor_set: BinaryIO | None,
        image: BinaryIO | None,
        module: str | None,
        reflection: str | None,
        tls: bool,
        ca: str | None,
        cert: str | None,
        key: str | None,
        service: tuple[str, ...],
        service_config: BinaryIO | None,
        profile: str,
        unbound: bool,
        conflicts: Literal["refuse", "warn"],
        **options: Any,
    ) -> None:
        given = [each for each in (descriptor_set, image, module, reflection) if each is not None]
        files = options.get("file") or options.get("gateways")
        if options.get("app") or (files and not given):
            command(loaded=None, **options)
            return
        if len(given) != 1:
            raise click.UsageError(
                "say where the services come from, by one of "
                "--descriptor-set, --image, --module and --reflection"
            )
        if tls and reflection is None:
            raise click.UsageError("--tls goes with --reflection")
        if (ca or cert or key) and not tls:
            raise click.UsageError("--ca, --cert and --key go with --tls")
        with told(Unreadable):
            if reflection is None:
                descriptors = _descriptors(descriptor_set or image, module or "")
            else:
                descriptors = _reflected(reflection, tls=tls, ca=ca, certificate=cert, key=key)
            descriptors = _chosen(descriptors, service)
            chosen, config, mistakes = _configured(PROFILES[profile], service_config)
        loaded = Loaded(
            descriptors=descriptors,
            config=config,
            mistakes=mistakes,
            profile=chosen,
            unbound=unbound,
            conflicts=conflicts,
        )
        command(loaded=loaded, **options)

    decorated: Callable[..., None] = with_source
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _descriptors(file: BinaryIO | None, module: str) -> Descriptors:
    from transcoder.descriptors import import_descriptors, read_descriptors

    if file is not None:
        return read_descriptors(file.read(), file.name)
    look_here()
    return import_descriptors(module)


def look_here() -> None:
    """Have modules looked for in the working directory, as `python -m` does."""
    if "" not in sys.path:
        sys.path.insert(0, "")


def _reflected(target: str, *, tls: bool, **files: str | None) -> Descriptors:
    from transcoder.reflection_client import reflect
    from transcoder.upstream.tls import Tls

    return reflect(target, tls=Tls(**files) if tls else None)


def _chosen(descriptors: Descriptors, services: tuple[str, ...]) -> Descriptors:
    if services:
        return descriptors.choose(services)
    if descriptors.imported:
        names = ", ".join(descriptors.imported)
        click.echo(f"left out, for other files import theirs: {names}", err=True)
    return descriptors


def _configured(
    profile: Profile, file: BinaryIO | None
) -> tuple[Profile, ServiceConfig | None, tuple[Mistake, ...]]:
    """Return the profile as a service configuration changes it, that, and what is wrong in it."""
    if file is None:
        return profile, None, ()
    from transcoder.service_config import check_service_config

    config, mistakes = check_service_config(_text(file), file.name)
    return config.adapt(profile), config, mistakes


def _text(file: BinaryIO) -> str:
    from transcoder.errors import ConfigError

    try:
        return file.read().decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{file.name} is not UTF-8") from None


@contextmanager
def told(failure: type[click.ClickException]) -> Iterator[None]:
    """Turn a ConfigError into one line on stderr and the exit code of a failure."""
    from transcoder.errors import ConfigError

    try:
        yield
    except ConfigError as error:
        raise failure(str(error)) from None
