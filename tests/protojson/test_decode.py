import pytest
from google.api import http_pb2
from google.protobuf.field_mask_pb2 import FieldMask

from transcoder.errors import InvalidRequest
from transcoder.protojson import from_json


def test_both_spellings() -> None:
    """A field may be named as JSON has it or as the proto has it."""
    camel = from_json(b'{"responseBody": "a"}', http_pb2.HttpRule)
    snake = from_json(b'{"response_body": "a"}', http_pb2.HttpRule)

    assert http_pb2.HttpRule(response_body="a") == camel == snake


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
