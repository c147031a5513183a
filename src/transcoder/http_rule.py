"""`google.api.http` rules to bindings.

A rule gives a method one binding, and one more for each of its `additional_bindings`. What the
comments of `google/api/http.proto` forbid is refused here, when the service starts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from transcoder.errors import ConfigError, TemplateError
from transcoder.fields import FieldPath, FieldPathError, UnknownField, is_map
from transcoder.path_template import PathTemplate
from transcoder.values import fits_path

_HTTP: Any = annotations_pb2.http
_HTTP_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A `token` of RFC 9110, section 5.6.2; `*` is one too."""


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
    if rule is None:
        rule = _option(rpc)
    if rule is None or _is_empty(rule):
        return ()
    found = [_binding(rpc, rule, 0)]
    for index, additional in enumerate(rule.additional_bindings, 1):
        if additional.additional_bindings:
            raise ConfigError(f"{rpc.full_name}: additional_bindings may not be nested")
        found.append(_binding(rpc, additional, index))
    return tuple(found)


def unbound(rpc: MethodDescriptor) -> Binding:
    """Return the binding of a method without a rule: `POST /package.Service/Method`, body `*`.

    >>> from google.longrunning import operations_pb2
    >>> service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    >>> unbound(service.methods_by_name["GetOperation"]).template.text
    '/google.longrunning.Operations/GetOperation'
    """
    path = f"/{rpc.containing_service.full_name}/{rpc.name}"
    return Binding(rpc=rpc, index=0, method="POST", template=PathTemplate.parse(path), body="*")


def _option(rpc: MethodDescriptor) -> HttpRule | None:
    options = rpc.GetOptions()
    if not options.HasExtension(_HTTP):
        # Options that were first read before the extension was known keep it as unknown bytes.
        options = MethodOptions.FromString(options.SerializeToString())
        if not options.HasExtension(_HTTP):
            return None
    rule: HttpRule = options.Extensions[_HTTP]
    return rule


def _is_empty(rule: HttpRule) -> bool:
    said = (rule.WhichOneof("pattern"), rule.body, rule.response_body, rule.additional_bindings)
    return not any(said)


def _binding(rpc: MethodDescriptor, rule: HttpRule, index: int) -> Binding:
    method, text = _pattern(rpc, rule)
    try:
        template = PathTemplate.parse(text)
    except TemplateError as error:
        raise ConfigError(f"{rpc.full_name}: {error}") from None
    for position in range(len(template.variables)):
        _check_variable(rpc, template, position)
    where = f"{rpc.full_name}: {text!r}"
    if rule.body and method in {"GET", "HEAD"}:
        raise ConfigError(f"{where}: {method} has no body, remove body: {rule.body!r}")
    return Binding(
        rpc=rpc,
        index=index,
        method=method,
        template=template,
        body=_body(rpc.input_type, rule.body, where),
        response_body=_response_body(rpc.output_type, rule.response_body, where),
    )


def _pattern(rpc: MethodDescriptor, rule: HttpRule) -> tuple[str, str]:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise ConfigError(f"{rpc.full_name}: the rule names no HTTP method, such as get or post")
    if kind != "custom":
        return kind.upper(), getattr(rule, kind)
    if not _HTTP_METHOD.fullmatch(rule.custom.kind):
        path = rule.custom.path
        raise ConfigError(f"{rpc.full_name}: {path!r}: custom kind is not an HTTP method or *")
    return rule.custom.kind, rule.custom.path


def _body(message: Descriptor, name: str, where: str) -> str:
    return name if name in {"", "*"} else str(_path(message, name, f"{where}: body {name!r}"))


def _response_body(message: Descriptor, name: str, where: str) -> str:
    if not name:
        return ""
    path = _path(message, name, f"{where}: response_body {name!r}")
    if len(path.fields) > 1:
        raise ConfigError(f"{where}: response_body {name!r}: must be a field of the reply itself")
    return str(path)


def _path(message: Descriptor, text: str, where: str) -> FieldPath:
    try:
        return FieldPath.resolve(message, text, json_names=False)
    except FieldPathError as error:
        raise ConfigError(f"{where}: {_told(error)}") from None


def _told(error: FieldPathError) -> str:
    return f"{error.name}: {error}" if isinstance(error, UnknownField) else str(error)


def _check_variable(rpc: MethodDescriptor, template: PathTemplate, position: int) -> None:
    name = template.variables[position].name
    found = _variable_problem(rpc, name)
    if found is not None:
        depth, problem = found
        before = "".join(f"{part}." for part in name.split(".")[:depth])
        column = _column(template.text, position) + len(before)
        error = TemplateError(template.text, column, problem)
        raise ConfigError(f"{rpc.full_name}: {error}")


def _variable_problem(rpc: MethodDescriptor, name: str) -> tuple[int, str] | None:
    """Return which name of a variable's path is wrong, and why."""
    if rpc.client_streaming:
        return 0, f"{name}: a stream of requests has no path variables"
    try:
        path = FieldPath.resolve(rpc.input_type, name, json_names=False)
    except FieldPathError as error:
        return error.depth, _told(error)
    depth, leaf = len(path.fields) - 1, path.leaf
    if leaf.is_repeated:
        kind = "a map" if is_map(leaf) else "repeated"
        return depth, f"{leaf.name}: a path variable cannot be {kind}"
    if leaf.message_type is not None and not fits_path(leaf.message_type):
        return depth, f"{leaf.name}: a path variable cannot be a {leaf.message_type.full_name}"
    return None


def _column(text: str, position: int) -> int:
    """Return where the name of the nth variable starts, counted from 1."""
    brace = -1
    for _ in range(position + 1):
        brace = text.index("{", brace + 1)
    return brace + 2
