from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import ConfigError, InvalidRequest
from transcoder.event_stream import Events, EventStream
from transcoder.http_rule import bindings

Compile = Callable[..., Events]


@pytest.fixture
def compiled(protos: DescriptorPool) -> Compile:
    """Compile event options of a method that takes and gives a field of each kind."""
    rpc = protos.FindServiceByName("everything.v1.Bindings").methods_by_name["Everyone"]
    (binding,) = bindings(rpc, HttpRule(get="/v1/{string_value}/{child.int32_value}"))
    return lambda **options: Events(binding, EventStream(**options))


@pytest.fixture
def everything(protos: DescriptorPool) -> type[Any]:
    """The class of the message with one field of each kind."""
    return GetMessageClass(protos.FindMessageTypeByName("everything.v1.Everything"))


@pytest.mark.parametrize(
    ("field", "values", "expected"),
    [
        ("", {"string_value": "a"}, ""),
        ("string_value", {"string_value": "a"}, "a"),
        ("stringValue", {"string_value": "a"}, "a"),
        ("string_value", {}, ""),
        ("int32_value", {"int32_value": -5}, "-5"),
        ("uint64_value", {"uint64_value": 2**64 - 1}, "18446744073709551615"),
        ("int64_value", {}, "0"),
        ("optional_int32", {}, ""),  # not set is no id
        ("optional_int32", {"optional_int32": 0}, "0"),
        ("choice_int", {"choice_string": "a"}, ""),
        ("child.child.class", {"child": {"child": {"class": "a"}}}, "a"),
        ("child.class", {}, ""),
    ],
)
def test_id(
    compiled: Compile, everything: type[Any], field: str, values: dict[str, Any], expected: str
) -> None:
    """The id is the text of a field of the reply."""
    assert expected == compiled(id=field).id_of(everything(**values))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"id": "nope"}, "events id 'nope': no such field"),
        (
            {"id": "string_valu"},
            "events id 'string_valu': no such field; did you mean",
        ),
        ({"id": "string_value.x"}, "events id 'string_value.x': string_value is not a message"),
        ({"id": "child"}, "events id 'child': expected a string or an integer"),
        ({"id": "time"}, "events id 'time': expected a string or an integer"),
        ({"id": "int32_list"}, "events id 'int32_list': expected a string or an integer"),
        ({"id": "double_value"}, "events id 'double_value': expected a string or an integer"),
        ({"id": "bytes_value"}, "events id 'bytes_value': expected a string or an integer"),
        ({"id": "enum_value"}, "events id 'enum_value': expected a string or an integer"),
        ({"resume": "nope"}, "events resume 'nope': no such field"),
        ({"resume": "string_map"}, "events resume 'string_map': expected a string or an integer"),
        ({"resume": "string_value"}, "events resume: string_value is a path variable"),
        ({"resume": "child.int32Value"}, "events resume: child.int32_value is a path variable"),
        ({"retry": -1.0}, "events retry: expected seconds, 0 or more"),
        ({"retry": float("nan")}, "events retry: expected seconds, 0 or more"),
    ],
)
def test_wrong(compiled: Compile, options: dict[str, Any], problem: str) -> None:
    """What is wrong is told at start, with the method."""
    with pytest.raises(ConfigError) as error:
        compiled(**options)
    assert str(error.value).startswith(f"everything.v1.Bindings.Everyone: {problem}")


@pytest.mark.parametrize(
    ("field", "header", "expected"),
    [
        ("choice_string", b"a", {"choice_string": "a"}),
        ("choice_string", "ü".encode(), {"choice_string": "ü"}),
        ("int64_value", b"-7", {"int64_value": -7}),
        ("child.class", b"a", {"child": {"class": "a"}}),
        ("int64_value", b"", {}),  # as a client says that it has none
        ("", b"a", {}),
    ],
)
def test_resume(
    compiled: Compile, everything: type[Any], field: str, header: bytes, expected: dict[str, Any]
) -> None:
    """The last id that a client saw becomes a field of the request."""
    request = everything()
    compiled(resume=field).resume(request, [(b"host", b"x"), (b"last-event-id", header)])

    assert request == everything(**expected)


def test_resume_goes_before_the_url(compiled: Compile, everything: type[Any]) -> None:
    """A client that connects again asks for the URL that it began with."""
    request = everything(int64_value=1)
    compiled(resume="int64_value").resume(request, [(b"last-event-id", b"9")])

    assert request.int64_value == 9


def test_resume_without(compiled: Compile, everything: type[Any]) -> None:
    """A client that is new has what its URL says."""
    request = everything(int64_value=1)
    compiled(resume="int64_value").resume(request, [])

    assert request.int64_value == 1


@pytest.mark.parametrize(
    ("field", "header", "problem"),
    [
        ("int64_value", b"x", "Last-Event-ID: expected a"),
        ("int32_value", b"2147483648", "Last-Event-ID: expected a"),
        ("choice_string", b"\xff", "Last-Event-ID: expected UTF-8"),
    ],
)
def test_resume_wrong(
    compiled: Compile, everything: type[Any], field: str, header: bytes, problem: str
) -> None:
    """An id that no reply had is refused, by the name of its header."""
    with pytest.raises(InvalidRequest) as error:
        compiled(resume=field).resume(everything(), [(b"last-event-id", header)])
    assert error.value.status.message.startswith(problem)


def test_retry(compiled: Compile) -> None:
    """The delay is told in milliseconds."""
    assert compiled(retry=1.5).retry == b"1500"
    assert compiled(retry=0).retry == b"0"
    assert compiled().retry == b""
