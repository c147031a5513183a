"""What Google's client library sends is bound to the message that it was given.

`google.api_core.path_template.transcode` and `rest_helpers` are the client side of transcoding,
as every generated Google client has it.
"""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import pytest
from google.api.http_pb2 import HttpRule
from google.api_core import path_template, rest_helpers
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from transcoder.http_rule import bindings
from transcoder.profile import GOOGLE, Unescape
from transcoder.request import RequestDecoder
from transcoder.route import Match, Route
from transcoder.routing import Router

TRANSCODE: Any = path_template.transcode
FLATTEN: Any = rest_helpers.flatten_query_params

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
SEGMENT = TEXT.filter(lambda text: text not in {"", ".", ".."} and "/" not in text)
# Reserved characters of RFC 6570 stay encoded in a variable of several segments, by default.
RESERVED = "!#$&'()*+,:;=?@[]"
PLAIN = st.text("aZ09-_~ %äж", min_size=1, max_size=8)
DEEP = st.lists(PLAIN, min_size=1, max_size=3).map("/".join)
ANY_DEEP = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)


def integers(bits: int) -> st.SearchStrategy[int]:
    """Return the signed integers of so many bits."""
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "double_value": st.floats(allow_nan=False),
    # json_format refuses the largest floats as it prints them itself, rounded up.
    "float_value": st.floats(-(2.0**127), 2.0**127, width=32),
    "int32_value": integers(32),
    "int64_value": integers(64),
    "uint64_value": st.integers(0, 2**64 - 1),
    "bool_value": st.booleans(),
    "bytes_value": st.binary(max_size=8),
    "enum_value": integers(32),
    "optional_int32": integers(32),
    "optional_string": TEXT,
    "int32_list": st.lists(integers(32), max_size=3),
    "string_list": st.lists(TEXT, max_size=3),
    "enum_list": st.lists(st.integers(0, 2), max_size=3),
    "choice_string": TEXT,
    "time": st.fixed_dictionaries(
        {
            "seconds": st.integers(-62135596800, 253402300799),
            "nanos": st.integers(0, 999_999_999),
        }
    ),
    "duration": st.fixed_dictionaries(
        {"seconds": st.integers(0, 315576000000), "nanos": st.integers(0, 999_999)}
    ),
    "mask": st.fixed_dictionaries(
        {"paths": st.lists(st.sampled_from(["a", "a_b", "a_b.c_d"]), min_size=1, max_size=3)}
    ),
    "int32_wrapper": st.fixed_dictionaries({"value": integers(32)}),
    "string_wrapper": st.fixed_dictionaries({"value": TEXT}),
    "bool_wrapper": st.fixed_dictionaries({"value": st.booleans()}),
    "custom_name": TEXT,
}
ITEM = st.fixed_dictionaries({}, optional=SCALARS)
TREE = ITEM.flatmap(
    lambda item: st.just(item) | ITEM.filter(bool).map(lambda child: {**item, "child": child})
)


def check(
    pool: DescriptorPool,
    name: str,
    rule: HttpRule,
    fields: dict[str, Any],
    unescape: Unescape = GOOGLE.unescape,
) -> None:
    """Send a message by the client library, decode it, and compare."""
    message, received = sent_and_received(pool, name, rule, fields, unescape)
    assert received == message


def sent_and_received(
    pool: DescriptorPool, name: str, rule: HttpRule, fields: dict[str, Any], unescape: Unescape
) -> tuple[Any, Any]:
    """Return a message, and what comes of it on the way from the client library to a servicer."""
    rpc = pool.FindServiceByName("everything.v1.Bindings").methods_by_name[name]
    message_class = GetMessageClass(rpc.input_type)
    message = message_class(**fields)
    (binding,) = bindings(rpc, rule)
    method, target, body = sent(message, rule)
    path, _, query = target.partition("?")

    route = Route(method, binding.template, rpc.full_name, binding)
    match = Router([route], unescape=unescape).match(method, path)
    assert isinstance(match, Match)
    decode = RequestDecoder(binding, message_class, GOOGLE)
    return message, decode(match.values, query.encode(), body, "application/json")


def sent(message: Message, rule: HttpRule) -> tuple[str, str, bytes]:
    """Return method, target and body, as a generated client sends them."""
    pattern = str(rule.WhichOneof("pattern"))
    option = {"method": pattern, "uri": getattr(rule, pattern)}
    if rule.body:
        option["body"] = rule.body
    try:
        request = TRANSCODE([option], message)
    except ValueError:
        assume(False)  # noqa: FBT003
    tree = json_format.MessageToDict(request["query_params"], use_integers_for_enums=True)
    pairs = FLATTEN(tree, strict=True)
    query = urllib.parse.urlencode([*pairs, ("$alt", "json;enum-encoding=int")])
    body = b""
    if rule.body:
        body_tree = json_format.MessageToDict(request["body"], use_integers_for_enums=True)
        body = json.dumps(body_tree).encode()
    target = request["uri"] if rule.body == "*" else f"{request['uri']}?{query}"
    return pattern.upper(), target, body


EVERY = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@EVERY
@given(TREE, PLAIN, SEGMENT)
def test_get(protos: DescriptorPool, fields: dict[str, Any], one: str, two: str) -> None:
    """Path and query of a GET carry the whole message."""
    rule = HttpRule(get="/v1/{string_value=shelves/*}/{class}")
    fields = {**fields, "string_value": f"shelves/{one}", "class": two}
    message: Any = GetMessageClass(protos.FindMessageTypeByName("everything.v1.Everything"))
    # No query says a message in which nothing is set.
    assume("child" not in fields or message(**fields["child"]).ByteSize())

    check(protos, "Everyone", rule, fields)


@EVERY
@given(TREE, DEEP)
def test_whole_body(protos: DescriptorPool, fields: dict[str, Any], path: str) -> None:
    """A body that is the message carries what the path does not."""
    rule = HttpRule(post="/v1/{string_value=shelves/**}:go", body="*")

    check(protos, "Everyone", rule, {**fields, "string_value": f"shelves/{path}"})


@EVERY
@given(ANY_DEEP)
def test_any_name(protos: DescriptorPool, path: str) -> None:
    """All but the slash comes through a variable of several segments, where that is asked for."""
    rule = HttpRule(get="/v1/{string_value=shelves/**}:go")

    check(protos, "Everyone", rule, {"string_value": f"shelves/{path}"}, "except-slash")


@pytest.mark.parametrize("character", RESERVED)
@pytest.mark.parametrize("template", ["{string_value=shelves/*}", "{string_value=shelves/**}"])
def test_reserved_character(protos: DescriptorPool, template: str, character: str) -> None:
    """By default a reserved character stays as the client encoded it."""
    rule, fields = HttpRule(get=f"/v1/{template}"), {"string_value": f"shelves/a{character}b"}

    _, received = sent_and_received(protos, "Everyone", rule, fields, "except-reserved")

    assert received.string_value == f"shelves/a%{ord(character):02X}b"
    check(protos, "Everyone", rule, fields, "except-slash")


@pytest.mark.parametrize("method", ["post", "put", "patch"])
@EVERY
@given(item=TREE, name=SEGMENT, validate_only=st.booleans())
def test_body_field(
    protos: DescriptorPool,
    method: str,
    item: dict[str, Any],
    name: str,
    validate_only: bool,  # noqa: FBT001
) -> None:
    """Body, path and query share a message, and an explicit mask is kept."""
    rule = HttpRule(body="item")
    setattr(rule, method, "/v1/{item.string_value}")
    fields = {
        "item": {**item, "string_value": name},
        "update_mask": {"paths": ["string_value", "child.bool_value"]},
        "validate_only": validate_only,
    }

    check(protos, "Update", rule, fields)
