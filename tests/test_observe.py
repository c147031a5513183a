from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.protobuf import struct_pb2, timestamp_pb2, type_pb2

from json_cases import message_class, protos
from transcoder.observe import Counts, counts
from transcoder.protojson import from_json, to_json

NONE = Counts(0, 0, 0, 0)
LEGACY = "legacy.v1.Legacy"
GROUPS = "extensions.v1.Groups"


@contextmanager
def counted(**expected: Counts) -> Iterator[None]:
    """Check what is counted meanwhile, by type, `_` for a dot."""
    before = counts()
    yield
    after = counts()
    grown = {
        name.replace(".", "_"): Counts(
            *(new - old for new, old in zip(after[name], before.get(name, NONE), strict=True))
        )
        for name in after
    }
    assert {name: each for name, each in grown.items() if each != NONE} == expected


def extended() -> Any:
    """Return a message with an extension, which json_format prints."""
    message: Any = message_class(LEGACY)()
    message.Extensions[protos().FindExtensionByName("extensions.v1.count")] = 1
    return message


def test_counts() -> None:
    """Each document is counted for its type: fast, or decided by json_format."""
    with counted(google_protobuf_Field=Counts(1, 0, 1, 1)):
        field = from_json(b'{"number": 1}', type_pb2.Field)
        from_json(b'{"number": 1.0}', type_pb2.Field)
        to_json(field)


def test_messages_within_a_document() -> None:
    """The messages within a document are not counted."""
    with counted(google_protobuf_Type=Counts(1, 0, 1, 0)):
        to_json(from_json(b'{"fields": [{"number": 1}, {"number": 2}]}', type_pb2.Type))


@pytest.mark.parametrize("indent", [None, 2])
def test_left_to_json_format(indent: int | None) -> None:
    """A document that json_format prints is counted once."""
    message = extended()

    with counted(legacy_v1_Legacy=Counts(0, 1, 0, 0)):
        to_json(message, indent=indent, pool=protos())


def test_left_to_json_format_within_a_document() -> None:
    """A message that json_format prints alone is counted beside the document."""
    message = message_class(GROUPS)(legacy=extended())

    with counted(legacy_v1_Legacy=Counts(0, 1, 0, 0), extensions_v1_Groups=Counts(1, 0, 0, 0)):
        to_json(message, pool=protos())


def test_what_cannot_be_printed() -> None:
    """A document without a JSON form is counted once, as left to json_format."""
    message = struct_pb2.ListValue(values=[struct_pb2.Value(number_value=float("nan"))])

    with counted(google_protobuf_ListValue=Counts(0, 1, 0, 0)), pytest.raises(ValueError):  # noqa: PT011  it is the count that matters
        to_json(message)


def test_what_cannot_be_printed_within_a_document() -> None:
    """So is one of which only a part has none, and the part is not counted."""
    message = type_pb2.Option()
    message.value.Pack(timestamp_pb2.Timestamp(seconds=10**18))

    with counted(google_protobuf_Option=Counts(0, 1, 0, 0)), pytest.raises(ValueError):  # noqa: PT011  as above
        to_json(message)
