"""The HTTP request that a message becomes by its method's rule, and its answer."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from transcoder.http_rule import Binding

_VARIABLE = re.compile(r"\{([\w.]+)(=[^}]*)?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent: a method, a path with its query, and a body or None."""

    method: str
    target: str
    body: bytes | None


def request_of(binding: Binding, message: Message) -> Request:
    """Return the request that a binding has for a message.

    Raises:
        ConfigError: a field that the path needs is not there.
    """
    from transcoder.protojson import to_json

    fields: dict[str, Any] = json.loads(to_json(message, proto_names=True))

    def filled(variable: re.Match[str]) -> str:
        value = _taken(fields, variable[1])
        return urllib.parse.quote(value, safe="/" if variable[2] else "")

    path = _VARIABLE.sub(filled, binding.template.text)
    body: Any = None
    if binding.body == "*":
        body, fields = fields, {}
    elif binding.body:
        body = fields.pop(binding.body, {})
    query = urllib.parse.urlencode(list(_flat(fields)))
    return Request(
        method=binding.method,
        target=f"{path}?{query}" if query else path,
        body=None if body is None else json.dumps(body).encode(),
    )


def _taken(fields: dict[str, Any], path: str) -> str:
    from transcoder.errors import ConfigError

    *outer, last = path.split(".")
    inner: Any = fields
    for name in outer:
        inner = inner.get(name, {})
    if last not in inner:
        raise ConfigError(f"the request: {path} is of the path, and is missing")
    return str(inner.pop(last))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner, name)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)
