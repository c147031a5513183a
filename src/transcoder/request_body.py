"""The request body: media types, and the message or the field that the bytes become."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import InvalidRequest, StatusError, UnsupportedMedia
from transcoder.fields import FieldPath, itself, value_of
from transcoder.marshaler import JSON, is_any_json, is_json, is_protobuf, media_type
from transcoder.profile import Profile
from transcoder.protojson import from_json
from transcoder.protojson.cost import LIMIT, json_values
from transcoder.status import Code
from transcoder.wire import PIECE, enclosed, parse

ReadBody = Callable[[bytes, str], Message]
"""Body and Content-Type to a message with nothing but the body in it; empty without a body.

Raises InvalidRequest and UnsupportedMedia, and StatusError with 413 for too many JSON values.
"""

_ADVICE = "send Content-Type: application/json (with curl: --json)"


def is_http_body(descriptor: Descriptor | None) -> bool:
    """Say whether a message is `google.api.HttpBody`: raw bytes, no JSON."""
    return descriptor is not None and descriptor.full_name == "google.api.HttpBody"


def serialized_class(
    body: str, descriptor: Descriptor, message_class: type[Message]
) -> type[Message] | None:
    """Return the class of which a serialized body is; None for a rule that takes none.

    Args:
        body: of the rule; see `body_reader`.
        descriptor: of the request.
        message_class: of the request.
    """
    if body in {"", "*"}:
        return message_class if body else None
    leaf = FieldPath.resolve(descriptor, body, json_names=False).leaf
    if leaf.message_type is None or leaf.is_repeated:
        return None
    return GetMessageClass(leaf.message_type)


def body_reader(
    body: str, descriptor: Descriptor, message_class: type[Message], profile: Profile
) -> ReadBody:
    """Compile the reader of a rule's body.

    A body of `null` is no message: it leaves unset what the body names, `*` and field alike.

    Args:
        body: `*`, or a field by its dotted path of proto names.
        descriptor: of the request.
        message_class: of the request.
        profile: what happens to unknown keys, and without a Content-Type.
    """
    read = _Decoder(profile, descriptor.file.pool)
    if body == "*":
        if is_http_body(descriptor):
            return _raw(message_class, itself)
        return _whole(descriptor, message_class, read)
    path = FieldPath.resolve(descriptor, body, json_names=False)
    field_type = path.leaf.message_type
    if field_type is None or path.leaf.is_repeated:
        return _wrapped(path, message_class, read)
    if is_http_body(field_type):
        return _raw(message_class, value_of(path))
    return _submessage(path, field_type, message_class, read)


class _Decoder:
    """Decodes a message of an accepted media type: JSON, or serialized."""

    __slots__ = ("_ignore_unknown", "_json_by_default", "_pool")

    def __init__(self, profile: Profile, pool: Any) -> None:
        self._ignore_unknown = profile.unknown_body == "ignore"
        self._json_by_default = profile.missing_content_type == "json"
        self._pool = None if pool is Default() else pool

    def __call__(self, data: bytes, content_type: str, message_class: type[Message]) -> Message:
        if content_type != JSON and is_protobuf(content_type):
            return _parsed(data, message_class, message_class.DESCRIPTOR)
        self.check(content_type, data)
        return from_json(data, message_class, ignore_unknown=self._ignore_unknown, pool=self._pool)

    def check(self, content_type: str, data: bytes) -> None:
        """Refuse a body that is not JSON, or that holds too many values, before it is read."""
        if content_type != JSON and not (
            self._json_by_default if not content_type.strip() else is_json(content_type)
        ):
            raise UnsupportedMedia(_refusal(content_type))
        # Each of what is counted as a value takes a byte, but for the first.
        if len(data) >= LIMIT and json_values(data, LIMIT) > LIMIT:
            problem = f"the body holds over {LIMIT} JSON values"
            raise StatusError(Code.RESOURCE_EXHAUSTED, problem, http=413)


def _parsed(data: bytes, message_class: type[Message], told: Any) -> Message:
    try:
        return parse(data, message_class)
    except DecodeError:
        # Why is not told by all versions of protobuf in the same way.
        problem = f"the body is not a serialized {told.full_name}"
        raise InvalidRequest(problem) from None


def _refusal(content_type: str) -> str:
    said = media_type(content_type)
    if not said:
        return f"the body has no Content-Type: {_ADVICE}"
    if is_any_json(said):
        return f"JSON is taken in UTF-8 only: {_ADVICE}"
    return f"a body of this type is not taken: {_ADVICE}"


def _raw(message_class: type[Message], target_of: Callable[[Message], Any]) -> ReadBody:
    def read(data: bytes, content_type: str) -> Message:
        message = message_class()
        target = target_of(message)
        type(target).SetInParent(target)
        target.content_type = content_type
        target.data = data
        return message

    return read


def _whole(descriptor: Descriptor, message_class: type[Message], decode: _Decoder) -> ReadBody:
    is_unset = _unset_by(descriptor)

    def read(data: bytes, content_type: str) -> Message:
        if not data:
            return message_class()
        if is_unset(data) and not is_protobuf(content_type):
            decode.check(content_type, data)
            return message_class()
        return decode(data, content_type, message_class)

    return read


def _unset_by(descriptor: Descriptor) -> Callable[[bytes], bool]:
    # null is a value of google.protobuf.Value, and "no value" for all others.
    takes_null = descriptor.full_name == "google.protobuf.Value"
    return lambda data: not takes_null and data.strip() == b"null"


def _submessage(
    path: FieldPath, descriptor: Descriptor, message_class: type[Message], decode: _Decoder
) -> ReadBody:
    target_of = value_of(path)
    field_class = GetMessageClass(descriptor)
    # Fields could step out of a group, which has an end instead of a length.
    is_enclosed = all(field.type == field.TYPE_MESSAGE for field in path.fields)
    is_unset = _unset_by(descriptor)

    def read(data: bytes, content_type: str) -> Message:
        message = message_class()
        # Nothing is a serialized message, but no JSON.
        if not data and not is_protobuf(content_type):
            return message
        if is_unset(data) and not is_protobuf(content_type):
            decode.check(content_type, data)
            return message
        if len(data) > PIECE and is_enclosed and is_protobuf(content_type):
            # To copy it would take as long as to read it at once.
            return _parsed(enclosed(data, path.fields[::-1]), message_class, descriptor)
        value = decode(data, content_type, field_class)
        field_class.CopyFrom(target_of(message), value)
        return message

    return read


def _wrapped(path: FieldPath, message_class: type[Message], decode: _Decoder) -> ReadBody:
    """Read a body that is no message as the one member of the object that it stands for."""
    before = "".join(f'{{"{field.json_name}":' for field in path.fields).encode()
    after = b"}" * len(path.fields)
    name = ".".join(field.json_name for field in path.fields)

    def read(data: bytes, content_type: str) -> Message:
        if not data:
            return message_class()
        decode.check(content_type, data)
        _check_one_value(data)
        try:
            return decode(before + data + after, content_type, message_class)
        except InvalidRequest as error:
            raise InvalidRequest(error.problem, _within(name, error.field)) from None

    return read


def _within(name: str, path: str) -> str:
    """Return a path from the field of a name on, as its JSON alone has it; that name for all."""
    rest = path.removeprefix(name)
    return path if rest == path or not rest else rest.removeprefix(".")


def _check_one_value(data: bytes) -> None:
    """Refuse what is not one JSON value, so that none can step out of the object around it."""
    try:
        json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the JSON is not UTF-8: bad byte at offset {error.start}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidRequest(f"not JSON: {where}: {error.msg[:1].lower()}{error.msg[1:]}") from None
    except (RecursionError, ValueError):
        raise InvalidRequest("the JSON is nested too deep, or holds too long a number") from None
