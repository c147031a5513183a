"""A walk through a JSON document beside the descriptor of what it should be.

It ends at the first place that does not fit.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool

from transcoder.protojson.document import Pairs
from transcoder.protojson.encoder import is_map_entry
from transcoder.protojson.field_decoders import takes_null
from transcoder.protojson.field_mask import PATHS
from transcoder.protojson.judge import judge, judge_number, judge_text, kind
from transcoder.protojson.known_decoders import TYPE_HOST
from transcoder.protojson.known_encoders import is_known
from transcoder.protojson.members import Members, Problem, add_key, check, check_keys, plan_of
from transcoder.protojson.times import read_duration, read_timestamp
from transcoder.values import suggestion

DEPTH = 100
"""How many messages may nest, the outermost included."""

_TYPE = 'expected an object with the "@type" of a known message, and its fields'


class Walk:
    """Goes through a document beside a descriptor; raises the first problem."""

    def __init__(self, *, ignore_unknown: bool, pool: DescriptorPool | None) -> None:
        self.ignore_unknown = ignore_unknown
        self.pool = Default() if pool is None else pool

    def message(self, value: Any, descriptor: Descriptor, depth: int = 1) -> None:
        """Go through what should be a message.

        Args:
            value: from `document.parse`.
            descriptor: what it should be.
            depth: how many messages nest up to this one.

        Raises:
            Problem: the first one.
        """
        if depth > DEPTH:
            raise Problem(f"nested over {DEPTH} levels deep")
        plan = plan_of(descriptor)
        if plan.wrapped is not None:
            check(judge(value, plan.wrapped))
        elif plan.known:
            self._known(value, descriptor, depth)
        elif isinstance(value, Pairs):
            self._fields(value, descriptor, depth)
        else:
            raise Problem(f"expected an object, got {kind(value)}")

    def _fields(self, pairs: Pairs, of: Descriptor, depth: int) -> None:
        members = Members(of)
        key = ""
        try:
            for key, value in pairs:
                field = members.field(key, value)
                if field is None:
                    self._unknown(key, value, of)
                elif value is not None or (field.is_repeated and takes_null(field)):
                    self._field(value, field, depth)
        except Problem as found:
            found.within(key)
            raise

    def _unknown(self, key: str, value: Any, of: Descriptor) -> None:
        if not self.ignore_unknown:
            raise Problem("no such field" + suggestion(key, (each.json_name for each in of.fields)))
        check_keys(value)

    def _field(self, value: Any, field: FieldDescriptor, depth: int) -> None:
        if not field.is_repeated:
            self._single(value, field, depth)
        elif field.message_type is not None and is_map_entry(field.message_type):
            self._map(value, field.message_type, depth)
        elif isinstance(value, list) and not isinstance(value, Pairs):
            self._items(value, field, depth)
        else:
            raise Problem(f"expected an array, got {kind(value)}")

    def _items(self, items: list[Any], field: FieldDescriptor, depth: int) -> None:
        index = 0
        try:
            for index, item in enumerate(items):  # noqa: B007  it is the step if one raises
                self._single(item, field, depth)
        except Problem as found:
            found.within(index)
            raise

    def _map(self, value: Any, entry: Descriptor, depth: int) -> None:
        key_field, value_field = (entry.fields_by_name[name] for name in ("key", "value"))
        if not isinstance(value, Pairs):
            raise Problem(f"expected an object, got {kind(value)}")
        seen: set[Any] = set()
        key = ""
        try:
            for key, item in value:
                add_key(key, key_field, seen)
                self._single(item, value_field, depth)
        except Problem as found:
            found.within(key)
            raise

    def _single(self, value: Any, field: FieldDescriptor, depth: int) -> None:
        if field.message_type is not None:
            self.message(value, field.message_type, depth + 1)
        else:
            check(judge(value, field, ignore_unknown=self.ignore_unknown))

    def _known(self, value: Any, descriptor: Descriptor, depth: int) -> None:
        match descriptor.full_name:
            case "google.protobuf.Any":
                self._any(value, depth)
            case "google.protobuf.Struct":
                self._struct(value, depth)
            case "google.protobuf.ListValue":
                self._list(value, depth)
            case "google.protobuf.Value":
                self._value(value, depth)
            case name:
                _check_text(value, name)

    def _any(self, value: Any, depth: int) -> None:
        if not isinstance(value, Pairs):
            raise Problem(_TYPE)
        if not value:
            return
        descriptor = self._content(value)
        rest = Pairs(pair for pair in value if pair[0] != "@type")
        if not is_known(descriptor):
            self._fields(rest, descriptor, depth)
            return
        key = ""
        try:
            for key, item in rest:
                if key == "value":
                    self.message(item, descriptor, depth + 1)
                elif not self.ignore_unknown:
                    check("no such field")
        except Problem as found:
            found.within(key)
            raise

    def _content(self, pairs: Pairs) -> Descriptor:
        """Return the type of what an Any holds."""
        check_keys(pairs)
        url = dict(pairs).get("@type")
        if not isinstance(url, str):
            raise Problem(_TYPE)
        if not url.startswith(TYPE_HOST):
            elsewhere = Problem(f"expected a type URL that begins with {TYPE_HOST}")
            elsewhere.within("@type")
            raise elsewhere
        try:
            return self.pool.FindMessageTypeByName(url.removeprefix(TYPE_HOST))
        except (KeyError, UnicodeError):
            raise Problem(_TYPE) from None

    def _struct(self, value: Any, depth: int) -> None:
        if not isinstance(value, Pairs):
            raise Problem(f"expected a Struct, got {kind(value)}")
        check_keys(Pairs((key, None) for key, _ in value))
        key = ""
        try:
            for key, item in value:
                check(judge_text(key))
                self._value(item, depth + 1)
        except Problem as found:
            found.within(key)
            raise

    def _list(self, value: Any, depth: int) -> None:
        if not isinstance(value, list) or isinstance(value, Pairs):
            raise Problem(f"expected a ListValue, got {kind(value)}")
        index = 0
        try:
            for index, item in enumerate(value):  # noqa: B007  it is the step if one raises
                self._value(item, depth + 1)
        except Problem as found:
            found.within(index)
            raise

    def _value(self, value: Any, depth: int) -> None:
        if depth > DEPTH or (isinstance(value, list) and depth == DEPTH):
            raise Problem(f"nested over {DEPTH} levels deep")
        if isinstance(value, Pairs):
            self._struct(value, depth + 1)
        elif isinstance(value, list):
            self._list(value, depth + 1)
        elif isinstance(value, str):
            check(judge_text(value))
        elif value is not None:
            check(judge_number(value))


def _check_text(value: Any, name: str) -> None:
    expected, read = _TEXTS[name]
    if not isinstance(value, str):
        raise Problem(f"expected {expected}, got {kind(value)}")
    try:
        read(value)
    except ValueError:
        raise Problem(f"expected {expected}") from None


def _read_mask(text: str) -> None:
    if "_" in text:
        raise ValueError("not in lowerCamelCase")
    if text.count(",") >= PATHS:
        raise Problem(f"a mask of over {PATHS} paths")
    if text and "" in text.split(","):
        raise ValueError("an empty path")


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
