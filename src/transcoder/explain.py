"""Why a request goes where it goes: what matched and bound, or where each near route stopped."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message

from transcoder.errors import StatusError
from transcoder.fields import FieldPath, FieldPathError, is_map
from transcoder.hosts import not_served
from transcoder.http_rule import Binding, is_delivered
from transcoder.path_template import Kind, PathTemplate, Segment
from transcoder.protojson import to_json
from transcoder.query_string import DEFAULT_LIMITS, parameters
from transcoder.request_target import host_of, typed
from transcoder.route import Match, Miss, Route
from transcoder.routing import Router
from transcoder.status import Code
from transcoder.system_parameters import system_names
from transcoder.transcoder import Endpoint, Transcoder

NEAR = 5
"""How many routes are looked at more closely when none matches."""

_INTERNAL = "the path fits, but the method is internal: an edge gateway does not serve it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What one path variable or query parameter became.

    Args:
        origin: "path" or "query".
        name: of the variable, or the parameter's key.
        value: decoded.
        field: the path of the field that holds it; empty if none does.
        note: the field's type, or why it is no field's.
    """

    origin: str
    name: str
    value: str
    field: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A route that did not answer, and why."""

    route: Route[Any]
    stopped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a transcoder makes of a request.

    Args:
        route: what answers; None if nothing does.
        bound: what path and query became.
        request: the message in JSON; empty if none was made.
        error: what the client is told instead of a reply.
        allow: the methods of the path, which is all that an OPTIONS without a route is told.
        candidates: other routes; when none answers the nearest ones, else those that fit too.
    """

    route: Route[Any] | None = None
    bound: tuple[Bound, ...] = ()
    request: str = ""
    error: StatusError | None = None
    allow: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()


def explain(
    transcoder: Transcoder,
    method: str,
    target: str,
    body: bytes = b"",
    content_type: str = "application/json",
) -> Explanation:
    """Return why a request goes where it goes.

    Args:
        transcoder: whose routes these are; what a gateway answers itself binds nothing.
        method: the HTTP method, in the case in which the client writes it.
        target: path and query as a client sends them, percent-encoded; or a URL, whose host is
            asked for.
        body: of the request.
        content_type: of the body.

    Raises:
        ConfigError: two routes conflict.

    >>> from google.longrunning import operations_pb2
    >>> service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    >>> found = explain(Transcoder([service]), "GET", "/v1/operations/7")
    >>> found.bound[0].field, found.bound[0].value
    ('name', 'operations/7')
    >>> explain(Transcoder([service]), "PUT", "/v1/operations/7").candidates[0].stopped
    'the path fits, but it answers GET'
    """
    hosts = transcoder.compile()
    if not _is_heard(transcoder, method):
        return Explanation(error=_no_method(method))
    router = hosts.of(*host_of(target))
    try:
        path, _, query = typed(target).partition("?")
        found = router.match(method, path)
    except StatusError as error:
        return Explanation(error=error)
    if isinstance(found, Miss):
        if method == "OPTIONS" and found.allow:
            return Explanation(allow=found.allow)
        if not hosts.serves(router):
            return Explanation(error=not_served())
        near = (*_withheld(transcoder, router, method, path), *_near(router, method, path))
        return Explanation(error=transcoder.refusal(found), candidates=near)
    asked, content = (method, path, query.encode()), (body, content_type)
    return _matched(transcoder, router, found, asked, content)


def _matched(
    transcoder: Transcoder,
    router: Router[Any],
    match: Match[Any],
    asked: tuple[str, str, bytes],
    content: tuple[bytes, str],
) -> Explanation:
    method, path, query = asked
    others = tuple(_also_fitting(transcoder, router, match, method, path))
    if not isinstance(match.route.endpoint, Endpoint):
        return Explanation(route=match.route, candidates=others)
    binding: Binding = match.route.endpoint.binding
    bound = [*_path_bound(binding, match)]
    try:
        bound += _query_bound(binding, query, transcoder)
        message = transcoder.request(match, query, *content)
        transcoder.presentation(match, query)
    except StatusError as error:
        return Explanation(route=match.route, bound=tuple(bound), error=error, candidates=others)
    return Explanation(
        route=match.route, bound=tuple(bound), request=_json(message), candidates=others
    )


def _is_heard(transcoder: Transcoder, method: str) -> bool:
    # A kind of one's own is heard under servers that take any method.
    return is_delivered(method) or any(route.method == method for route in transcoder.routes)


def _no_method(method: str) -> StatusError:
    """Return what the server's HTTP port answers before any route is looked for."""
    right = method.upper()
    hint = f": methods are case-sensitive, write {right}" if is_delivered(right) else ""
    return StatusError(Code.UNIMPLEMENTED, f"no such HTTP method{hint}", http=501)


def _json(message: Message) -> str:
    try:
        return to_json(message, indent=2).decode()
    except ValueError as error:
        return str(error)


def _path_bound(binding: Binding, match: Match[Any]) -> Iterator[Bound]:
    for variable, value in zip(binding.template.variables, match.values, strict=True):
        path = FieldPath.resolve(binding.rpc.input_type, variable.name, json_names=False)
        yield Bound(
            origin="path", name=variable.name, value=value, field=str(path), note=_type(path.leaf)
        )


def _query_bound(binding: Binding, query: bytes, transcoder: Transcoder) -> Iterator[Bound]:
    profile = transcoder.profile
    system = system_names(binding.rpc.input_type) if profile.system_parameters else frozenset()
    for key, _, value in parameters(query, DEFAULT_LIMITS):
        if key in system:
            field, note = "", "a system parameter"
        elif key in profile.ignored_query:
            field, note = "", "ignored"
        elif binding.body == "*" and profile.query_beside_body != "bind":
            field, note = "", "the body holds all fields"
        else:
            field, note = _query_field(binding, key)
        yield Bound(origin="query", name=key, value=value, field=field, note=note)


def _query_field(binding: Binding, key: str) -> tuple[str, str]:
    """Return the field that a key of the query sets, and its type; or nothing, and why."""
    try:
        path = FieldPath.resolve(binding.rpc.input_type, key.partition("[")[0])
    except FieldPathError as error:
        return "", str(error)
    names = path.names
    for variable in binding.template.variables:
        if names[: len(variable.field_path)] == variable.field_path:
            return "", f"passed over: the path sets {variable.name}"
    body = tuple(binding.body.split("."))
    if names[: len(body)] == body:
        return "", f"passed over: the body sets {binding.body}"
    return str(path), _type(path.leaf)


def _type(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    if is_map(field) and field.message_type is not None:
        key, value = field.message_type.fields
        return f"map<{_type(key)}, {_type(value)}>"
    if named is not None:
        kind = str(named.full_name)
    else:
        number: Any = field.type
        kind = FieldDescriptorProto.Type.Name(number).removeprefix("TYPE_").lower()
    return f"repeated {kind}" if field.is_repeated else kind


def _also_fitting(
    transcoder: Transcoder, router: Router[Any], match: Match[Any], method: str, path: str
) -> Iterator[Candidate]:
    keys = router.segments(path) or []
    newest = transcoder.profile.order == "last-wins"
    twins = [conflict.route for conflict in router.conflicts if conflict.same]
    for route in router.routes:
        if (
            route is not match.route
            and _answers(route, method)
            and not stopped(route.template, keys)
        ):
            earlier = "was declared first" if route in twins else "is more specific"
            why = "was declared later" if newest else earlier
            yield Candidate(route=route, stopped=f"fits too, but {match.route.template} {why}")


def _withheld(
    transcoder: Transcoder, router: Router[Any], method: str, path: str
) -> Iterator[Candidate]:
    keys = router.segments(path) or []
    for route in transcoder.withheld:
        if _answers(route, method) and not stopped(route.template, keys):
            yield Candidate(route=route, stopped=_INTERNAL)


def _near(router: Router[Any], method: str, path: str) -> Iterator[Candidate]:
    keys = router.segments(path)
    if keys is None:
        keys = [key for key in path.split("/") if key]
    scored = (
        (_likeness(route.template, keys) + _answers(route, method) / 2, -age, route)
        for age, route in enumerate(router.routes)
    )
    for score, _, route in heapq.nlargest(NEAR, scored):
        why = stopped(route.template, keys)
        if not why and not _answers(route, method):
            why = f"the path fits, but it answers {route.method}"
        if score > 1:
            yield Candidate(route=route, stopped=why or "an empty segment fits nothing")


def _answers(route: Route[Any], method: str) -> bool:
    return route.method in {method, "*"} or (method == "HEAD" and route.method == "GET")


def stopped(template: PathTemplate, keys: Sequence[str]) -> str:
    """Return where a path stops fitting a template, or nothing if it fits.

    Args:
        template: of a route.
        keys: the segments of the path, as `Router.segments` returns them.

    >>> stopped(PathTemplate.parse("/v1/users/{id}:activate"), ["v1", "user", "42"])
    "the path does not end with ':activate'"
    >>> stopped(PathTemplate.parse("/v1/users/{id}"), ["v1", "user", "42"])
    "segment 2 is 'user', not 'users'"
    """
    if template.verb:
        verb = f":{template.verb}"
        if not keys or not keys[-1].endswith(verb) or keys[-1] == verb:
            return f"the path does not end with {verb!r}"
        keys = [*keys[:-1], keys[-1].removesuffix(verb)]
    deep = template.deep
    if deep is None:
        return _stopped(template.segments, keys)
    front, back = template.segments[:deep], template.segments[deep + 1 :]
    if len(keys) < len(front) + len(back):
        needed = len(front) + len(back)
        return _stopped(front, keys[:deep]) or f"the path is shorter than {needed} segments"
    start = len(keys) - len(back)
    return _stopped(front, keys[:deep]) or _stopped(back, keys[start:], start)


def _stopped(segments: Sequence[Segment], keys: Sequence[str], start: int = 0) -> str:
    for number, (segment, key) in enumerate(zip(segments, keys, strict=False), start + 1):
        if segment.kind is Kind.LITERAL and segment.text != key:
            return f"segment {number} is {_shown(key)}, not {segment.text!r}"
    if len(keys) < len(segments):
        return f"the path ends where {segments[len(keys)].text!r} should follow"
    if len(keys) > len(segments):
        return f"the path goes on with {_shown(keys[len(segments)])}"
    return ""


def _shown(key: str) -> str:
    return repr(key.replace("\0", "%2F"))


def _likeness(template: PathTemplate, keys: Sequence[str]) -> float:
    """Return how alike a template and a path are, segment by segment."""
    alike = 0.0 if stopped(template, keys) else 1.0
    if template.verb and keys:
        base, _, verb = keys[-1].rpartition(":")
        alike += _ratio(template.verb, verb) - 0.5
        keys = [*keys[:-1], base or keys[-1]]
    alike += sum(map(_alike, template.segments, keys))
    missing = 0 if template.deep is not None else abs(len(template.segments) - len(keys))
    # Where several are missing, the first tells; it shall not outweigh all that fits.
    return alike - min(missing, 1) - missing / 10


def _alike(segment: Segment, key: str) -> float:
    if segment.text == key:
        return 1
    if segment.kind is not Kind.LITERAL:
        return 0.9
    return _ratio(segment.text, key) / 2


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).quick_ratio()
