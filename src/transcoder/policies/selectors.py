"""Which calls an option means: by method, by service, by package, or by path.

    services.user.v1.UserService.GetUser    one method
    services.user.v1.UserService.*          the methods of a service
    services.*                              those of all services whose names begin so
    *                                       every method, and every other path
    /v1/admin/**                            the methods whose paths these are, and other such paths

A method has more than one name: paths, and the one that gRPC knows. So a path selects methods when
the application starts, and from then on they are meant on both doors. A path that fits some of
a method's paths and not others would mean less over gRPC than over HTTP, or more: it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError, InvalidRequest
from transcoder.path_template import Kind, PathTemplate, Segment
from transcoder.policies.policy import Methods, check_texts
from transcoder.route import Miss, Route
from transcoder.routing import Router

T = TypeVar("T")

_KEPT: Final = 10_000

_NAME = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*\.)*(?:[A-Za-z_][A-Za-z0-9_]*|\*)")


class Selectors:
    """Some calls, as an option names them.

    Args:
        option: its name, for messages.
        texts: as above.

    Raises:
        ConfigError: one of them is no selector.

    >>> selectors = Selectors("public", ["greeter.v1.Greeter.*", "/docs"])
    >>> selectors.selects("greeter.v1.Greeter.SayHello"), selectors.selects_path("/docs/a")
    (True, False)
    """

    def __init__(self, option: str, texts: Iterable[str]) -> None:
        listed = list(texts) if not isinstance(texts, str) else texts
        check_texts(option, listed)
        self._option = option
        self._texts = tuple(listed)
        self._names = [text for text in listed if not text.startswith("/")]
        for name in self._names:
            if not _NAME.fullmatch(name):
                raise ConfigError(f"{option}: {name!r} names no method, service, package or path")
        self._templates = [PathTemplate.parse(text) for text in listed if text.startswith("/")]
        routes = [Route("*", each, each.text, each) for each in self._templates]
        self._router = Router(routes) if routes else None

    def __str__(self) -> str:
        """Return them as they were given."""
        return ", ".join(self._texts)

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self._names or self._templates)

    def selects(self, method: str, templates: Sequence[PathTemplate] = ()) -> bool:
        """Say whether a method is meant.

        Args:
            method: its full name.
            templates: of all its paths.

        Raises:
            ConfigError: by some of its paths, and not by others.
        """
        if any(_fits(name, method) for name in self._names):
            return True
        return any(self._covers(each, method, templates) for each in self._templates)

    def selects_path(self, path: str) -> bool:
        """Say whether a path is meant that is of no method, as its client sent it."""
        if "*" in self._names:
            return True
        if self._router is None:
            return False
        try:
            return not isinstance(self._router.match("", path), Miss)
        except InvalidRequest:
            return False

    def check(self, methods: Methods) -> None:
        """Check that each of the names means something.

        Args:
            methods: full names, and the templates of their paths.

        Raises:
            ConfigError: one of them means nothing.
        """
        for name in self._names:
            if name != "*" and not any(_fits(name, method) for method in methods):
                raise ConfigError(f"{self._option}: no method here fits {name}")

    def _covers(
        self, pattern: PathTemplate, method: str, templates: Sequence[PathTemplate]
    ) -> bool:
        covered = [_covers(pattern, each) for each in templates]
        if not any(fit is not False for fit in covered):
            return False
        for fit, template in zip(covered, templates, strict=True):
            if fit is not True:
                problem = f"{self._option}: {pattern} means some of the paths of {method}"
                raise ConfigError(f"{problem}, and not all of {template}: name the method instead")
        return True


class Choices(Generic[T]):
    """Values that an option gives by selector; a call has all of them that fit it, in their order.

    Args:
        option: its name, for messages.
        by_selector: the values.

    Raises:
        ConfigError: one of the keys is no selector.

    >>> choices = Choices("require", {"shop.v1.Orders.*": "read", "*": "any"})
    >>> choices.of(CallDetails("grpc", method="shop.v1.Orders.GetOrder"))
    ('read', 'any')
    """

    def __init__(self, option: str, by_selector: Mapping[str, T]) -> None:
        self._choices = [(Selectors(option, [text]), value) for text, value in by_selector.items()]
        self._methods: Methods = {}
        self._of_method: dict[str, tuple[T, ...]] = {}

    def compile(self, methods: Methods) -> None:
        """Find out which values the methods have.

        Raises:
            ConfigError: a selector means nothing, or a method by some of its paths only.
        """
        for selectors, _ in self._choices:
            selectors.check(methods)
        self._methods = methods
        self._of_method = {method: self._of(method, "") for method in methods}

    def of(self, call: CallDetails) -> tuple[T, ...]:
        """Return the values of a call."""
        if not self._choices:
            return ()
        if not call.method:
            return self._of("", call.path)
        found = self._of_method.get(call.method)
        if found is None:
            found = self._of(call.method, "")
            if len(self._of_method) < _KEPT:
                self._of_method[call.method] = found
        return found

    def _of(self, method: str, path: str) -> tuple[T, ...]:
        templates = self._methods.get(method, ())
        return tuple(
            value
            for selectors, value in self._choices
            if (selectors.selects(method, templates) if method else selectors.selects_path(path))
        )


def _fits(name: str, method: str) -> bool:
    if name.endswith("*"):
        return method.startswith(name[:-1])
    return name == method


def _covers(pattern: PathTemplate, template: PathTemplate) -> bool | None:
    """Say whether a pattern fits all paths of a template; None for some."""
    wanted, given = list(pattern.segments), list(template.segments)
    last = wanted[-1].kind if wanted else Kind.LITERAL
    verbs = pattern.verb == template.verb
    if verbs or (not pattern.verb and last is not Kind.LITERAL):
        if _all(wanted, given):
            return True
    elif pattern.verb and template.segments and given[-1].kind is not Kind.LITERAL:
        # `/v1/{name}` takes `/v1/x:verb` where no other route does.
        return None if _some(wanted, given) else False
    else:
        return False
    return None if _some(wanted, given) else False


def _all(wanted: Sequence[Segment], given: Sequence[Segment]) -> bool:
    if not wanted:
        return not given
    first, rest = wanted[0], wanted[1:]
    if first.kind is Kind.DEEP_WILDCARD:
        return any(_all(rest, given[taken:]) for taken in range(len(given) + 1))
    if not given or given[0].kind is Kind.DEEP_WILDCARD:
        return False
    fits = first.kind is Kind.WILDCARD or first == given[0]
    return fits and _all(rest, given[1:])


def _some(wanted: Sequence[Segment], given: Sequence[Segment]) -> bool:
    """Say whether any path fits both."""
    if not wanted or not given:
        return all(each.kind is Kind.DEEP_WILDCARD for each in (*wanted, *given))
    first, other = wanted[0], given[0]
    if first.kind is Kind.DEEP_WILDCARD:
        return any(_some(wanted[1:], given[taken:]) for taken in range(len(given) + 1))
    if other.kind is Kind.DEEP_WILDCARD:
        return any(_some(wanted[taken:], given[1:]) for taken in range(len(wanted) + 1))
    fits = Kind.WILDCARD in {first.kind, other.kind} or first == other
    return fits and _some(wanted[1:], given[1:])
