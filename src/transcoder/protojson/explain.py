"""Why a JSON document is not a message: the first place where it stops to fit, in plain words.

It walks the document beside the descriptor and tells the JSON path and what was expected there;
never the value, never a list of fields. What it finds wrong is refused, whatever json_format
says: docs/json.md lists where the two differ. What it lets pass, json_format decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.message import Message

from transcoder.errors import InvalidRequest
from transcoder.protojson.document import Pairs, parse
from transcoder.protojson.encoder import is_map_entry
from transcoder.protojson.judge import (
    judge,
    judge_key,
    judge_number,
    judge_text,
    key_value,
    kind,
)
from transcoder.protojson.known_decoders import TYPE_HOST
from transcoder.protojson.known_encoders import WRAPPERS, is_known
from transcoder.protojson.times import read_duration, read_timestamp
from transcoder.values import suggestion

_DEPTH = 100
_TYPE = 'expected an object with the "@type" of a known message, and its fields'


def explain(
    data: bytes,
    message_class: type[Message],
    *,
    ignore_unknown: bool = False,
    pool: DescriptorPool | None = None,
) -> InvalidRequest:
    """Return the error that tells a client why its document was refused."""
    problem = problem_in(data, message_class, ignore_unknown=ignore_unknown, pool=pool)
    if problem is not None:
        return problem
    return InvalidRequest("the JSON does not fit the message")


def problem_in(
    data: bytes,
    message_class: type[Message],
    *,
    ignore_unknown: bool = False,
    pool: DescriptorPool | None = None,
) -> InvalidRequest | None:
    """Return what is wrong with a document, None when there is nothing that can be told.

    Args:
        data: the document.
        message_class: what it should be.
        ignore_unknown: keys that name no field, and unknown names of enum values, are passed over.
        pool: where the types inside `google.protobuf.Any` are looked up.
    """
    try:
        document = parse(data)
    except UnicodeDecodeError as error:
        return InvalidRequest(f"the JSON is not UTF-8: bad byte at offset {error.start}")
    except json.JSONDecodeError as error:
        problem = error.msg[:1].lower() + error.msg[1:]
        return InvalidRequest(f"not JSON: line {error.lineno}, column {error.colno}: {problem}")
    except RecursionError:
        return InvalidRequest(f"not JSON of this message: nested over {_DEPTH} levels deep")
    except ValueError:
        return InvalidRequest("not JSON of this message: a number is too long")
    descriptor: Any = message_class.DESCRIPTOR
    try:
        _Walk(ignore_unknown=ignore_unknown, pool=pool).message(document, descriptor, 1)
    except _Problem as found:
        return InvalidRequest(found.text, found.path)
    return None


class _Problem(Exception):
    """What is wrong, and the path that `_At` puts together as it goes up."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.path = ""


class _At:
    """A step of the path: a key, or an index in brackets."""

    __slots__ = ("step",)

    def __init__(self, step: str) -> None:
        self.step = step

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, _Problem):
            dot = "." if error.path and not error.path.startswith("[") else ""
            error.path = f"{self.step}{dot}{error.path}"


class _Walk:
    """Goes through a document beside a descriptor; raises the first problem."""

    def __init__(self, *, ignore_unknown: bool, pool: DescriptorPool | None) -> None:
        self.ignore_unknown = ignore_unknown
        self.pool = Default() if pool is None else pool

    def message(self, value: Any, descriptor: Descriptor, depth: int) -> None:
        if depth > _DEPTH:
            raise _Problem(f"nested over {_DEPTH} levels deep")
        if descriptor.file.name == WRAPPERS:
            _check(judge(value, descriptor.fields_by_name["value"]))
        elif is_known(descriptor):
            self.known(value, descriptor, depth)
        elif isinstance(value, Pairs):
            self.fields(value, descriptor, depth)
        else:
            raise _Problem(f"expected an object, got {kind(value)}")

    def fields(self, pairs: Pairs, of: Descriptor, depth: int) -> None:
        seen: dict[str, str] = {}
        oneofs: dict[str, str] = {}
        for key, value in pairs:
            field = find_field(of, key)
            with _At(key):
                if field is None:
                    self.unknown(key, value, of)
                    continue
                if field.full_name in seen:
                    raise _Problem(f"given twice, as {seen[field.full_name]} before")
                seen[field.full_name] = key
                if value is not None:
                    _one_of(key, field, oneofs)
                    self.field(value, field, depth)

    def unknown(self, key: str, value: Any, of: Descriptor) -> None:
        if not self.ignore_unknown:
            raise _Problem("no such field" + suggestion(key, json_names(of)))
        _check_keys(value)

    def field(self, value: Any, field: FieldDescriptor, depth: int) -> None:
        if field.message_type is not None and is_map_entry(field.message_type):
            self.map(value, field.message_type, depth)
        elif not field.is_repeated:
            self.single(value, field, depth)
        elif not isinstance(value, list) or isinstance(value, Pairs):
            raise _Problem(f"expected an array, got {kind(value)}")
        else:
            for index, item in enumerate(value):
                with _At(f"[{index}]"):
                    self.single(item, field, depth)

    def map(self, value: Any, entry: Descriptor, depth: int) -> None:
        key_field, value_field = (entry.fields_by_name[name] for name in ("key", "value"))
        if not isinstance(value, Pairs):
            raise _Problem(f"expected an object, got {kind(value)}")
        seen = set()
        for key, item in value:
            with _At(key):
                problem = judge_key(key, key_field)
                if problem is not None:
                    raise _Problem(f"as a key, {problem}")
                known = key_value(key, key_field)
                if known in seen:
                    raise _Problem("given twice")
                seen.add(known)
                self.single(item, value_field, depth)

    def single(self, value: Any, field: FieldDescriptor, depth: int) -> None:
        if field.message_type is not None:
            self.message(value, field.message_type, depth + 1)
        else:
            _check(judge(value, field, ignore_unknown=self.ignore_unknown))

    def known(self, value: Any, descriptor: Descriptor, depth: int) -> None:
        match descriptor.full_name:
            case "google.protobuf.Any":
                self.any(value, depth)
            case "google.protobuf.Struct":
                self.struct(value, depth)
            case "google.protobuf.ListValue":
                self.list(value, depth)
            case "google.protobuf.Value":
                self.value(value, depth)
            case name:
                _check_text(value, name)

    def any(self, value: Any, depth: int) -> None:
        if not isinstance(value, Pairs):
            raise _Problem(_TYPE)
        if not value:
            return
        descriptor = self.content(value)
        rest = Pairs(pair for pair in value if pair[0] != "@type")
        if not is_known(descriptor):
            self.fields(rest, descriptor, depth)
            return
        for key, item in rest:
            with _At(key):
                if key == "value":
                    self.message(item, descriptor, depth + 1)
                elif not self.ignore_unknown:
                    raise _Problem("no such field")

    def content(self, pairs: Pairs) -> Descriptor:
        """Return the type of what an Any holds."""
        _check_keys(pairs)
        url = dict(pairs).get("@type")
        if not isinstance(url, str):
            raise _Problem(_TYPE)
        with _At("@type"):
            if not url.startswith(TYPE_HOST):
                raise _Problem(f"expected a type URL that begins with {TYPE_HOST}")
        try:
            return self.pool.FindMessageTypeByName(url.removeprefix(TYPE_HOST))
        except (KeyError, UnicodeError):
            raise _Problem(_TYPE) from None

    def struct(self, value: Any, depth: int) -> None:
        if not isinstance(value, Pairs):
            raise _Problem(f"expected a Struct, got {kind(value)}")
        _check_keys(Pairs((key, None) for key, _ in value))
        for key, item in value:
            with _At(key):
                _check(judge_text(key))
                self.value(item, depth + 1)

    def list(self, value: Any, depth: int) -> None:
        if not isinstance(value, list) or isinstance(value, Pairs):
            raise _Problem(f"expected a ListValue, got {kind(value)}")
        for index, item in enumerate(value):
            with _At(f"[{index}]"):
                self.value(item, depth + 1)

    def value(self, value: Any, depth: int) -> None:
        if depth > _DEPTH or (isinstance(value, list) and depth == _DEPTH):
            raise _Problem(f"nested over {_DEPTH} levels deep")
        if isinstance(value, Pairs):
            self.struct(value, depth + 1)
        elif isinstance(value, list):
            self.list(value, depth + 1)
        elif isinstance(value, str):
            _check(judge_text(value))
        elif value is not None:
            _check(judge_number(value))


def find_field(descriptor: Descriptor, key: str) -> FieldDescriptor | None:
    """Return the field that a key names: by its JSON name, its name or as an extension."""
    found = _fields_by_key(descriptor).get(key)
    if found is None and key.startswith("[") and key.endswith("]") and descriptor.is_extendable:
        return _extension(descriptor, key[1:-1])
    return found


@lru_cache(1_000)
def _fields_by_key(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    # A descriptor's own maps fail when they are asked for half a surrogate pair.
    by_name = {field.name: field for field in descriptor.fields}
    return by_name | {field.json_name: field for field in descriptor.fields}


def _extension(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    try:
        found = descriptor.file.pool.FindExtensionByName(name)
    except (KeyError, UnicodeError):
        return None
    return found if found.containing_type is descriptor else None


def json_names(descriptor: Descriptor) -> Iterator[str]:
    """Yield the JSON names of a message's fields."""
    return (field.json_name for field in descriptor.fields)


def _one_of(key: str, field: FieldDescriptor, seen: dict[str, str]) -> None:
    if field.containing_oneof is not None:
        name = field.containing_oneof.name
        if name in seen:
            raise _Problem(f"only one of {seen[name]} and {key} may be set")
        seen[name] = key


def _check(problem: str | None) -> None:
    if problem is not None:
        raise _Problem(problem)


def _check_keys(value: Any) -> None:
    """Refuse a key given twice, however deep in a value that has no fields."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Pairs):
            keys = [key for key, _ in item]
            if len(set(keys)) < len(keys):
                raise _Problem("an object names a key twice")
            waiting += [inner for _, inner in item]
        elif isinstance(item, list):
            waiting += item


def _check_text(value: Any, name: str) -> None:
    expected, read = _TEXTS[name]
    if not isinstance(value, str):
        raise _Problem(f"expected {expected}, got {kind(value)}")
    try:
        read(value)
    except ValueError:
        raise _Problem(f"expected {expected}") from None


def _read_mask(text: str) -> None:
    if "_" in text:
        raise ValueError("not in lowerCamelCase")


_TEXTS: dict[str, tuple[str, Any]] = {
    "google.protobuf.Timestamp": (
        "an RFC 3339 time such as 2026-01-31T12:00:00Z",
        read_timestamp,
    ),
    "google.protobuf.Duration": ("a duration in seconds such as 1.5s", read_duration),
    "google.protobuf.FieldMask": (
        "field names in lowerCamelCase, joined by commas",
        _read_mask,
    ),
}
