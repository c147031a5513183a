from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import InvalidRequest
from transcoder.protojson import from_json
from transcoder.query import QueryBinder


@pytest.mark.parametrize(
    ("field", "text", "taken"),
    [
        ("float_value", "3.4028234663852886e38", True),
        ("float_value", "-3.4028234663852886e38", True),
        ("float_value", "3.4028235e38", False),
        ("float_value", "3.5e38", False),
        ("float_value", "-Infinity", True),
        ("float_wrapper", "3.4028235e38", False),
        ("double_value", "1.7976931348623157e308", True),
        ("double_value", "1.7976931348623159e308", False),
        ("int32_value", "2147483647", True),
        ("int32_value", "2147483648", False),
        ("int64_value", "-9223372036854775808", True),
        ("int64_value", "-9223372036854775809", False),
        ("uint64_value", "18446744073709551615", True),
        ("uint64_value", "18446744073709551616", False),
        ("enum_value", "-2147483648", True),
        ("enum_value", "2147483648", False),
        ("bytes_value", "_-8", True),
        ("bytes_value", "QQ=", False),
        ("bytes_value", "Q", False),
        ("time", "0001-01-01T00:00:00Z", True),
        ("time", "0001-01-01T00:00:00+00:01", False),
        ("time", "9999-12-31T23:59:59.999999999Z", True),
        ("time", "9999-12-31T23:59:59-00:01", False),
        ("time", "2026-01-01T00:00:00.0000000001Z", False),
        ("time", "2026-01-01T00:00:60Z", False),
        ("time", "2026-02-29T00:00:00Z", False),
        ("duration", "315576000000.999999999s", True),
        ("duration", "-315576000000.999999999s", True),
        ("duration", "315576000001s", False),
        ("duration", "1.0000000001s", False),
    ],
)
def test_same_in_a_query(
    protos: DescriptorPool,
    field: str,
    text: str,
    taken: bool,  # noqa: FBT001
) -> None:
    """A body and a query take the same values, up to the same limits."""
    message = protos.FindMessageTypeByName("everything.v1.Everything")
    message_class = GetMessageClass(message)
    body = json.dumps({field: text}).encode()
    bound: Any = message_class()

    if not taken:
        with pytest.raises(InvalidRequest):
            from_json(body, message_class)
        with pytest.raises(InvalidRequest):
            QueryBinder(message)(bound, f"{field}={text}".replace("+", "%2B").encode())
        return

    QueryBinder(message)(bound, f"{field}={text}".encode())
    assert bound == from_json(body, message_class)
