from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from serialized import repeated
from transcoder.errors import InvalidRequest, UnsupportedMedia
from transcoder.profile import GOOGLE, GRPC_GATEWAY, STRICT, Profile
from transcoder.request_body import body_reader

Read = Callable[..., Any]


@pytest.fixture
def read(protos: DescriptorPool) -> Read:
    """Read a body into a message: its name, the rule's body, the bytes."""

    def read(
        name: str,
        body: str,
        data: bytes,
        content_type: str = "application/json",
        profile: Profile = GOOGLE,
    ) -> Message:
        message = protos.FindMessageTypeByName(name if "." in name else f"everything.v1.{name}")
        return body_reader(body, message, GetMessageClass(message), profile)(data, content_type)

    return read


@pytest.mark.parametrize(
    ("body", "data", "expected"),
    [
        (
            "*",
            b'{"int32Value": 5, "child": {"class": "x"}}',
            {"int32_value": 5, "child": {"class": "x"}},
        ),
        ("child", b'{"int32Value": 5}', {"child": {"int32_value": 5}}),
        ("*", b" null\n", {}),
        ("child", b"{}", {"child": {}}),
        ("child", b" null\n", {}),
        ("child.child", b'{"int32Value": 5}', {"child": {"child": {"int32_value": 5}}}),
        ("int64_value", b'"5"', {"int64_value": 5}),
        ("int64_value", b" 5 ", {"int64_value": 5}),
        ("string_value", b'"}{"', {"string_value": "}{"}),
        ("bytes_value", b'"YQ"', {"bytes_value": b"a"}),
        ("bool_value", b"true", {"bool_value": True}),
        ("optional_string", b'""', {"optional_string": ""}),
        ("optional_string", b"null", {}),
        ("enum_value", b'"RED"', {"enum_value": 1}),
        ("enum_value", b"2", {"enum_value": 2}),
        ("child.enum_value", b'"RED"', {"child": {"enum_value": 1}}),
        ("custom_name", b'"x"', {"custom_name": "x"}),
        ("int32_list", b"[1, 2]", {"int32_list": [1, 2]}),
        ("child_list", b'[{"class": "x"}, {}]', {"child_list": [{"class": "x"}, {}]}),
        ("string_map", b'{"a": "b"}', {"string_map": {"a": "b"}}),
        ("choice_int", b"0", {"choice_int": 0}),
        ("time", b'"1970-01-01T00:00:01Z"', {"time": {"seconds": 1}}),
        ("int32_wrapper", b"0", {"int32_wrapper": {}}),
        ("struct", b'{"a": 1}', {"struct": {"a": 1}}),
        ("value", b"null", {"value": {"null_value": 0}}),
        ("value", b"[]", {"value": {"list_value": {}}}),
    ],
)
def test_reads(read: Read, body: str, data: bytes, expected: dict[str, Any]) -> None:
    """The body is the whole message, or a field of any kind at any depth."""
    message = read("Everything", body, data)

    assert message == type(message)(**expected)


@pytest.mark.parametrize("body", ["*", "child", "int32_value", "string_map", "value", "child_list"])
def test_nothing(read: Read, body: str) -> None:
    """An empty body changes nothing, whatever its Content-Type."""
    assert not read("Everything", body, b"", "text/plain").ListFields()


def test_null_of_another_type(read: Read) -> None:
    """A body that says nothing is JSON all the same."""
    for body in ("*", "child"):
        with pytest.raises(UnsupportedMedia):
            read("Everything", body, b"null", "text/plain")


def test_null_value(read: Read) -> None:
    """A request that is any JSON value takes null as one."""
    assert read("google.protobuf.Value", "*", b"null").HasField("null_value")


@pytest.mark.parametrize(
    "data", [b'{"child": {}', b"nul", b" ", b"\xff", b"{}x", b"\xef\xbb\xbf{}"]
)
@pytest.mark.parametrize("body", ["*", "child", "string_value"])
def test_no_json(read: Read, body: str, data: bytes) -> None:
    """What is not one JSON value is refused, blanks too."""
    with pytest.raises(InvalidRequest):
        read("Everything", body, data)


@pytest.mark.parametrize(
    "data",
    [
        b'1,"string_value":"x"',
        b'1}{"x":2',
        b"1} ",
        b"1 2",
        b"[1",
        b"NaN",
        b"1e400",
        b"9" * 5_000,
        b"[" * 50_000,
        b"\xef\xbb\xbf1",
        b"\xff",
        b"/**/1",
        b"01",
        b"1.5",
        b'{"a":1,"a":1}',
    ],
)
def test_no_value_steps_out(read: Read, data: bytes) -> None:
    """What is not one JSON value for the field never reaches its neighbours."""
    with pytest.raises(InvalidRequest):
        read("Everything", "int32_value", data)


@pytest.mark.parametrize(
    ("body", "data", "name"),
    [
        ("*", b'{"child":{"int32_value":"x"}}', "child.int32_value"),
        ("child", b'{"int32Value":"x"}', "int32Value"),
        ("child.child", b'{"child":{"int32Value":"x"}}', "child.int32Value"),
        ("child.child", b"5", ""),
        ("int32_value", b'"x"', "int32Value"),
        ("child.int32_value", b'"x"', "child.int32Value"),
        ("int32_list", b'[1,"x"]', "[1]"),
        ("child_list", b'[{"int32Value":"x"}]', "[0].int32Value"),
        ("child.child_list", b'[{},{"int32Value":"x"}]', "[1].int32Value"),
        ("int32_list", b"5", "int32List"),
        ("string_map", b'{"a":1}', "a"),
        ("child_map", b'{"a":{"int32Value":"x"}}', "a.int32Value"),
    ],
)
def test_names_in_a_body_of_a_field(read: Read, body: str, data: bytes, name: str) -> None:
    """A place in a body is named as its JSON alone has it; all of a field, by the field."""
    with pytest.raises(InvalidRequest) as refused:
        read("Everything", body, data)

    assert refused.value.field == name


def test_duplicate_keys_of_a_map(read: Read) -> None:
    """A map that is the whole body may not say a key twice."""
    with pytest.raises(InvalidRequest):
        read("Everything", "string_map", b'{"a": "1", "a": "2"}')


@pytest.mark.parametrize("body", ["*", "child"])
def test_unknown_key(read: Read, body: str) -> None:
    """An unknown key is refused or ignored, as the profile has it."""
    with pytest.raises(InvalidRequest):
        read("Everything", body, b'{"zzz": 1}')
    ignored = read("Everything", body, b'{"zzz": 1}', profile=GRPC_GATEWAY)

    assert not ignored.child.ListFields()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; odata=verbose",
        "application/merge-patch+json",
        "application/vnd.api+json; charset=utf8",
        "",
    ],
)
def test_takes_json(read: Read, content_type: str) -> None:
    """JSON is JSON by any of its names, in UTF-8."""
    assert read("Everything", "*", b'{"int32Value": 5}', content_type).int32_value == 5


@pytest.mark.parametrize("body", ["*", "child", "string_value"])
@pytest.mark.parametrize(
    ("content_type", "problem"),
    [
        ("application/x-www-form-urlencoded", "a body of this type is not taken"),
        ("multipart/form-data; boundary=x", "a body of this type is not taken"),
        ("text/plain", "a body of this type is not taken"),
        ("application/jsonp", "a body of this type is not taken"),
        ("+json", "a body of this type is not taken"),
        ("application/json, text/plain", "a body of this type is not taken"),
        ("application/json; charset=utf-16", "JSON is taken in UTF-8 only"),
        ("application/json; CHARSET = latin1", "JSON is taken in UTF-8 only"),
    ],
)
def test_refuses_other_types(read: Read, body: str, content_type: str, problem: str) -> None:
    """Another media type is a 415 that says what to send."""
    with pytest.raises(UnsupportedMedia) as refused:
        read("Everything", body, b"null", content_type)

    assert refused.value.http == 415
    advice = "send Content-Type: application/json (with curl: --json)"
    assert refused.value.status.message == f"{problem}: {advice}"


def test_refuses_no_type_when_told(read: Read) -> None:
    """Without a Content-Type a body is JSON only where the profile has it so."""
    with pytest.raises(UnsupportedMedia, match="the body has no Content-Type: send"):
        read("Everything", "*", b"{}", "", STRICT)
    unnamed = dataclasses.replace(STRICT, missing_content_type="json")

    assert not read("Everything", "*", b"{}", "", unnamed).ListFields()


def test_http_body_as_a_field(read: Read) -> None:
    """A field of type HttpBody takes the bytes as they are, and their type."""
    message = read("UploadRequest", "file", b'{"\xff', "image/png; q=1")

    assert (message.file.content_type, message.file.data) == ("image/png; q=1", b'{"\xff')


def test_http_body_as_the_request(read: Read) -> None:
    """A request that is an HttpBody takes the bytes as they are, and their type."""
    message = read("google.api.HttpBody", "*", b"\0\1", "")

    assert (message.content_type, message.data) == ("", b"\0\1")


def test_empty_http_body(read: Read) -> None:
    """An upload of nothing is an upload."""
    message = read("UploadRequest", "file", b"", "text/plain")

    assert message.HasField("file")
    assert message.file.content_type == "text/plain"


def test_any_of_the_same_pool(read: Read) -> None:
    """What an Any holds is looked up in the pool of the message."""
    data = b'{"any": {"@type": "type.googleapis.com/everything.v1.SystemNames", "alt": "x"}}'

    assert read("Everything", "*", data).any.value == b"\n\x01x"


PROTOBUF = ["application/x-protobuf", "application/protobuf", "Application/X-Protobuf; proto=a.B"]


@pytest.mark.parametrize("content_type", PROTOBUF)
@pytest.mark.parametrize(
    ("body", "data", "expected"),
    [
        ("*", b"\x18\x05", {"int32_value": 5}),
        ("*", b"", {}),
        ("child", b"\x18\x05", {"child": {"int32_value": 5}}),
        ("child.child", b"\x18\x05", {"child": {"child": {"int32_value": 5}}}),
        ("child", b"", {"child": {}}),  # nothing is a message without fields
        ("time", b"\x08\x01", {"time": {"seconds": 1}}),
        ("value", b"", {"value": {}}),
    ],
)
def test_serialized(
    read: Read, body: str, data: bytes, expected: dict[str, Any], content_type: str
) -> None:
    """A serialized message is the request, or the message that the rule's body names."""
    message = read("Everything", body, data, content_type)

    assert message == type(message)(**expected)


@pytest.mark.parametrize("body", ["*", "child"])
@pytest.mark.parametrize(
    "data",
    [
        b"null",  # as JSON it would leave the field unset
        b"\x18",
        b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x72\x01\xff",  # a string that is not UTF-8
        b"\x72\x05a",
        b"{}",
    ],
)
def test_not_serialized(read: Read, body: str, data: bytes) -> None:
    """Bytes that are no serialized message are a 400 that does not repeat them."""
    with pytest.raises(InvalidRequest) as refused:
        read("Everything", body, data, "application/x-protobuf")

    wanted = "the body is not a serialized everything.v1.Everything"
    assert refused.value.status.message == wanted


@pytest.mark.parametrize("body", ["*", "child", "child.child"])
def test_large_serialized(read: Read, body: str) -> None:
    """A large message is read like a small one, wherever it belongs."""
    data = repeated(25, 70_000) + b"\x18\x05"
    message = read("Everything", body, data, "application/x-protobuf")
    expected = type(message).FromString(data)
    for _ in body.strip("*").split(".") if body != "*" else ():
        message = message.child

    assert message == expected


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        (b"\x32\x01a" * 20_000, True),
        (b"\x2c\x10\x01\x2b" * 20_000, False),  # ends the group, sets a number, begins it again
    ],
)
def test_large_serialized_group(read: Read, data: bytes, taken: bool) -> None:  # noqa: FBT001
    """What a group holds cannot step out of it."""
    if taken:
        assert read("legacy.v1.Legacy", "inner", data, "application/x-protobuf").inner.text == "a"
        return
    with pytest.raises(InvalidRequest):
        read("legacy.v1.Legacy", "inner", data, "application/x-protobuf")


@pytest.mark.parametrize(("depth", "taken"), [(30, True), (101, False), (2000, False)])
def test_depth_of_serialized(read: Read, depth: int, taken: bool) -> None:  # noqa: FBT001  a row
    """A message within messages without end is a 400."""
    data = b""
    for _ in range(depth):
        size = len(data)
        length = bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
        data = b"\xb2\x04" + length + data
    if taken:
        assert read("Everything", "*", data, "application/x-protobuf").HasField("child")
        return
    with pytest.raises(InvalidRequest):
        read("Everything", "*", data, "application/x-protobuf")


@pytest.mark.parametrize("body", ["string_value", "int32_list", "string_map", "child_list"])
def test_serialized_scalar(read: Read, body: str) -> None:
    """What is no message has no serialized form of its own."""
    with pytest.raises(UnsupportedMedia, match="a body of this type is not taken"):
        read("Everything", body, b"\x01", "application/x-protobuf")


def test_delimited(read: Read) -> None:
    """Messages behind their lengths are a stream, not a message."""
    with pytest.raises(UnsupportedMedia):
        read("Everything", "*", b"\x02\x18\x05", "application/x-protobuf; delimited=true")


def test_ascii(read: Read) -> None:
    """ASCII is UTF-8."""
    message = read("Everything", "*", b'{"int32Value": 5}', "application/json; charset=us-ascii")

    assert message.int32_value == 5
