from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf import (
    any_pb2,
    api_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from json_cases import message_class
from transcoder.errors import InvalidRequest
from transcoder.protojson import from_json

DOCS = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
NAME = r"`([\w.]+\.\w+|map<int32, string>|oneof)`( with a `\w+`)?"
ROWS = [row[:2] for row in re.findall(rf"^\| `(.*)` \| {NAME} \| .+ \|$", DOCS, re.MULTILINE)]
LINKED = (
    any_pb2,
    api_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
"""Importing them puts their types into the default pool."""


def document(json: str, name: str) -> tuple[bytes, type[Message]]:
    """Return a row's document and the class it is for."""
    if name.startswith("map<"):
        return f'{{"byInt32": {json}}}'.encode(), message_class("kinds.v1.Maps")
    if name == "oneof":
        return json.encode(), message_class("kinds.v1.Alone")
    return json.encode(), GetMessageClass(Default().FindMessageTypeByName(name))


@pytest.mark.parametrize(("json", "name"), ROWS)
def test_refusal(json: str, name: str) -> None:
    """Each row of the list of refusals is taken by json_format, and refused by us."""
    data, wanted = document(json, name)
    json_format.Parse(data, wanted())

    with pytest.raises(InvalidRequest):
        from_json(data, wanted)


def test_all_rows_are_found() -> None:
    """The list of refusals is read in full."""
    table = DOCS.partition("## What is refused")[2].partition("## Depth")[0]

    assert len(ROWS) == sum(line.startswith("| `") for line in table.splitlines())


def test_examples() -> None:
    """The Python in the document runs."""
    for block in re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL):
        exec(block, {})  # noqa: S102  it is our own document
