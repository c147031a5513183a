"""What a message may cost to print, before anything is done with it.

That grows with its bytes, which serializing tells, and with the messages in it, which bytes do not
tell: an empty one takes two of them, and text for every field of its type if defaults are printed.
So messages are counted first, down to a limit. That must cost far less than to print them, and to
ask each message for each field would not. Hence a plan for each type, compiled once, which counts
many messages of the type at a time, and looks only where messages may be. By what fields a type
has, that is, the cheapest first:

- nowhere: what its messages count is known (`_Plan.inside` is None);
- at the lengths of its lists and maps, when what these hold is known (`_lengths`);
- at the member of its oneof that is set, as in a `Value` (`_member`);
- at the fields that are set (`_fields`);
- within the bytes of an `Any` (`_content`).
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.protojson.cache import Cache, Compiled
from transcoder.protojson.encoder import is_map_entry

ON_LOOP = 4_000
"""Weight of a message that is printed on the event loop."""

LIMIT = 200_000
"""Weight of a message that is printed at all."""

ANY_LIMIT = 1 << 19
"""Bytes of what an Any holds; more cannot be looked at without holding the loop."""

_FIELDS = 16
"""Fields of a type that count 1."""

_PRINTED = 4
"""Fields that are printed whatever they hold, and count 1."""

_NUMBERS = 10
"""Numbers of a list that count 1."""

_ENTRY = 2
"""What an entry of a map counts, for itself and its key."""

_ASSUMED = 8
"""What single messages may count together to be taken for set, without a look."""

_LENGTHS = 4
"""Lists and maps of a type of which each is asked for its length; of more, those that are set."""

_METHODS: Any = Empty
"""Has the methods of all messages; theirs may be hidden by fields of the same names."""

_Count = Callable[[Any, int], int]
"""From messages of one type, or a field's value, and how much is enough, to what is counted.

It stops where that is more than enough.
"""


class _Options(NamedTuple):
    """What changes how messages of a type are counted."""

    print_defaults: bool
    numbers: bool
    pool: DescriptorPool | None
    contents: bool = True


_Key = tuple[Descriptor, bool, bool, DescriptorPool | None, bool]
"""A type, and what `_Options` has."""


def weight(
    message: Message,
    enough: int = LIMIT,
    *,
    print_defaults: bool = False,
    numbers: bool = False,
    pool: DescriptorPool | None = None,
    contents: bool = True,
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
        contents: what is inside an Any counts; to serialize it costs next to nothing.

    >>> from google.protobuf.struct_pb2 import Struct, Value
    >>> weight(Value())
    1
    >>> weight(Struct(fields={"a": Value(), "b": Value()}))
    7
    """
    descriptor: Any = type(message).DESCRIPTOR
    plan = _plans.find((descriptor, print_defaults, numbers, pool, contents)).value
    return plan.own if plan.inside is None else plan.count((message,), enough)


def weigher(
    descriptor: Descriptor, *, print_defaults: bool, pool: DescriptorPool | None
) -> Callable[[Message], int]:
    """Return what does as `weight`, for messages of one type."""
    plan = _plans.find((descriptor, print_defaults, False, pool, True)).value
    own, inside = plan.own, plan.inside
    if inside is None:
        return lambda _: own
    return lambda message: own + inside((message,), LIMIT - own)


class _Plan:
    """How the messages of one type are counted.

    Attributes:
        own: what each of them counts itself.
        inside: counts the messages within them; None when there are none.
    """

    __slots__ = ("inside", "own")

    def __init__(self, own: int) -> None:
        self.own = own
        self.inside: _Count | None = None

    def count(self, messages: Any, enough: int) -> int:
        total = self.own * len(messages)
        if self.inside is None or total > enough:
            return total
        return total + self.inside(messages, enough - total)


class _Part(NamedTuple):
    """What a field adds to the count of its message.

    Args:
        each: what each entry counts itself, besides its message.
        plan: of the messages; None when there are none.
    """

    each: int
    plan: _Plan | None

    def is_length(self, field: FieldDescriptor) -> bool:
        """Say whether the number of entries is all there is to know."""
        if self.plan is None:
            return self.each > 0
        return field.is_repeated and self.plan.inside is None

    def counts(self, field: FieldDescriptor) -> _Count:
        """Return what counts the field's value."""
        each, plan = self
        if plan is None:
            return lambda value, _: each * len(value) if each else len(value) // _NUMBERS
        if not field.is_repeated:
            return lambda value, enough: plan.count((value,), enough)
        if not each:
            return plan.count

        def entries(value: Any, enough: int) -> int:
            known = each * len(value)
            if plan.inside is None or known > enough:
                return known + plan.own * len(value)
            return known + plan.count([value[key] for key in value], enough - known)

        return entries


_Parts = dict[FieldDescriptor, _Part]


class _Planner:
    """Makes the plans of a type and of all types within it, which know each other."""

    def __init__(self, options: _Options) -> None:
        self.options = options
        self.plans: dict[Descriptor, _Plan] = {}

    def plan(self, descriptor: Descriptor) -> _Plan:
        """Return a type's plan; unfinished, when the type is on the way to itself."""
        if descriptor in self.plans:
            return self.plans[descriptor]
        plan = self.plans[descriptor] = _Plan(self._own(descriptor))
        parts: _Parts = {}
        for field in descriptor.fields:
            part = self.part(field)
            if part is not None:
                parts[field] = part
        plan.own += _assume(parts)
        plan.inside = self._inside(descriptor, parts)
        return plan

    def part(self, field: FieldDescriptor) -> _Part | None:
        """Return what a field adds; None for nothing."""
        kind = field.message_type
        if kind is None:
            text = field.cpp_type == FieldDescriptor.CPPTYPE_STRING
            counts = self.options.numbers and field.is_repeated and not text
            return _Part(0, None) if counts else None
        if not is_map_entry(kind):
            return _Part(0, self.plan(kind))
        value = kind.fields_by_name["value"].message_type
        return _Part(_ENTRY, None if value is None else self.plan(value))

    def _own(self, descriptor: Descriptor) -> int:
        fields = descriptor.fields
        printed = 0
        if self.options.print_defaults:
            printed = sum(not field.has_presence for field in fields)
        return 1 + len(fields) // _FIELDS + printed // _PRINTED

    def _inside(self, descriptor: Descriptor, parts: _Parts) -> _Count | None:
        if descriptor.full_name == "google.protobuf.Any":
            return _content(self.options) if self.options.contents else None
        if descriptor.is_extendable:
            return _fields(parts, self.options)
        if not parts:
            return None
        if len(parts) <= _LENGTHS and all(part.is_length(field) for field, part in parts.items()):
            return _lengths(parts)
        oneofs = {field.containing_oneof for field in parts}
        oneof = oneofs.pop()
        if oneof is not None and not oneofs:
            return _member(oneof.name, parts)
        return _fields(parts)


def _assume(parts: _Parts) -> int:
    """Take out the single messages, if they are small, and return what they count if all are set.

    To look for them would take longer than to print those that are not there.
    """
    singles = [field for field in parts if not field.is_repeated]
    plans = [plan for plan in (parts[field].plan for field in singles) if plan is not None]
    total = sum(plan.own for plan in plans)
    if total > _ASSUMED or any(plan.inside is not None for plan in plans):
        return 0
    for field in singles:
        del parts[field]
    return total


def _lengths(parts: _Parts) -> _Count:
    lengths = [
        (attrgetter(field.name), each + (0 if plan is None else plan.own))
        for field, (each, plan) in parts.items()
    ]

    def inside(messages: Any, _: int) -> int:
        total = 0
        if len(messages) == 1:
            message = messages[0]
            for get, each in lengths:
                total += each * len(get(message))
            return total
        for get, each in lengths:
            total += each * sum(map(len, map(get, messages)))
        return total

    return inside


def _member(oneof: str, parts: _Parts) -> _Count:
    members = {field.name: part.counts(field) for field, part in parts.items()}

    def inside(messages: Any, enough: int) -> int:
        total = 0
        for message in messages:
            name = _METHODS.WhichOneof(message, oneof)
            if name in members:
                total += members[name](getattr(message, name), enough - total)
                if total > enough:
                    break
        return total

    return inside


def _fields(parts: _Parts, extensions: _Options | None = None) -> _Count:
    """Return what goes through the fields that are set.

    Args:
        parts: the fields that count.
        extensions: how extensions are counted; None for a type that has none.
    """
    counts = {field: part.counts(field) for field, part in parts.items()}

    def inside(messages: Any, enough: int) -> int:
        total = 0
        for message in messages:
            for field, value in _METHODS.ListFields(message):
                count = counts.get(field)
                if count is None and extensions is not None and field.is_extension:
                    count = _extension(field, extensions)
                if count is not None:
                    total += count(value, enough - total)
                    if total > enough:
                        return total
        return total

    return inside


def _extension(field: FieldDescriptor, options: _Options) -> _Count | None:
    if field.message_type is None:
        return None
    return _Part(0, _plans.find((field.message_type, *options)).value).counts(field)


def _content(options: _Options) -> _Count:
    pool = options.pool or Default()

    def one(held: Any, enough: int) -> int:
        data = held.value
        if len(data) > ANY_LIMIT:
            return max(enough, 0) + 1
        try:
            descriptor = pool.FindMessageTypeByName(held.type_url.rpartition("/")[2])
            content = GetMessageClass(descriptor).FromString(data)
        except (KeyError, DecodeError):
            return 0  # Nor can it be printed.
        return _plans.find((descriptor, *options)).value.count((content,), enough)

    def inside(messages: Any, enough: int) -> int:
        total = 0
        for message in messages:
            total += one(message, enough - total)
            if total > enough:
                break
        return total

    return inside


def find_plan(descriptor: Descriptor, *, print_defaults: bool, pool: DescriptorPool | None) -> Any:
    """Return what `weight` goes by, compiled at most once while it is held."""
    found: Compiled[_Plan] = _plans.find((descriptor, print_defaults, False, pool, True))
    return found


_plans: Cache[_Key, _Plan] = Cache(lambda key: _Planner(_Options(*key[1:])).plan(key[0]))
