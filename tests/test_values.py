from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool

from cost import cost
from transcoder.values import BadValue, scalar, suggestion


def read(pool: DescriptorPool, field: str, text: str) -> Any:
    """Return what the text of a field says."""
    message, _, name = field.rpartition(".")
    full_name = message or "everything.v1.Everything"
    return scalar(pool.FindMessageTypeByName(full_name).fields_by_name[name])(text)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("int32_value", "-2147483648", -(2**31)),
        ("int32_value", "007", 7),  # base 10, as strconv.ParseInt has it
        ("int64_value", "9223372036854775807", 2**63 - 1),
        ("uint32_value", "4294967295", 2**32 - 1),
        ("uint64_value", "18446744073709551615", 2**64 - 1),
        ("uint64_value", "-0", 0),
        ("sint32_value", "-1", -1),
        ("sint64_value", "-1", -1),
        ("fixed32_value", "1", 1),
        ("fixed64_value", "1", 1),
        ("sfixed32_value", "-1", -1),
        ("sfixed64_value", "-1", -1),
        ("double_value", "-1.5e-3", -0.0015),
        ("double_value", "1e308", 1e308),
        ("double_value", "Infinity", math.inf),
        ("double_value", "-Infinity", -math.inf),
        ("float_value", "3.4028234663852886e38", 3.4028234663852886e38),
        ("double_value", "1.7976931348623157e308", 1.7976931348623157e308),
        ("bool_value", "true", True),
        ("bool_value", "false", False),
        ("bool_value", "1", True),
        ("bool_value", "0", False),
        ("string_value", " ä\t", " ä\t"),
        ("string_value", "", ""),
        ("bytes_value", "", b""),
        ("bytes_value", "+/8=", b"\xfb\xff"),
        ("bytes_value", "-_8=", b"\xfb\xff"),
        ("bytes_value", "+/8", b"\xfb\xff"),
        ("bytes_value", "-_8", b"\xfb\xff"),
        ("enum_value", "GREEN", 2),
        ("enum_value", "2", 2),
        ("enum_value", "99", 99),  # an open enum keeps what it does not know
        ("enum_value", "-1", -1),
        ("legacy.v1.Legacy.shade", "LIGHT", 2),
        ("legacy.v1.Legacy.shade", "2", 2),
        ("edition.v1.Edition.open", "99", 99),
        ("edition.v1.Edition.closed", "1", 1),
    ],
)
def test_reads(protos: DescriptorPool, field: str, text: str, value: object) -> None:
    """Text of a type's form is its value."""
    assert read(protos, field, text) == value


def test_reads_nan(protos: DescriptorPool) -> None:
    """NaN is a double by its exact name."""
    assert math.isnan(read(protos, "double_value", "NaN"))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("int32_value", text) for text in ("", "-", "--1", "+1", "1_000", "٣", "²", " 1", "1 ")),
        *(("int32_value", text) for text in ("0x10", "1e2", "1.0", "2147483648", "-2147483649")),
        ("int64_value", "9223372036854775808"),
        ("uint32_value", "-1"),
        ("uint64_value", "18446744073709551616"),
        ("int64_value", "0" * 8000),
        *(("double_value", text) for text in ("", "nan", "inf", "Inf", "+1", "1e400", "-1e400")),
        *(("double_value", text) for text in (" 1", "1_0", "0x1p3", ".5", "5.", "٣", "1,5")),
        ("float_value", "3.5e38"),
        *(("bool_value", text) for text in ("", "TRUE", "True", "yes", "t", "2")),
        *(
            ("bytes_value", text)
            for text in ("*&^", "a", "a*b=", "é", "YQ=", "YQ===", "+_8", "YW Jj")
        ),
        *(
            ("enum_value", text)
            for text in ("", "red", "BLUE", "4294967296", "1.0", "true", "²", "--1")
        ),
        ("legacy.v1.Legacy.shade", "99"),
        ("edition.v1.Edition.closed", "2"),
    ],
)
def test_refuses(protos: DescriptorPool, field: str, text: str) -> None:
    """Text that is nearly of a type's form is refused."""
    with pytest.raises(BadValue):
        read(protos, field, text)


def test_refusal_says_no_value(protos: DescriptorPool) -> None:
    """A refusal tells what was expected, and does not repeat what was sent."""
    with pytest.raises(BadValue) as refused:
        read(protos, "int32_value", "9" * 20)

    assert str(refused.value) == "expected a 32-bit integer, from -2147483648 to 2147483647"


def test_refusal_suggests_enum_name(protos: DescriptorPool) -> None:
    """A name of an enum in another case brings the right one to mind."""
    with pytest.raises(BadValue, match="no such value of Color; did you mean GREEN"):
        read(protos, "enum_value", "green")


MANY = [f"SOME_NAME_OF_A_LARGE_ENUM_{number}" for number in range(5_000)]
FIELDS = [f"{chr(97 + number % 26)}{'_field' * (number % 9)}_{number}" for number in range(800)]


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("page_sise", [*FIELDS, "page_size"], "; did you mean page_size?"),
        ("pagesize", [*FIELDS, "page_size"], "; did you mean page_size?"),
        ("SOME_NAME_OF_A_LARGE_ENUM_77x", MANY, ""),  # too many are as near
        ("x" * 8_000, MANY, ""),
        ("SOME_NAME_OF_A_LARGE_ENUM_1x", MANY[:3], "; did you mean SOME_NAME_OF_A_LARGE_ENUM_1?"),
    ],
)
def test_suggestion_costs_little(name: str, known: list[str], expected: str) -> None:
    """A name is suggested among many as fast as among few, or none is."""
    assert suggestion(name, known) == expected
    assert cost(lambda: suggestion(name, known), 0.02) < 0.02


def test_suggestion_is_quiet_about_far_names() -> None:
    """Nothing is suggested when nothing is near."""
    assert suggestion("zzz", ["page_size"]) == ""
