"""What goes back to the client: a reply, or an error, as status, headers and bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from transcoder.errors import StatusError
from transcoder.http_rule import Binding
from transcoder.profile import Profile
from transcoder.protojson import to_json
from transcoder.status import Code

RawHeaders = Sequence[tuple[bytes, bytes]]

JSON = b"application/json"
OCTETS = b"application/octet-stream"
INTERNAL = StatusError(Code.INTERNAL, "internal error")
"""What a client is told of any defect on our side."""


@dataclass(frozen=True, slots=True)
class Payload:
    """An HTTP answer without the wire: what `send` needs, and nothing else."""

    status: int
    content_type: bytes
    body: bytes
    headers: RawHeaders = ()


class ResponseEncoder:
    """Turns the replies of one binding into payloads; compiled once.

    Args:
        binding: its `response_body` names the field that is the whole answer.
        profile: what is printed.

    Raises (on call):
        ValueError: the reply has no JSON form.
    """

    __slots__ = ("_field", "_is_http_body", "_print_defaults")

    def __init__(self, binding: Binding, profile: Profile) -> None:
        output = binding.rpc.output_type
        name = binding.response_body
        self._field: FieldDescriptor | None = output.fields_by_name[name] if name else None
        body_type = output if self._field is None else self._field.message_type
        repeated = self._field is not None and self._field.is_repeated
        self._is_http_body = (
            body_type is not None and body_type.full_name == "google.api.HttpBody" and not repeated
        )
        self._print_defaults = profile.print_defaults

    def __call__(self, reply: Message) -> Payload:
        """Return the answer that carries this reply."""
        if self._is_http_body:
            return self._http_body(reply)
        if self._field is None:
            return Payload(200, JSON, to_json(reply, print_defaults=self._print_defaults))
        return Payload(200, JSON, self._field_json(reply, self._field))

    def _http_body(self, reply: Message) -> Payload:
        body: Any = reply if self._field is None else getattr(reply, self._field.name)
        return Payload(200, _media_type(body.content_type), body.data)

    def _field_json(self, reply: Message, field: FieldDescriptor) -> bytes:
        value = getattr(reply, field.name)
        if isinstance(value, Message):
            return to_json(value, print_defaults=self._print_defaults)
        alone = type(reply)()
        if field.is_repeated:
            getattr(alone, field.name).MergeFrom(value)
        else:
            setattr(alone, field.name, value)
        tree = json.loads(to_json(alone, print_defaults=True))
        return json.dumps(tree[field.json_name], ensure_ascii=False, separators=(",", ":")).encode()


def _media_type(text: str) -> bytes:
    """Return a content type that is safe in a header; what is not one becomes octets."""
    if 0 < len(text) <= 255 and text.isascii() and text.isprintable() and "/" in text:
        return text.encode("ascii")
    return OCTETS


def error_payload(error: BaseException) -> Payload:
    """Return the answer that tells a client of an error.

    Only a StatusError speaks for itself; of anything else the client learns INTERNAL.

    >>> error_payload(StatusError(Code.NOT_FOUND, "no such user")).status
    404
    >>> error_payload(KeyError("secret")).body
    b'{"code":13,"message":"internal error","details":[]}'
    """
    told = error if isinstance(error, StatusError) else INTERNAL
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.headers]
    return Payload(told.http, JSON, told.status.to_json(), headers)
