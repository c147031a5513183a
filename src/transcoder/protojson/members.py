"""The fields that the keys of a JSON object name, each at most once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from transcoder.protojson.document import Pairs
from transcoder.protojson.field_decoders import takes_null
from transcoder.protojson.judge import judge_key, key_value
from transcoder.protojson.known_encoders import WRAPPERS, is_known


class Problem(Exception):
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


class Plan(NamedTuple):
    """What is looked up of a type again and again."""

    known: bool
    wrapped: FieldDescriptor | None
    fields: Mapping[str, FieldDescriptor]
    """By their keys in both spellings."""


@lru_cache(1_000)
def plan_of(descriptor: Descriptor) -> Plan:
    """Return what is looked up of a type."""
    is_wrapper = descriptor.file.name == WRAPPERS
    # A descriptor's own maps fail when they are asked for half a surrogate pair.
    by_name = {field.name: field for field in descriptor.fields}
    return Plan(
        is_known(descriptor),
        descriptor.fields_by_name["value"] if is_wrapper else None,
        by_name | {field.json_name: field for field in descriptor.fields},
    )


class Members:
    """The members of one object, as far as they were met."""

    def __init__(self, of: Descriptor) -> None:
        self.of = of
        self.plan = plan_of(of).fields
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
            raise Problem(f"given twice, as {self.keys[name]} before")
        self.keys[name] = key
        if oneof is not None and (value is not None or takes_null(field)):
            if oneof.name in self.oneofs:
                raise Problem(f"only one of {self.oneofs[oneof.name]} and {key} may be set")
            self.oneofs[oneof.name] = key
        return field


def _extension(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    try:
        found = descriptor.file.pool.FindExtensionByName(name)
    except (KeyError, UnicodeError):
        return None
    return found if found.containing_type is descriptor else None


def add_key(key: str, field: FieldDescriptor, seen: set[Any]) -> None:
    """Refuse a key of a map that is wrong, or equals one before."""
    problem = judge_key(key, field)
    if problem is not None:
        raise Problem(f"as a key, {problem}")
    value = key_value(key, field)
    if value in seen:
        raise Problem("given twice")
    seen.add(value)


def check(problem: str | None) -> None:
    """Refuse what has a problem."""
    if problem is not None:
        raise Problem(problem)


def check_keys(value: Any) -> None:
    """Refuse a key given twice, however deep in a value that has no fields."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Pairs):
            keys = [key for key, _ in item]
            if len(set(keys)) < len(keys):
                raise Problem("an object names a key twice")
            waiting += [inner for _, inner in item]
        elif isinstance(item, list):
            waiting += item
