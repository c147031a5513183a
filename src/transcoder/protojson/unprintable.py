"""Why a message has no JSON form: the first place that has none, in plain words.

Told are the JSON path and what was wrong there, never what it holds: of a map not even the key,
and of a Struct or a Value nothing within. It goes into logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import Unprintable
from transcoder.protojson.encoder import EncodeOptions, by_json_format, is_map_entry
from transcoder.protojson.known_encoders import is_known
from transcoder.protojson.members import Problem

_PATH = 256
_VALUES = "holds NaN or an infinity, for which JSON has no number"
_PROBLEMS = {
    "google.protobuf.Duration": "a duration beyond 10,000 years, or with parts of two signs",
    "google.protobuf.FieldMask": "a path that would be another one when read",
    "google.protobuf.ListValue": _VALUES,
    "google.protobuf.Struct": _VALUES,
    "google.protobuf.Timestamp": "a time before the year 1 or after 9999",
    "google.protobuf.Value": _VALUES,
}
_OTHER = "cannot be printed"


def unprintable(message: Message, options: EncodeOptions) -> Unprintable:
    """Return the error that tells where a message, which could not be printed, has no JSON form."""
    problem, path = _OTHER, ""
    try:
        _check(message, options)
    except Problem as found:
        problem, path = found.text, found.path
    except Exception as error:  # noqa: BLE001  to look does what to print did, and may fail as it
        problem = f"{_OTHER}: {type(error).__name__}"
    # Names may come from strangers' descriptors, and end up in terminals.
    path = ascii(path)[1:-1]
    shown = path if len(path) <= _PATH else f"{path[:_PATH]}…"
    return Unprintable(type(message).DESCRIPTOR.full_name, problem, shown)


def _check(message: Message, options: EncodeOptions) -> None:
    descriptor: Any = type(message).DESCRIPTOR
    if descriptor.full_name == "google.protobuf.Any":
        _check_any(message, options)
    elif is_known(descriptor):
        _check_known(message, options)
    else:
        for field, value in type(message).ListFields(message):
            for steps, kind, part in _parts(field, value):
                try:
                    _check_part(part, kind, options)
                except Problem as found:
                    for step in reversed(steps):
                        found.within(step)
                    raise


def _check_part(part: Any, kind: FieldDescriptor, options: EncodeOptions) -> None:
    if isinstance(part, Message):
        _check(part, options)
    elif kind.type == FieldDescriptor.TYPE_STRING and isinstance(part, bytes):
        raise Problem("text that is not UTF-8")


def _check_known(message: Message, options: EncodeOptions) -> None:
    try:
        by_json_format(message, options)
    except Exception:  # noqa: BLE001  it raises anything, with the value in the text
        name = type(message).DESCRIPTOR.full_name
        raise Problem(_PROBLEMS.get(name, "text that is not UTF-8")) from None


def _check_any(message: Any, options: EncodeOptions) -> None:
    if not message.ListFields():
        return
    pool = Default() if options.pool is None else options.pool
    try:
        descriptor = pool.FindMessageTypeByName(message.type_url.rpartition("/")[2])
    except KeyError:
        raise Problem("an Any of a type that is not in the descriptor pool") from None
    try:
        content = GetMessageClass(descriptor).FromString(message.value)
    except Exception:  # noqa: BLE001  it raises by what is in the bytes
        raise Problem("an Any whose bytes are not of its type") from None
    try:
        _check(content, options)
    except Problem as found:
        if is_known(descriptor):
            found.within("value")
        raise


def _parts(
    field: FieldDescriptor, value: Any
) -> Iterator[tuple[tuple[str | int, ...], FieldDescriptor, Any]]:
    """Yield the parts of a field's value: the steps to each, what it is, and itself."""
    name = f"[{field.full_name}]" if field.is_extension else field.json_name
    entry = field.message_type
    if entry is not None and is_map_entry(entry):
        for key in value:
            yield (name, "*"), entry.fields_by_name["key"], key
            yield (name, "*"), entry.fields_by_name["value"], value[key]
    elif field.is_repeated:
        for index, item in enumerate(value):
            yield (name, index), field, item
    else:
        yield (name,), field, value
