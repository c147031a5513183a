from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import pytest
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from serialized import item, repeated
from transcoder.errors import InvalidRequest, StatusError
from transcoder.http_rule import bindings
from transcoder.json_stream import JsonCutter
from transcoder.message_stream import DelimitedCutter
from transcoder.profile import ENVOY, GOOGLE, GRPC_GATEWAY, PROFILES, STRICT, Profile
from transcoder.request import RequestDecoder
from transcoder.system_parameters import SystemParameters

JSON = "application/json"


class Decode(Protocol):
    def __call__(
        self,
        *values: str,
        query: str = ...,
        body: bytes = ...,
        content_type: str = ...,
    ) -> Any: ...


Compile = Callable[..., Decode]


class DecodeForm(NamedTuple):
    decoder: RequestDecoder

    def __call__(self, query: bytes, form: bytes) -> Any:
        return self.decoder((), query, b"", "", form)


CompiledForm = Callable[[Profile], DecodeForm]


@pytest.fixture
def compiled_form(protos: DescriptorPool) -> CompiledForm:
    """Compile a rule without a body; call the result with a query and a form."""

    def compiled_form(profile: Profile) -> DecodeForm:
        rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name["Everyone"]
        (binding,) = bindings(rpc, HttpRule(get="/v1/x"))
        return DecodeForm(RequestDecoder(binding, GetMessageClass(rpc.input_type), profile))

    return compiled_form


@pytest.fixture
def compiled(protos: DescriptorPool) -> Compile:
    """Compile a rule of a method; call the result with what a request has."""

    def compiled(name: str, rule: HttpRule, profile: Profile = GOOGLE, **options: Any) -> Decode:
        service = protos.FindServiceByName("everything.v1.Bindings")
        rpc = service.methods_by_name[name]
        (binding,) = bindings(rpc, rule)
        decoder = RequestDecoder(binding, GetMessageClass(rpc.input_type), profile, **options)

        def decode(
            *values: str, query: str = "", body: bytes = b"", content_type: str = JSON
        ) -> Message:
            return decoder(values, query.encode(), body, content_type)

        return decode

    return compiled


def as_dict(message: Any) -> dict[str, Any]:
    """Return the scalars of a message and of its children."""
    return {
        field.name: as_dict(value) if hasattr(value, "ListFields") else value
        for field, value in message.ListFields()
    }


def test_path(compiled: Compile) -> None:
    """Path variables set their fields, also nested and typed ones."""
    decode = compiled("Update", HttpRule(get="/v1/{item.string_value}/{item.time}/{validate_only}"))

    assert as_dict(decode("x", "1970-01-01T00:00:01Z", "true")) == {
        "item": {"string_value": "x", "time": {"seconds": 1}},
        "validate_only": True,
    }


def test_path_of_the_wrong_type(compiled: Compile) -> None:
    """A path variable that does not fit is told by its field."""
    decode = compiled("Update", HttpRule(get="/v1/{item.int32_value}"))

    with pytest.raises(InvalidRequest) as refused:
        decode("0x10")
    assert refused.value.status.message == "item.int32_value: expected a 32-bit integer"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_path_wins(compiled: Compile, profile: Profile) -> None:
    """What the path says is overwritten by neither body nor query."""
    rule = HttpRule(post="/v1/{item.string_value}/{item.optional_int32}", body="item")
    body = b'{"stringValue": "body", "optionalInt32": 7, "int32Value": 5}'

    message = compiled("Update", rule, profile)(
        "path", "0", query="item.string_value=q&item.optionalInt32=9", body=body
    )

    assert as_dict(message.item) == {"string_value": "path", "int32_value": 5, "optional_int32": 0}


def test_path_wins_over_a_whole_body(compiled: Compile) -> None:
    """The path overwrites a body that is the whole message, its presence too."""
    decode = compiled("Everyone", HttpRule(post="/v1/{optional_string}", body="*"))

    message = decode("", body=b'{"optionalString": "body", "int32Value": 5}')

    assert message.HasField("optional_string")
    assert as_dict(message) == {"optional_string": "", "int32_value": 5}


def test_query_beside_a_body_field(compiled: Compile) -> None:
    """The query sets what neither the path nor the body field holds."""
    decode = compiled("Update", HttpRule(post="/v1/x", body="item"))

    message = decode(query="validateOnly=true&item.int32_value=9&item=x", body=b'{"class": "x"}')

    assert as_dict(message) == {"item": {"class": "x"}, "validate_only": True}


def test_query_of_a_body_field_that_was_not_sent(compiled: Compile) -> None:
    """The body field is the body's, also in a request without a body."""
    decode = compiled("Update", HttpRule(post="/v1/x", body="item"))

    assert not decode(query="item.int32_value=9").ListFields()


def test_query_beside_a_nested_body_field(compiled: Compile) -> None:
    """Only what is under a nested body field belongs to the body."""
    decode = compiled("Update", HttpRule(post="/v1/x", body="item.child"))

    message = decode(query="item.class=x&item.child.class=y", body=b'{"int32Value": 5}')

    assert as_dict(message) == {"item": {"class": "x", "child": {"int32_value": 5}}}


def test_body_without_a_rule_for_it(compiled: Compile) -> None:
    """A body that the rule does not speak of is ignored, of whatever type it is."""
    decode = compiled("Everyone", HttpRule(get="/v1/x"))

    assert not decode(body=b"\xff", content_type="text/plain").ListFields()


@pytest.mark.parametrize("profile", [GOOGLE, STRICT], ids=["google", "strict"])
def test_query_beside_the_whole_body(compiled: Compile, profile: Profile) -> None:
    """A parameter that nothing reads is refused, rather than lost."""
    decode = compiled("Everyone", HttpRule(post="/v1/{string_value}", body="*"), profile)

    for query in ("int32_value=1", "string_value=x", "zzz=1"):
        with pytest.raises(InvalidRequest, match="takes its fields from the body"):
            decode("a", query=query, body=b"{}")


def test_query_beside_the_whole_body_ignored(compiled: Compile) -> None:
    """grpc-gateway does not look at the query of a method whose body is the message."""
    decode = compiled("Everyone", HttpRule(post="/v1/x", body="*"), GRPC_GATEWAY)

    assert not decode(query="int32_value=x&%zz&zzz=1", body=b"{}").ListFields()


def test_query_woven_into_the_whole_body(compiled: Compile) -> None:
    """Envoy binds the query too: the body's values win, lists are joined, the path is above all."""
    decode = compiled("Everyone", HttpRule(post="/v1/{string_value}", body="*"), ENVOY)
    query = (
        "string_value=q&int32_value=1&int64_value=2&int32_list=1&string_map[a]=q&string_map[b]=q"
        "&child.class=q&child.int32_value=1&time=1970-01-01T00:00:01.5Z&choice_int=1"
    )
    body = (
        b'{"stringValue": "b", "int32Value": 3, "int32List": [2], "stringMap": {"a": "b"},'
        b'"child": {"class": "b"}, "time": "1970-01-01T00:00:02Z", "choiceString": "b"}'
    )

    message = decode("p", query=query, body=body)

    expected = type(message)(
        string_value="p",
        int32_value=3,
        int64_value=2,
        int32_list=[1, 2],
        string_map={"a": "b", "b": "q"},
        child={"class": "b", "int32_value": 1},
        time={"seconds": 2},
        choice_string="b",
    )
    assert message == expected


@pytest.mark.parametrize(
    ("body", "query", "expected"),
    [
        (b'{"int32Value": 0}', "int32_value=5", {}),
        (b'{"int32_value": 0}', "int32Value=x", {}),  # what is passed over may be wrong
        (b'{"child": {"class": ""}}', "child.class=q&child.int32_value=5",
         {"child": {"int32_value": 5}}),
        (b'{"child": {}}', "child.class=q", {"child": {"class": "q"}}),
        (b'{"time": null}', "time=1970-01-01T00:00:01Z", {}),
        (b'{"int32List": [], "stringMap": {}}', "int32_list=1&string_map[a]=q",
         {"int32_list": [1], "string_map": {"a": "q"}}),
        (b'{"zzz": 1}', "int32_value=5", {"int32_value": 5}),
        (b"null", "int32_value=5", {"int32_value": 5}),
    ],
)  # fmt: skip
def test_body_wins_with_defaults(
    compiled: Compile, body: bytes, query: str, expected: dict[str, Any]
) -> None:
    """What the body says wins over the query, a default or null too."""
    message = compiled("Everyone", HttpRule(post="/v1/x", body="*"), ENVOY)(query=query, body=body)

    assert message == type(message)(**expected)


def test_query_beside_a_whole_http_body(compiled: Compile) -> None:
    """A request that is an HttpBody is no JSON, also where a query is bound beside it."""
    decode = compiled("UploadWhole", HttpRule(post="/v1/x", body="*"), ENVOY)

    message = decode(query="contentType=q", body=b"{", content_type="image/png")

    assert (message.content_type, message.data) == ("image/png", b"{")


def test_form_as_more_of_the_query(compiled_form: CompiledForm) -> None:
    """A form may be larger than a query, has as many parameters, and is bound before it."""
    decode = compiled_form(GRPC_GATEWAY)
    large = b"string_value=" + b"x" * 9_000

    assert len(decode(b"", large).string_value) == 9_000
    assert list(decode(b"int32_list=2", b"int32_list=1").int32_list) == [1, 2]
    for query, form, problem in (
        (large, b"", "the query is over the limit of 8192 bytes"),
        (large, b"bool_value=1", "the query is over the limit of 8192 bytes"),
        (b"", b"&a" * 1_001, "over 1000 form parameters"),
        (b"int32_value=1", b"int32_value=1", "too many values"),
        (b"", b"int32_value=x", "expected a 32-bit integer"),
    ):
        with pytest.raises(InvalidRequest, match=problem):
            decode(query, form)


def test_form_of_many_values(compiled_form: CompiledForm) -> None:
    """A form that takes long to read is refused, as one in a body is."""
    form = b"&".join(b"value_list=[" + b",".join([b"0"] * 2_000) + b"]" for _ in range(6))

    with pytest.raises(StatusError, match="the form holds over 10000 JSON values") as refused:
        compiled_form(GRPC_GATEWAY)(b"", form)
    assert refused.value.http == 413


def test_system_parameters_of_a_form(compiled_form: CompiledForm) -> None:
    """A profile that has both finds system parameters in the form too."""
    decode = compiled_form(GOOGLE)

    assert not decode(b"", b"prettyPrint=true").ListFields()
    assert decode.decoder.system_parameters(b"", b"a=1&prettyPrint=true") == SystemParameters(
        pretty_print=True
    )


def test_query_woven_without_a_body(compiled: Compile) -> None:
    """With an empty body all comes from the query."""
    decode = compiled("Everyone", HttpRule(post="/v1/x", body="*"), ENVOY)

    assert decode(query="int32_value=1").int32_value == 1


def test_oneof_of_body_and_query(compiled: Compile) -> None:
    """The query cannot set a second member of a oneof that the body has set."""
    decode = compiled("Everyone", HttpRule(post="/v1/x", body="choice_string"))

    with pytest.raises(InvalidRequest, match="only one of choice_string and choice_int"):
        decode(query="choice_int=1", body=b'"x"')


@pytest.mark.parametrize(
    ("profile", "bound"),
    [(GOOGLE, False), (GRPC_GATEWAY, True), (ENVOY, False), (STRICT, False)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_unknown_parameter(compiled: Compile, profile: Profile, bound: bool) -> None:  # noqa: FBT001
    """An unknown parameter is refused, but under grpc-gateway."""
    decode = compiled("Everyone", HttpRule(get="/v1/x"), profile)

    if bound:
        assert decode(query="int32_value=5&zzz=1").int32_value == 5
    else:
        with pytest.raises(InvalidRequest, match="no such field"):
            decode(query="int32_value=5&zzz=1")


def test_ignored_parameters(compiled: Compile) -> None:
    """Listed parameters pass, beside a whole body too."""
    rules = [HttpRule(get="/v1/x"), HttpRule(post="/v1/x", body="*")]
    profile = dataclasses.replace(GOOGLE, ignored_query=frozenset({"utm_source"}))

    for rule in rules:
        decode = compiled("Everyone", rule, profile)
        assert not decode(query="utm_source=x&utm_source=y").ListFields()


@pytest.mark.parametrize("query", ["$alt=json", "alt=json%3Benum-encoding%3Dint", "prettyPrint=1"])
def test_system_parameters(compiled: Compile, query: str) -> None:
    """Google's system parameters pass in the google profile only, and bind nothing."""
    rules = [HttpRule(get="/v1/x"), HttpRule(post="/v1/x", body="*")]

    for rule in rules:
        assert not compiled("Everyone", rule)(query=query).ListFields()
        with pytest.raises(InvalidRequest):
            compiled("Everyone", rule, STRICT)(query=query)


def test_reads_system_parameters(protos: DescriptorPool) -> None:
    """A decoder tells what the system parameters say, under the profile that has them."""
    rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name["System"]
    (binding,) = bindings(rpc, HttpRule(get="/v1/x"))
    message_class = GetMessageClass(rpc.input_type)
    query = b"alt=5&$alt=json;enum-encoding=int&prettyPrint=true&$fields=a"

    said = RequestDecoder(binding, message_class, GOOGLE).system_parameters(query)

    assert said == SystemParameters(enum_numbers=True, pretty_print=True, fields="a", alt="json")
    strict = RequestDecoder(binding, message_class, STRICT)
    assert strict.system_parameters(query) is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (b"", None),
        (b"default=1&x=%61lt", None),  # no such name
        (b"prettyPrint=false", SystemParameters(pretty_print=False)),
        (b"pretty%50rint=1", SystemParameters(pretty_print=True)),
        (b"x=1&%24fields=a", SystemParameters(fields="a")),
        (b"x=%2B&f%69elds=a", SystemParameters(fields="a")),
        (b"$alt=json", SystemParameters(alt="json")),  # what is printed anyway
    ],
)
def test_finds_system_parameters(
    protos: DescriptorPool, query: bytes, said: SystemParameters | None
) -> None:
    """System parameters are found however their names are escaped."""
    rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name["Everyone"]
    (binding,) = bindings(rpc, HttpRule(get="/v1/x"))
    decode = RequestDecoder(binding, GetMessageClass(rpc.input_type), GOOGLE)

    assert decode.system_parameters(query) == said


PATCH = HttpRule(patch="/v1/{item.string_value}", body="item")


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_patch_fills_the_mask(compiled: Compile, profile: Profile) -> None:
    """A PATCH without a mask updates what its body says, nulls too."""
    body = b'{"int32Value": 0, "child": {"class": null}, "childList": []}'

    message = compiled("Update", PATCH, profile)("x", body=body)

    assert list(message.update_mask.paths) == ["child.class", "child_list", "int32_value"]


@pytest.mark.parametrize(
    ("query", "paths"),
    [("update_mask=class,int32Value", ["class", "int32_value"]), ("updateMask=", [])],
)
def test_patch_with_a_mask(compiled: Compile, query: str, paths: list[str]) -> None:
    """A mask that the client gave stands, even an empty one."""
    message = compiled("Update", PATCH)("x", query=query, body=b'{"boolValue": true}')

    assert message.HasField("update_mask")
    assert list(message.update_mask.paths) == paths


@pytest.mark.parametrize("body", [b"", b"{}", b"null"])
def test_patch_of_nothing(compiled: Compile, body: bytes) -> None:
    """A body that says nothing makes no mask."""
    assert not compiled("Update", PATCH)("x", body=body).HasField("update_mask")


def test_patch_of_an_unknown_field(compiled: Compile) -> None:
    """Where bodies are read loosely, a key of no field is in no mask; else it is refused."""
    body = b'{"zzz": 1, "boolValue": true}'
    message = compiled("Update", PATCH, GRPC_GATEWAY)("x", body=body)

    assert list(message.update_mask.paths) == ["bool_value"]
    with pytest.raises(InvalidRequest, match="zzz: no such field"):
        compiled("Update", PATCH)("x", body=body)


def test_patch_of_a_nested_body(compiled: Compile) -> None:
    """The paths of a mask are those of the body field."""
    decode = compiled("Update", HttpRule(patch="/v1/x", body="item.child"))

    assert list(decode(body=b'{"class": "x"}').update_mask.paths) == ["class"]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("Update", HttpRule(put="/v1/x", body="item")),
        ("Update", HttpRule(patch="/v1/x", body="item.string_map")),
        ("UpdateTwo", HttpRule(patch="/v1/x", body="item")),
    ],
)
def test_no_mask(compiled: Compile, name: str, rule: HttpRule) -> None:
    """Only a PATCH of a message has its one mask filled."""
    assert not compiled(name, rule)(body=b"{}").HasField("update_mask")


def test_whole_body_has_no_mask(compiled: Compile) -> None:
    """A PATCH whose body is the request brings its own mask."""
    decode = compiled("Update", HttpRule(patch="/v1/x", body="*"))

    assert not decode(body=b'{"item": {"class": "x"}}').HasField("update_mask")


def test_upload(compiled: Compile) -> None:
    """Beside an HttpBody field, path and query set the others."""
    decode = compiled("Upload", HttpRule(post="/v1/x", body="file"))

    message = decode(query="name=a", body=b"\xff", content_type="image/png")

    assert (message.name, message.file.content_type, message.file.data) == (
        "a",
        "image/png",
        b"\xff",
    )


def test_query_limits(compiled: Compile) -> None:
    """The default limits are on."""
    decode = compiled("Everyone", HttpRule(get="/v1/x"))

    with pytest.raises(InvalidRequest, match="limit of 8192 bytes"):
        decode(query="string_value=" + "x" * 8192)
    with pytest.raises(InvalidRequest, match="over 1000 query parameters"):
        decode(query="&a" * 1001)


def test_path_wins_over_query_under_every_name(compiled: Compile) -> None:
    """A bound field is not set by its JSON name either, nor by what lies under it."""
    decode = compiled("Everyone", HttpRule(get="/v1/{time}"))

    message = decode("1970-01-01T00:00:01Z", query="time=bad&time.seconds=5&time.nanos=x")

    assert message.time.seconds == 1


def test_profile_options_stand_alone(compiled: Compile) -> None:
    """Each option of a profile can be replaced by itself."""
    profile = dataclasses.replace(STRICT, query_beside_body="bind")
    decode = compiled("Everyone", HttpRule(post="/v1/x", body="*"), profile)

    assert decode(query="int32_value=1", body=b"{}").int32_value == 1


PROTOBUF = "application/x-protobuf"
SERIALIZED = b"\x18\x05"  # int32_value: 5


def test_serialized_body(compiled: Compile) -> None:
    """Path and query are bound around a serialized body as around JSON."""
    decode = compiled("Update", HttpRule(put="/v1/{item.string_value}", body="item"))
    message = decode("path", query="validateOnly=true", body=SERIALIZED, content_type=PROTOBUF)

    item = {"int32_value": 5, "string_value": "path"}
    assert as_dict(message) == {"item": item, "validate_only": True}


def test_serialized_patch(compiled: Compile) -> None:
    """A serialized body fills no mask: it cannot name a field that holds its default."""
    decode = compiled("Update", HttpRule(patch="/v1/x", body="item"))

    assert not decode(body=SERIALIZED, content_type=PROTOBUF).HasField("update_mask")
    assert decode(body=b'{"int32Value": 5}').HasField("update_mask")


def test_query_woven_into_a_serialized_body(compiled: Compile) -> None:
    """A serialized body wins over the query where it sets a field."""
    decode = compiled("Everyone", HttpRule(post="/v1/x", body="*"), ENVOY)
    query = "int32Value=6&stringValue=query"

    message = decode(query=query, body=SERIALIZED, content_type=PROTOBUF)
    assert as_dict(message) == {"int32_value": 5, "string_value": "query"}


def test_query_woven_into_a_large_serialized_body(compiled: Compile) -> None:
    """So does one that is read in pieces."""
    decode = compiled("Everyone", HttpRule(post="/v1/x", body="*"), ENVOY)
    query = "int32Value=6&stringValue=query&child.int32Value=7"
    data = SERIALIZED + repeated(25, 70_000) + item(70, b"\x20\x01")

    message = as_dict(decode(query=query, body=data, content_type=PROTOBUF))
    assert len(message.pop("child_list")) == 70_000 // 3
    child = {"int32_value": 7, "int64_value": 1}
    assert message == {"int32_value": 5, "string_value": "query", "child": child}


@pytest.mark.parametrize(
    ("body", "data", "heavy"),
    [
        pytest.param("*", b"\xca\x01\x00" * 30_000, True, id="messages"),
        pytest.param("child", b"\xca\x01\x00" * 30_000, True, id="messages in a field"),
        pytest.param("time", b"\x08\x01" * 50_000, True, id="of another type"),
        pytest.param("*", b"\xca\x01\x00" * 10_000, False, id="fewer"),
        pytest.param("*", item(14, b"," * 100_000), False, id="a text"),
        pytest.param("string_list", b"\x00" * 100_000, False, id="not taken"),
    ],
)
def test_heavy_when_serialized(
    protos: DescriptorPool,
    body: str,
    data: bytes,
    heavy: bool,  # noqa: FBT001  a row
) -> None:
    """A serialized body is heavy when much is in it, whatever its bytes would be as JSON."""
    rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name["Everyone"]
    (binding,) = bindings(rpc, HttpRule(post="/v1/x", body=body))
    decoder = RequestDecoder(binding, GetMessageClass(rpc.input_type), GOOGLE)

    assert decoder.is_heavy(data, PROTOBUF) is heavy


def test_cutters(protos: DescriptorPool) -> None:
    """A streamed body is cut by its type."""
    rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name["Everyone"]
    (binding,) = bindings(rpc, HttpRule(post="/v1/x", body="*"))
    decoder = RequestDecoder(binding, GetMessageClass(rpc.input_type), GOOGLE)

    assert decoder.is_heavy(b"," * 500_000, JSON)
    assert isinstance(decoder.cutter(PROTOBUF, 10), DelimitedCutter)
    assert isinstance(decoder.cutter(JSON, 10), JsonCutter)


@pytest.mark.parametrize("content_type", [PROTOBUF, f"{PROTOBUF}; delimited=true"])
def test_serialized_stream(protos: DescriptorPool, content_type: str) -> None:
    """Each message of a delimited stream is one serialized message."""
    rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name["Collect"]
    (binding,) = bindings(rpc, HttpRule(post="/v1/{string_value}", body="*"))
    decoder = RequestDecoder(binding, GetMessageClass(rpc.input_type), GOOGLE)

    first = decoder.of_stream((["a"], b""), SERIALIZED, content_type)
    second = decoder.of_stream(None, SERIALIZED, content_type)
    assert as_dict(first) == {"int32_value": 5, "string_value": "a"}
    assert as_dict(second) == {"int32_value": 5}
