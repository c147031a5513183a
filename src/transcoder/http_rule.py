"""`google.api.http` rules to bindings.

A rule gives a method one binding, and one more for each of its `additional_bindings`. What the
comments of `google/api/http.proto` forbid is refused here, when the service starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from transcoder.errors import ConfigError, TemplateError
from transcoder.fields import FieldPath, FieldPathError, UnknownField, is_map
from transcoder.path_template import PathTemplate
from transcoder.well_known import fits_path, well_known

_ANY = "google.protobuf.Any"
_HTTP: Any = annotations_pb2.http
_HTTP_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A `token` of RFC 9110, section 5.6.2; `*` is one too."""

_DELIVERED = re.compile(
    "GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|QUERY|ACL|BIND|CHECKOUT|COPY|LINK|LOCK|M-SEARCH|MERGE|"
    "MKACTIVITY|MKCALENDAR|MKCOL|MOVE|NOTIFY|PROPFIND|PROPPATCH|PURGE|REBIND|REPORT|SEARCH|SOURCE|"
    "SUBSCRIBE|UNBIND|UNLINK|UNLOCK|UNSUBSCRIBE"
)
"""The HTTP methods that pass the server's HTTP port: those of llhttp, but TRACE and CONNECT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One HTTP method and path template of an RPC, and what of its messages is the body.

    Args:
        rpc: the method.
        index: 0 for the rule itself, n for its nth additional binding.
        method: the HTTP method, or `*` for all.
        template: the path.
        body: a dotted path of proto names, `*` for all that the path leaves, or nothing.
        response_body: the field of the reply that is the whole answer, or nothing.
    """

    rpc: MethodDescriptor
    index: int
    method: str
    template: PathTemplate
    body: str = ""
    response_body: str = ""


def bindings(rpc: MethodDescriptor, rule: HttpRule | None = None) -> tuple[Binding, ...]:
    """Return the bindings of a method, in the order of its rule; none when it has no rule.

    Args:
        rpc: the method.
        rule: taken in place of the method's `google.api.http` option.

    Raises:
        ConfigError: the rule is wrong; names the method, the template and the column.

    >>> from google.longrunning import operations_pb2
    >>> service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    >>> rpc = service.methods_by_name["GetOperation"]
    >>> [(binding.method, binding.template.text) for binding in bindings(rpc)]
    [('GET', '/v1/{name=operations/**}')]
    """
    found = []
    for part in parts(rpc, rule):
        if part.problems:
            raise part.problems[0]
        found.append(part.binding)
    return tuple(found)


class Part(NamedTuple):
    """One binding of a rule and all that is wrong with it; hardly to be used if anything is."""

    binding: Binding
    problems: tuple[ConfigError, ...]


def parts(rpc: MethodDescriptor, rule: HttpRule | None = None) -> Iterator[Part]:
    """Yield the bindings of a method as `bindings` does, the wrong ones with their problems.

    >>> from google.longrunning import operations_pb2
    >>> service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    >>> rule = HttpRule(get="/v1/{nmae}/{age}", response_body="x")
    >>> part, = parts(service.methods_by_name["GetOperation"], rule)
    >>> len(part.problems)
    3
    """
    rule = option(rpc) if rule is None else rule
    if rule is None or _is_empty(rule):
        return
    yield _part(rpc, rule, 0)
    for index, additional in enumerate(rule.additional_bindings, 1):
        yield _part(rpc, additional, index)


def unbound(rpc: MethodDescriptor) -> Binding:
    """Return the binding of a method without a rule: `POST /package.Service/Method`, body `*`.

    >>> from google.longrunning import operations_pb2
    >>> service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    >>> unbound(service.methods_by_name["GetOperation"]).template.text
    '/google.longrunning.Operations/GetOperation'
    """
    path = f"/{rpc.containing_service.full_name}/{rpc.name}"
    return Binding(rpc=rpc, index=0, method="POST", template=PathTemplate.parse(path), body="*")


def option(rpc: MethodDescriptor) -> HttpRule | None:
    """Return the `google.api.http` option of a method, from whatever pool it comes."""
    options = rpc.GetOptions()
    if not options.HasExtension(_HTTP):
        # Options that were first read before the extension was known keep it as unknown bytes.
        options = MethodOptions.FromString(options.SerializeToString())
        if not options.HasExtension(_HTTP):
            return None
    rule: HttpRule = options.Extensions[_HTTP]
    return rule


def is_delivered(method: str) -> bool:
    """Say whether an HTTP method passes the server's HTTP port.

    >>> is_delivered("GET"), is_delivered("get"), is_delivered("TRACE")
    (True, False, False)
    """
    return _DELIVERED.fullmatch(method) is not None


def undelivered(binding: Binding) -> str:
    """Return why no request reaches a binding through the server's HTTP port; or nothing.

    Other ASGI servers may let other methods through.
    """
    method = binding.method
    if method == "*" or is_delivered(method):
        return ""
    if is_delivered(method.upper()):
        return f"custom kind {method!r}: HTTP methods are case-sensitive, write {method.upper()!r}"
    return f"custom kind {method!r}: the server's HTTP port does not take this method"


def notes(binding: Binding) -> Iterator[str]:
    """Yield what a binding does that its author may not expect; none of it keeps from starting.

    >>> from google.longrunning import operations_pb2
    >>> service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    >>> rule = HttpRule(delete="/v1/{name=operations/*}", body="*")
    >>> binding, = bindings(service.methods_by_name["DeleteOperation"], rule)
    >>> list(notes(binding))
    ['DELETE with a body: RFC 9110 gives it no meaning, clients and proxies may drop it']
    """
    rpc, body = binding.rpc, binding.body
    if rpc.client_streaming and not body:
        yield "no body: the stream of requests is the one message of path and query"
    told = undelivered(binding)
    if told:
        yield told
    if body and binding.method == "DELETE":
        yield "DELETE with a body: RFC 9110 gives it no meaning, clients and proxies may drop it"
    names = tuple(body.split("."))
    for variable in binding.template.variables:
        if names[: len(variable.field_path)] == variable.field_path:
            yield f"body {body!r} is always lost: the path sets {variable.name} after it"
        elif body not in {"", "*"} and (oneof := _shared_oneof(rpc, body, variable.name)):
            told = f"the path sets {variable.name} after it, and oneof {oneof} holds one"
            yield f"body {body!r} is always lost: {told}"


def _is_empty(rule: HttpRule) -> bool:
    said = (rule.WhichOneof("pattern"), rule.body, rule.response_body, rule.additional_bindings)
    return not any(said)


_NOWHERE = PathTemplate.parse("/")


def _part(rpc: MethodDescriptor, rule: HttpRule, index: int) -> Part:
    method, template = "", _NOWHERE
    try:
        method, text = _pattern(rule)
        template = PathTemplate.parse(text)
        found = list(_problems(rpc, rule, method, template))
    except ConfigError as error:
        found = [str(error)]
    if index and rule.additional_bindings:
        found.insert(0, "additional_bindings may not be nested")
    binding = Binding(
        rpc=rpc,
        index=index,
        method=method,
        template=template,
        body=rule.body,
        response_body=rule.response_body,
    )
    return Part(binding, tuple(ConfigError(f"{rpc.full_name}: {problem}") for problem in found))


def _problems(
    rpc: MethodDescriptor, rule: HttpRule, method: str, template: PathTemplate
) -> Iterator[str]:
    for position in range(len(template.variables)):
        yield from _variable_problems(rpc, template, position)
    yield from _oneof_problems(rpc, template)
    where, body, response_body = repr(template.text), rule.body, rule.response_body
    if body and method in {"GET", "HEAD"}:
        yield f"{where}: {method} has no body, remove body: {body!r}"
    elif body not in {"", "*"}:
        yield from _field_problems(rpc.input_type, body, f"{where}: body {body!r}")
    if response_body:
        said = f"{where}: response_body {response_body!r}"
        unknown = list(_field_problems(rpc.output_type, response_body, said))
        yield from unknown
        if "." in response_body and not unknown:
            yield f"{said}: must be a field of the reply itself"


def _pattern(rule: HttpRule) -> tuple[str, str]:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise ConfigError("the rule names no HTTP method, such as get or post")
    if kind != "custom":
        return kind.upper(), getattr(rule, kind)
    if not _HTTP_METHOD.fullmatch(rule.custom.kind):
        raise ConfigError(f"{rule.custom.path!r}: custom kind is not an HTTP method or *")
    return rule.custom.kind, rule.custom.path


def _field_problems(message: Descriptor, name: str, said: str) -> Iterator[str]:
    try:
        path = FieldPath.resolve(message, name, json_names=False)
    except FieldPathError as error:
        yield f"{said}: {_told(error)}"
    else:
        inside = _inside_well_known(path)
        if inside is not None:
            yield f"{said}: {inside[1]}"


def _told(error: FieldPathError) -> str:
    return f"{error.name}: {error}" if isinstance(error, UnknownField) else str(error)


def _variable_problems(
    rpc: MethodDescriptor, template: PathTemplate, position: int
) -> Iterator[str]:
    name = template.variables[position].name
    found = _variable_problem(rpc, name)
    if found is not None:
        depth, problem = found
        before = "".join(f"{part}." for part in name.split(".")[:depth])
        column = _column(template.text, position) + len(before)
        yield str(TemplateError(template.text, column, problem))


def _variable_problem(rpc: MethodDescriptor, name: str) -> tuple[int, str] | None:
    """Return which name of a variable's path is wrong, and why."""
    try:
        path = FieldPath.resolve(rpc.input_type, name, json_names=False)
    except FieldPathError as error:
        return error.depth, _told(error)
    inside = _inside_well_known(path)
    if inside is not None:
        return inside
    depth, leaf = len(path.fields) - 1, path.leaf
    if leaf.is_repeated:
        kind = "a map" if is_map(leaf) else "repeated"
        return depth, f"{leaf.name}: a path variable cannot be {kind}"
    if leaf.message_type is not None and not fits_path(leaf.message_type):
        return depth, f"{leaf.name}: a path variable cannot be a {leaf.message_type.full_name}"
    return None


def _inside_well_known(path: FieldPath) -> tuple[int, str] | None:
    """Return which name of a path is of a value that only goes as a whole, and that it does."""
    for depth, field in enumerate(path.fields[:-1]):
        kind = field.message_type
        if kind is not None and (well_known(kind) is not None or kind.full_name == _ANY):
            return depth, f"{field.name}: a {kind.full_name} goes as a whole, not in parts"
    return None


def _oneof_problems(rpc: MethodDescriptor, template: PathTemplate) -> Iterator[str]:
    """Yield the variables that overwrite an earlier one, for one oneof holds both."""
    names = [variable.name for variable in template.variables]
    for position, name in enumerate(names):
        for other in names[:position]:
            if oneof := _shared_oneof(rpc, other, name):
                problem = f"{name}: overwrites {other}, for oneof {oneof} holds only one"
                yield str(TemplateError(template.text, _column(template.text, position), problem))


def _shared_oneof(rpc: MethodDescriptor, one: str, other: str) -> str:
    """Return the oneof of which two paths are through different members; nothing without one."""
    try:
        paths = [
            FieldPath.resolve(rpc.input_type, name, json_names=False).fields
            for name in (one, other)
        ]
    except FieldPathError:
        return ""
    for left, right in zip(*paths, strict=False):
        if left.name != right.name:
            oneof = left.containing_oneof
            shared = oneof is not None and oneof is right.containing_oneof
            return str(oneof.name) if oneof is not None and shared else ""
    return ""


def _column(text: str, position: int) -> int:
    """Return where the name of the nth variable starts, counted from 1."""
    brace = -1
    for _ in range(position + 1):
        brace = text.index("{", brace + 1)
    return brace + 2
