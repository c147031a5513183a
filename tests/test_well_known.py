from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from transcoder.values import BadValue
from transcoder.well_known import fits_path, well_known


def fill(pool: DescriptorPool, name: str, text: str) -> Any:
    """Return the well-known message that a text says."""
    descriptor = pool.FindMessageTypeByName(f"google.protobuf.{name}")
    message = GetMessageClass(descriptor)()
    filled = well_known(descriptor)
    assert filled is not None
    filled(message, text)
    return message


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2026-01-31T12:00:00.5Z", 1769860800, 500_000_000),
        ("2026-01-31T12:00:00.000000001+01:00", 1769857200, 1),
        ("2024-02-29T00:00:00-23:59", 1709251140, 0),
        ("1969-12-31T23:59:59.5Z", -1, 500_000_000),
        ("0001-01-01T00:00:00Z", -62135596800, 0),
        ("9999-12-31T23:59:59.999999999Z", 253402300799, 999_999_999),
    ],
)
def test_timestamp(protos: DescriptorPool, text: str, seconds: int, nanos: int) -> None:
    """A time is RFC 3339 with up to nine digits of a second and any offset."""
    time = fill(protos, "Timestamp", text)

    assert (time.seconds, time.nanos) == (seconds, nanos)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00:00z",
        "2026-01-31T12:00:00 01:00",  # what a + in a query becomes
        "2026-01-31T12:00:00+25:00",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00.1234567890Z",
        "2026-01-31T12:00:00.Z",
        "2026-02-30T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-01-31T12:00:00Z",
    ],
)
def test_no_timestamp(protos: DescriptorPool, text: str) -> None:
    """What the calendar or RFC 3339 does not have is no time."""
    with pytest.raises(BadValue):
        fill(protos, "Timestamp", text)


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("1.5s", 1, 500_000_000),
        ("-1.5s", -1, -500_000_000),
        ("0s", 0, 0),
        ("315576000000.9s", 315576000000, 900_000_000),
        ("300ms", 0, 300_000_000),
        ("1h2m3.5s", 3723, 500_000_000),
        ("-1m1s", -61, 0),
        ("1µs1us1μs1ns", 0, 3001),
        ("0.000000001s", 0, 1),
        ("1.5h", 5400, 0),
        ("0", 0, 0),
        ("-0", 0, 0),
        (".5s", 0, 500_000_000),
        ("1.s", 1, 0),
        ("1.m.5s", 60, 500_000_000),
    ],
)
def test_duration(protos: DescriptorPool, text: str, seconds: int, nanos: int) -> None:
    """A duration is seconds as in ProtoJSON, or what Go's ParseDuration reads."""
    duration = fill(protos, "Duration", text)

    assert (duration.seconds, duration.nanos) == (seconds, nanos)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1",
        "s",
        "+1s",
        "--1s",
        "1e3s",
        "1 s",
        ".s",
        ".",
        "00",
        "1d",
        "1s-1m",
        "315576000001s",
        "1.0000000001s",
        "٣s",
        "99999999999999999999s",
    ],
)
def test_no_duration(protos: DescriptorPool, text: str) -> None:
    """Numbers without a unit, and other units, are no durations."""
    with pytest.raises(BadValue):
        fill(protos, "Duration", text)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("", []),
        ("name", ["name"]),
        ("display_name,address.postCode", ["display_name", "address.post_code"]),
        ("displayName", ["display_name"]),
        ("*", ["*"]),
        ("labels.`a.b,C`,name", ["labels.`a.b,C`", "name"]),  # AIP-161
        ("URL", ["URL"]),  # neither of these is lowerCamelCase
        ("HTTP_url", ["HTTP_url"]),
    ],
)
def test_field_mask(protos: DescriptorPool, text: str, paths: list[str]) -> None:
    """A mask takes proto and JSON names and holds proto names."""
    assert list(fill(protos, "FieldMask", text).paths) == paths


@pytest.mark.parametrize(
    "text", [",", "a,", ",a", "a,,b", "a b", "a.", ".a", "a..b", "a-b", "ä", "a`"]
)
def test_no_field_mask(protos: DescriptorPool, text: str) -> None:
    """A mask with a hole or a foreign character is refused."""
    with pytest.raises(BadValue):
        fill(protos, "FieldMask", text)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DoubleValue", "0.5", 0.5),
        ("FloatValue", "0.5", 0.5),
        ("Int64Value", "-5", -5),
        ("UInt64Value", "5", 5),
        ("Int32Value", "-5", -5),
        ("UInt32Value", "5", 5),
        ("BoolValue", "true", True),
        ("StringValue", "x", "x"),
        ("BytesValue", "YQ", b"a"),
    ],
)
def test_wrapper(protos: DescriptorPool, name: str, text: str, value: object) -> None:
    """A wrapper reads as the scalar in it."""
    assert fill(protos, name, text).value == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("null", "null_value"),
        ("1", "number_value"),
        ('"x"', "string_value"),
        ("true", "bool_value"),
        ('{"a":[1]}', "struct_value"),
        ("[1]", "list_value"),
    ],
)
def test_value(protos: DescriptorPool, text: str, kind: str) -> None:
    """A Value reads as JSON text."""
    assert fill(protos, "Value", text).WhichOneof("kind") == kind


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Value", ""),
        ("Value", "x"),
        ("Value", "NaN"),
        ("Value", "-Infinity"),
        ("Value", "1e400"),
        ("Value", "9" * 400),
        ("Value", '{"a":1,"a":2}'),
        ("Value", '"\\ud800"'),
        ("Value", "1 2"),
        ("Value", "[" * 8000),
        ("Value", "[" * 500 + "]" * 500),
        ("Struct", "[]"),
        ("Struct", "1"),
        ("ListValue", "{}"),
    ],
)
def test_no_json(protos: DescriptorPool, name: str, text: str) -> None:
    """JSON that no Value, Struct or ListValue holds is refused, however it is built."""
    with pytest.raises(BadValue, match=f"expected the JSON text of a {name}"):
        fill(protos, name, text)


@pytest.mark.parametrize("name", ["everything.v1.Everything", "google.protobuf.Any"])
def test_no_text(protos: DescriptorPool, name: str) -> None:
    """Other messages are not said by text."""
    assert well_known(protos.FindMessageTypeByName(name)) is None


@pytest.mark.parametrize(
    ("name", "fits"),
    [("Timestamp", True), ("Int64Value", True), ("Struct", False), ("Any", False)],
)
def test_fits_path(protos: DescriptorPool, name: str, fits: bool) -> None:  # noqa: FBT001
    """A path variable may be a message that reads as plain text."""
    assert fits_path(protos.FindMessageTypeByName(f"google.protobuf.{name}")) is fits


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("FieldMask", "a" * 8_192),
        ("Value", f'"{"a" * 8_190}"'),
        ("Struct", "{" + " " * 8_190 + "}"),
        ("ListValue", "[" + " " * 8_190 + "]"),
    ],
)
def test_length(protos: DescriptorPool, kind: str, text: str) -> None:
    """A mask or a JSON text has at most what fits into a query."""
    fill(protos, kind, text)
    with pytest.raises(BadValue, match="over the limit of 8192 characters"):
        fill(protos, kind, f"{text} ")
