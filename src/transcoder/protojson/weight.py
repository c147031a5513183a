"""What a message may cost to print, before anything is done with it.

The cost of a message grows with its bytes, which serializing tells, and with the messages in it,
which it does not: an empty one takes two bytes, and memory for every field of its type. So
messages are counted first, down to a limit, and most of them by the length of their list.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.protojson.encoder import is_map_entry

ON_LOOP = 4_000
"""Weight of a message that is printed on the event loop."""

LIMIT = 200_000
"""Weight of a message that is printed at all."""

ANY_LIMIT = 1 << 19
"""Bytes of what an Any holds; more cannot be looked at without holding the loop."""

_ASSUMED = 8
_FIELDS = 16
_PRINTED = 4
_NUMBERS = 10
_LENGTHS = 4
_TYPES = 10_000
_METHODS: Any = Empty
"""Has the methods of all messages; theirs may be hidden by fields of the same names."""

_Count = Callable[[Any, int], int]
"""A message and how much of it is enough, to its weight or more than is enough."""

_Key = tuple[Descriptor, bool, bool, DescriptorPool | None]
"""A type; whether its defaults are printed, and its numbers count; where types inside Any are."""


def weight(
    message: Message,
    enough: int = LIMIT,
    *,
    print_defaults: bool = False,
    numbers: bool = False,
    pool: DescriptorPool | None = None,
) -> int:
    """Return how many messages are in a message, itself included; or a number over `enough`.

    A message counts once more for every sixteen fields of its type, and for every four that are
    printed whatever they hold; the entry of a map for itself and its key. Fields that hold numbers
    and texts count by their bytes, not here.

    Args:
        message: of any descriptor pool.
        enough: where to stop counting.
        print_defaults: fields without presence will be printed whatever they hold.
        numbers: ten of the numbers in a list count 1; to ask for them takes longer.
        pool: where the types inside `google.protobuf.Any` are looked up.

    >>> from google.protobuf.struct_pb2 import Struct, Value
    >>> weight(Value())
    1
    >>> weight(Struct(fields={"a": Value(), "b": Value()}))
    7
    """
    descriptor: Any = type(message).DESCRIPTOR
    if len(_plans) > _TYPES:
        # Descriptors of pools that nobody uses any more would otherwise stay for ever.
        _plans.clear()
    plan = _plan_of((descriptor, print_defaults, numbers, pool))
    return plan.own if plan.is_flat else plan.count(message, enough)


class _Plan:
    """How the messages of one type are counted.

    Attributes:
        own: what each of them counts, without the messages in it.
        is_flat: whether that is all.
        lengths: what gets its lists and maps, and what each of their entries counts, when that is
            all; otherwise the fields that are set are gone through.
        parts: the fields that hold messages or are maps: how the messages are counted, and what
            the keys count.
        oneof: the name of the oneof whose members all these fields are, if there is one.
        members: these by their names.
        hidden: counts messages that the fields do not show.
    """

    __slots__ = ("hidden", "is_flat", "lengths", "members", "oneof", "own", "parts")

    def __init__(self, own: int) -> None:
        self.own = own
        self.is_flat = False
        self.lengths: list[tuple[Callable[[Any], Any], int]] = []
        self.parts: dict[FieldDescriptor, tuple[_Plan | None, int]] = {}
        self.oneof = ""
        self.members: dict[str | None, _Plan] = {}
        self.hidden: _Count | None = None

    def count(self, message: Any, enough: int) -> int:
        total = self.own
        if self.lengths:
            for get, each in self.lengths:
                total += each * len(get(message))
            return total
        if self.oneof:
            name = _METHODS.WhichOneof(message, self.oneof)
            part = self.members.get(name)
            if part is not None:
                total += part.count(getattr(message, name), enough - total)
            return total
        if self.hidden is not None:
            total += self.hidden(message, enough - total)
        for field, value in _METHODS.ListFields(message) if self.parts else ():
            if field in self.parts and total <= enough:
                total = self._add(field, value, total, enough)
        return total

    def count_all(self, items: Any, total: int, enough: int) -> int:
        """Add messages to a total."""
        total += self.own * len(items)
        if self.is_flat or total > enough:
            return total
        if self.lengths:
            for get, each in self.lengths:
                total += each * sum(map(len, map(get, items)))
            return total
        own, count = self.own, self.count
        for item in items:
            total += count(item, enough - total) - own
            if total > enough:
                break
        return total

    def _add(self, field: FieldDescriptor, value: Any, total: int, enough: int) -> int:
        part, key = self.parts[field]
        if not field.is_repeated:
            return total if part is None else total + part.count(value, enough - total)
        total += key * len(value)
        if part is None:
            return total if key else total + len(value) // _NUMBERS
        if key and not part.is_flat and total <= enough:
            value = [value[key] for key in value]
        return part.count_all(value, total, enough)


_plans: dict[_Key, _Plan] = {}


def _plan_of(key: _Key) -> _Plan:
    plan = _plans.get(key)
    return _compile(key) if plan is None else plan


def _compile(key: _Key) -> _Plan:
    descriptor, print_defaults, numbers, _ = key
    fields = descriptor.fields
    printed = sum(not field.has_presence for field in fields) if print_defaults else 0
    # Known before its parts are, for a type may be a part of its own.
    plan = _plans[key] = _Plan(1 + len(fields) // _FIELDS + printed // _PRINTED)
    for field in fields:
        if field.message_type is not None:
            plan.parts[field] = _part(field.message_type, key)
        elif numbers and field.is_repeated and field.cpp_type != FieldDescriptor.CPPTYPE_STRING:
            plan.parts[field] = None, 0
    singles = [field for field in plan.parts if not field.is_repeated]
    flat = [part for part, _ in map(plan.parts.__getitem__, singles) if part and part.is_flat]
    assumed = sum(part.own for part in flat)
    if len(flat) == len(singles) and assumed <= _ASSUMED:
        # To look for these would take longer than to count those that are not there.
        plan.own += assumed
        for field in singles:
            del plan.parts[field]
    if descriptor.full_name == "google.protobuf.Any":
        plan.hidden = _content(key)
    elif descriptor.is_extendable:
        plan.hidden = _extensions(key)
    else:
        plan.lengths = _lengths(plan)
        oneofs = {field.containing_oneof for field in plan.parts}
        for oneof in oneofs if len(oneofs) == 1 else ():
            if oneof is not None:
                plan.oneof = oneof.name
                plan.members = {
                    field.name: part for field, (part, _) in plan.parts.items() if part is not None
                }
    plan.is_flat = not plan.parts and plan.hidden is None
    return plan


def _part(type_: Descriptor, key: _Key) -> tuple[_Plan | None, int]:
    """Return how a field's messages are counted, None without any, and what its keys count."""
    if not is_map_entry(type_):
        return _plan_of((type_, *key[1:])), 0
    value = type_.fields_by_name["value"].message_type
    return (None if value is None else _plan_of((value, *key[1:]))), 2


def _lengths(plan: _Plan) -> list[tuple[Callable[[Any], Any], int]]:
    """Return the lengths that tell all, none when they do not."""
    lengths: list[tuple[Callable[[Any], Any], int]] = []
    for field, (part, key) in plan.parts.items():
        is_length = bool(key) if part is None else part.is_flat and field.is_repeated
        if not is_length or len(lengths) == _LENGTHS:
            return []
        lengths.append((attrgetter(field.name), key + (0 if part is None else part.own)))
    return lengths


def _extensions(key: _Key) -> _Count:
    """Return what counts the messages in the extensions of a message."""

    def count(message: Any, enough: int) -> int:
        total = 0
        if not len(_METHODS.Extensions.__get__(message)):
            return total
        for field, value in _METHODS.ListFields(message):
            if field.is_extension and field.message_type is not None:
                part = _plan_of((field.message_type, *key[1:]))
                total = part.count_all(value if field.is_repeated else [value], total, enough)
        return total

    return count


def _content(key: _Key) -> _Count:
    """Return what counts the message inside an Any."""
    pool = key[3] or Default()

    def count(message: Any, enough: int) -> int:
        data = message.value
        if len(data) > ANY_LIMIT:
            return max(enough, 0) + 1
        try:
            descriptor = pool.FindMessageTypeByName(message.type_url.rpartition("/")[2])
            content = GetMessageClass(descriptor).FromString(data)
        except (KeyError, DecodeError):
            return 0  # Nor can it be printed.
        return _plan_of((descriptor, *key[1:])).count(content, enough)

    return count
