from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import cut, outcome, parts
from transcoder.errors import StatusError
from transcoder.json_stream import DEPTH_LIMIT, JsonCutter
from transcoder.status import Code


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b" \r\n\t", []),
        (b'{"a": 1}', [b'{"a": 1}']),
        (b'{"a": 1}\n{"b": 2}\n', [b'{"a": 1}', b'{"b": 2}']),
        (b'\n{"a":1}{"b":2} \r\n {}', [b'{"a":1}', b'{"b":2}', b"{}"]),
        (b'{\n "a": [1,\n {"b": []}]\n}\n{}', [b'{\n "a": [1,\n {"b": []}]\n}', b"{}"]),
        (b'{"a": "}{"}{"b\\"}": "\\\\"}', [b'{"a": "}{"}', b'{"b\\"}": "\\\\"}']),
        (b'"a""}\\"" "c"', [b'"a"', b'"}\\""', b'"c"']),
        (b"1 -2.5e3\ntrue null", [b"1", b"-2.5e3", b"true", b"null"]),
        (b'1{"a":1}2"x"3', [b"1", b'{"a":1}', b"2", b'"x"', b"3"]),
        (b'{"a": "\xc3\xbc"}', [b'{"a": "\xc3\xbc"}']),
        # Brackets are counted, not compared: the decoder of the value does that.
        (b'{"a": 1]{}', [b'{"a": 1]', b"{}"]),
        # One array: what is in it.
        (b"[]", []),
        (b" [ ] ", []),
        (b"[1]", [b"1"]),
        (b'[{"a": 1},{"b": 2}]', [b'{"a": 1}', b'{"b": 2}']),
        (b' [\n{"a": 1}\n,\n{"b": 2}\n]\n', [b'{"a": 1}', b'{"b": 2}']),
        (b'[[1, 2], "],", [], null]', [b"[1, 2]", b'"],"', b"[]", b"null"]),
        # A value like any other, when it is not the first.
        (b"1 [2, 3]", [b"1", b"[2, 3]"]),
    ],
)
def test_values(data: bytes, expected: list[bytes]) -> None:
    """Values are cut alike from the whole body and from each byte of it."""
    assert expected == cut(JsonCutter(), data)
    assert expected == cut(JsonCutter(), *parts(data, range(len(data))))


@pytest.mark.parametrize(
    ("data", "before", "problem"),
    [
        (b"x", 0, "[0]: expected a JSON value"),
        (b"{}\n}", 1, "[1]: expected a JSON value"),
        (b"{},{}", 1, "[1]: expected a JSON value"),
        (b"\xef\xbb\xbf{}", 0, "[0]: expected a JSON value"),  # a byte order mark
        (b"\x00", 0, "[0]: expected a JSON value"),
        (b"[,1]", 0, "[0]: expected a JSON value"),
        (b"[1,,2]", 1, "[1]: expected a JSON value"),
        (b"[1,]", 1, "[1]: expected a JSON value"),
        (b"[1}", 1, "[1]: expected a comma before it"),
        (b"[{}{}]", 1, "[1]: expected a comma before it"),
        (b"[1 2]", 1, "[1]: expected a comma before it"),
        (b"[1] 2", 1, "[1]: nothing may follow the array"),
        (b"[][]", 0, "[0]: nothing may follow the array"),
        (b"[1", 0, "[0]: the body ends inside of this message, or before it"),
        (b"[", 0, "[0]: the body ends inside of this message, or before it"),
        (b"[{},", 1, "[1]: the body ends inside of this message, or before it"),
        (b"[{}", 1, "[1]: the body ends inside of this message, or before it"),
        (b'{} {"a": ', 1, "[1]: the body ends inside of this message, or before it"),
        (b'{"a": "}', 0, "[0]: the body ends inside of this message, or before it"),
        (b'"a\\"', 0, "[0]: the body ends inside of this message, or before it"),
        (b"{}" + b"[" * 101, 1, f"[1]: over {DEPTH_LIMIT} levels"),
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_malformed(data: bytes, before: int, problem: str, step: int) -> None:
    """What is wrong is told with the number of its message, behind the messages before it."""
    found, refusal = outcome(JsonCutter(), parts(data, range(0, len(data), step)))

    assert (len(found), refusal) == (before, problem)


def test_depth() -> None:
    """A value may have as many levels as any JSON body."""
    data = b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT

    assert cut(JsonCutter(), b"0" + data) == [b"0", data]


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("value", [b'"' + b"x" * 8 + b'"', b'{"a":[34]}', b"1234567890"])
def test_limit(value: bytes, step: int) -> None:
    """A value of the limit is taken, one that is longer by a byte is a 413."""
    assert cut(JsonCutter(10), b"1 ", *parts(value, range(0, 10, step))) == [b"1", value]
    with pytest.raises(StatusError) as error:
        cut(JsonCutter(9), b"1 ", *parts(value, range(0, 10, step)))
    assert error.value.http == 413
    assert error.value.status.code is Code.RESOURCE_EXHAUSTED
    assert error.value.status.message == "[1]: this message is over the limit of 9 bytes"


def test_limit_of_what_is_incomplete() -> None:
    """A value that never ends is refused when the limit is reached, not held."""
    cutter = JsonCutter(1000)
    list(cutter.feed(b'{"a": "' + b"x" * 990))
    with pytest.raises(StatusError):
        list(cutter.feed(b"xxxx"))


def test_blanks_are_not_held() -> None:
    """However many blanks are between values, none counts."""
    assert cut(JsonCutter(2), b"1", *[b" \n" * 1000] * 100, b"2") == [b"1", b"2"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a"\\{}[],:ü \n\u2028'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
DUMPS: Sequence[Callable[[object], str]] = (
    json.dumps,
    lambda value: json.dumps(value, ensure_ascii=False, indent=1),
    lambda value: json.dumps(value, separators=(",", ":")),
)


@given(st.lists(JSON), st.sampled_from(DUMPS), st.lists(st.integers(0, 10_000)))
def test_any_cuts_of_an_array(
    values: list[object], dumps: Callable[[object], str], cuts: list[int]
) -> None:
    """An array gives its elements, wherever its parts are cut."""
    data = dumps(values).encode()
    found = cut(JsonCutter(), *parts(data, cuts))

    assert values == [json.loads(each) for each in found]
    assert found == cut(JsonCutter(), data)


@given(
    st.lists(JSON),
    st.sampled_from(DUMPS),
    st.sampled_from(["\n", " ", "\r\n", "\n\n"]),
    st.lists(st.integers(0, 10_000)),
)
def test_any_cuts_of_lines(
    values: list[object], dumps: Callable[[object], str], between: str, cuts: list[int]
) -> None:
    """Values behind one another are told apart, wherever the parts are cut."""
    # An array as the first of them would be the one array.
    values = [0, *values]
    data = between.join(map(dumps, values)).encode()

    assert values == [json.loads(each) for each in cut(JsonCutter(), *parts(data, cuts))]


@given(
    st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=3), max_size=9),
    st.lists(st.integers(0, 10_000)),
)
def test_any_cuts_of_objects(values: list[object], cuts: list[int]) -> None:
    """Objects need nothing between them."""
    data = "".join(map(json.dumps, values)).encode()

    assert values == [json.loads(each) for each in cut(JsonCutter(), *parts(data, cuts))]


@given(st.binary(max_size=60) | st.text('[]{}",\\1 ').map(str.encode), st.lists(st.integers(0, 60)))
def test_any_bytes(data: bytes, cuts: list[int]) -> None:
    """Whatever comes, the messages and the refusal are the same wherever it is cut."""
    assert outcome(JsonCutter(16), [data]) == outcome(JsonCutter(16), parts(data, cuts))
