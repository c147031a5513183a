from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import httptools
import pytest
from google.api.http_pb2 import CustomHttpPattern, HttpRule
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.errors import ConfigError
from transcoder.http_rule import Binding, bindings, notes, unbound, undelivered

Rpc = Callable[[str], MethodDescriptor]


@pytest.fixture
def rpc(protos: DescriptorPool) -> Rpc:
    """A method by its name."""
    service = protos.FindServiceByName("everything.v1.Bindings")
    return lambda name: service.methods_by_name[name]


def only(found: tuple[Binding, ...]) -> Binding:
    """Return the only binding."""
    (binding,) = found
    return binding


def test_option_of_a_pool_of_its_own(rpc: Rpc) -> None:
    """The rule is read from the method's option, whatever pool the method comes from."""
    found = bindings(rpc("Everyone"))

    assert [(each.index, each.method, each.template.text) for each in found] == [
        (0, "GET", "/v1/{string_value}"),
        (1, "POST", "/v1/{string_value}"),
        (2, "*", "/v1/any"),
    ]
    assert [(each.body, each.response_body) for each in found] == [
        ("", ""),
        ("child", "child_list"),
        ("", ""),
    ]


@pytest.mark.parametrize("name", ["Update", "Empty"])
def test_no_rule(rpc: Rpc, name: str) -> None:
    """A method without a rule, or with an empty one, has no bindings."""
    assert bindings(rpc(name)) == ()


@pytest.mark.parametrize("method", ["get", "put", "post", "delete", "patch"])
def test_method(rpc: Rpc, method: str) -> None:
    """Each pattern of a rule is the HTTP method of its name."""
    rule = HttpRule()
    setattr(rule, method, "/v1/x")

    assert only(bindings(rpc("Update"), rule)).method == method.upper()


@pytest.mark.parametrize("kind", ["HEAD", "OPTIONS", "PURGE", "*"])
def test_custom_method(rpc: Rpc, kind: str) -> None:
    """A custom pattern is any HTTP method, or all of them."""
    rule = HttpRule(custom=CustomHttpPattern(kind=kind, path="/v1/x"))

    assert only(bindings(rpc("Update"), rule)).method == kind


@pytest.mark.parametrize(
    "body",
    ["*", "item", "validate_only", "item.string_value", "item.child_list", "item.string_map"],
)
def test_body(rpc: Rpc, body: str) -> None:
    """The body is all, or a field of any kind, also a nested one."""
    rule = HttpRule(post="/v1/x", body=body)

    assert only(bindings(rpc("Update"), rule)).body == body


@pytest.mark.parametrize("kind", ["time", "duration", "mask", "int64_wrapper", "bytes_wrapper"])
def test_well_known_variable(rpc: Rpc, kind: str) -> None:
    """A path variable may be of a type that reads as plain text."""
    rule = HttpRule(get=f"/v1/{{item.{kind}}}")

    assert only(bindings(rpc("Update"), rule)).template.variables[0].field_path == ("item", kind)


def test_delete_may_have_a_body(rpc: Rpc) -> None:
    """A DELETE with a body is a rule as others are."""
    assert only(bindings(rpc("Update"), HttpRule(delete="/v1/x", body="*"))).body == "*"


def test_stream_of_requests(rpc: Rpc) -> None:
    """A client-streaming method binds as others do, as Firestore's `Write` is published."""
    binding = only(bindings(rpc("Collect"), HttpRule(post="/v1/{string_value}:write", body="*")))

    assert (binding.body, binding.template.verb) == ("*", "write")


@pytest.mark.parametrize(
    ("name", "rule", "told"),
    [
        ("Update", HttpRule(post="/v1/{item.string_value}", body="item"), []),
        ("Update", HttpRule(delete="/v1/x"), []),
        ("Update", HttpRule(custom=CustomHttpPattern(kind="*", path="/v1/x")), []),
        (
            "Collect",
            HttpRule(get="/v1/x"),
            ["no body: the stream of requests is the one message of path and query"],
        ),
        (
            "Update",
            HttpRule(delete="/v1/x", body="item"),
            ["DELETE with a body: RFC 9110 gives it no meaning, clients and proxies may drop it"],
        ),
        (
            "Update",
            HttpRule(post="/v1/{item.string_value}", body="item.string_value"),
            ["body 'item.string_value' is always lost: the path sets item.string_value after it"],
        ),
        (
            "Update",
            HttpRule(post="/v1/{item.choice_int}", body="item.choice_child"),
            [
                (
                    "body 'item.choice_child' is always lost: "
                    "the path sets item.choice_int after it, and oneof choice holds one"
                ),
            ],
        ),
        ("Update", HttpRule(post="/v1/{item.choice_int}", body="item.child"), []),
        ("Update", HttpRule(post="/v1/{item.optional_int32}", body="item.optional_string"), []),
        (
            "Update",
            HttpRule(custom=CustomHttpPattern(kind="RESTORE", path="/v1/x")),
            ["custom kind 'RESTORE': the server's HTTP port does not take this method"],
        ),
        (
            "Update",
            HttpRule(custom=CustomHttpPattern(kind="get", path="/v1/x")),
            ["custom kind 'get': HTTP methods are case-sensitive, write 'GET'"],
        ),
    ],
)
def test_notes(rpc: Rpc, name: str, rule: HttpRule, told: list[str]) -> None:
    """What a right rule does and its author may not expect is noted."""
    assert list(notes(only(bindings(rpc(name), rule)))) == told


class Parsed:
    """Whether a parser came to the end of a request."""

    done = False

    def on_message_complete(self) -> None:
        self.done = True


def takes(method: str) -> bool:
    """Whether the HTTP port's parser takes a method, and the port passes it on."""
    parsed = Parsed()
    parser = httptools.HttpRequestParser(parsed)
    with suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        parser.feed_data(f"{method} / HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    return parsed.done and method not in {"TRACE", "CONNECT"}


METHODS = """
    ACL ANNOUNCE BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE DESCRIBE FLUSH FOO GET
    GET_PARAMETER HEAD LABEL LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF
    MKWORKSPACE MOVE NOTIFY OPTIONS ORDERPATCH PATCH PAUSE PLAY POST PRI PROPFIND PROPPATCH PURGE
    PUT QUERY REBIND RECORD REDIRECT REPORT RESTORE SEARCH SETUP SET_PARAMETER SOURCE SUBSCRIBE
    TEARDOWN TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UNSUBSCRIBE UPDATE UPDATEREDIRECTREF
    VERSION-CONTROL get Get
    """


@pytest.mark.parametrize("kind", METHODS.split())
def test_undelivered(rpc: Rpc, kind: str) -> None:
    """The kinds that are told not to arrive are those that the HTTP port does not take."""
    rule = HttpRule(custom=CustomHttpPattern(kind=kind, path="/v1/x"))

    assert bool(undelivered(only(bindings(rpc("Update"), rule)))) != takes(kind)


NESTED = HttpRule(get="/v1/x", additional_bindings=[HttpRule(get="/v1/y")])


@pytest.mark.parametrize(
    ("name", "rule", "problem"),
    [
        (
            "Update",
            HttpRule(get="/v1/{item.string_valeu}"),
            (
                "'/v1/{item.string_valeu}', column 11: "
                "string_valeu: no such field; did you mean string_value?"
            ),
        ),
        (
            "Update",
            HttpRule(get="/v1/{validate_only}/{item}"),
            (
                "'/v1/{validate_only}/{item}', column 22: "
                "item: a path variable cannot be a everything.v1.Everything"
            ),
        ),
        (
            "Update",
            HttpRule(get="/v1/{item.struct}"),
            (
                "'/v1/{item.struct}', column 11: "
                "struct: a path variable cannot be a google.protobuf.Struct"
            ),
        ),
        (
            "Update",
            HttpRule(get="/v1/{item.int32_list}"),
            "'/v1/{item.int32_list}', column 11: int32_list: a path variable cannot be repeated",
        ),
        (
            "Update",
            HttpRule(get="/v1/{item.string_map}"),
            "'/v1/{item.string_map}', column 11: string_map: a path variable cannot be a map",
        ),
        (
            "Update",
            HttpRule(get="/v1/{item.child_list.class=x/*}"),
            "'/v1/{item.child_list.class=x/*}', column 11: child_list is not a message",
        ),
        (
            "Update",
            HttpRule(get="/v1/{validateOnly}"),  # rules speak proto names
            (
                "'/v1/{validateOnly}', column 6: validateOnly: no such field; "
                "did you mean validate_only?"
            ),
        ),
        (
            "Collect",
            HttpRule(post="/v1/{string_valeu}", body="*"),
            (
                "'/v1/{string_valeu}', column 6: "
                "string_valeu: no such field; did you mean string_value?"
            ),
        ),
        (
            "Update",
            HttpRule(get="/v1/x", body="*"),
            "'/v1/x': GET has no body, remove body: '*'",
        ),
        (
            "Update",
            HttpRule(custom=CustomHttpPattern(kind="HEAD", path="/v1/x"), body="item"),
            "'/v1/x': HEAD has no body, remove body: 'item'",
        ),
        (
            "Update",
            HttpRule(post="/v1/x", body="itme"),
            "'/v1/x': body 'itme': itme: no such field; did you mean item?",
        ),
        (
            "Update",
            HttpRule(post="/v1/x", body="item.child_list.class"),
            "'/v1/x': body 'item.child_list.class': child_list is not a message",
        ),
        (
            "Update",
            HttpRule(post="/v1/x", response_body="chidl"),
            "'/v1/x': response_body 'chidl': chidl: no such field; did you mean child?",
        ),
        (
            "Update",
            HttpRule(post="/v1/x", response_body="child.class"),
            "'/v1/x': response_body 'child.class': must be a field of the reply itself",
        ),
        (
            "Update",
            HttpRule(get="/v1/{item.choice_int}/{item.choice_string}"),
            (
                "'/v1/{item.choice_int}/{item.choice_string}', column 24: "
                "item.choice_string: overwrites item.choice_int, for oneof choice holds only one"
            ),
        ),
        (
            "Update",
            HttpRule(get="/v1/{item.choice_child.class}/{item.choice_time}"),
            (
                "'/v1/{item.choice_child.class}/{item.choice_time}', column 32: "
                "item.choice_time: overwrites item.choice_child.class, "
                "for oneof choice holds only one"
            ),
        ),
        (
            "Update",
            HttpRule(get="/v1/{item.time.seconds}"),
            (
                "'/v1/{item.time.seconds}', column 11: "
                "time: a google.protobuf.Timestamp goes as a whole, not in parts"
            ),
        ),
        (
            "Update",
            HttpRule(get="/v1/{item.any.type_url}"),
            (
                "'/v1/{item.any.type_url}', column 11: "
                "any: a google.protobuf.Any goes as a whole, not in parts"
            ),
        ),
        (
            "Update",
            HttpRule(post="/v1/x", body="item.time.seconds"),
            (
                "'/v1/x': body 'item.time.seconds': "
                "time: a google.protobuf.Timestamp goes as a whole, not in parts"
            ),
        ),
        (
            "Update",
            HttpRule(get="/v1/x", additional_bindings=[NESTED]),
            "additional_bindings may not be nested",
        ),
        ("Update", HttpRule(body="*"), "the rule names no HTTP method, such as get or post"),
        (
            "Update",
            HttpRule(custom=CustomHttpPattern(kind="GE T", path="/v1/x")),
            "'/v1/x': custom kind is not an HTTP method or *",
        ),
    ],
)
def test_refuses(rpc: Rpc, name: str, rule: HttpRule, problem: str) -> None:
    """A wrong rule is told in one line with method, template and column."""
    with pytest.raises(ConfigError) as refused:
        bindings(rpc(name), rule)

    assert str(refused.value) == f"everything.v1.Bindings.{name}: {problem}"


@pytest.mark.parametrize("template", ["", "v1/x", "/v1/{", "/v1/{a.}", "/v1//x"])
def test_refuses_template(rpc: Rpc, template: str) -> None:
    """A malformed template names its method too."""
    with pytest.raises(ConfigError, match=r"^everything\.v1\.Bindings\.Update: .*column \d+"):
        bindings(rpc("Update"), HttpRule(get=template))


def test_wrong_additional_binding(rpc: Rpc) -> None:
    """An additional binding is checked as the rule itself is."""
    rule = HttpRule(get="/v1/x", additional_bindings=[HttpRule(get="/v1/{nothing}")])

    with pytest.raises(ConfigError, match="column 6"):
        bindings(rpc("Update"), rule)


def test_unbound(rpc: Rpc) -> None:
    """A method without a rule can be bound to its gRPC path."""
    binding = unbound(rpc("Update"))

    assert (binding.method, binding.template.text, binding.body) == (
        "POST",
        "/everything.v1.Bindings/Update",
        "*",
    )
