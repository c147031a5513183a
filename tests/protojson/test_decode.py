from typing import Any

import pytest
from google.api import http_pb2
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import InvalidRequest
from transcoder.protojson import from_json


def test_both_spellings() -> None:
    """A field may be named as JSON has it or as the proto has it."""
    camel = from_json(b'{"responseBody": "a"}', http_pb2.HttpRule)
    snake = from_json(b'{"response_body": "a"}', http_pb2.HttpRule)

    assert http_pb2.HttpRule(response_body="a") == camel == snake


@pytest.mark.parametrize("kind", [str, bytearray, memoryview])
@pytest.mark.parametrize("text", ['{"get": "/é"}', '{"get": null}'])
def test_other_texts(kind: Any, text: str) -> None:
    """JSON may be a text, or whatever holds bytes."""
    data = text if kind is str else kind(text.encode())

    assert from_json(data, http_pb2.HttpRule) == from_json(text.encode(), http_pb2.HttpRule)


def test_a_lone_surrogate() -> None:
    """A text that UTF-8 cannot say is refused, as its bytes are."""
    with pytest.raises(InvalidRequest):
        from_json('{"get": "\ud800"}', http_pb2.HttpRule)


def test_unknown_fields_can_be_ignored() -> None:
    """A key that names no field is passed over on request."""
    assert http_pb2.HttpRule(get="/") == from_json(
        b'{"get": "/", "nope": {"a": [1]}}', http_pb2.HttpRule, ignore_unknown=True
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"get": "a"} x', b"\xff\xfe", b'{"get": 1}', b"null", b"[" * 100_000],
    ids=["empty", "cut", "trailing", "not UTF-8", "type", "null", "deep"],
)
def test_refused(data: bytes) -> None:
    """What is not one JSON document of the message is an InvalidRequest."""
    with pytest.raises(InvalidRequest):
        from_json(data, http_pb2.HttpRule)


@pytest.mark.parametrize("path", ["a", "aB", "é"])
def test_mask_of_many_paths(path: str) -> None:
    """A mask has at most 10,000 paths, told as such."""
    text = ",".join([path] * 10_000)

    assert len(from_json(f'"{text}"'.encode(), FieldMask).paths) == 10_000
    with pytest.raises(InvalidRequest, match=r"^a mask of over 10000 paths$"):
        from_json(f'"{text},a"'.encode(), FieldMask)


@pytest.mark.parametrize(
    "text",
    [
        '{"int64s": ["1", "-2"]}',
        '{"int64s": [1, 2]}',
        '{"int64s": ["1", 2]}',
        '{"int64s": "1"}',
        '{"int64s": ["1,2"]}',
        '{"int64s": ["9223372036854775808"]}',
        # Many are read at once.
        '{"int64s": ["1"%s]}' % (', "2"' * 100),
        '{"int64s": ["1"%s, "2,3"]}' % (', "2"' * 100),
        '{"int64s": ["1"%s, " 2"]}' % (', "2"' * 100),
        '{"int64s": ["1"%s, 2]}' % (', "2"' * 100),
        '{"uint64s": ["1"%s, "-1"]}' % (', "2"' * 100),
        '{"doubles": [1, 2.5]}',
        '{"doubles": {"a": 1}}',
        '{"floats": [1e39]}',
        '{"floats": [1.5%s]}' % (", 1.5" * 99),
        '{"times": {"a": 1}}',
        '{"bools": [true, 1]}',
        '{"maps": [{"byInt32": []}]}',
        '{"maps": [{"byInt64": {"1": 2}}]}',
    ],
)
def test_lists(protos: DescriptorPool, text: str) -> None:
    """Lists are taken, or refused, as `json_format` takes or refuses them."""
    lists: Any = GetMessageClass(protos.FindMessageTypeByName("kinds.v1.Lists"))
    try:
        expected = json_format.Parse(text, lists(), descriptor_pool=protos)
    except json_format.ParseError:
        expected = None
    try:
        message = from_json(text.encode(), lists, pool=protos)
    except InvalidRequest:
        message = None

    assert message == expected
