"""Bad and odd queries, through real sockets: what binds, and what is refused in little."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from wire import Catalogue, check_status, get, request

# What is answered


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("double_value=NaN", {"doubleValue": "NaN"}),
        ("double_value=Infinity", {"doubleValue": "Infinity"}),
        ("double_value=-Infinity", {"doubleValue": "-Infinity"}),
        ("double_value=1e2", {"doubleValue": 100.0}),
        ("bool_value=true", {"boolValue": True}),
        ("bool_value=1", {"boolValue": True}),
        ("bool_value=false", {}),
        ("bool_value=0", {}),
        ("enum_value=99", {"enumValue": 99}),  # An open enum keeps what it does not know.
        ("enum_value=1", {"enumValue": "RED"}),
        ("bytes_value=-_8", {"bytesValue": "+/8="}),
        ("int64_value=9223372036854775807", {"int64Value": "9223372036854775807"}),
        ("int32_list=1&int32_list=2", {"int32List": [1, 2]}),
        ("optional_string=", {"optionalString": ""}),
        ("string_map[a]=1&string_map[b]=2", {"stringMap": {"a": "1", "b": "2"}}),
        ("string_map%5Ba%5D=1", {"stringMap": {"a": "1"}}),
        ("string_value=a;b=2", {"stringValue": "a;b=2"}),  # `;` separates nothing.
        ("string_value=a%26b%3Dc", {"stringValue": "a&b=c"}),
        ("string_value=a+b%20c%2B", {"stringValue": "a b c+"}),
        ("string_value=%2500", {"stringValue": "%00"}),  # decoded once
        ("string_value=%3Cscript%3E", {"stringValue": "<script>"}),
        ("string_value", {}),
        ("choice_string=x", {"choiceString": "x"}),
        ("child.child.int32_value=1", {"child": {"child": {"int32Value": 1}}}),
        (".".join(["child"] * 31) + ".int32_value=0", None),
        ("class=x", {"class": "x"}),  # a keyword of Python
        ("", {}),
        ("&&&", {}),
        ("&" * 8000, {}),
        ("=x&=&", {}),
        ("?", None),
    ],
)
def test_what_binds(catalogue: Catalogue, query: str, expected: dict[str, Any] | None) -> None:
    """A query binds to the message that it says, read once and strictly."""
    answer, called = catalogue.send(get(f"/query?{query}"), limit=0.05)
    if query == "?":
        # The second question mark is a parameter's name.
        check_status(answer)
        return

    assert (answer.status, called) == (200, "Query")
    assert expected is None or answer.json() == expected


@pytest.mark.parametrize("value", ["b", "b&stringValue=c", ""])
@pytest.mark.parametrize("key", ["string_value", "stringValue", "string%5Fvalue"])
def test_the_path_wins(catalogue: Catalogue, key: str, value: str) -> None:
    """A field that the path holds is not set by the query."""
    answer, called = catalogue.send(get(f"/v1/a?{key}={value}"))

    assert (answer.status, called) == (200, "Get")
    assert answer.json() == {"stringValue": "a"}


@pytest.mark.parametrize(
    "query", ["child.string_value=q", "child.int32_value=7", "child.child.int32_value=7"]
)
def test_the_body_wins(catalogue: Catalogue, query: str) -> None:
    """A field that the body holds, and what is in it, is not set by the query."""
    raw = request("PUT", f"/child/p?{query}", "Content-Type: application/json", body=b"{}")
    answer, called = catalogue.send(raw)

    assert (answer.status, called) == (200, "Child")
    assert answer.json() == {"child": {"stringValue": "p"}}


# What is refused


def refused(catalogue: Catalogue, query: str, limit: float = 0.05) -> str:
    """Send a query that is refused with 400; return what the client is told."""
    answer = catalogue.refused(get(f"/query?{query}"), limit)
    assert answer.status == 400
    return str(answer.json()["message"])


@pytest.mark.parametrize(
    "query",
    [
        "i=1&" * 1500,
        "&".join(f"i{number}=1" for number in range(1001)),
        "&".join(["int32_list=1"] * 700),  # by size
        "&".join(["&&i=1"] * 1001),
        "x" * 8193,
        "string_value=" + "x" * 8192,
        "&" * 8193,
    ],
)
def test_too_much(catalogue: Catalogue, query: str) -> None:
    """Over 1,000 parameters or 8 KiB are refused before any is looked at."""
    assert "over" in refused(catalogue, query)


@pytest.mark.parametrize("query", ["i=1&" * 10_000, "x" * 60_000, "string_map[k]=v&" * 4_000])
def test_far_too_much(catalogue: Catalogue, query: str) -> None:
    """A query of 60 kB is refused by its length alone."""
    assert refused(catalogue, query, limit=0.05).endswith("over the limit of 8192 bytes")


@pytest.mark.parametrize("pair", ["string_map[k]=v&", "i=1&", "&&&&", "a.b.c.d.e."])
def test_endless_query(catalogue: Catalogue, pair: str) -> None:
    """A target that the parser does not hold is refused as too long."""
    assert catalogue.refused(get(f"/query?{pair * 100_000}")).status == 414


@pytest.mark.parametrize(
    "key",
    [
        ".".join(["a"] * 101),
        ".".join(["a"] * 4000),
        "." * 8000,
        ".".join(["child"] * 33),
        ".".join(["child"] * 200),
        ".".join(["child"] * 1000),
        ".".join(["child"] * 200) + ".string_map[a]",
    ],
)
def test_too_deep(catalogue: Catalogue, key: str) -> None:
    """A key of more than 32 names is refused before a message is made for it."""
    refused(catalogue, f"{key}=1", limit=0.05)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("int32_valeu", "int32_valeu: no such field; did you mean int32_value?"),
        ("zzz", "zzz: no such field"),
        ("z" * 100, "z" * 64 + ": no such field"),
        ("__proto__", "__proto__: no such field"),
        ("__class__", "__class__: no such field; did you mean class?"),
        ("__init__.__class__", "__init__.__class__: no such field"),
        ("DESCRIPTOR", "DESCRIPTOR: no such field"),
        ("SerializeToString", "SerializeToString: no such field"),
        ("CopyFrom", "CopyFrom: no such field"),
        ("_fields", "_fields: no such field"),
        ("child.DESCRIPTOR", "child.DESCRIPTOR: no such field"),
        ("child.Clear", "child.Clear: no such field"),
        ("STRING_VALUE", "STRING_VALUE: no such field; did you mean string_value?"),
        ("StringValue", "StringValue: no such field; did you mean string_value?"),
        ("%20string_value", " string_value: no such field; did you mean string_value?"),
        ("string_value%0D%0AX:1", None),
        ("%1B[31m", None),
        ("child.", None),
        (".child", None),
        ("child..int32_value", None),
        ("string_value.x", None),
        ("int32_list.x", None),
        ("string_map.a", None),
        ("custom_name.custom_name", None),
    ],
)
def test_what_is_no_field(catalogue: Catalogue, key: str, told: str | None) -> None:
    """A key that names no field is told by at most 64 characters, with the nearest name."""
    message = refused(catalogue, f"{key}=1")

    assert told is None or message == told


@pytest.mark.parametrize(
    "query",
    [
        "int32_value=1&int32_value=2",
        "int32_value=1&int32Value=1",
        "string_value=a&string%5Fvalue=b",
        "optional_int32=1&optional_int32=1",
        "time=2026-01-01T00:00:00Z&time=2026-01-01T00:00:00Z",
        "child.int32_value=1&child.int32_value=2",
        "string_map[a]=1&string_map[a]=2",
        "string_map[a]=1&stringMap%5Ba%5D=2",
        "int_map[1]=1&int_map[01]=2",
    ],
)
def test_twice(catalogue: Catalogue, query: str) -> None:
    """A field that holds one value takes one, under all its names together."""
    assert "too many values" in refused(catalogue, query)


@pytest.mark.parametrize(
    "query",
    [
        "choice_int=1&choice_string=x",
        "choice_string=x&choice_int=1",
        "choice_int=0&choice_string=",
        "choice_child.int32_value=1&choice_int=1",
        "choice_time=2026-01-01T00:00:00Z&choice_child.int32_value=1",
        "child.choice_int=1&child.choice_string=x",
    ],
)
def test_oneof(catalogue: Catalogue, query: str) -> None:
    """Of the members of a oneof one may be set."""
    assert "only one of" in refused(catalogue, query)


@pytest.mark.parametrize(
    "key",
    [
        "string_map[",
        "string_map]",
        "string_map[]",
        "string_map[a]b",
        "string_map[a",
        "string_map[a][b]",
        "string_map[[a]]",
        "string_map[a]]",
        "[a]",
        "string_map",
        "string_map[a].b",
        "int_map[x]",
        "int_map[2147483648]",
        "bool_map[maybe]",
        "child_map[a]",
        "child_map[a].int32_value",
        "int32_list[0]",
        "child_list[0].int32_value",
        "child[int32_value]",
        "string_value[0]",
    ],
)
@pytest.mark.parametrize("encoded", [False, True])
def test_bad_map_key(catalogue: Catalogue, key: str, *, encoded: bool) -> None:
    """Brackets are a map's, once, around one key; there is no index into a list."""
    refused(catalogue, f"{quote(key) if encoded else key}=1")


NOT_AN_INTEGER = [
    "",
    "+1",
    "%2B1",
    "1_000",
    "%D9%A3",  # an Arabic digit
    "%C2%B2",  # a superscript
    "%EF%BC%91",  # a full-width digit
    "%201",
    "1%20",
    "1%0A",
    "0x10",
    "0b1",
    "1e2",
    "1.0",
    "--1",
    "-",
    "99999999999999999999",
    "1" * 5000,
    "true",
    "null",
]


@pytest.mark.parametrize("value", NOT_AN_INTEGER)
@pytest.mark.parametrize(
    "field",
    [
        *("int32_value", "int64_value", "uint32_value", "uint64_value", "sint32_value"),
        *("fixed64_value", "sfixed32_value", "int32_list", "int64_wrapper"),
    ],
)
def test_integer(catalogue: Catalogue, field: str, value: str) -> None:
    """An integer is ASCII digits, with a minus where there is one, within its range."""
    assert refused(catalogue, f"{field}={value}").startswith(f"{field}: expected ")


@pytest.mark.parametrize(
    "query",
    [
        *(
            f"{field}={value}"
            for field in ("double_value", "float_value", "double_wrapper")
            for value in (
                *("nan", "NAN", "inf", "-inf", "infinity", "+Infinity", "1e400", "-1e400", ""),
                *("1_0", "%201", "1,5", "0x1p3", "1e", ".5", "5.", "%D9%A3", "1d", "1" * 5000),
            )
        ),
        "float_value=3.5e38",
        *(
            f"{field}={value}"
            for field in ("bool_value", "bool_wrapper")
            for value in ("TRUE", "True", "yes", "on", "t", "", "2", "01", "%20true", "null")
        ),
        *(
            f"{field}={value}"
            for field in ("bytes_value", "bytes_list", "bytes_wrapper")
            for value in (
                "*",
                "*%26^",
                "a",
                "YQ=",
                "YQ===",
                "Y=Q=",
                "Y%20Q",
                "Y+Q==",
                "%C3%A9",
                "-+",
            )
        ),
        *(
            f"enum_value={value}"
            for value in (
                *("red", "Red", "REDD", "", "%20RED", "1.0", "true", "-", "1-", "2147483648"),
                *("4294967296", "%D9%A1", "x" * 5000),
            )
        ),
        *(
            f"time={value}"
            for value in (
                *("", "10000-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "2026-02-30T00:00:00Z"),
                *("2026-01-01", "2026-01-01T00:00:00", "2026-01-01T24:00:00Z", "1700000000"),
                *("2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00+01:00", "now"),
                *("2026-01-01t00:00:00z", "2026-01-01T00:00:60Z", "0001-01-01T00:00:00%2B01:00"),
                *("2026-01-01T00:00:00.1234567890Z", "%D9%A2026-01-01T00:00:00Z"),
            )
        ),
        *(
            f"duration={value}"
            for value in (
                "",
                "1",
                "s",
                "1%20s",
                "-",
                "1e3s",
                "315576000001s",
                "9" * 5000 + "s",
                "1d",
            )
        ),
        *(f"mask={value}" for value in (",", "a,", "a..b", ".a", "a%20b", "a,,b", "%60a")),
        *(f"struct={value}" for value in ("", "[]", "1", "{", "{'a':1}", "%7B%22a%22:NaN%7D")),
        "struct=" + quote('{"a":1,"a":2}'),
        "value=" + "[" * 4000,
        "value=" + quote('{"a":' * 600),
        "value=1e400",
        "value=" + "1" * 5000,
        "list={}",
        "child=1",
        "child={}",
        "any=1",
        "empty=",
        "child_list=1",
        "value.number_value=NaN",
        "time.seconds=999999999999999",
        "duration.nanos=1000000000",
        "mask.paths=aB",
        "any.type_url=http://169.254.169.254/x",
        "int32_value=1;int64_value=2",
        "int32_value=1,2",
    ],
)
def test_value(catalogue: Catalogue, query: str) -> None:
    """A value that is not its field's type is refused; the answer names the key, not the value."""
    message = refused(catalogue, query)
    key, _, value = query.partition("=")

    assert message.startswith(f"{key}: ")
    assert len(value) < 20 or value not in message


@pytest.mark.parametrize(
    "query",
    [
        "string_value=%00",
        "string_value=a%00b",
        "string_value%00=a",
        "%00",
        "string_value=%ff",
        "string_value=%c0%af",
        "string_value=%ed%a0%80",
        "string_value=%f4%90%80%80",
        "%ff=1",
        "string_map[%ff]=1",
        "string_map[%00]=1",
        "string_value=%",
        "string_value=%4",
        "string_value=%zz",
        "string_value=%u0041",
        "%zz=1",
        "bytes_value=%00",
    ],
)
def test_bad_escape(catalogue: Catalogue, query: str) -> None:
    """What does not decode to UTF-8 without a NUL is refused, in keys as in values."""
    assert refused(catalogue, query).startswith("the query ")


def test_other_messages_are_not_told(catalogue: Catalogue) -> None:
    """A refusal tells nothing that another client sent."""
    catalogue.send(get("/query?string_value=seal"))

    assert "seal" not in refused(catalogue, "string_valeu=1")
