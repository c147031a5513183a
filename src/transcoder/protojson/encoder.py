"""One function for each message type that turns its messages into what JSON has for them.

A type's function is compiled from source made for its fields, in order of their numbers. The
source is made of identifiers numbered here and nothing else: names and JSON names are constants
that the identifiers are bound to, because descriptors may come from strangers.

Fields without presence are fetched all at once; of the others each is asked for. Whatever a
function cannot print it leaves to json_format, message by message.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from types import CodeType
from typing import Any, NamedTuple

import orjson
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from transcoder.observe import encoded
from transcoder.protojson.enums import json_names
from transcoder.protojson.scalars import (
    all_finite,
    finite,
    is_negative_zero,
    shortest,
    to_base64,
)
from transcoder.protojson.texts import check_texts

Encode = Callable[[Any], Any]
"""A message to what `json.dumps` takes.

Raises anything when json_format has to decide.
"""

_INT64 = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}
_MANY = 8
_METHODS: Any = Empty
"""Has the methods of all messages; theirs may be hidden by fields of the same names."""


class EncodeOptions(NamedTuple):
    """What can be chosen about JSON that is printed.

    Args:
        compact: parts of the tree may be JSON already, which no indent reaches.
    """

    print_defaults: bool
    proto_names: bool
    enum_numbers: bool
    int64_numbers: bool
    pool: DescriptorPool | None
    compact: bool


class Left(dict[str, Any]):
    """What json_format made of a message that was left to it, and that is counted already."""


class EncoderOf(NamedTuple):
    """Finds the encoders of a type's parts.

    Args:
        options: of the whole document.
        find: a descriptor to its encoder, compiled when it is first needed.
    """

    options: EncodeOptions
    find: Callable[[Descriptor], Encode]


def compile_encoder(descriptor: Descriptor, of: EncoderOf) -> Encode:
    """Return the encoder of a type that has no JSON form of its own."""
    source = _Source(of)
    source.message(descriptor)
    namespace: dict[str, Any] = source.names
    exec(_compiled("\n".join(source.lines)), namespace)  # noqa: S102  holds our identifiers only
    return namespace["encode"]  # type: ignore[no-any-return]


def by_json_format(message: Message, options: EncodeOptions) -> Any:
    """Return what json_format makes of a message.

    Raises:
        ValueError: a string is not UTF-8; json_format would print it as Python spells it.
    """
    check_texts(message, Default() if options.pool is None else options.pool)
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=options.proto_names,
        use_integers_for_enums=options.enum_numbers,
        always_print_fields_with_no_presence=options.print_defaults,
        unquote_int64_if_possible=options.int64_numbers,
        descriptor_pool=options.pool,
    )


def _left(message: Message, options: EncodeOptions) -> Left:
    """Leave one message of a document to json_format."""
    tree = Left(by_json_format(message, options))
    encoded(type(message).DESCRIPTOR.full_name).fallback += 1
    return tree


@lru_cache(1_000)
def _compiled(source: str) -> CodeType:
    """Compile source; types of the same shape have the same."""
    return compile(source, "<protojson encoder>", "exec")


class _Source:
    """The source of one encoder and what its identifiers are bound to.

    Args:
        of: where the encoders of other types are found.
    """

    def __init__(self, of: EncoderOf) -> None:
        self.of = of
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}

    def bind(self, value: Any) -> str:
        """Return an identifier for a value."""
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name

    def message(self, descriptor: Descriptor) -> None:
        fields = sorted(descriptor.fields, key=lambda field: field.number)
        plain = [field for field in fields if not field.has_presence]
        self.lines = ["def encode(m):"]
        if descriptor.is_extendable:
            other = self.bind(lambda message: _left(message, self.of.options))
            extensions = self.bind(_METHODS.Extensions.__get__)
            self.lines.append(f" if len({extensions}(m)): return {other}(m)")
        if plain:
            get = self.bind(attrgetter(*(field.name for field in plain)))
            values = ", ".join(f"v{index}" for index in range(len(plain)))
            self.lines.append(f" {values} = {get}(m)")
        if len(plain) < len(fields):
            self.lines.append(f" has = {self.bind(_METHODS.HasField.__get__)}(m)")
        self.lines.append(" d = {}")
        asked: set[str] = set()
        index = 0
        for field in fields:
            oneof = field.containing_oneof
            if not field.has_presence:
                self.plain(field, f"v{index}")
                index += 1
            elif oneof is None or len(oneof.fields) == 1:
                name = self.bind(field.name)
                self.lines.append(f" if has({name}): {self.store(field, f'getattr(m, {name})')}")
            elif oneof.name not in asked:
                asked.add(oneof.name)
                self.oneof(oneof)
        self.lines.append(" return d")

    def plain(self, field: FieldDescriptor, value: str) -> None:
        """Write the line of a field that is printed when it is not its default."""
        store = self.store(field, value)
        if self.of.options.print_defaults:
            self.lines.append(f" {store}")
            return
        self.lines.append(f" if {value}: {store}")
        if not field.is_repeated and field.cpp_type in _FLOATS:
            negative = self.bind(is_negative_zero)
            self.lines.append(f" elif {negative}({value}): {store}")

    def oneof(self, oneof: Any) -> None:
        """Write the lines that print the one member that is set."""
        which = self.bind(_METHODS.WhichOneof)
        self.lines += [f" w = {which}(m, {self.bind(oneof.name)})", " if w is None: pass"]
        for field in oneof.fields:
            name = self.bind(field.name)
            self.lines.append(f" elif w == {name}: {self.store(field, f'getattr(m, {name})')}")

    def store(self, field: FieldDescriptor, value: str) -> str:
        key = field.name if self.of.options.proto_names else field.json_name
        return f"d[{self.bind(key)}] = {self.field(field, value)}"

    def field(self, field: FieldDescriptor, value: str) -> str:
        """Return the expression that prints a field's value."""
        if field.message_type is not None and is_map_entry(field.message_type):
            return self.map(field.message_type, value)
        if not field.is_repeated:
            return self.single(field, value)
        if field.message_type is not None:
            return f"[{self.single(field, 'i')} for i in {value}]"
        if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
            return f"{self.bind(all_finite)}({value}[:])"
        if field.cpp_type in _INT64 and not self.of.options.int64_numbers:
            texts = _quoted if self.of.options.compact else _texts
            return f"{self.bind(texts)}({value}[:])"
        one = self.single(field, "i")
        return f"{value}[:]" if one == "i" else f"[{one} for i in {value}[:]]"

    def map(self, entry: Descriptor, value: str) -> str:
        key, item = (entry.fields_by_name[name] for name in ("key", "value"))
        name = "i"
        if key.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            name = "'true' if i else 'false'"
        elif key.cpp_type != FieldDescriptor.CPPTYPE_STRING:
            name = "str(i)"
        return f"{{{name}: {self.single(item, f'{value}[i]')} for i in {value}}}"

    def single(self, field: FieldDescriptor, value: str) -> str:
        """Return the expression that prints one value."""
        if field.message_type is not None:
            return f"{self.later(field.message_type)}({value})"
        if field.enum_type is not None:
            return self.enum(field.enum_type, value)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return f"{self.bind(to_base64)}({value})"
        if field.cpp_type in _FLOATS:
            return f"{self.bind(_FLOATS[field.cpp_type])}({value})"
        if field.cpp_type in _INT64:
            text = self.bind(_lossless) if self.of.options.int64_numbers else "str"
            return f"{text}({value})"
        return value

    def enum(self, enum: EnumDescriptor, value: str) -> str:
        if self.of.options.enum_numbers:
            return value
        if enum.full_name == "google.protobuf.NullValue":
            return "None"
        names = self.bind(json_names(enum))
        if enum.is_closed:
            return f"{names}[{value}]"
        if value.isidentifier():
            return f"{names}.get({value}, {value})"
        return f"{self.bind(_name_or_number)}({names}, {value})"

    def later(self, descriptor: Descriptor) -> str:
        """Return an identifier that is bound to a type's encoder when it is first called."""

        def first(message: Any) -> Any:
            self.names[name] = encode = self.of.find(descriptor)
            return encode(message)

        name = self.bind(first)
        return name


def is_map_entry(descriptor: Descriptor) -> bool:
    """Say whether a type is that of a map's pairs."""
    return descriptor.has_options and descriptor.GetOptions().map_entry


def _name_or_number(names: dict[int, str], number: int) -> str | int:
    return names.get(number, number)


def _lossless(value: int) -> int | str:
    """Return an integer as a number when a double holds it, else as a string."""
    return value if float(value) == value else str(value)


def _texts(values: list[int]) -> list[str]:
    """Return integers as strings."""
    return [str(value) for value in values]


def _quoted(values: list[int]) -> list[str] | orjson.Fragment:
    """Return integers as strings, or as the JSON of these when they are many."""
    if len(values) < _MANY:
        return [str(value) for value in values]
    return orjson.Fragment(b'["' + orjson.dumps(values)[1:-1].replace(b",", b'","') + b'"]')


_FLOATS: dict[int, Callable[[float], float | str]] = {
    FieldDescriptor.CPPTYPE_DOUBLE: finite,
    FieldDescriptor.CPPTYPE_FLOAT: shortest,
}


def single_encoder(field: FieldDescriptor, of: EncoderOf) -> Encode:
    """Return the encoder of one value of a scalar field."""
    source = _Source(of)
    line = f"def encode(v): return {source.single(field, 'v')}"
    exec(_compiled(line), source.names)  # noqa: S102  holds our identifiers only
    return source.names["encode"]  # type: ignore[no-any-return]
