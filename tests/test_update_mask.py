from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.errors import InvalidRequest
from transcoder.update_mask import mask_field, mask_paths, said_fields


@pytest.fixture
def everything(protos: DescriptorPool) -> Descriptor:
    """The message with one field of each kind."""
    return protos.FindMessageTypeByName("everything.v1.Everything")


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({}, []),
        ({"stringValue": "x", "int32_value": 0}, ["int32_value", "string_value"]),
        (
            {"child": {"class": "x", "child": {"boolValue": True}}},
            ["child.child.bool_value", "child.class"],
        ),
        ({"child": {}}, ["child"]),
        ({"child": None, "stringValue": None}, ["child", "string_value"]),
        ({"int32List": [1], "childList": [{"class": "x"}]}, ["child_list", "int32_list"]),
        ({"stringMap": {"a": "b"}, "childMap": {"a": {"class": "x"}}}, ["child_map", "string_map"]),
        ({"child": {"time": "1970-01-01T00:00:00Z"}}, ["child.time"]),
        ({"int32Wrapper": 5, "stringWrapper": None}, ["int32_wrapper", "string_wrapper"]),
        # What is inside a Struct has no proto names, and may have names that no path can spell.
        ({"struct": {"aB": {"c": 1}, "a.b": [], "": 1}, "value": {"x": 1}}, ["struct", "value"]),
        ({"child": {"any": {"@type": "type.googleapis.com/x.Y", "a": 1}}}, ["child.any"]),
        ({"@custom": "x"}, ["custom_name"]),
        (None, []),
        ([1], []),
    ],
)
def test_paths(everything: Descriptor, body: Any, paths: list[str]) -> None:
    """The mask has the leaves of the body, in proto names and sorted."""
    assert mask_paths(json.dumps(body).encode(), everything) == paths


@pytest.mark.parametrize("name", ["Struct", "Value", "Any"])
def test_free_form_body(protos: DescriptorPool, name: str) -> None:
    """A body whose keys are no fields has no paths to say."""
    kind = protos.FindMessageTypeByName(f"google.protobuf.{name}")

    assert mask_paths(b'{"a": 1, "@type": "x"}', kind) == []


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"nope": 1, "child": {"clas": 1, "class": "a"}}, ["child.class"]),
        ({"child.class": 1, "boolValue": True}, ["bool_value"]),  # a name, and no path
        ({"enumValue": "NOPE", "boolValue": True}, ["bool_value"]),
        ({"enumValue": "RED"}, ["enum_value"]),
        ({"enumValue": "7", "childList": [{"enumValue": "NOPE"}]}, ["child_list", "enum_value"]),
        ({"enumValue": None}, ["enum_value"]),
    ],
)
def test_what_a_decoder_passed_over(everything: Descriptor, body: Any, paths: list[str]) -> None:
    """What names no field or no value has not been read, so the mask does not say it."""
    assert mask_paths(json.dumps(body).encode(), everything) == paths


def test_extension(everything: Descriptor) -> None:
    """No path names an extension, so what says one is refused, in the client's names."""
    with pytest.raises(InvalidRequest) as refused:
        mask_paths(b'{"childMap": {}, "child": {"[a.b]": 1}}', everything)

    assert refused.value.status.message == "child.[a.b]: an update mask cannot name an extension"


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b"", set()),
        (b"null", set()),
        (b"[]", set()),
        (b'{"int32Value": 0, "child": null}', {("int32_value",), ("child",)}),
        (b'{"child": {"class": "", "child": {}}}', {("child", "class")}),
        # Lists and maps are joined with the query's.
        (b'{"int32List": [], "stringMap": {"a": "b"}, "childList": [{"class": "x"}]}', set()),
        (b'{"struct": {"a": 1}, "empty": {}, "value": {}}', {("struct",), ("value",)}),
        (b'{"zzz": 1, "child.class": 1, "@custom": ""}', {("custom_name",)}),
    ],
)
def test_said_fields(everything: Descriptor, body: bytes, paths: set[tuple[str, ...]]) -> None:
    """A body says its singular fields, those that hold their default too."""
    assert said_fields(body, everything) == paths


@pytest.mark.parametrize(
    ("name", "mask"), [("UpdateRequest", "update_mask"), ("TwoMasksRequest", None)]
)
def test_mask_field(protos: DescriptorPool, name: str, mask: str | None) -> None:
    """Only the one mask of a message is known to be that of its update."""
    found = mask_field(protos.FindMessageTypeByName(f"everything.v1.{name}"))

    assert (found.name if found else None) == mask
