from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from compiled import pool
from transcoder.errors import InvalidRequest, Unprintable
from transcoder.http_rule import bindings
from transcoder.profile import GOOGLE, GRPC_GATEWAY, Profile
from transcoder.protojson import Precompiled
from transcoder.protojson import encode as encoders
from transcoder.response import JSON
from transcoder.response_encoder import REPLY_LIMIT, Presentation, ResponseEncoder
from transcoder.selection import Selection
from transcoder.system_parameters import SystemParameters

Encode = Callable[..., ResponseEncoder]


@pytest.fixture
def encoder(protos: DescriptorPool) -> Encode:
    """Compile the encoder of a method, `Everyone` or `Upload`, and a response_body."""

    def encoder(
        response_body: str = "", name: str = "Everyone", profile: Profile = GOOGLE
    ) -> ResponseEncoder:
        rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name[name]
        (binding,) = bindings(rpc, HttpRule(get="/v1/x", response_body=response_body))
        return ResponseEncoder(binding, profile)

    return encoder


@pytest.fixture
def everything(protos: DescriptorPool) -> type[Any]:
    """The class of the message with one field of each kind."""
    return GetMessageClass(protos.FindMessageTypeByName("everything.v1.Everything"))


def test_whole(encoder: Encode, everything: type[Any]) -> None:
    """Without a response_body the reply is the answer."""
    payload = encoder()(everything(int64_value=5, enum_value=1))

    assert (payload.status, payload.content_type) == (200, JSON)
    assert payload.body == b'{"int64Value":"5","enumValue":"RED"}'


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("int32_value", 5, b"5"),
        ("int32_value", 0, b"0"),  # the default is printed, for there is nothing else
        ("int64_value", 2**60, b'"1152921504606846976"'),
        ("double_value", 1.5, b"1.5"),
        ("double_value", float("nan"), b'"NaN"'),
        ("bool_value", False, b"false"),
        ("string_value", 'ü"', '"ü\\""'.encode()),
        ("string_value", "", b'""'),
        ("bytes_value", b"\xff", b'"/w=="'),
        ("enum_value", 1, b'"RED"'),
        ("enum_value", 77, b"77"),  # a number without a name
        ("optional_string", "", b'""'),
        ("choice_string", "a", b'"a"'),
        ("int32_list", [1, 2], b"[1,2]"),
        ("int32_list", [], b"[]"),
        ("enum_list", [1, 2], b'["RED","GREEN"]'),
        ("child_list", [{"class": "a"}, {}], b'[{"class":"a"},{}]'),
        ("time_list", [{"seconds": 1}], b'["1970-01-01T00:00:01Z"]'),
        ("child_list", [], b"[]"),
        ("string_map", {"a": "b"}, b'{"a":"b"}'),
        ("string_map", {}, b"{}"),
        ("int_map", {5: 6}, b'{"5":"6"}'),
        ("child_map", {"a": {"class": "b"}}, b'{"a":{"class":"b"}}'),
        ("child", {"class": "a"}, b'{"class":"a"}'),
        ("child", {}, b"{}"),
        ("time", {"seconds": 1}, b'"1970-01-01T00:00:01Z"'),
        ("int32_wrapper", {"value": 5}, b"5"),
        ("value", {"null_value": 0}, b"null"),
        ("struct", {"a": 1}, b'{"a":1.0}'),
        ("empty", {}, b"{}"),
        ("custom_name", "a", b'"a"'),
        ("class", "a", b'"a"'),
    ],
)
def test_response_body(
    encoder: Encode, everything: type[Any], name: str, value: Any, expected: bytes
) -> None:
    """A response_body of any kind is the whole answer."""
    assert encoder(name)(everything(**{name: value})).body == expected


def test_defaults_of_a_field(encoder: Encode, everything: type[Any]) -> None:
    """Fields inside a response_body are printed as the profile prints the whole."""
    reply = everything(child={}, child_list=[{}])

    assert json.loads(encoder("child", profile=GRPC_GATEWAY)(reply).body)["boolValue"] is False
    assert encoder("child_list")(reply).body == b"[{}]"


def test_any_of_the_same_pool(encoder: Encode, everything: type[Any]) -> None:
    """What an Any holds is looked up in the pool of the reply."""
    reply = everything()
    reply.any.Pack(everything(int32_value=5))

    assert json.loads(encoder()(reply).body)["any"]["int32Value"] == 5
    assert json.loads(encoder("any")(reply).body)["int32Value"] == 5


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("image/png", b"image/png"),
        ("text/html; charset=utf-8", b"text/html; charset=utf-8"),
        ('multipart/mixed;boundary="a b"', b'multipart/mixed;boundary="a b"'),
        ("application/vnd.api+json", b"application/vnd.api+json"),
        ("", b"application/octet-stream"),
        ("text/html\r\nX: y", b"application/octet-stream"),
        ("text/html;\n", b"application/octet-stream"),
        ("text/html\n", b"application/octet-stream"),
        ("text/html;\x7f", b"application/octet-stream"),
        ("text/html;\x85", b"application/octet-stream"),
        ("text/ü", b"application/octet-stream"),
        ("text", b"application/octet-stream"),
        ("text/html, image/png", b"application/octet-stream"),
        ("text/" + "a" * 250, b"text/" + b"a" * 250),
        ("text/" + "a" * 10_000, b"application/octet-stream"),
    ],
)  # fmt: skip
def test_http_body(
    protos: DescriptorPool, encoder: Encode, content_type: str, expected: bytes
) -> None:
    """An HttpBody is sent as it is, under its own type where that is safe in a header."""
    reply_class: Any = GetMessageClass(protos.FindMessageTypeByName("google.api.HttpBody"))

    payload = encoder(name="Upload")(reply_class(content_type=content_type, data=b"\xff\0"))

    assert (payload.content_type, payload.body) == (expected, b"\xff\0")


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (SystemParameters(), b'{"enumValue":"RED","child":{"enumValue":"GREEN","class":"a"}}'),
        (
            SystemParameters(enum_numbers=True),
            b'{"enumValue":1,"child":{"enumValue":2,"class":"a"}}',
        ),
        (SystemParameters(pretty_print=False, fields="enumValue"), b'{"enumValue":"RED"}'),
        (SystemParameters(pretty_print=True, fields="enumValue"), b'{\n  "enumValue": "RED"\n}'),
        (SystemParameters(fields="child/class"), b'{"child":{"class":"a"}}'),
        (SystemParameters(fields="boolValue"), b"{}"),
    ],
)
def test_presentation(
    encoder: Encode, everything: type[Any], system: SystemParameters, expected: bytes
) -> None:
    """System parameters decide how the answer is printed, and what of it."""
    encode = encoder()
    child = everything(enum_value=2, **{"class": "a"})

    assert (
        encode(everything(enum_value=1, child=child), encode.presentation(system)).body == expected
    )


@pytest.mark.parametrize(
    ("field", "fields", "expected"),
    [
        ({"child_list": [{"class": "a"}, {"enum_value": 1}]}, "enumValue", b'[{},{"enumValue":1}]'),
        ({"child": {"class": "a", "enum_value": 1}}, "enum_value", b'{"enumValue":1}'),
        ({"bool_map": {True: 1, False: 2}}, "true", b'{"true":1}'),
        ({"value": {"null_value": 0}}, "a", b"null"),  # nothing there to select from
        ({"enum_list": [1]}, "", b"[1]"),
    ],
)
def test_presentation_of_a_field(
    encoder: Encode, everything: type[Any], field: dict[str, Any], fields: str, expected: bytes
) -> None:
    """A selection starts inside the response_body, for that is the answer."""
    (name,) = field
    encode = encoder(name)
    presentation = encode.presentation(SystemParameters(fields=fields, enum_numbers=True))

    assert encode(everything(**field), presentation).body == expected


@pytest.mark.parametrize(
    ("name", "response_body", "problem"),
    [
        ("Everyone", "", "column 1: no such field"),
        ("Everyone", "string_value", "column 1: this answer has no fields"),
        ("Upload", "", "this method answers with raw bytes, not fields"),
    ],
)
def test_selection_of_nothing(encoder: Encode, name: str, response_body: str, problem: str) -> None:
    """A selection that fits no answer of the method is refused, whatever the reply."""
    with pytest.raises(InvalidRequest) as refused:
        encoder(response_body, name).presentation(SystemParameters(fields="nope"))

    assert (refused.value.field, refused.value.problem) == ("fields", problem)


def test_presentation_of_raw_bytes(protos: DescriptorPool, encoder: Encode) -> None:
    """An HttpBody is not printed: it stays as it is."""
    reply_class: Any = GetMessageClass(protos.FindMessageTypeByName("google.api.HttpBody"))
    encode = encoder(name="Upload")
    presentation = encode.presentation(SystemParameters(pretty_print=True))

    assert presentation == Presentation(enum_numbers=None, indent=True, selection=None)
    assert encode(reply_class(data=b"{}"), presentation).body == b"{}"


@pytest.mark.parametrize(
    ("response_body", "system", "expected"),
    [
        ("", SystemParameters(), b'{"enum_value":1,"child":{"enum_value":2}}'),
        ("child", SystemParameters(), b'{"enum_value":2}'),
        ("enum_list", SystemParameters(), b"[1,2]"),
        ("child_list", SystemParameters(), b'[{"enum_value":1}]'),
        ("", SystemParameters(fields="enumValue"), b'{"enum_value":1}'),
        ("", SystemParameters(fields="child/enum_value"), b'{"child":{"enum_value":2}}'),
        ("enum_list", SystemParameters(enum_numbers=False), b'["RED","GREEN"]'),
        ("", SystemParameters(enum_numbers=False, fields="enumValue"), b'{"enum_value":"RED"}'),
    ],
)
def test_proto_names_and_enum_numbers(
    encoder: Encode,
    everything: type[Any],
    response_body: str,
    system: SystemParameters,
    expected: bytes,
) -> None:
    """Replies have the names of the proto and numbers for enums, if the profile says so."""
    encode = encoder(response_body, profile=replace(GOOGLE, proto_names=True, enum_numbers=True))
    shown: dict[str, dict[str, Any]] = {
        "": {"enum_value": 1, "child": {"enum_value": 2}},
        "child": {"child": {"enum_value": 2}},
        "enum_list": {"enum_list": [1, 2]},
        "child_list": {"child_list": [{"enum_value": 1}]},
    }
    reply = everything(**shown[response_body])
    presentation = None if system == SystemParameters() else encode.presentation(system)

    assert encode(reply, presentation).body == expected


@pytest.mark.parametrize(
    "response_body",
    ["", "child", "child_list", "child_map", "string_value", "enum_list", "int_map"],
)
def test_compiled_before_the_first_answer(
    monkeypatch: pytest.MonkeyPatch, response_body: str
) -> None:
    """What an answer needs is compiled ahead, whatever kind of field is all of it."""
    protos = pool()
    rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name["Everyone"]
    (binding,) = bindings(rpc, HttpRule(get="/v1/x", response_body=response_body))
    encode = ResponseEncoder(binding, GOOGLE)
    ahead = Precompiled()
    encode.precompile(ahead)
    compiled: list[Any] = []
    monkeypatch.setattr(encoders, "compile_encoder", lambda found, _: compiled.append(found))
    reply: Any = GetMessageClass(protos.FindMessageTypeByName("everything.v1.Everything"))

    assert encode(reply()).status == 200
    assert compiled == []


def test_selection_leaves_defaults(encoder: Encode, everything: type[Any]) -> None:
    """A selection picks from what the profile prints, defaults too."""
    encode = encoder(profile=GRPC_GATEWAY)
    selection = Selection.parse("boolValue", everything.DESCRIPTOR)
    presentation = Presentation(enum_numbers=False, indent=False, selection=selection)

    assert encode(everything(), presentation).body == b'{"boolValue":false}'


X_PROTOBUF, PROTOBUF = "application/x-protobuf", "application/protobuf"


@pytest.mark.parametrize(
    ("response_body", "name", "expected"),
    [
        ("", "Everyone", ("application/json", X_PROTOBUF, PROTOBUF)),
        ("child", "Everyone", ("application/json", X_PROTOBUF, PROTOBUF)),
        ("time", "Everyone", ("application/json", X_PROTOBUF, PROTOBUF)),
        ("string_value", "Everyone", ("application/json",)),
        ("child_list", "Everyone", ("application/json",)),
        ("string_map", "Everyone", ("application/json",)),
        ("", "Upload", ()),  # the data say their type
    ],
)
def test_offers(encoder: Encode, response_body: str, name: str, expected: tuple[str, ...]) -> None:
    """A message is offered as JSON and serialized, other fields as JSON only."""
    assert encoder(response_body, name).offers.types == expected


@pytest.mark.parametrize(
    ("response_body", "expected"), [("", b"\x18\x05\xb2\x04\x02\x18\x06"), ("child", b"\x18\x06")]
)
@pytest.mark.parametrize("media_type", [X_PROTOBUF, PROTOBUF])
def test_serialized(
    encoder: Encode, everything: type[Any], response_body: str, expected: bytes, media_type: str
) -> None:
    """The reply, or its field, is sent as its bytes where the client wants them."""
    reply = everything(int32_value=5, child={"int32_value": 6})
    payload = encoder(response_body)(reply, None, media_type)

    assert (payload.content_type.decode(), payload.body) == (media_type, expected)
    assert payload.headers == ((b"vary", b"Accept"),)


def test_serialized_is_limited(encoder: Encode, everything: type[Any]) -> None:
    """A serialized answer has the limit of a printed one."""
    with pytest.raises(Unprintable):
        encoder()(everything(bytes_value=bytes(REPLY_LIMIT)), None, X_PROTOBUF)


def test_vary(encoder: Encode, everything: type[Any]) -> None:
    """Caches are told of Accept exactly where it changes the answer."""
    presentation = Presentation(enum_numbers=False, indent=True, selection=None)
    for encode in (encoder(), encoder("child")):
        assert encode(everything()).headers == ((b"vary", b"Accept"),)
        assert encode(everything(), presentation).headers == ((b"vary", b"Accept"),)
    assert encoder("string_value")(everything()).headers == ()


@pytest.mark.parametrize(
    ("alt", "expected"),
    [("", ""), ("json", "application/json"), ("proto", X_PROTOBUF), ("sse", "text/event-stream")],
)
def test_alt(encoder: Encode, alt: str, expected: str) -> None:
    """What the query wants goes before Accept."""
    assert encoder().presentation(SystemParameters(alt=alt)).accept == expected


@pytest.mark.parametrize(
    ("profile", "expected"), [(GOOGLE, None), (GRPC_GATEWAY, "application/json")]
)
def test_not_acceptable(encoder: Encode, profile: Profile, expected: str | None) -> None:
    """Whether there is always an answer is the profile's."""
    assert encoder("", "Everyone", profile).offers.choose("text/html") == expected
