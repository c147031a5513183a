"""Which of several versions a call gets: by what it says, by what it sticks by, by turns. Pure.

The first match all of whose conditions fit decides; then the value that calls stick by, for all
calls of one value go to one version; and then it is whose turn it is, so that of any hundred such
calls each version has as many as its weight.

What a call says is looked at behind the policies: a header is what the servicer would see of it,
and a claim what was verified. Nothing is compared but by its whole text or its beginning, so that
no text of a client takes longer to look at than it is long.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol, TypeAlias

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError, InvalidRequest
from transcoder.metadata import Metadatum, is_key
from transcoder.path_template import PathTemplate
from transcoder.query_string import DEFAULT_LIMITS, parameters
from transcoder.route import Miss, Route
from transcoder.routing import Router
from transcoder.upstream.round_robin import share, turns

Fits: TypeAlias = "Callable[[Asked], bool]"
Read: TypeAlias = "Callable[[Asked], Sequence[str | bytes]]"


class Asked(Protocol):
    """A call as far as it is looked at."""

    method: str
    """The gRPC path; empty where no method answers."""
    details: CallDetails | None
    """What the door knows of it; None over gRPC where nothing stands there."""

    @property
    def metadata(self) -> tuple[Metadatum, ...]:
        """What its servicer is told."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that a call says.

    Of what is there several times, one value that fits is enough. Names of headers have no case,
    and all else does.

    Args:
        header: the name of a header, or of metadata over gRPC.
        claim: the name of a claim of the caller, whom a policy has made sure of. Beside a header
            it stands before that: for a caller with such a claim the header is not looked at.
        query: the name of a parameter of the query; over gRPC there is none.
        cookie: the name of a cookie; over gRPC there is none.
        method: of HTTP; `POST` over gRPC.
        path: a template that all of the path fits, as `/v1/orders/**`; over gRPC the path is
            `/package.Service/Method`.
        exact: the whole of a value.
        prefix: how a value begins; one of the two is expected, but of a method and a path.
    """

    header: str = ""
    claim: str = ""
    query: str = ""
    cookie: str = ""
    method: str = ""
    path: str = ""
    exact: str | None = None
    prefix: str | None = None

    @property
    def told(self) -> str:
        """What it fits, in words."""
        if self.exact is not None:
            return f"{self} is {self.exact}"
        return str(self) if self.prefix is None else f"{self} begins with {self.prefix}"

    def __str__(self) -> str:
        if self.header:
            return self.header
        subjects = [(name, getattr(self, name)) for name in _SUBJECTS]
        return " ".join(f"{name} {value}" for name, value in subjects if value) or "nothing"


_SUBJECTS: Final = tuple(
    each.name for each in fields(Condition) if each.name not in {"exact", "prefix"}
)


@dataclass(frozen=True, slots=True)
class VersionMatch:
    """Calls that fit all of some conditions get that version.

    Args:
        to: the name of a version.
        conditions: at least one.
    """

    to: str
    conditions: Sequence[Condition]

    def __str__(self) -> str:
        return " and ".join(map(str, self.conditions)) or "a match without conditions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky:
    """What calls stick by; a call without it takes its turn.

    Args:
        header: the name of a header, or of metadata over gRPC.
        claim: the name of a claim of the caller; beside a header it stands before that.
        cookie: the name of a cookie, which whoever knows the client sets: it is only read.
    """

    header: str = ""
    claim: str = ""
    cookie: str = ""

    def __str__(self) -> str:
        return self.header or (f"claim {self.claim}" if self.claim else f"cookie {self.cookie}")


class Choice:
    """Chooses among versions.

    Args:
        weights: of a hundred calls that no match decides, how many are each version's, by name;
            None for a version that has calls by matches alone.
        matches: in the order in which they are asked.
        sticky: what calls stick by; None for nothing.

    Raises:
        ConfigError: as `problems` tells.
    """

    def __init__(
        self,
        weights: Mapping[str, int | None],
        matches: Sequence[VersionMatch] = (),
        sticky: Sticky | None = None,
    ) -> None:
        for (about, *_), problem in problems(weights, matches, sticky):
            prefix = "sticky: " if about == "sticky" else ""
            raise ConfigError(f"split: {prefix}{problem}")
        self._matches = [(match, tuple(map(_fits, match.conditions))) for match in matches]
        self._sticky = sticky
        self._key = None if sticky is None else _sticking(sticky)
        self._named = list(weights)
        self._weights = [weight or 0 for weight in weights.values()]
        self._turns: Iterator[int] = itertools.cycle(turns(self._weights))
        asked = [each for match in matches for each in match.conditions]
        self.needs_details: Final = any(
            each.query or each.cookie or each.method or each.path for each in asked
        ) or bool(sticky and sticky.cookie)
        """Whether a call's request is looked at, beyond its metadata."""

    def __call__(self, call: Asked) -> str:
        """Return the name of the version that a call gets."""
        match = self._matching(call)
        if match is not None:
            return match.to
        if self._key is not None:
            for value in self._key(call):
                return self._stuck_by(value)
        return self._named[next(self._turns)]

    def explain(self, call: Asked) -> tuple[str, str] | None:
        """Return the name of the version that a call gets, and why; None where turns decide."""
        match = self._matching(call)
        if match is not None:
            return match.to, " and ".join(each.told for each in match.conditions)
        if self._key is not None:
            for value in self._key(call):
                return self._stuck_by(value), f"by {self._sticky} {value!s}"
        return None

    def _matching(self, call: Asked) -> VersionMatch | None:
        for match, conditions in self._matches:
            for fits in conditions:
                if not fits(call):
                    break
            else:
                return match
        return None

    def _stuck_by(self, value: str | bytes) -> str:
        data = value if isinstance(value, bytes) else value.encode()
        return self._named[share(self._weights, data)]


def _fits(condition: Condition) -> Fits:
    """Return what says whether a call fits a condition."""
    if condition.method or condition.path:
        return _of_request(condition)
    read, exact, prefix = _reading(condition), condition.exact, condition.prefix or ""

    def fits(call: Asked) -> bool:
        for value in read(call):
            if value == exact if exact is not None else _begins(value, prefix):
                return True
        return False

    return fits


def _begins(value: str | bytes, prefix: str) -> bool:
    return isinstance(value, str) and value.startswith(prefix)


def _of_request(condition: Condition) -> Fits:
    if condition.method:
        wanted = condition.method
        return lambda call: wanted == ("POST" if not call.details else call.details.http_method)
    template = PathTemplate.parse(condition.path)
    router = Router([Route("*", template, condition.path, None)])

    def fits(call: Asked) -> bool:
        path = call.method if call.details is None else call.details.path
        try:
            return not isinstance(router.match("", path), Miss)
        except InvalidRequest:
            return False

    return fits


def _reading(condition: Condition) -> Read:
    if condition.query:
        return lambda call: _parameters(call, condition.query)
    return _sticking(
        Sticky(header=condition.header, claim=condition.claim, cookie=condition.cookie)
    )


def _sticking(by: Sticky) -> Read:
    """Return what reads the values of a header, a claim or a cookie."""
    header, claim = by.header.lower(), by.claim
    if by.cookie:
        return lambda call: _cookies(call, by.cookie)
    if not claim:
        return lambda call: _headers(call, header)
    if not header:
        return lambda call: _claims(call, claim)
    return lambda call: _claims(call, claim) or _headers(call, header)


def _headers(call: Asked, name: str) -> Sequence[str | bytes]:
    return [value for key, value in call.metadata if key == name]


def _claims(call: Asked, name: str) -> Sequence[str]:
    principal = None if call.details is None else call.details.principal
    if principal is None:
        return ()
    claim: Any = principal.claims.get(name)
    listed = claim if isinstance(claim, list | tuple) else [claim]
    texts = [
        each if isinstance(each, str) else json.dumps(each)
        for each in listed
        if isinstance(each, str | int | bool)
    ]
    # A claim that cannot be compared is there all the same: a header says nothing beside it.
    return texts if texts or claim is None else [""]


def _parameters(call: Asked, name: str) -> Sequence[str]:
    query = b"" if call.details is None else call.details.query
    try:
        return [value for key, _, value in parameters(query, DEFAULT_LIMITS) if key == name]
    except InvalidRequest:
        return ()


def _cookies(call: Asked, name: str) -> Sequence[str]:
    if call.details is None or call.details.door == "grpc":
        return ()
    found = []
    for line in call.details.all(b"cookie"):
        for pair in line.decode("latin-1").split(";"):
            key, _, value = pair.strip(" \t").partition("=")
            if key == name:
                found.append(value)
    return found


def problems(
    weights: Mapping[str, int | None], matches: Sequence[VersionMatch], sticky: Sticky | None
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what is wrong with a choice, each with the way to it in the words of `Split`.

    Args:
        weights: as `Choice` takes them, and so on.
        matches: likewise.
        sticky: likewise.
    """
    yield from _problems_of_weights(weights)
    seen: set[frozenset[Condition]] = set()
    for number, match in enumerate(matches):
        at = ("matches", number)
        if match.to not in weights:
            known = ", ".join(weights) or "none"
            yield (*at, "to"), f"{match}: no version is named {match.to!r}: there are {known}"
        if not match.conditions:
            yield at, f"{match} for {match.to}: weights decide about all calls"
        for index, condition in enumerate(match.conditions):
            if problem := _problem_of(condition):
                among = ("all", index) if len(match.conditions) > 1 else ()
                yield (*at, *among), f"{match}: {problem}"
        same = frozenset(match.conditions)
        if same in seen:
            yield at, f"{match}: two matches fit the same calls: remove one of them"
        seen.add(same)
    if sticky is not None and (problem := _problem_of_sticky(sticky)):
        yield ("sticky",), problem


def problem_of_weight(weight: object) -> str:
    """Return why something is no weight; empty where it is one."""
    if type(weight) is int and 1 <= weight <= 100:
        return ""
    told = "a whole number from 1 to 100 is expected"
    left_out = ": leave the version out, or its weight where matches alone choose it"
    return told + (left_out if weight == 0 else "")


def _problems_of_weights(
    weights: Mapping[str, int | None],
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    given = [(index, *each) for index, each in enumerate(weights.items()) if each[1] is not None]
    wrong = False
    for index, name, weight in given:
        if problem := problem_of_weight(weight):
            wrong = True
            yield ("versions", index, "weight"), f"{name}: weight {weight!r}: {problem}"
    total = 0 if wrong else sum(weight or 0 for weight in weights.values())
    if not wrong and total != 100:
        yield ("versions",), f"the weights make up {total}: 100 is expected"


def _problem_of(condition: Condition) -> str:
    given = [name for name in _SUBJECTS if getattr(condition, name)]
    if given not in [["header", "claim"], *([name] for name in _SUBJECTS)]:
        return f"one of {', '.join(_SUBJECTS)} is expected, or header and claim"
    valued = condition.exact is not None, condition.prefix is not None
    if condition.path:
        try:
            PathTemplate.parse(condition.path)
        except ConfigError as error:
            return str(error)
    if condition.method or condition.path:
        return "exact and prefix are for values" if any(valued) else ""
    if valued[0] == valued[1]:
        return "one of exact and prefix is expected"
    return _problem_of_header(condition.header)


def _problem_of_sticky(by: Sticky) -> str:
    given = [name for name in ("header", "claim", "cookie") if getattr(by, name)]
    if given not in [["header"], ["claim"], ["cookie"], ["header", "claim"]]:
        return "one of header, claim and cookie is expected"
    return _problem_of_header(by.header)


def _problem_of_header(name: str) -> str:
    if not name or is_key(name.lower()):
        return ""
    return f"header {name!r}: a-z, 0-9, _, - and . are expected"
