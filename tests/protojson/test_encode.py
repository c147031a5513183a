import pytest
from google.api import http_pb2
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    struct_pb2,
    text_format,
    timestamp_pb2,
)

from transcoder.protojson import to_json

RULE = http_pb2.HttpRule(get="/v1/é", response_body="a")


def test_compact_utf8() -> None:
    """The default is one line of UTF-8 with lowerCamelCase names."""
    assert '{"get":"/v1/é","responseBody":"a"}'.encode() == to_json(RULE)


def test_proto_names() -> None:
    """Names are the proto's on request."""
    assert b'"response_body":"a"' in to_json(RULE, proto_names=True)


def test_print_defaults() -> None:
    """Fields without presence are printed with their defaults on request."""
    assert to_json(http_pb2.CustomHttpPattern(), print_defaults=True) == b'{"kind":"","path":""}'


def test_indent() -> None:
    """An indent spreads the document over lines."""
    assert to_json(http_pb2.CustomHttpPattern(kind="a"), indent=2) == b'{\n  "kind": "a"\n}'


@pytest.mark.parametrize(
    "message",
    [
        any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"\x08\x01"),
        struct_pb2.Value(number_value=float("nan")),
        timestamp_pb2.Timestamp(seconds=10**15),
        timestamp_pb2.Timestamp(nanos=-1),
        timestamp_pb2.Timestamp(nanos=10**9),
        duration_pb2.Duration(seconds=1, nanos=-1),
        duration_pb2.Duration(seconds=-1, nanos=1),
        duration_pb2.Duration(seconds=315_576_000_001),
        duration_pb2.Duration(nanos=10**9),
    ],
    ids=[
        "unknown Any",
        "NaN in a Value",
        "year over 9999",
        "nanoseconds below 0",
        "a whole second of nanoseconds",
        "mixed signs",
        "mixed signs, below 0",
        "over 10,000 years",
        "a second in nanoseconds",
    ],
)
def test_no_json_form(message: any_pb2.Any) -> None:
    """A message without a JSON form is a ValueError that names its type."""
    with pytest.raises(ValueError, match=message.DESCRIPTOR.full_name):
        to_json(message)


@pytest.mark.parametrize(
    ("seconds", "nanos", "text"),
    [
        (0, 0, b'"0s"'),
        (-1, -500_000_000, b'"-1.500s"'),
        (0, -1_000, b'"-0.000001s"'),
        (0, 1, b'"0.000000001s"'),
        (315_576_000_000, 0, b'"315576000000s"'),
    ],
)
def test_durations(seconds: int, nanos: int, text: bytes) -> None:
    """A duration has three, six or nine digits behind its point, or none, and one sign."""
    assert to_json(duration_pb2.Duration(seconds=seconds, nanos=nanos)) == text


@pytest.mark.parametrize(
    "data",
    [b"\x0a\x01\xff", b"\x12\x01\xff", b"\x1a\x05\x08\x01\x12\x01\xff", b"\x22\x03\x0a\x01\xff"],
    ids=["string", "list", "map", "nested"],
)
def test_bad_bytes_of_a_peer(data: bytes) -> None:
    """A string that is not UTF-8, which proto2 lets in, has no JSON form."""
    file = descriptor_pb2.FileDescriptorProto(name="peer.proto", package="peer", syntax="proto2")
    text_format.Parse(
        """
        message_type { name: "M"
          field { name: "s" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
          field { name: "l" number: 2 type: TYPE_STRING label: LABEL_REPEATED }
          field { name: "m" number: 3 type_name: ".peer.M.ME" label: LABEL_REPEATED }
          field { name: "n" number: 4 type_name: ".peer.M" label: LABEL_OPTIONAL }
          nested_type { name: "ME" options { map_entry: true }
            field { name: "key" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
            field { name: "value" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } } }
        """,
        file,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("peer.M"))()
    message.MergeFromString(data)

    with pytest.raises(ValueError, match="not UTF-8"):
        to_json(message)
