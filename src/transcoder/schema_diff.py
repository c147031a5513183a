"""What changed from one description of services to another, and what of it breaks clients.

Fields are compared by their numbers, as the wire has them, and by their names, as JSON has them; so
a field that is renamed breaks clients of REST.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.api.annotations_pb2 import http
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FieldDescriptorProto


@dataclass(frozen=True, slots=True)
class Difference:
    """One change.

    Args:
        text: what it is.
        breaks: whether clients of before may fail.

    >>> print(Difference("method a.B.C is gone", breaks=True))
    method a.B.C is gone (incompatible)
    """

    text: str
    breaks: bool

    def __str__(self) -> str:
        return f"{self.text} (incompatible)" if self.breaks else self.text


def differences(
    before: Iterable[ServiceDescriptor], after: Iterable[ServiceDescriptor]
) -> Iterator[Difference]:
    """Yield what changed: services, methods, and what their messages are made of.

    Args:
        before: the services of one description.
        after: those of the other; of any descriptor pools.
    """
    old, new = _named(before), _named(after)
    yield from _sets("service", old, new)
    seen: set[str] = set()
    for name in sorted(old.keys() & new.keys()):
        methods = _named(old[name].methods), _named(new[name].methods)
        yield from _sets("method", *methods)
        for method in sorted(methods[0].keys() & methods[1].keys()):
            yield from _method(methods[0][method], methods[1][method], seen)


def _named(found: Iterable[Any]) -> dict[str, Any]:
    return {each.full_name: each for each in found}


def _sets(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(new.keys() - old.keys()):
        yield Difference(f"{kind} {name} is new", breaks=False)
    for name in sorted(old.keys() - new.keys()):
        yield Difference(f"{kind} {name} is gone", breaks=True)


def _method(old: MethodDescriptor, new: MethodDescriptor, seen: set[str]) -> Iterator[Difference]:
    told = f"method {old.full_name}"
    if (was := _kind(old)) != (now := _kind(new)):
        yield Difference(f"{told} is {now}, and was {was}", breaks=True)
    rule: Any = http
    if old.GetOptions().Extensions[rule] != new.GetOptions().Extensions[rule]:
        yield Difference(f"{told} has another google.api.http rule", breaks=True)
    for each, other in ((old.input_type, new.input_type), (old.output_type, new.output_type)):
        if each.full_name == other.full_name:
            yield from _message(each, other, seen)


def _kind(rpc: MethodDescriptor) -> str:
    taken, given = rpc.input_type.full_name, rpc.output_type.full_name
    takes = f"stream {taken}" if rpc.client_streaming else taken
    return f"({takes}) returns ({f'stream {given}' if rpc.server_streaming else given})"


def _message(old: Descriptor, new: Descriptor, seen: set[str]) -> Iterator[Difference]:
    """Yield what changed in messages, and in those that they are made of."""
    waiting = [(old, new)]
    while waiting:
        one, other = waiting.pop()
        if one.full_name in seen:
            continue
        seen.add(one.full_name)
        fields = [{each.number: each for each in of.fields} for of in (one, other)]
        for number in sorted(fields[0].keys() | fields[1].keys()):
            was, now = fields[0].get(number), fields[1].get(number)
            yield from _field(was, now)
            if was is None or now is None:
                continue
            if was.message_type and now.message_type and _type(was) == _type(now):
                waiting.append((was.message_type, now.message_type))
            if was.enum_type and now.enum_type:
                yield from _enum(was.enum_type, now.enum_type, seen)


def _field(was: FieldDescriptor | None, now: FieldDescriptor | None) -> Iterator[Difference]:
    if was is None and now is not None:
        yield Difference(f"field {now.full_name} ({_type(now)}) is new", breaks=False)
    elif now is None and was is not None:
        yield Difference(f"field {was.full_name} ({_type(was)}) is gone", breaks=True)
    elif was is not None and now is not None:
        if was.name != now.name:
            yield Difference(f"field {was.full_name} is named {now.name}", breaks=True)
        if _type(was) != _type(now):
            told = f"field {was.full_name} is {_type(now)}, and was {_type(was)}"
            yield Difference(told, breaks=True)


def _type(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    if named is not None:
        kind = named.full_name
    else:
        number: Any = field.type
        kind = FieldDescriptorProto.Type.Name(number).removeprefix("TYPE_").lower()
    return f"repeated {kind}" if field.is_repeated else kind


def _enum(old: EnumDescriptor, new: EnumDescriptor, seen: set[str]) -> Iterator[Difference]:
    if old.full_name != new.full_name or old.full_name in seen:
        return
    seen.add(old.full_name)
    was, now = (
        {f"{of.full_name}.{each.name} = {each.number}": each for each in of.values}
        for of in (old, new)
    )
    yield from _sets("value", was, now)
