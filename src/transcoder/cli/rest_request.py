"""The HTTP request that a message becomes by its method's rule."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transcoder.http_rule import Binding

_VARIABLE = re.compile(r"\{([\w.]+)(=[^}]*)?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent: a method, a path with its query, and a body of a type, or None."""

    method: str
    target: str
    body: bytes | None = None
    content_type: str = ""


def request_of(binding: Binding, fields: dict[str, Any]) -> Request:
    """Return the request that a binding has for a message.

    Args:
        binding: of its method.
        fields: of the message, as JSON with the names of the proto; some are taken out.

    Raises:
        ConfigError: a field that the path needs is not there.
    """

    def filled(variable: re.Match[str]) -> str:
        value = _taken(fields, variable[1])
        return urllib.parse.quote(value, safe="/" if variable[2] else "")

    path = _VARIABLE.sub(filled, binding.template.text)
    body, kind = _body(binding, fields) if binding.body else (None, "")
    query = urllib.parse.urlencode(_rest(binding, fields))
    target = f"{path}?{query}" if query else path
    return Request(method=binding.method, target=target, body=body, content_type=kind)


def body_of(binding: Binding, fields: dict[str, Any]) -> bytes:
    """Return what a message of a stream is in its body, behind the first.

    Args:
        binding: of its method.
        fields: as for `request_of`.

    Raises:
        ConfigError: it has more than goes into the body.
    """
    from transcoder.errors import ConfigError

    body, _ = _body(binding, fields)
    left = [name for name, _ in _rest(binding, fields)]
    if left:
        told = f"only {binding.body} of a request behind the first goes over REST"
        raise ConfigError(f"{told}, and not {', '.join(left)}")
    return body


def _rest(binding: Binding, fields: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is in neither path nor body, as parameters."""
    return [] if binding.body == "*" else list(_flat(fields, binding.rpc.input_type))


def _body(binding: Binding, fields: dict[str, Any]) -> tuple[bytes, str]:
    """Return a body with its type, and take it out of the fields."""
    value: Any = fields
    described: Any = binding.rpc.input_type
    for name in binding.body.split(".") if binding.body != "*" else ():
        described = described.fields_by_name[name].message_type
    if binding.body != "*":
        *outer, last = binding.body.split(".")
        for name in outer:
            value = value.get(name, {})
        value = value.pop(last, {})
    if described is not None and described.full_name == "google.api.HttpBody":
        data = base64.b64decode(value.get("data", ""))
        return data, value.get("content_type", "application/octet-stream")
    return json.dumps(value).encode(), "application/json"


def _taken(fields: dict[str, Any], path: str) -> str:
    from transcoder.errors import ConfigError

    *outer, last = path.split(".")
    inner: Any = fields
    for name in outer:
        inner = inner.get(name, {})
    if last not in inner:
        raise ConfigError(f"the request: {path} is of the path, and is missing")
    return str(inner.pop(last))


def _flat(value: Any, described: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the query parameters that a value is.

    Args:
        value: as JSON with the names of the proto.
        described: the type of its message; None for a scalar.
        name: of the parameter, or of what its fields are in.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            field = described.fields_by_name.get(key) if described else None
            kind = field.message_type if field else None
            path = f"{name}.{key}" if name else key
            if kind is not None and kind.GetOptions().map_entry:
                for each, text in inner.items():
                    yield from _flat(
                        text, kind.fields_by_name["value"].message_type, f"{path}[{each}]"
                    )
            else:
                yield from _flat(inner, kind, path)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner, described, name)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)
