"""Names that the values of an enum have in JSON.

They are those of the proto, unless the option `pb.enumvalue.json` gives another; it is looked for
in the default pool, as json_format does, for there the options of all enums are.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import EnumDescriptor, EnumValueDescriptor
from google.protobuf.descriptor_pool import Default


def json_names(enum: EnumDescriptor) -> dict[int, str]:
    """Return the name that each number of an enum is printed as.

    The first of several names of one number counts.
    """
    names = {}
    option = _option()
    for number in {value.number for value in enum.values}:
        value = enum.values_by_number[number]  # Iterated over, the map gives the last name.
        custom = None if option is None else _custom(value, option)
        names[number] = value.name if custom is None else custom.string
    return names


def custom_numbers(enum: EnumDescriptor) -> dict[str, int]:
    """Return the numbers of the names that only the option gives."""
    numbers = {}
    option = _option()
    if option is not None:
        for value in enum.values:
            custom = _custom(value, option)
            if custom is not None and custom.HasField("string"):
                numbers[custom.string] = value.number
    return numbers


def _option() -> Any:
    try:
        return Default().FindExtensionByName("pb.enumvalue.json")
    except KeyError:
        return None


def _custom(value: EnumValueDescriptor, option: Any) -> Any:
    if not value.has_options or not value.GetOptions().HasExtension(option):
        return None
    return value.GetOptions().Extensions[option]
