from __future__ import annotations

import contextlib
import dataclasses
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from cost import BOUND, cost
from transcoder.errors import InvalidRequest, PayloadTooLarge, StatusError, UnsupportedMedia
from transcoder.http_rule import bindings
from transcoder.multipart import FormLimits
from transcoder.profile import ENVOY, GOOGLE, GRPC_GATEWAY, Profile
from transcoder.request import RequestDecoder

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
PLAIN = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}
OPTIONS = {"Content-Type": "text/plain; charset=utf-8" + "; a=b" * 200}
Decode = Callable[..., Any]


@pytest.fixture
def decode(protos: DescriptorPool) -> Decode:
    """Decode a form as the body of a rule: its method's name, the rule's body, the form."""

    def decode(
        name: str,
        body: str,
        form: bytes,
        content_type: str = URLENCODED,
        *,
        rule: HttpRule | None = None,
        values: tuple[str, ...] = (),
        query: bytes = b"",
        profile: Profile = GOOGLE,
        limits: FormLimits | None = FormLimits(),  # noqa: B008  frozen
    ) -> Message:
        rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name[name]
        (binding,) = bindings(rpc, rule or HttpRule(post="/v1/x", body=body))
        decoder = RequestDecoder(binding, GetMessageClass(rpc.input_type), profile, forms=limits)
        return decoder(values, query, form, content_type)

    return decode


def part(name: str, data: bytes, file: str | None = None, **headers: str) -> bytes:
    """Return a part of a multipart body, a file when it has a file name."""
    said = f'form-data; name="{name}"' + (f'; filename="{file}"' if file is not None else "")
    lines = {"Content-Disposition": said, **headers}
    head = "".join(f"{key}: {value}\r\n" for key, value in lines.items())
    return f"--b\r\n{head}\r\n".encode() + data + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


FIELDS: list[tuple[list[tuple[str, str]], dict[str, Any]]] = [
    ([], {}),
    ([("string_value", "a b+c&d=ü%")], {"string_value": "a b+c&d=ü%"}),
    ([("stringValue", "")], {}),
    ([("int32_value", "5"), ("boolValue", "true")], {"int32_value": 5, "bool_value": True}),
    ([("enum_value", "RED")], {"enum_value": 1}),
    ([("bytes_value", "YQ==")], {"bytes_value": b"a"}),  # text is base64, as in a query
    ([("string_list", "a"), ("string_list", "b")], {"string_list": ["a", "b"]}),
    ([("string_map[k]", "v")], {"string_map": {"k": "v"}}),
    ([("child.child.int32_value", "5")], {"child": {"child": {"int32_value": 5}}}),
    ([("time", "1970-01-01T00:00:01Z")], {"time": {"seconds": 1}}),
    ([("choice_int", "0")], {"choice_int": 0}),
]


def urlencoded(fields: list[tuple[str, str]]) -> bytes:
    return urllib.parse.urlencode(fields).encode()


@pytest.mark.parametrize(("fields", "expected"), FIELDS)
def test_fields(decode: Decode, fields: list[tuple[str, str]], expected: dict[str, Any]) -> None:
    """The text of a field is what it is in a query, in either kind of form."""
    parts = multipart(*(part(name, text.encode()) for name, text in fields))
    for form, content_type in ((urlencoded(fields), URLENCODED), (parts, MULTIPART)):
        message = decode("Everyone", "*", form, content_type)
        nested = decode("Everyone", "child", form, content_type)
        deep = decode("Everyone", "child.child", form, content_type)

        assert message == type(message)(**expected)
        assert nested == type(message)(child=expected)
        assert deep == type(message)(child={"child": expected})


@pytest.mark.parametrize(
    ("body", "parts", "expected"),
    [
        ("*", [part("bytesValue", b"\0\xff", "f")], {"bytes_value": b"\0\xff"}),
        ("*", [part("bytes_value", b"a", **{"Content-Type": "image/png"})], {"bytes_value": b"a"}),
        ("*", [part("bytes_value", b"{}", "f.json", **JSON)], {"bytes_value": b"{}"}),
        ("*", [part("bytes_value", b'"YQ=="', **JSON)], {"bytes_value": b"a"}),
        ("*", [part("bytes_list", b'["YQ==", "Yg"]', **JSON)], {"bytes_list": [b"a", b"b"]}),
        ("*", [part("bytes_value", b"", "f")], {}),
        ("*", [part("bytes_value", b"", "")], {}),  # no file was chosen
        (
            "*",
            [part("bytes_list", b"\1", "f"), part("bytes_list", b"\2", "f")],
            {"bytes_list": [b"\1", b"\2"]},
        ),
        ("*", [part("child.bytes_value", b"\1", "f")], {"child": {"bytes_value": b"\1"}}),
        ("child", [part("bytes_value", b"\1", "f")], {"child": {"bytes_value": b"\1"}}),
        ("*", [part("child", b'{"int32Value": 5}', **JSON)], {"child": {"int32_value": 5}}),
        ("*", [part("child", b"null", **JSON)], {}),
        ("*", [part("int32_value", b"5", **JSON)], {"int32_value": 5}),
        ("*", [part("string_map", b'{"a": "b"}', **JSON)], {"string_map": {"a": "b"}}),
        ("*", [part("time_list", b"[]", **JSON)], {}),
        ("*", [part("child_list", b'[{"class": "x"}]', **JSON)], {"child_list": [{"class": "x"}]}),
        (
            "*",
            [part("child", b'{"int32Value": 5}', **JSON), part("child.class", b"x", **PLAIN)],
            {"child": {"int32_value": 5, "class": "x"}},
        ),
    ],
)
def test_parts(decode: Decode, body: str, parts: list[bytes], expected: dict[str, Any]) -> None:
    """A file fills bytes, and a JSON part a field of any kind."""
    message = decode("Everyone", body, multipart(*parts), MULTIPART)

    assert message == type(message)(**expected)


@pytest.mark.parametrize(
    ("headers", "file", "content_type"),
    [
        ({"Content-Type": "image/png"}, "a.png", "image/png"),
        ({"Content-Type": "text/plain; charset=latin1"}, None, "text/plain; charset=latin1"),
        (JSON, None, "application/json"),
        ({}, None, ""),
    ],
)
def test_http_body(
    decode: Decode, headers: dict[str, str], file: str | None, content_type: str
) -> None:
    """A field of type HttpBody takes any part: its bytes and its type."""
    form = multipart(part("file", b"\xff", file, **headers), part("name", b"x"))

    message = decode("Upload", "*", form, MULTIPART)

    assert (message.file.content_type, message.file.data) == (content_type, b"\xff")
    assert message.name == "x"


def test_http_bodies(decode: Decode) -> None:
    """A list of HttpBody takes as many parts as come."""
    parts = [part("more", b"1", "a"), part("more", b"2", **PLAIN)]

    message = decode("Upload", "*", multipart(*parts), MULTIPART)

    assert [(each.content_type, each.data) for each in message.more] == [
        ("", b"1"),
        ("text/plain", b"2"),
    ]


@pytest.mark.parametrize(
    ("parts", "field", "problem"),
    [
        ([part("nope", b"")], "nope", "no such field"),
        ([part("int32_value", b"x")], "int32_value", "expected a 32-bit integer"),
        ([part("string_value", b"\xff")], "string_value", "expected text in UTF-8"),
        ([part("string_value", b"a\0")], "string_value", "the text holds a NUL"),
        (
            [part("string_value", b"a", **{"Content-Type": "text/plain; charset=latin1"})],
            "string_value",
            "expected text in UTF-8",
        ),
        (
            [part("string_value", b"a", "f.txt")],
            "string_value",
            "expected text, or a part of Content-Type: application/json",
        ),
        (
            [part("child", b"{}", **{"Content-Type": "application/json; charset=latin1"})],
            "child",
            "expected text, or a part of Content-Type: application/json",
        ),
        ([part("child", b'{"int32Value": "x"}', **JSON)], "child.int32Value", ""),
        ([part("int32_list", b'["x"]', **JSON)], "int32_list", ""),
        ([part("child", b"{", **JSON)], "child", ""),
        ([part("any.value", b"x", "f")], "any.value", "which only a JSON body says"),
        ([part("bytes_wrapper.value", b"x", "f")], "bytes_wrapper.value", "taken as text only"),
        ([part("time", b"null", **JSON), part("time.seconds", b"1")], "time", "too many values"),
        ([part("string_map[k]", b"v", "f")], "string_map[k]", "taken as text only"),
        ([part("bytes_value", b"", "f")] * 2, "bytes_value", "too many values"),
        ([part("bytesValue", b"YQ"), part("bytes_value", b"", "f")], "bytes_value", "too many"),
        ([part("string_value", b"a")] * 2, "string_value", "too many values"),
        (
            [part("choice_int", b"1"), part("choice_child", b"{}", **JSON)],
            "choice_child",
            "only one of choice_int and choice_child",
        ),
        ([part(".".join(["child"] * 40), b"")], ".".join(["child"] * 40)[:64], "over 32 names"),
        ([part("int32_value.x", b"")], "int32_value.x", "int32_value is not a message"),
    ],
)
def test_refuses_parts(decode: Decode, parts: list[bytes], field: str, problem: str) -> None:
    """What does not fit its field is refused, by the name of the part."""
    with pytest.raises(InvalidRequest) as refused:
        decode("Everyone", "*", multipart(*parts), MULTIPART)

    assert refused.value.field == field
    assert problem in refused.value.problem


@pytest.mark.parametrize(
    ("form", "field", "problem"),
    [
        (b"nope=1", "nope", "no such field"),
        (b"int32_value=x", "int32_value", "expected a 32-bit integer"),
        (b"string_value=%ff", "", "the form is not UTF-8"),
        (b"string_value=%0", "", "the form holds a %"),
        (b"string_value=%00", "", "the form holds a NUL"),
        (b"int32_value=1&int32Value=2", "int32Value", "too many values"),
        (b"choice_int=1&choice_string=a", "choice_string", "only one of"),
        (b"child=1", "child", "set its fields one by one"),
    ],
)
def test_refuses_fields(decode: Decode, form: bytes, field: str, problem: str) -> None:
    """What does not fit its field is refused, by the name of the field."""
    with pytest.raises(InvalidRequest) as refused:
        decode("Everyone", "*", form)

    assert refused.value.field == field
    assert problem in refused.value.problem


@pytest.mark.parametrize(
    ("limits", "form", "kind", "problem"),
    [
        (FormLimits(size=10), b"string_value=", PayloadTooLarge, "over the limit of 10 bytes"),
        (FormLimits(fields=1), b"int32_value=1&bool_value=1", InvalidRequest, "over 1 form"),
        (FormLimits(field_size=3), b"string_value=%C3%BCab", InvalidRequest, "limit of 3 bytes"),
    ],
)
def test_limits(
    decode: Decode, limits: FormLimits, form: bytes, kind: type[StatusError], problem: str
) -> None:
    """A form over a limit is refused."""
    with pytest.raises(kind, match=problem):
        decode("Everyone", "*", form, limits=limits)


def joined(field: str, one: str, count: int, times: int) -> bytes:
    """Return a form that says a text of so many parts so many times."""
    return b"&".join([f"{field}={','.join([one] * count)}".encode()] * times)


def deep(count: int) -> bytes:
    """Return a form of so many keys, of 32 names each and all different."""
    names = "choiceChild", "choice_child"
    keys = (".".join(names[n >> bit & 1] for bit in range(31)) for n in range(count))
    return "&".join(f"{key}.int32_list=1" for key in keys).encode()


MAPS = b"&".join(
    f"value_map[{number}]=[{','.join(['0'] * 4_000)}]".encode() for number in range(119)
)


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        (MAPS, URLENCODED),
        (b"&".join([b"value_list=[" + b"[]," * 2_000 + b"0]"] * 100), URLENCODED),
        (joined("mask_list", "aB", 2_700, 118), URLENCODED),
        (joined("mask_list", "aB." * 2_000 + "a", 1, 118), URLENCODED),
        (joined("mask_list", "a" + "B" * 8_000, 1, 118), URLENCODED),
        (joined("mask_list", "aB", 2_700, 2) + b"&" + MAPS[: MAPS.index(b"&")], URLENCODED),
        (deep(1_000), URLENCODED),
        (multipart(part("value_list", b"[" + b"0," * 10_000 + b"0]", **JSON)), MULTIPART),
        (multipart(part("mask", b'"' + b"aB" * 90_000 + b'"', **JSON)), MULTIPART),
        (multipart(*[part("value_list", b"[" + b"0," * 4_000 + b"0]")] * 4), MULTIPART),
        (
            multipart(
                *(part(f"value_map[{n}]", b"[" + b"0," * 4_000 + b"0]") for n in range(2)),
                part("time_list", b"[" + b'"1970-01-01T00:00:01Z",' * 2_000 + b"0]", **JSON),
            ),
            MULTIPART,
        ),
        (multipart(*(part(key, b"") for key in deep(900).decode().split("&"))), MULTIPART),
    ],
)
def test_too_many_nodes(decode: Decode, form: bytes, content_type: str) -> None:
    """What takes long to read is refused before it takes long, wherever it stands."""
    with pytest.raises(StatusError) as refused:
        decode("Everyone", "*", form, content_type)

    assert (refused.value.http, refused.value.status.message) == (
        413,
        "the form holds over 10000 JSON values, mask paths and nested names",
    )


def test_nodes_can_be_limited(decode: Decode) -> None:
    """The limit is one of the form's."""
    decode("Everyone", "*", b"value=[0,0]", limits=FormLimits(nodes=2))
    with pytest.raises(StatusError, match="over 1 JSON values"):
        decode("Everyone", "*", b"value=[0,0]", limits=FormLimits(nodes=1))


def test_prose_is_no_node(decode: Decode) -> None:
    """Commas and brackets of a plain text cost nothing, in a text as long as a field may be."""
    message = decode("Everyone", "*", b"string_value=" + b"[," * 30_000)

    assert len(message.string_value) == 60_000


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        (MAPS, URLENCODED),
        (MAPS[: MAPS.index(b"&") * 2 + 1], URLENCODED),
        (joined("mask_list", "aB", 2_700, 118), URLENCODED),
        (joined("mask_list", "aB." * 2_000 + "a", 1, 118), URLENCODED),
        (joined("mask_list", "a" + "B" * 8_000, 1, 19), URLENCODED),
        (deep(320), URLENCODED),
        (b"&".join([b"string_list=" + b"%41" * 300] * 1_000), URLENCODED),
        (b"string_value=" + b"%41" * 340_000, URLENCODED),
        (b"%41" * 340_000, URLENCODED),
        (multipart(*[part("string_list", b"", **OPTIONS)] * 900), MULTIPART),
        (multipart(*[part('string_list"' + "; a=b" * 200 + '; c="', b"")] * 900), MULTIPART),
        (multipart(*[part("int32_list", b"[1]", **JSON)] * 999), MULTIPART),
        (multipart(part("child_list", b"[" + b"{}," * 4_600 + b"{}]", **JSON)), MULTIPART),
        (
            multipart(part("time_list", b"[" + b'"1970-01-01T00:00:01Z",' * 4_000 + b"0]", **JSON)),
            MULTIPART,
        ),
    ],
)
def test_forms_cost_little(decode: Decode, form: bytes, content_type: str) -> None:
    """No form of a megabyte holds the loop for long, taken or refused."""

    def tried() -> None:
        with contextlib.suppress(StatusError):
            decode("Everyone", "*", form, content_type)

    assert cost(tried) < BOUND


@pytest.mark.parametrize("more", [b"", b"&alt=json"])
def test_long_queries_cost_little(protos: DescriptorPool, more: bytes) -> None:
    """Nor does a form that stands for a query, system parameters or not."""
    rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name["Everyone"]
    (binding,) = bindings(rpc, HttpRule(get="/v1/x"))
    profile = dataclasses.replace(GOOGLE, form_fallback=True)
    decoder = RequestDecoder(binding, GetMessageClass(rpc.input_type), profile)
    form = b"string_value=" + b"%41" * 340_000 + more

    def asked() -> Message:
        decoder.system_parameters(b"", form)
        return decoder((), b"", b"", URLENCODED, form)

    assert asked() == GetMessageClass(rpc.input_type)(string_value="A" * 340_000)
    assert cost(asked) < BOUND


@pytest.mark.parametrize("profile", [ENVOY, GRPC_GATEWAY], ids=lambda profile: profile.name)
def test_ignores_unknown_fields(decode: Decode, profile: Profile) -> None:
    """Unknown names say nothing where unknown JSON keys say nothing."""
    form = multipart(part("nope", b"", "f"), part("child.nope", b""), part("int32_value", b"5"))

    for body, content_type in ((form, MULTIPART), (b"nope=1&int32_value=5", URLENCODED)):
        message = decode("Everyone", "*", body, content_type, profile=profile)
        assert message == type(message)(int32_value=5)


@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART])
@pytest.mark.parametrize("body", ["*", "child", "string_value"])
def test_off(decode: Decode, body: str, content_type: str) -> None:
    """Forms are taken only when told, in all profiles."""
    for profile in (GOOGLE, GRPC_GATEWAY):
        with pytest.raises(UnsupportedMedia, match="a body of this type is not taken"):
            decode("Everyone", body, b"a=b", content_type, profile=profile, limits=None)


@pytest.mark.parametrize("body", ["string_value", "int32_list", "string_map", "struct", "time"])
def test_body_without_fields(decode: Decode, body: str) -> None:
    """A body that has no fields of its own takes no form."""
    with pytest.raises(UnsupportedMedia):
        decode("Everyone", body, b"a=b")


def test_query_beside_a_whole_form(decode: Decode) -> None:
    """Where the query is bound too, the form wins by what it names, its defaults too."""
    query = b"int32_value=5&bool_value=1&int32_list=1&child.class=q"
    form = multipart(
        part("int32_value", b"0"), part("int32_list", b"2"), part("child", b"{}", **JSON)
    )

    message = decode("Everyone", "*", form, MULTIPART, query=query, profile=ENVOY)

    expected = {"bool_value": True, "int32_list": [1, 2], "child": {"class": "q"}}
    assert message == type(message)(**expected)


def test_raw_body(decode: Decode) -> None:
    """A body that is an HttpBody takes a form as the bytes that it is."""
    message = decode("Upload", "file", b"a=b")

    assert (message.file.content_type, message.file.data) == (URLENCODED, b"a=b")


def test_json_beside(decode: Decode) -> None:
    """Where forms are taken JSON is taken too, and nothing else."""
    assert decode("Everyone", "*", b'{"class": "x"}', "application/json") == decode(
        "Everyone", "*", b"class=x", f"{URLENCODED}; charset=UTF-8"
    )
    with pytest.raises(UnsupportedMedia):
        decode("Everyone", "*", b"class=x", "text/plain")
    with pytest.raises(UnsupportedMedia, match="UTF-8 only"):
        decode("Everyone", "*", b"class=x", f"{URLENCODED}; charset=latin1")


def test_path_and_query(decode: Decode) -> None:
    """The path overwrites a form, and the query sets what the form may not."""
    rule = HttpRule(post="/v1/{item.string_value}", body="item")

    message = decode(
        "Update",
        "",
        b"string_value=form&class=c",
        rule=rule,
        values=("path",),
        query=b"validate_only=true",
    )

    assert (message.item.string_value, getattr(message.item, "class")) == ("path", "c")
    assert message.validate_only


@pytest.mark.parametrize(
    ("form", "content_type", "paths"),
    [
        (b"int32Value=0&child.class=x&string_map[k]=v", URLENCODED,
         ["child.class", "int32_value", "string_map"]),
        (multipart(part("int32Value", b"0"), part("child", b"{}", **JSON)), MULTIPART,
         ["child", "int32_value"]),
        (b"time.seconds=1&time.nanos=1", URLENCODED, ["time"]),
        (b"", URLENCODED, []),
    ],
)  # fmt: skip
def test_patch(decode: Decode, form: bytes, content_type: str, paths: list[str]) -> None:
    """A PATCH without a mask updates the fields that its form names."""
    rule = HttpRule(patch="/v1/x", body="item")

    message = decode("Update", "", form, content_type, rule=rule)

    assert list(message.update_mask.paths) == paths
    assert message.HasField("item")
