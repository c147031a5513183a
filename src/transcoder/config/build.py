"""The gateway that a file describes, as the objects that the library has for it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import ServiceDescriptor

from transcoder.config import models
from transcoder.config.file import Keys, Mistake, Placing, load_placed, read_text
from transcoder.config.folder import Folder
from transcoder.config.models import Config
from transcoder.config.parts import Parts, WrongPart, placed
from transcoder.config.policies import observers_of, overrides_of, policies_of
from transcoder.config.routes import add_route
from transcoder.config.services import add_service, described, pool_of
from transcoder.config.upstreams import graphql, http_upstream, remote
from transcoder.descriptors import Descriptors
from transcoder.errors import ConfigError
from transcoder.event_stream import EventStream
from transcoder.forwarded import TrustedProxies
from transcoder.gateway import Gateway
from transcoder.handshake import Token
from transcoder.health import Health
from transcoder.inbound import STRIPPED
from transcoder.own_pages import OpenApi
from transcoder.pace import Pace
from transcoder.policies.policy import Policy, Selective
from transcoder.policies.selectors import Selectors
from transcoder.profile import PROFILES
from transcoder.route import Conflict, RouteConflict
from transcoder.service_config import ServiceConfig, read_service_config
from transcoder.stream_limits import StreamLimits
from transcoder.timeouts import Timeout, Timeouts

if TYPE_CHECKING:
    from transcoder.multipart import FormLimits


@dataclass(frozen=True, slots=True)
class Built:
    """A gateway that a file describes.

    Args:
        gateway: with its services, whose calls go to their upstreams.
        config: what the file says.
        parts: what the gateway is made of.
        descriptors: of each of the file's services.
        policies: what stands before its calls, by where the file says it.
        place: tells where in the file a part of it is.
    """

    gateway: Gateway
    config: Config
    parts: Parts
    descriptors: tuple[Descriptors, ...]
    policies: Mapping[Keys, Policy]
    place: Placing = field(default=lambda _, message: Mistake("", 0, 0, message), repr=False)

    @property
    def services(self) -> tuple[ServiceDescriptor, ...]:
        """All of the file's services."""
        return tuple(service for each in self.descriptors for service in each.services)


def describe(built: Built, folder: Path) -> tuple[Descriptors, ...]:
    """Return the descriptors of a gateway's services as they are now; the same objects if they are.

    Args:
        built: the gateway.
        folder: which the file's relative paths are of.

    Raises:
        WrongPart: there are none.
    """
    parts = Parts(Folder(folder), built.parts.known)
    config = built.config
    services = enumerate(config.services)
    return tuple(described(index, given, config.upstreams, parts) for index, given in services)


def open_file(path: str | Path, folder: Folder | None = None, before: Built | None = None) -> Built:
    """Return the gateway that a file describes, compiled.

    Args:
        path: of the file.
        folder: which its relative paths are of; by default that of the file.
        before: as for `build`.

    Raises:
        ConfigError: it cannot be served; tells why in one line, with the place in the file.
    """
    config, place = load_placed(path)
    try:
        built = build(config, folder or Path(path).parent, before)
        _compile(built)
    except WrongPart as error:
        raise ConfigError(str(place(error.keys, str(error)))) from error
    except ConfigError as error:
        keys = _keys_told(config, str(error))
        told = place(keys, str(error)) if keys else f"{path}: {error}"
        raise ConfigError(str(told)) from error
    return replace(built, place=place)


def _keys_told(config: Config, problem: str) -> Keys:
    """Return the way to what a gateway finds wrong; none where it does not tell.

    It begins with the name of the argument, and then names or quotes what of it is wrong.
    """
    key, _, told = problem.partition(": ")
    if key not in Config.model_fields:
        return ()
    given = getattr(config, key)
    parts: Mapping[Any, str] = {}
    if isinstance(given, list | dict):
        parts = (
            dict(enumerate(given)) if isinstance(given, list) else {each: each for each in given}
        )
    for at, text in parts.items():
        if told.startswith(f"{text}: ") or repr(text) in told:
            return key, at
    return (key,)


def _compile(built: Built) -> None:
    """Compile a gateway; say of routes in conflict which part of the file they are of."""
    try:
        built.gateway.compile()
    except RouteConflict as error:
        problem = f"{error.conflict}; `conflicts: warn` makes this a warning"
        raise WrongPart(_keys_of(built, error.conflict), problem) from error


def _keys_of(built: Built, conflict: Conflict[Any]) -> Keys:
    """Return the way to the routes or the service that bind one of two routes, the later one."""
    for each in conflict.route, conflict.other:
        for index, given in reversed([*enumerate(built.config.routes)]):
            if given.path == each.name and tuple(given.hosts) == tuple(each.hosts):
                return "routes", index
        for index, found in enumerate(built.descriptors):
            if each.name.rpartition(".")[0] in {service.full_name for service in found.services}:
                return "services", index
    return ()


def build(config: Config, folder: Folder | Path = Path(), before: Built | None = None) -> Built:
    """Make what a file describes; nothing is connected yet.

    Args:
        config: what the file says.
        folder: which its relative paths are of.
        before: the gateway that it is to follow, whose parts it takes over.

    Raises:
        WrongPart: a file is missing, a service is not there, or an option is none.
        ConfigError: its parts do not go together.
    """
    at = Folder(folder) if isinstance(folder, Path) else folder
    if before is None:
        return _build(config, at, Parts(at))
    known = before.parts.known
    built = _build(config, at, Parts(at, known))
    if built.gateway.methods() == before.gateway.methods():
        return built
    # What calls its options mean is theirs to know, and those of before are still asked.
    fixed = (each for each in known.values() if isinstance(each.made, Selective))
    stale = set(map(id, fixed))
    known = {key: part for key, part in built.parts.known.items() if id(part) not in stale}
    return _build(config, at, Parts(at, known))


def _build(config: Config, at: Folder, parts: Parts) -> Built:
    services = tuple(
        described(index, given, config.upstreams, parts)
        for index, given in enumerate(config.services)
    )
    together = [id(each) for each in services]
    pool = parts.made(("services",), lambda *_: pool_of(services), together, owns=False)
    made = {
        kind: {
            name: parts.made(("upstreams", name), functools.partial(make, name), given, id(pool))
            for name, given in config.upstreams.items()
            if given.kind == kind
        }
        for kind, make in _UPSTREAMS.items()
    }
    standing = dict(policies_of(config.policies, parts))
    gateway = Gateway(
        profile=PROFILES[config.profile],
        rules=_rules(config, at),
        unbound=config.unbound,
        hosts=config.listen.hosts,
        conflicts=config.conflicts,
        validate=_validates(config),
        trusted_proxies=_proxies(config),
        trusted_peers=config.trusted_peers,
        role=config.role,
        internal=config.internal,
        strip=STRIPPED if config.strip is None else config.strip,
        keep=config.keep,
        skip_for_trusted=config.skip_for_trusted,
        timeouts=_timeouts(config.timeouts),
        policies=standing.values(),
        public=config.public,
        overrides=overrides_of(config.overrides, parts),
        observers=list(observers_of(config.observers, parts)),
        pool=pool,
        **_requests(config),
    )
    for index, (given, found) in enumerate(zip(config.services, services, strict=True)):
        with placed("services", index):
            add_service(gateway, given, found, made["target"], parts, index=index)
    for index, route in enumerate(config.routes):
        with placed("routes", index):
            add_route(gateway, route, made, parts, index)
    _check_names(config, gateway)
    gateway.leave_to(parts)
    parts.done()
    return Built(gateway, config, parts, services, standing)


_UPSTREAMS: Final[Mapping[str, Callable[..., Any]]] = {
    "target": remote,
    "url": http_upstream,
    "graphql": graphql,
}
"""What makes an upstream, by its kind."""


def _rules(config: Config, at: Folder) -> ServiceConfig | None:
    if config.rules is None:
        return None
    path = at(config.rules)
    with placed("rules"):
        return read_service_config(read_text(path), str(path))


def _proxies(config: Config) -> TrustedProxies:
    for index, network in enumerate(config.trusted_proxies):
        with placed("trusted_proxies", index):
            TrustedProxies([network])
    return TrustedProxies(config.trusted_proxies)


def _requests(config: Config) -> dict[str, Any]:
    """Return what bounds requests, and where the gateway tells of itself."""
    with placed("health"):
        health = None if config.health is None else Health(**config.health.told())
    with placed("websocket_token"):
        token = Token(**config.websocket_token.told())
    return {
        "body_limit": config.body_limit,
        "bodies_limit": config.bodies_limit,
        "pace": Pace(**config.pace.told()),
        "forms": _forms(config),
        "streams": StreamLimits(**config.streams.told()),
        "events": {name: EventStream(**each.told()) for name, each in config.events.items()},
        "origins": config.origins,
        "websocket_token": token,
        "health": health,
        "openapi": None if config.openapi is None else OpenApi(**config.openapi.told()),
    }


def _validates(config: Config) -> bool:
    if config.validate_requests:
        with placed("validate_requests"):
            import_module("transcoder.validation")
    return config.validate_requests


def _forms(config: Config) -> FormLimits | None:
    if config.forms is None:
        return None
    with placed("forms"):
        from transcoder.multipart import FormLimits  # noqa: PLC0415  it needs an extra

        return FormLimits(**config.forms.told())


def _check_names(config: Config, gateway: Gateway) -> None:
    """Refuse the first selector or name that means no method, with its place."""
    methods = gateway.methods()
    for keys, text in config.selectors():
        with placed(*keys):
            Selectors("", [text]).check(methods)
    for keys, name in config.method_names():
        with placed(*keys):
            gateway.transcoder.check_names("", [name])


def _timeouts(given: models.Timeouts) -> Timeouts:
    methods = {}
    for name, each in given.methods.items():
        with placed("timeouts", "methods", name):
            methods[name] = Timeout(each.default, each.maximum)
    with placed("timeouts"):
        return Timeouts(default=given.default, maximum=given.maximum, methods=methods)
