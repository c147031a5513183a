"""All that is wrong with the rules of services, at once.

Start-up stops at the first problem; who repairs rules wants to see all of them, each with its
place. What is found here is what `Transcoder` refuses, and, not fatal, what it takes and may not be
meant: routes that several others leave nothing to, and `http_rule.notes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from google.protobuf.descriptor import MethodDescriptor

from transcoder.descriptors import Descriptors, Place
from transcoder.http_rule import notes, parts, unbound
from transcoder.path_template import PathTemplate
from transcoder.profile import GOOGLE, Profile
from transcoder.route import (
    DOCS,
    HEALTH,
    LIVENESS,
    OPENAPI,
    READINESS,
    Conflict,
    Route,
    Shadowed,
    docs_route,
    health_route,
    liveness_route,
    openapi_routes,
    readiness_route,
)
from transcoder.routing import Router

if TYPE_CHECKING:
    # Who has no service configuration needs no PyYAML.
    from transcoder.service_config import Mistake, SelectedRule, ServiceConfig


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong, and where.

    Args:
        where: file, line and column, as far as they are known.
        message: what is wrong, in one line.
        fatal: whether a server refuses to start with it.
    """

    where: Place
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def check(
    descriptors: Descriptors,
    *,
    config: ServiceConfig | None = None,
    mistakes: Iterable[Mistake] = (),
    profile: Profile = GOOGLE,
    unbound: bool = False,
    conflicts: Literal["refuse", "warn"] = "refuse",
    health: str | None = HEALTH,
    liveness: str | None = LIVENESS,
    readiness: str | None = READINESS,
    openapi: str | None = OPENAPI,
    docs: str | None = DOCS,
) -> tuple[Problem, ...]:
    """Return all problems of the services' rules, sorted by their places.

    Args:
        descriptors: of the services.
        config: rules in place of options.
        mistakes: what is wrong in the configuration's file.
        profile: decides which routes are in conflict.
        unbound: methods without a rule have the route `POST /package.Service/Method`.
        conflicts: whether a route that never answers because another one does keeps a server from
            starting.
        health: the path at which a gateway tells of its own health; None for none.
        liveness: that at which it tells whether it lives; None for none.
        readiness: that at which it tells whether it is ready; None for none.
        openapi: that of its OpenAPI document, without `.json`; None for none, and no docs.
        docs: that of its page for people; None for none.

    Raises:
        TemplateError: one of these is no path.
    """
    problems = [Problem(place, message) for place, message in mistakes]
    selected: dict[str, SelectedRule] = {}
    if config is not None:
        found = config.unmatched(descriptors.services)
        problems += (Problem(each.place, each.message, each.fatal) for each in found)
        selected = config.select(descriptors.services)
    rules = _Rules(descriptors, selected, unbound=unbound)
    routes = list(rules.routes(problems))
    nowhere = Place("")
    own = ((health_route, health), (liveness_route, liveness), (readiness_route, readiness))
    routes += (route(path, nowhere) for route, path in own if path is not None)
    if openapi is not None:
        routes += openapi_routes(openapi, nowhere, nowhere)
        routes += [] if docs is None else [docs_route(docs, nowhere)]
    router = Router(routes, order=profile.order, unescape=profile.unescape, refuse=False)
    problems += (_conflict(each, fatal=conflicts == "refuse") for each in router.conflicts)
    problems += map(_shadowed, router.shadowed)
    return tuple(sorted(set(problems)))


class _Rules:
    def __init__(
        self, descriptors: Descriptors, selected: dict[str, SelectedRule], *, unbound: bool
    ) -> None:
        self._descriptors = descriptors
        self._selected = selected
        self._unbound = unbound

    def routes(self, problems: list[Problem]) -> Iterator[Route[Place]]:
        """Yield a route for each right binding; add what is wrong with the others."""
        for service in self._descriptors.services:
            for rpc in service.methods:
                yield from self._routes_of(rpc, problems)

    def _routes_of(self, rpc: MethodDescriptor, problems: list[Problem]) -> Iterator[Route[Place]]:
        selected = self._selected.get(rpc.full_name)
        read = list(parts(rpc, selected.rule if selected else None))
        if not read and self._unbound:
            place = self._descriptors.source.method(rpc)
            yield _route("POST", unbound(rpc).template, rpc, place)
        for part in read:
            binding = part.binding
            place = self._place(rpc, binding.index)
            problems += (Problem(place, str(problem)) for problem in part.problems)
            if not part.problems:
                told = f"{rpc.full_name} ({binding.method} {binding.template})"
                problems += (Problem(place, f"{told}: {n}", fatal=False) for n in notes(binding))
                yield _route(binding.method, binding.template, rpc, place)

    def _place(self, rpc: MethodDescriptor, index: int) -> Place:
        selected = self._selected.get(rpc.full_name)
        return selected.places[index] if selected else self._descriptors.source.binding(rpc, index)


def _route(
    method: str, template: PathTemplate, rpc: MethodDescriptor, place: Place
) -> Route[Place]:
    return Route(method, template, rpc.full_name, place)


def _conflict(conflict: Conflict[Place], *, fatal: bool) -> Problem:
    told = str(conflict) if fatal else conflict.outcome
    other = conflict.other
    hint = f"{other.name}= moves it" if other.reserved else f"the other is at {other.endpoint}"
    return Problem(conflict.route.endpoint, f"{told}; {hint}", fatal)


def _shadowed(shadowed: Shadowed[Place]) -> Problem:
    route = shadowed.route
    takers = " and ".join(map(str, shadowed.takers))
    message = f"{route} can never answer: {takers} take all its paths among them"
    return Problem(route.endpoint, message, fatal=False)
