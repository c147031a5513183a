"""Well-known values said in parts, as grpc-gateway lets clients: `time.seconds=5`, `mask.paths=a`.

What one part may be depends on the others, so that the value they make is looked at in the end; and
a value is said either whole or in parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from transcoder.fields import FieldPath, value_of
from transcoder.values import BadValue
from transcoder.well_known import well_known

_PROBLEM = "too many values: this field takes one, or its parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPath:
    """A path to a well-known value, or into one.

    Args:
        name: the path.
        above: the paths of the values that it goes into, the outermost first; none if it goes into
            none.
        kind: the name of the outermost one's type.
        value_of: the way to that.

    >>> from google.protobuf import struct_pb2
    >>> path = FieldPath.resolve(struct_pb2.Value.DESCRIPTOR, "struct_value.fields")
    >>> known_path(path).above
    ('struct_value',)
    """

    name: str
    above: tuple[str, ...]
    kind: str
    value_of: Callable[[Message], Any]

    def keep_apart(self, said: set[str]) -> None:
        """Refuse a whole value beside its parts.

        Args:
            said: the names of all paths that were said before, and what is added here to them.

        Raises:
            BadValue: it is said already.
        """
        if f"{self.name}." in said or not said.isdisjoint(self.above):
            raise BadValue(_PROBLEM)
        said.update(f"{each}." for each in self.above)

    def check(self, message: Message) -> None:
        """Refuse a value that JSON would not have said.

        Raises:
            BadValue: the parts do not fit.
        """
        try:
            json_format.MessageToDict(self.value_of(message))
        except (ValueError, TypeError, json_format.Error):
            raise BadValue(f"its parts make no {self.kind}") from None


def known_path(path: FieldPath) -> KnownPath | None:
    """Return what a path has to do with a well-known value; None if it has nothing."""
    for depth, field in enumerate(path.fields, 1):
        message = field.message_type
        if message is None or field.is_repeated or well_known(message) is None:
            continue
        names = path.names
        ends = range(depth, len(names))
        return KnownPath(
            name=str(path),
            above=tuple(".".join(names[:end]) for end in ends),
            kind=message.name,
            value_of=value_of(FieldPath(path.fields[:depth])),
        )
    return None
