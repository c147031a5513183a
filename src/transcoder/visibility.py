"""The labels that something of a proto is restricted to, as `google/api/visibility.proto` has it.

Options are read from their bytes by the numbers of the extensions: a message that was made before
an extension was known, or in a pool of its own, keeps it as unknown.
"""

from __future__ import annotations

from typing import Any, Final

from google.api import visibility_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

INTERNAL: Final = "INTERNAL"
"""The label of what is not for the outside."""

_NUMBERS: Final = frozenset(
    extension.number
    for extension in (
        visibility_pb2.api_visibility,
        visibility_pb2.enum_visibility,
        visibility_pb2.field_visibility,
        visibility_pb2.message_visibility,
        visibility_pb2.method_visibility,
        visibility_pb2.value_visibility,
    )
)
_NONE: Final[frozenset[str]] = frozenset()


def labels(options: Any) -> frozenset[str]:
    """Return the labels; none for what is not restricted.

    Args:
        options: of a descriptor, or of the proto that describes it.
    """
    data = options.SerializePartialToString()
    if not data:
        return _NONE
    fields = UnknownFieldSet(Empty.FromString(data))
    found = (fields[index] for index in range(len(fields)))
    rules = [each.data for each in found if each.field_number in _NUMBERS]
    # Of a field that is not repeated the last one would win; parts of a message are put together.
    rule = visibility_pb2.VisibilityRule.FromString(
        b"".join(rule for rule in rules if isinstance(rule, bytes))
    )
    return frozenset(label.strip() for label in rule.restriction.split(",")) - {""}
