"""Bad and odd JSON bodies, through real sockets: what is read, and what is refused in little."""

from __future__ import annotations

import gzip
import re
import select
import socket
from pathlib import Path
from typing import Any

import pytest

from wire import Answer, Catalogue, check_status, request

JSON = "Content-Type: application/json"
ANY = "type.googleapis.com/google.protobuf.Any"
EVERYTHING = "type.googleapis.com/everything.v1.Everything"
BODY_LIMIT = 1 << 20
DOCS = (Path(__file__).parents[2] / "docs" / "json.md").read_text()


def post(document: bytes | str, *headers: str) -> bytes:
    """Return the bytes of a POST whose body is the whole request message."""
    body = document.encode() if isinstance(document, str) else document
    return request("POST", "/v1/items", *(headers or (JSON,)), body=body)


def read(catalogue: Catalogue, document: bytes | str) -> Any:
    """Send a document that is read; return what the message was."""
    answer, called = catalogue.send(post(document))
    assert (answer.status, called) == (200, "Create")
    return answer.json()


def refused(catalogue: Catalogue, document: bytes | str) -> str:
    """Send a document that is refused with 400; return what the client is told."""
    answer = catalogue.refused(post(document))
    assert answer.status == 400
    return str(answer.json()["message"])


def too_large(catalogue: Catalogue, document: bytes) -> str:
    """Send a document that is refused with 413; return what the client is told."""
    answer = catalogue.refused(post(document))
    assert answer.status == 413
    return str(answer.json()["message"])


# Depth


def children(depth: int) -> str:
    """Return a message in a message, so many of them below the outermost."""
    return '{"child":' * depth + "{}" + "}" * depth


def listed(depth: int) -> str:
    """Return messages as `children` does, each in a list."""
    return '{"childList":[' * depth + "{}" + "]}" * depth


def mapped(depth: int) -> str:
    """Return messages as `children` does, each in a map."""
    return '{"childMap":{"a":' * depth + "{}" + "}}" * depth


def arrays(depth: int) -> str:
    """Return a Value of arrays."""
    return '{"value":' + "[" * depth + "]" * depth + "}"


def objects(depth: int) -> str:
    """Return a Struct of objects."""
    return '{"struct":' + '{"a":' * depth + "1" + "}" * depth + "}"


def anys(depth: int) -> str:
    """Return an Any in an Any."""
    opened = f'{{"@type":"{ANY}","value":' * (depth - 1)
    return '{"any":' + opened + f'{{"@type":"{EVERYTHING}"}}' + "}" * depth


@pytest.mark.parametrize(
    "document",
    [
        *(children(50), children(98), children(99), listed(99), mapped(99)),
        *(arrays(48), arrays(49), objects(48), objects(49)),
        *(anys(2), anys(60), anys(97)),
    ],
)
def test_deep(catalogue: Catalogue, document: str) -> None:
    """100 messages nest, of which a Value counts each object and each array twice."""
    assert read(catalogue, document) is not None


@pytest.mark.parametrize(
    "document",
    [
        *(children(100), children(101), children(2000), children(50_000)),
        *(listed(100), listed(2000), mapped(100), mapped(2000)),
        *(arrays(50), arrays(2000), arrays(49_000), objects(50), objects(2000)),
        *(anys(100), anys(101), anys(300), anys(2000)),
        '{"nope":' + "[" * 2000 + "]" * 2000 + "}",  # also where no field is
        "[" * 2000 + "]" * 2000,
    ],
)
def test_too_deep(catalogue: Catalogue, document: str) -> None:
    """What nests deeper is refused, at little cost however deep it is."""
    told = refused(catalogue, document)

    assert "nested over 100 levels deep" in told or told == "expected an object, got an array"


@pytest.mark.parametrize(
    "document",
    [b"[" * 50_000, b'{"value":' + b"[" * 90_000, b'{"child":' * 50_000, b'{"value":[{' * 30_000],
)
def test_unclosed(catalogue: Catalogue, document: bytes) -> None:
    """Brackets that are never closed are refused where they are too deep, or end."""
    assert refused(catalogue, document).startswith("not JSON")


@pytest.mark.parametrize(
    "document",
    [
        b"[" * 100_000,
        b"[" * 1_000_000,
        b'{"value":' + b"[" * 400_000 + b"]" * 400_000 + b"}",
        b'{"child":' * 100_000,
        b'{"struct":' + b'{"a":' * 120_000 + b"}" * 120_001,
    ],
)
def test_a_million_deep(catalogue: Catalogue, document: bytes) -> None:
    """Depth beyond the number of values is refused by that number."""
    assert too_large(catalogue, document) == "the body holds over 100000 JSON values"


# Size


def repeated(field: str, value: bytes, times: int) -> bytes:
    """Return a list of the same value."""
    return b'{"%b":[%b]}' % (field.encode(), b",".join([value] * times))


def keyed(before: bytes, value: bytes, after: bytes, times: int) -> bytes:
    """Return an object of so many keys."""
    return before + b",".join(b'"%x":%b' % (key, value) for key in range(times)) + after


@pytest.mark.parametrize("times", [9_000, 90_000])
@pytest.mark.parametrize(
    ("field", "value"),
    [("int32List", b"1"), ("stringList", b'""'), ("valueList", b"1"), ("enumList", b'"RED"')],
)
def test_many_values(catalogue: Catalogue, field: str, value: bytes, times: int) -> None:
    """100,000 values are read without holding the loop; 10,000 of them are read on it."""
    assert len(read(catalogue, repeated(field, value, times))[field]) == times


def test_many_messages(catalogue: Catalogue) -> None:
    """So are messages, which cost more than numbers."""
    assert len(read(catalogue, repeated("childList", b"{}", 4_900))["childList"]) == 4_900
    assert len(read(catalogue, repeated("childList", b"{}", 40_000))["childList"]) == 40_000


@pytest.mark.parametrize("times", [9_000, 60_000])
def test_many_keys(catalogue: Catalogue, times: int) -> None:
    """So are the keys of a map."""
    document = keyed(b'{"stringMap":{', b'""', b"}}", times)

    assert len(read(catalogue, document)["stringMap"]) == times


@pytest.mark.parametrize(
    "document",
    [
        repeated("int32List", b"1", 500_000),
        repeated("int32List", b"1", 100_000),
        repeated("childList", b"{}", 200_000),
        repeated("childList", b"{}", 50_001),
        repeated("stringList", b'","', 150_000),
        keyed(b'{"stringMap":{', b'""', b"}}", 100_001),
        keyed(b"{", b"0", b"}", 100_001),
        b"," * 1_000_000,
        b"{" * 1_000_000,
        b"[{}" * 300_000,
    ],
)
def test_too_many_values(catalogue: Catalogue, document: bytes) -> None:
    """More values are refused before they are read."""
    assert too_large(catalogue, document) == "the body holds over 100000 JSON values"


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (keyed(b"{", b"0", b"}", 9_000), "0: no such field"),
        (keyed(b"{", b"0", b"}", 80_000), "0: no such field"),
        (repeated("childList", b'{"x":0}', 4_900), "childList[0].x: no such field"),
        (repeated("int32List", b"1", 9_000)[:-2] + b",x]}", None),
        (repeated("int32List", b"1", 90_000)[:-2] + b',"x"]}', None),
        (repeated("childList", b"{}", 4_900)[:-2] + b",1]}", None),
        (repeated("childList", b"{}", 40_000)[:-2] + b",1]}", None),
        (repeated("valueList", b'{"a":1}', 4_900)[:-2] + b",NaN]}", None),
        (repeated("timeList", b'"2026-01-31T12:00:00Z"', 9_000)[:-2] + b",1]}", None),
    ],
)
def test_many_values_and_one_wrong(catalogue: Catalogue, document: bytes, told: str | None) -> None:
    """One wrong value among many costs no more than they do, wherever it is."""
    message = refused(catalogue, document)

    assert told is None or message == told


@pytest.mark.parametrize("path", [b"a", b"aB", b"a.b"])
def test_too_many_paths(catalogue: Catalogue, path: bytes) -> None:
    """A mask is one value of JSON, and has a limit of its own."""
    text = b",".join([path] * 100_000)

    assert refused(catalogue, b'{"mask":"%b"}' % text) == "mask: a mask of over 10000 paths"


@pytest.mark.parametrize(
    "document",
    [
        b'{"bytesValue":"' + b"QUJD" * 250_000 + b'"}',
        b'{"bytesValue":"' + b"-_-_" * 250_000 + b'"}',
        b'{"stringValue":"' + b":" * 1_000_000 + b'"}',
        b'{"stringValue":"' + b'\\":' * 300_000 + b'"}',
        b'{"stringValue":"' + b"\\u0041" * 170_000 + b'"}',
        b'{"mask":"' + b"aB" * 400_000 + b'"}',
        b'{"doubleValue":0.' + b"1" * 1_000_000 + b"}",
        b'{"int64Value":1.' + b"0" * 1_000_000 + b"}",
        b" " * 1_000_000 + b"{}",
    ],
)
def test_one_long_value(catalogue: Catalogue, document: bytes) -> None:
    """One value as long as a body may be does not hold the loop."""
    assert read(catalogue, document) is not None


@pytest.mark.parametrize(
    ("before", "long", "after"),
    [
        ('{"bytesValue":"', "QUJD" * 250_000, '*"}'),
        ('{"int64Value":', "1" * 4301, "}"),
        ('{"int64Value":', "1" * 1_000_000, "}"),
        ('{"int64Value":"', "1" * 1_000_000, '"}'),
        ('{"int32Value":-', "1" * 1_000_000, "}"),
        ('{"doubleValue":', "1" * 1_000_000, "}"),
        ('{"doubleValue":"', "1" * 1_000_000, '"}'),
        ('{"value":', "1" * 4301, "}"),
        ('{"enumValue":"', "R" * 1_000_000, '"}'),
        ('{"enumValue":', "1" * 1_000_000, "}"),
        ('{"time":"', "2" * 1_000_000, '"}'),
        ('{"duration":"', "1" * 1_000_000, 's"}'),
        ('{"', "z" * 1_000_000, '":1}'),
        ('{"any":{"@type":"', "x/" * 500_000, '"}}'),
        ('{"intMap":{"', "1" * 1_000_000, '":1}}'),
        ('{"stringValue":"', "a" * 1_000_000, ""),
        ('{"stringValue":"', "\\" * 1_000_000, '\\"}'),
    ],
)
def test_one_long_wrong_value(catalogue: Catalogue, before: str, long: str, after: str) -> None:
    """One that is wrong does not either, and is not repeated to the client."""
    assert long[:200] not in refused(catalogue, before + long + after)


# The body on the wire


def head(*headers: str) -> bytes:
    """Return the head of a POST."""
    return request("POST", "/v1/items", JSON, *headers)


def text(size: int) -> bytes:
    """Return a document of so many bytes."""
    return b'{"stringValue":"' + b"a" * (size - 18) + b'"}'


def chunked(document: bytes, size: int = 1 << 16) -> bytes:
    """Return a document in chunks."""
    parts = [document[start : start + size] for start in range(0, len(document), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def check_too_large(answer: Answer) -> None:
    """Check that a body was refused for its size, and that its connection ended."""
    assert (answer.status, answer.closed) == (413, True)
    assert answer.json()["message"] == f"the body is over the limit of {BODY_LIMIT} bytes"


def test_body_of_the_limit(catalogue: Catalogue) -> None:
    """A body of just the limit is read, whether it tells its length or comes in chunks."""
    document = text(BODY_LIMIT)
    for raw in (post(document), head("Transfer-Encoding: chunked") + chunked(document)):
        answer, called = catalogue.send(raw)
        assert (answer.status, called) == (200, "Create")
        assert answer.body == document


@pytest.mark.parametrize("length", [BODY_LIMIT + 1, 100 << 20, 10**17, 10**18, 2**63])
@pytest.mark.parametrize("expects", [(), ("Expect: 100-continue",)])
def test_length_over_the_limit(catalogue: Catalogue, length: int, expects: tuple[str, ...]) -> None:
    """A Content-Length over the limit is refused without a byte of the body."""
    check_too_large(catalogue.refused(head(f"Content-Length: {length}", *expects)))


def test_body_over_the_limit(catalogue: Catalogue) -> None:
    """A client that sends on meanwhile is told as well."""
    check_too_large(catalogue.refused(post(text(BODY_LIMIT + 1))))


@pytest.mark.parametrize("size", [16, 1 << 10, 1 << 16])
def test_chunks_over_the_limit(catalogue: Catalogue, size: int) -> None:
    """Chunks are refused where they pass the limit."""
    raw = head("Transfer-Encoding: chunked") + chunked(text(BODY_LIMIT + 1), size)
    check_too_large(catalogue.refused(raw, limit=0.5))


def test_endless_chunks(catalogue: Catalogue) -> None:
    """Chunks without an end are refused as soon, and the connection ends."""
    chunk = b"10000\r\n%b\r\n" % (b" " * 0x10000)
    answer = catalogue.refused(head("Transfer-Encoding: chunked"), endless=chunk)

    check_too_large(answer)


def test_read_bound(catalogue: Catalogue) -> None:
    """Of a body without a length, the byte behind the limit decides; no more are waited for."""
    noted = catalogue.served.noted()
    wire = catalogue.wire()
    wire.send(head("Transfer-Encoding: chunked") + chunked(text(BODY_LIMIT))[: -len("0\r\n\r\n")])
    assert not wire.is_answered(within=0.3)

    wire.send(b"1\r\n \r\n")
    check_too_large(wire.answer())
    wire.close()
    assert catalogue.served.noted() == noted


@pytest.mark.parametrize("length", ["Transfer-Encoding: chunked", "Content-Length: 1000000000000"])
def test_nothing_is_kept_of_an_endless_body(catalogue: Catalogue, length: str) -> None:
    """A client that never stops sending is cut off, and no memory goes into what it sent."""
    catalogue.forget_peak()
    before = catalogue.peak_memory()
    wire = catalogue.wire()
    wire.send(head(length))
    sent = wire.send_until_cut(b"10000\r\n%b\r\n" % (b" " * 0x10000))
    wire.close()

    assert sent > 8 * BODY_LIMIT
    assert catalogue.peak_memory() - before < 4 * BODY_LIMIT
    catalogue.check_alive()


@pytest.mark.parametrize(
    "length", ["-1", "+2", "2, 2", "0x2", "2a", "", "1_0", "2.0", "٢", "9" * 30]
)
def test_what_is_no_length(catalogue: Catalogue, length: str) -> None:
    """A Content-Length that is no number is refused."""
    raw = b"POST /v1/items HTTP/1.1\r\nHost: localhost\r\nContent-Length: %b\r\n\r\n{}"
    answer = catalogue.refused(raw % length.encode())

    assert (answer.status, answer.closed) == (400, True)


def test_length_too_small(catalogue: Catalogue) -> None:
    """A body that is longer than it says is cut there, and what is left ends the connection."""
    wire = catalogue.wire()
    wire.send(head("Content-Length: 3") + b'{"stringValue":"a"}')
    answer = wire.answer()
    wire.close()

    check_status(answer)
    assert (answer.status, answer.closed) == (400, True)


def test_length_too_large(catalogue: Catalogue) -> None:
    """A body that ends before it has the length that it says reaches nobody."""
    noted = catalogue.served.noted()
    wire = catalogue.wire()
    wire.send(head("Content-Length: 20") + b"{}")
    wire.close()
    answer, called = catalogue.send(post("{}"))

    assert (answer.status, called) == (200, "Create")
    assert [name for name in catalogue.served.noted()[len(noted) :] if name != "Get"] == ["Create"]


# Values


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{"int32Value":1.0}', {"int32Value": 1}),
        ('{"int32Value":1e2}', {"int32Value": 100}),
        ('{"int32Value":"1e2"}', {"int32Value": 100}),
        ('{"int64Value":"9223372036854775807"}', {"int64Value": "9223372036854775807"}),
        ('{"int64Value":9007199254740993}', {"int64Value": "9007199254740993"}),
        ('{"int64Value":9007199254740992.0}', {"int64Value": "9007199254740992"}),
        ('{"doubleValue":"NaN"}', {"doubleValue": "NaN"}),
        ('{"value":"NaN"}', {"value": "NaN"}),
        ('{"value":null}', {"value": None}),
        ('{"stringValue":"\\u0000"}', {"stringValue": "\0"}),
        ('{"stringValue":"\x7f\u2028"}', {"stringValue": "\x7f\u2028"}),
        ('{"stringValue":"\\ud83d\\ude00"}', {"stringValue": "😀"}),
        ('{"string_value":"a"}', {"stringValue": "a"}),
        ('{"custom_name":"a"}', {"@custom": "a"}),
        ('{"bytesValue":"+/8="}', {"bytesValue": "+/8="}),
        ('{"bytesValue":"-_8="}', {"bytesValue": "+/8="}),
        ('{"bytesValue":"-_8"}', {"bytesValue": "+/8="}),
        ('{"bytesValue":""}', {}),
        ('{"enumValue":99}', {"enumValue": 99}),  # An open enum keeps what it does not know.
        ('{"enumValue":"RED"}', {"enumValue": "RED"}),
        ('{"choiceInt":1,"choiceString":null}', {"choiceInt": 1}),
        ('{"duration":"315576000000s"}', {"duration": "315576000000s"}),
        ('{"mask":"*"}', {"mask": "*"}),  # What a mask may say is the method's own to decide.
        ('{"any":{}}', {"any": {}}),
        (f'{{"any":{{"@type":"{EVERYTHING}"}}}}', {"any": {"@type": EVERYTHING}}),
        ("{}\n", {}),
        ("null", {}),
        (" null ", {}),
        ("", {}),
    ],
)
def test_what_is_read(catalogue: Catalogue, document: str, expected: Any) -> None:
    """JSON is read as the mapping has it; no body and `null` are an empty message."""
    assert read(catalogue, document) == expected


FLOATING = ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", '"1e400"', '"inf"', '" 1"', "true"]


@pytest.mark.parametrize("value", FLOATING)
@pytest.mark.parametrize("field", ["doubleValue", "floatValue", "doubleWrapper"])
def test_no_double(catalogue: Catalogue, field: str, value: str) -> None:
    """A number is one that the field can hold; the three that are none stand in quotes."""
    assert refused(catalogue, f'{{"{field}":{value}}}').startswith(f"{field}: expected a number")


@pytest.mark.parametrize("value", ["3.5e38", "-3.5e38", '"3.5e38"'])
def test_no_float(catalogue: Catalogue, value: str) -> None:
    """A float holds less than a double."""
    assert "that a float can hold" in refused(catalogue, f'{{"floatValue":{value}}}')


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
@pytest.mark.parametrize(
    "document", ['{"value":%s}', '{"struct":{"a":%s}}', '{"list":[1,%s]}', '{"value":{"a":[%s]}}']
)
def test_no_number_in_a_value(catalogue: Catalogue, document: str, number: str) -> None:
    """Nor does a Value hold what JSON has no word for."""
    assert "expected a number that a double can hold" in refused(catalogue, document % number)


INTEGERS = [
    *("1.5", "1e-1", "1e100", "1e1000000000", "NaN", "true", "[]", "{}", '""', '"+1"', '"1_000"'),
    *(
        '"٣"',
        '"\uff11"',
        '"²"',
        '" 1"',
        '"1 "',
        '"1\\n"',
        '"0x10"',
        '"01"',
        '"--1"',
        '"1e400"',
        '"x"',
    ),
]


@pytest.mark.parametrize("value", INTEGERS)
@pytest.mark.parametrize("field", ["int32Value", "uint64Value", "sfixed32Value", "int64Wrapper"])
def test_no_integer(catalogue: Catalogue, field: str, value: str) -> None:
    """An integer is spelled as JSON spells one, also in quotes."""
    told = refused(catalogue, f'{{"{field}":{value}}}')

    assert re.match(rf"{field}: expected an? (unsigned )?(32|64)-bit integer", told)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("int32Value", "2147483648"), ("int32Value", "-2147483649")),
        *(("int32Value", '"2147483648"'), ("int32List", "[2147483648]")),
        *(("int64Value", "9223372036854775808"), ("int64Value", "-9223372036854775809")),
        *(("uint32Value", "-1"), ("uint32Value", "4294967296"), ("uint64Value", "-1")),
        *(("uint64Value", "18446744073709551616"), ("fixed32Value", "-1")),
        *(("int64Value", "9007199254740993.0"), ("int64Value", '"9007199254740993.0"')),
    ],
)
def test_no_integer_of_this_size(catalogue: Catalogue, field: str, value: str) -> None:
    """An integer is one of its field's range, and never another that is near."""
    assert "integer" in refused(catalogue, f'{{"{field}":{value}}}')


@pytest.mark.parametrize("value", ["1", "0", '"true"', '"1"', "[]", "{}", '""'])
@pytest.mark.parametrize("field", ["boolValue", "boolWrapper"])
def test_no_boolean(catalogue: Catalogue, field: str, value: str) -> None:
    """A boolean is `true` or `false`."""
    assert "expected true or false" in refused(catalogue, f'{{"{field}":{value}}}')


@pytest.mark.parametrize(
    "value", ["1", "true", '"\\ud800"', '"\\udc00\\ud800"', '"a\\udfff"', "[]", '["a"]']
)
@pytest.mark.parametrize("field", ["stringValue", "stringWrapper", "choiceString"])
def test_no_string(catalogue: Catalogue, field: str, value: str) -> None:
    """A string is text of whole characters."""
    assert refused(catalogue, f'{{"{field}":{value}}}').startswith(f"{field}: ")


@pytest.mark.parametrize(
    "value", ["a*b=", "é", "Q Q=", "Q", "QQQQQ", "QQ=", "QQ===", "=QQ=", "QQ==\\n", "Q\\u0000=="]
)
@pytest.mark.parametrize("field", ["bytesValue", "bytesWrapper"])
def test_no_base64(catalogue: Catalogue, field: str, value: str) -> None:
    """Bytes are base64 of either alphabet, padded in full or not at all."""
    assert "expected base64" in refused(catalogue, f'{{"{field}":"{value}"}}')


@pytest.mark.parametrize(
    "value",
    [
        *('"BLUE"', '"red"', '"RED "', '""', '"+1"', "1.0", "true", "[]"),
        *("4294967296", "2147483648", "-2147483649"),
    ],
)
def test_no_enum(catalogue: Catalogue, value: str) -> None:
    """An enum's value is a name that it has or a 32-bit integer."""
    assert refused(catalogue, f'{{"enumValue":{value}}}').startswith("enumValue: ")


@pytest.mark.parametrize(
    "value",
    [
        *("0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z"),
        *("2026-12-31T23:59:60Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00"),
        *("2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00+01:60", "2026-01-01T00:00:00+1:00"),
        *("2026-01-01T00:00:00.1234567891Z", "2026-01-01T00:00:00.Z", "2026-01-0\u0661T00:00:00Z"),
        *("2026-01-01 00:00:00Z", "2026-01-01t00:00:00z", "2026-01-01", "2026-1-1T0:0:0Z", ""),
        *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-01-01T00:00:00Z "),
    ],
)
def test_no_time(catalogue: Catalogue, value: str) -> None:
    """A Timestamp is RFC 3339 with a zone, from year 1 to 9999."""
    assert refused(catalogue, f'{{"time":"{value}"}}').startswith("time: expected an RFC 3339")


@pytest.mark.parametrize(
    "value",
    [
        *("315576000001s", "-315576000001s", "1e3s", "--1s", "+1s", "1", "s", "-s", "", "1 s"),
        *(" 1s", "1.5S", "1.s", ".5s", "01s", "NaNs", "Infinitys", "0.0000000001s", "1m", "٣s"),
    ],
)
def test_no_duration(catalogue: Catalogue, value: str) -> None:
    """A Duration is seconds with at most nine digits behind the point, of 10,000 years at most."""
    assert refused(catalogue, f'{{"duration":"{value}"}}').startswith("duration: expected a dur")


@pytest.mark.parametrize("value", ['"a_b"', '"a,b_c"', "1", '["a"]', '{"paths":["a"]}', "true"])
def test_no_mask(catalogue: Catalogue, value: str) -> None:
    """A FieldMask is one text in lowerCamelCase."""
    assert "lowerCamelCase" in refused(catalogue, f'{{"mask":{value}}}')


@pytest.mark.parametrize("value", ["1", "true", "{}", "[]"])
@pytest.mark.parametrize("field", ["time", "duration"])
def test_no_text(catalogue: Catalogue, field: str, value: str) -> None:
    """What is written as a text is nothing else."""
    assert refused(catalogue, f'{{"{field}":{value}}}').startswith(f"{field}: expected ")


# Objects


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ('{"stringValue":"a","stringValue":"a"}', "given twice"),
        ('{"stringValue":"a","string_value":"a"}', "given twice"),
        ('{"stringValue":"a","string\\u0056alue":"a"}', "given twice"),
        ('{"stringValue":null,"string_value":"a"}', "given twice"),
        ('{"custom_name":"a","@custom":"a"}', "given twice"),
        ('{"child":{"int32Value":1,"int32Value":1}}', "given twice"),
        ('{"struct":{"a":1,"a":2}}', "names a key twice"),
        ('{"value":{"a":{"a":1,"a":2}}}', "names a key twice"),
        ('{"stringMap":{"a":"1","a":"2"}}', ""),
        ('{"intMap":{"1":1,"01":2}}', ""),
        ('{"intMap":{"1":1,"1.0":2}}', ""),
        ('{"intMap":{"x":1}}', ""),
        ('{"intMap":{"":1}}', ""),
        ('{"intMap":{"2147483648":1}}', ""),
        ('{"boolMap":{"1":"RED"}}', ""),
        ('{"boolMap":{"True":"RED"}}', ""),
        ('{"intMap":[]}', ""),
        ('{"choiceInt":1,"choiceString":"a"}', ""),
        ('{"choiceInt":0,"choiceChild":{}}', ""),
        ('{"child":{"choiceInt":1,"choiceString":"a"}}', ""),
        ('{"int32List":[null]}', "int32List[0]: "),
        ('{"childList":[{},null]}', "childList[1]: "),
        ('{"valueList":null}', "valueList: expected an array, got null"),
        ('{"stringMap":{"a":null}}', "stringMap.a: "),
        ('{"childMap":{"a":null}}', "childMap.a: "),
        ('{"child":[]}', "child: expected an object, got an array"),
        ('{"child":"x"}', "child: expected an object, got a string"),
        ('{"child":""}', "child: expected an object, got a string"),
        ('{"child":5}', "child: expected an object, got a number"),
        ('{"child":false}', "child: expected an object, got a boolean"),
        ('{"empty":[]}', "empty: expected an object, got an array"),
        ('{"struct":[]}', ""),
        ('{"list":{}}', ""),
        ("[]", "expected an object, got an array"),
        ("[{}]", "expected an object, got an array"),
        ("5", "expected an object, got a number"),
        ('"x"', "expected an object, got a string"),
        ("true", "expected an object, got a boolean"),
    ],
)
def test_no_object(catalogue: Catalogue, document: str, told: str) -> None:
    """An object names each key once, and only an object is one."""
    assert told in refused(catalogue, document)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("nope", "nope: no such field"),
        ("stringvalue", "stringvalue: no such field; did you mean stringValue?"),
        ("StringValue", "StringValue: no such field; did you mean stringValue?"),
        ("STRING_VALUE", None),
        ("int32Valeu", "int32Valeu: no such field; did you mean int32Value?"),
        ("__proto__", "__proto__: no such field"),
        ("constructor", None),
        ("DESCRIPTOR", "DESCRIPTOR: no such field"),
        ("SerializeToString", None),
        ("child.int32Value", None),
        ("[a.b.c]", None),
        ("", None),
        ("z" * 10_000, None),
        ("\\u001b[31m", None),
        ("\\r\\nX: 1", None),
        ("\\ud800", None),
    ],
)
def test_no_field(catalogue: Catalogue, key: str, told: str | None) -> None:
    """A key that names no field is told in little, with the nearest name and no other."""
    message = refused(catalogue, f'{{"{key}":1}}')

    assert told is None or message == told
    assert len(message) < 256


@pytest.mark.parametrize(
    "content",
    [
        *(
            '{"value":1}',
            '{"@type":""}',
            '{"@type":5}',
            '{"@type":null}',
            '{"@type":[]}',
            "[]",
            "5",
        ),
        '{"@type":"type.googleapis.com/no.Such"}',
        '{"@type":"type.googleapis.com/everything.v1.Color"}',
        '{"@type":"type.googleapis.com//everything.v1.Everything"}',
        '{"@type":"TYPE.googleapis.com/everything.v1.Everything"}',
        '{"@type":"everything.v1.Everything"}',
        '{"@type":"/everything.v1.Everything"}',
        '{"@type":"http://169.254.169.254/everything.v1.Everything"}',
        '{"@type":"https://type.googleapis.com/everything.v1.Everything"}',
        '{"@type":"file:///etc/passwd"}',
        f'{{"@type":"{EVERYTHING}","nope":1}}',
        f'{{"@type":"{EVERYTHING}","int32Value":"x"}}',
        f'{{"@type":"{EVERYTHING}","@type":"{EVERYTHING}"}}',
    ],
)
def test_no_any(catalogue: Catalogue, content: str) -> None:
    """An Any is of a known type under one host, which is a name and never asked."""
    assert refused(catalogue, f'{{"any":{content}}}').startswith("any")


def test_no_type_is_fetched(catalogue: Catalogue) -> None:
    """A type URL that names a server opens no connection to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/everything.v1.Everything"
        refused(catalogue, f'{{"any":{{"@type":"{url}"}}}}')

        assert select.select([server], [], [], 0)[0] == []


# Text


@pytest.mark.parametrize(
    "document",
    [
        *(
            " ",
            "\n\t",
            "nul",
            "None",
            "{",
            "[",
            '"',
            '{"',
            "\\",
            "\0",
            "{}x",
            "{} {}",
            "{},",
            "{}}",
        ),
        *("{}\0", "{}//x", "{'stringValue':'a'}", '{stringValue:"a"}', '{"stringValue":"a",}'),
        *('{"stringValue":"a"/*x*/}', '{"int32List":[1,]}', '{"int32List":[,1]}', "{,}"),
        *('{"int32Value":01}', '{"int32Value":0x10}', '{"int32Value":.5}', '{"int32Value":1.}'),
        *('{"int32Value":+1}', '{"boolValue":True}', '{"child":}', '{"child"}', '{"child" {}}'),
        *('{"stringValue":"\x01"}', '{"stringValue":"\n"}', '{"stringValue":"\t"}'),
        *('{"stringValue":"\\x41"}', '{"stringValue":"\\u00"}', '{"stringValue":"a'),
        *("\ufeff{}", "\xa0{}", "<a/>", "string_value: 'a'"),
    ],
)
def test_no_json(catalogue: Catalogue, document: str) -> None:
    """JSON is that of RFC 8259, one value of it; where it ends to be is told."""
    assert re.match(r"not JSON: line \d, column \d+: ", refused(catalogue, document))


@pytest.mark.parametrize(
    "document",
    [
        b'{"stringValue":"\xff"}',
        b'{"stringValue":"\xc0\xaf"}',
        b'{"stringValue":"\xed\xa0\x80"}',
        b'{"stringValue":"\xf4\x90\x80\x80"}',
        b'{"stringValue":"\xc3"}',
        b'{"\xff":1}',
        b'{"stringValue":"' + b"a" * 1_000_000 + b'\xff"}',
        "{}".encode("utf-16"),
        "{}".encode("utf-32"),
        '{"stringValue":"ä"}'.encode("latin-1"),
    ],
)
def test_no_utf8(catalogue: Catalogue, document: bytes) -> None:
    """JSON is in UTF-8; the first byte that is not is told by its place."""
    told = refused(catalogue, document)

    assert told.startswith("the JSON is not UTF-8: bad byte at offset ")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text(catalogue: Catalogue, encoding: str) -> None:
    """Other encodings of Unicode are not guessed."""
    assert refused(catalogue, '{"stringValue":"a"}'.encode(encoding)).startswith("not JSON")


# Media types


@pytest.mark.parametrize(
    "headers",
    [
        ["X: no type"],
        ["Content-Type:"],
        ["Content-Type: application/json; charset=utf-8"],
        ['Content-Type: application/json;charset="UTF-8"'],
        ["Content-Type: APPLICATION/JSON"],
        ["Content-Type: application/vnd.api+json"],
        [JSON, "Content-Encoding: identity"],
        [JSON, "Content-Encoding:"],
    ],
)
def test_media_type(catalogue: Catalogue, headers: list[str]) -> None:
    """A body is JSON in UTF-8 by any of its types, or without one where the profile says so."""
    answer, called = catalogue.send(post('{"stringValue":"a"}', *headers))

    assert (answer.status, called) == (200, "Create")
    assert answer.json() == {"stringValue": "a"}


@pytest.mark.parametrize(
    "media_type",
    [
        *("text/plain", "text/json", "application/jsonx", "application/grpc", "*/*", "json"),
        *(
            "application/json, text/plain",
            '"application/json"',
            "application/x-www-form-urlencoded",
        ),
        *("multipart/form-data", "multipart/form-data; boundary=x", "application/octet-stream"),
        *("application/json; charset=utf-16", "application/json; charset=utf-7", "x" * 4000),
        *("application/json; charset=latin1", 'application/json; charset = "utf-16"', "\xff"),
    ],
)
@pytest.mark.parametrize("document", ['{"stringValue":"a"}', "null"])
def test_other_media_type(catalogue: Catalogue, media_type: str, document: str) -> None:
    """Any other type is refused, which says what to send."""
    answer = catalogue.refused(post(document, f"Content-Type: {media_type}"))

    assert answer.status == 415
    assert "application/json" in answer.json()["message"]


BOMB = gzip.compress(gzip.compress(b" " * 10_000_000) * 10)


@pytest.mark.parametrize(
    "coding",
    [
        *("gzip", "GZIP", "x-gzip", "zstd", "br", "deflate", "gzip, gzip", "identity, gzip"),
        *("none", "aws-chunked", "gzip, identity"),
    ],
)
@pytest.mark.parametrize("document", [b"{}", gzip.compress(b"{}", mtime=0), BOMB])
def test_compressed(catalogue: Catalogue, coding: str, document: bytes) -> None:
    """A compressed body is refused without a look, and what would be taken is told."""
    answer = catalogue.refused(post(document, JSON, f"Content-Encoding: {coding}"))

    assert answer.status == 415
    assert answer.headers["accept-encoding"] == "identity"


def test_compressed_in_a_second_header(catalogue: Catalogue) -> None:
    """Content-Encoding may come twice."""
    encodings = ["Content-Encoding: identity", "Content-Encoding: gzip"]

    assert catalogue.refused(post("{}", JSON, *encodings)).status == 415


@pytest.mark.parametrize(
    "told", ["1 MiB", "4,000 JSON values", "100,000", "10,000 paths", "100 messages", "413"]
)
def test_limits_are_told(told: str) -> None:
    """What a body may be is in the documentation."""
    limits = DOCS.partition("## Depth")[2]

    assert told in limits
