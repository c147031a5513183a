"""Why a JSON document is not a message: the first place where it stops to fit, in plain words.

It walks the document beside the descriptor and tells the JSON path and what was expected there;
never the value, never a list of fields. What it finds wrong is refused, whatever json_format
says: docs/json.md lists where the two differ. What it lets pass, json_format decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.message import Message

from transcoder.errors import InvalidRequest
from transcoder.protojson.document import Pairs, parse
from transcoder.protojson.encoder import is_map_entry
from transcoder.protojson.field_mask import PATHS
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
    """What is wrong, and its path, which each loop that it ends puts a step before."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.path = ""

    def within(self, step: str | int) -> None:
        """Put a key or an index before the path."""
        before = f"[{step}]" if isinstance(step, int) else step
        dot = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{before}{dot}{self.path}"


class _Walk:
    """Goes through a document beside a descriptor; raises the first problem."""

    def __init__(self, *, ignore_unknown: bool, pool: DescriptorPool | None) -> None:
        self.ignore_unknown = ignore_unknown
        self.pool = Default() if pool is None else pool

    def message(self, value: Any, descriptor: Descriptor, depth: int) -> None:
        if depth > _DEPTH:
            raise _Problem(f"nested over {_DEPTH} levels deep")
        plan = _plan(descriptor)
        if plan.wrapped is not None:
            _check(judge(value, plan.wrapped))
        elif plan.known:
            self.known(value, descriptor, depth)
        elif isinstance(value, Pairs):
            self.fields(value, descriptor, depth)
        else:
            raise _Problem(f"expected an object, got {kind(value)}")

    def fields(self, pairs: Pairs, of: Descriptor, depth: int) -> None:
        members = _Members(of)
        key = ""
        try:
            for key, value in pairs:
                field = members.field(key, value)
                if field is None:
                    self.unknown(key, value, of)
                elif value is not None:
                    self.field(value, field, depth)
        except _Problem as found:
            found.within(key)
            raise

    def unknown(self, key: str, value: Any, of: Descriptor) -> None:
        if not self.ignore_unknown:
            raise _Problem("no such field" + suggestion(key, json_names(of)))
        _check_keys(value)

    def field(self, value: Any, field: FieldDescriptor, depth: int) -> None:
        if not field.is_repeated:
            self.single(value, field, depth)
        elif field.message_type is not None and is_map_entry(field.message_type):
            self.map(value, field.message_type, depth)
        elif isinstance(value, list) and not isinstance(value, Pairs):
            self.items(value, field, depth)
        else:
            raise _Problem(f"expected an array, got {kind(value)}")

    def items(self, items: list[Any], field: FieldDescriptor, depth: int) -> None:
        index = 0
        try:
            for index, item in enumerate(items):  # noqa: B007  it is the step if one raises
                self.single(item, field, depth)
        except _Problem as found:
            found.within(index)
            raise

    def map(self, value: Any, entry: Descriptor, depth: int) -> None:
        key_field, value_field = (entry.fields_by_name[name] for name in ("key", "value"))
        if not isinstance(value, Pairs):
            raise _Problem(f"expected an object, got {kind(value)}")
        seen: set[Any] = set()
        key = ""
        try:
            for key, item in value:
                _add_key(key, key_field, seen)
                self.single(item, value_field, depth)
        except _Problem as found:
            found.within(key)
            raise

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
        key = ""
        try:
            for key, item in rest:
                if key == "value":
                    self.message(item, descriptor, depth + 1)
                elif not self.ignore_unknown:
                    _check("no such field")
        except _Problem as found:
            found.within(key)
            raise

    def content(self, pairs: Pairs) -> Descriptor:
        """Return the type of what an Any holds."""
        _check_keys(pairs)
        url = dict(pairs).get("@type")
        if not isinstance(url, str):
            raise _Problem(_TYPE)
        if not url.startswith(TYPE_HOST):
            elsewhere = _Problem(f"expected a type URL that begins with {TYPE_HOST}")
            elsewhere.within("@type")
            raise elsewhere
        try:
            return self.pool.FindMessageTypeByName(url.removeprefix(TYPE_HOST))
        except (KeyError, UnicodeError):
            raise _Problem(_TYPE) from None

    def struct(self, value: Any, depth: int) -> None:
        if not isinstance(value, Pairs):
            raise _Problem(f"expected a Struct, got {kind(value)}")
        _check_keys(Pairs((key, None) for key, _ in value))
        key = ""
        try:
            for key, item in value:
                _check(judge_text(key))
                self.value(item, depth + 1)
        except _Problem as found:
            found.within(key)
            raise

    def list(self, value: Any, depth: int) -> None:
        if not isinstance(value, list) or isinstance(value, Pairs):
            raise _Problem(f"expected a ListValue, got {kind(value)}")
        index = 0
        try:
            for index, item in enumerate(value):  # noqa: B007  it is the step if one raises
                self.value(item, depth + 1)
        except _Problem as found:
            found.within(index)
            raise

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


class _Plan(NamedTuple):
    """What is looked up of a type again and again."""

    known: bool
    wrapped: FieldDescriptor | None
    fields: Mapping[str, FieldDescriptor]
    """By their keys in both spellings."""


@lru_cache(1_000)
def _plan(descriptor: Descriptor) -> _Plan:
    is_wrapper = descriptor.file.name == WRAPPERS
    # A descriptor's own maps fail when they are asked for half a surrogate pair.
    by_name = {field.name: field for field in descriptor.fields}
    return _Plan(
        is_known(descriptor),
        descriptor.fields_by_name["value"] if is_wrapper else None,
        by_name | {field.json_name: field for field in descriptor.fields},
    )


class _Members:
    """The members of one object, as far as they were met."""

    def __init__(self, of: Descriptor) -> None:
        self.of = of
        self.plan = _plan(of).fields
        self.keys: dict[str, str] = {}
        self.oneofs: dict[str, str] = {}

    def field(self, key: str, value: Any) -> FieldDescriptor | None:
        """Return the field that a key names; refuse one that is there or excluded already."""
        field = self.plan.get(key)
        if field is None and key.startswith("[") and key.endswith("]") and self.of.is_extendable:
            field = _extension(self.of, key[1:-1])
        if field is None:
            return None
        name, oneof = field.full_name, field.containing_oneof
        if name in self.keys:
            raise _Problem(f"given twice, as {self.keys[name]} before")
        self.keys[name] = key
        if oneof is not None and value is not None:
            if oneof.name in self.oneofs:
                raise _Problem(f"only one of {self.oneofs[oneof.name]} and {key} may be set")
            self.oneofs[oneof.name] = key
        return field


def _extension(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    try:
        found = descriptor.file.pool.FindExtensionByName(name)
    except (KeyError, UnicodeError):
        return None
    return found if found.containing_type is descriptor else None


def json_names(descriptor: Descriptor) -> Iterator[str]:
    """Yield the JSON names of a message's fields."""
    return (field.json_name for field in descriptor.fields)


def _add_key(key: str, field: FieldDescriptor, seen: set[Any]) -> None:
    """Refuse a key of a map that is wrong, or equals one before."""
    problem = judge_key(key, field)
    if problem is not None:
        raise _Problem(f"as a key, {problem}")
    value = key_value(key, field)
    if value in seen:
        raise _Problem("given twice")
    seen.add(value)


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
    if text.count(",") >= PATHS:
        raise _Problem(f"a mask of over {PATHS} paths")


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
