"""Messages to JSON bytes."""

from __future__ import annotations

import json

from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message


def to_json(
    message: Message,
    *,
    print_defaults: bool = False,
    proto_names: bool = False,
    enum_numbers: bool = False,
    indent: int | None = None,
    pool: DescriptorPool | None = None,
) -> bytes:
    """Return the JSON form of a message, in UTF-8.

    Args:
        message: of any descriptor pool.
        print_defaults: print fields without presence also when they hold their default.
        proto_names: `user_id` as the proto has it, instead of `userId`.
        enum_numbers: enum values as numbers instead of names.
        indent: spaces for each level; the default is one line without spaces.
        pool: where the types inside `google.protobuf.Any` are looked up.

    Raises:
        ValueError: the message has no JSON form, for example an Any of an unknown type, a NaN
            in a `google.protobuf.Value` or a Timestamp after the year 9999.

    >>> from google.protobuf.duration_pb2 import Duration
    >>> to_json(Duration(seconds=1, nanos=500_000_000))
    b'"1.500s"'
    """
    try:
        tree = json_format.MessageToDict(
            message,
            preserving_proto_field_name=proto_names,
            use_integers_for_enums=enum_numbers,
            always_print_fields_with_no_presence=print_defaults,
            descriptor_pool=pool,
        )
        separators = (",", ":") if indent is None else None
        text = json.dumps(tree, ensure_ascii=False, indent=indent, separators=separators)
        return text.encode()
    except Exception as error:
        # json_format raises TypeError, DecodeError, AttributeError and more, by the input.
        name = message.DESCRIPTOR.full_name
        raise ValueError(f"{name} has no JSON form: {error}") from error
