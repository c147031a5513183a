"""The rules of the protobuf language guide, section "ProtoJSON format", one row each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message

from json_cases import message_class, protos
from transcoder.errors import InvalidRequest
from transcoder.protojson import from_json, to_json

ALONE = "kinds.v1.Alone"
LISTS = "kinds.v1.Lists"
MAPS = "kinds.v1.Maps"
EVERY = "everything.v1.Everything"


def message(name: str, text: str) -> Message:
    """Return a message from its text format."""
    return text_format.Parse(text, message_class(name)(), descriptor_pool=protos())


BOTH: list[tuple[str, str, Any]] = [
    (ALONE, "", {}),
    (ALONE, "one_alone { int32: 1 }", {"oneAlone": {"int32": 1}}),
    (ALONE, "one_alone {}", {"oneAlone": {}}),
    (ALONE, "side: LEFT", {"side": "LEFT"}),  # the first of two names
    (ALONE, "side: RIGHT", {"side": "RIGHT"}),
    (ALONE, "side: 99", {"side": 99}),
    (ALONE, "bool: true", {"bool": True}),
    (ALONE, "maybe_bool: false", {"maybeBool": False}),
    (ALONE, 'string: "Hello, \\303\\251\\000"', {"string": "Hello, é\0"}),
    (ALONE, 'bytes: "\\373\\377\\000"', {"bytes": "+/8A"}),
    (ALONE, "int32: -2147483648", {"int32": -(2**31)}),
    (ALONE, "uint32: 4294967295", {"uint32": 2**32 - 1}),
    (ALONE, "int64: 9223372036854775807", {"int64": "9223372036854775807"}),
    (ALONE, "int64: -9223372036854775808", {"int64": "-9223372036854775808"}),
    (ALONE, "uint64: 18446744073709551615", {"uint64": "18446744073709551615"}),
    (ALONE, "double: 1.1", {"double": 1.1}),
    (ALONE, "double: -0.0", {"double": -0.0}),  # not the default, so printed
    (ALONE, "float: -0.0", {"float": -0.0}),
    (ALONE, "maybe_double: 0", {"maybeDouble": 0.0}),
    (ALONE, "double: nan", {"double": "NaN"}),
    (ALONE, "double: inf", {"double": "Infinity"}),
    (ALONE, "float: -inf", {"float": "-Infinity"}),
    (ALONE, "float: 0.1", {"float": 0.1}),  # the shortest form of the float32
    (ALONE, "float: 16777216", {"float": 16777216.0}),
    (ALONE, "float: 123456.7", {"float": 123456.7}),
    (ALONE, "float: 1e-45", {"float": 1.4013e-45}),  # of at least 6 digits
    (ALONE, "maybe_null: NULL_VALUE", {"maybeNull": None}),
    (ALONE, "one_null: NULL_VALUE", {"oneNull": None}),
    (ALONE, "one_value { null_value: NULL_VALUE }", {"oneValue": None}),
    (ALONE, "one_empty {}", {"oneEmpty": {}}),
    (ALONE, 'one_string: ""', {"oneString": ""}),
    (LISTS, 'strings: "a" strings: ""', {"strings": ["a", ""]}),
    (LISTS, "int64s: 1 int64s: -1", {"int64s": ["1", "-1"]}),
    (LISTS, "doubles: nan doubles: 1.5", {"doubles": ["NaN", 1.5]}),
    (LISTS, "floats: 0.1 floats: inf", {"floats": [0.1, "Infinity"]}),
    (LISTS, "bools: true bools: false", {"bools": [True, False]}),
    (LISTS, "sides: RIGHT sides: 7", {"sides": ["RIGHT", 7]}),
    (LISTS, 'byteses: "a" byteses: ""', {"byteses": ["YQ==", ""]}),
    (LISTS, "values { null_value: NULL_VALUE }", {"values": [None]}),
    (LISTS, "wrapped {} wrapped { value: 1 }", {"wrapped": ["0", "1"]}),
    (MAPS, 'by_int32 { key: -1 value: "a" }', {"byInt32": {"-1": "a"}}),
    (MAPS, "by_uint64 { key: 18446744073709551615 value: 1 }", {"byUint64": {str(2**64 - 1): "1"}}),
    (MAPS, "by_bool { key: true value: false }", {"byBool": {"true": False}}),
    (MAPS, "by_bool { key: false value: true }", {"byBool": {"false": True}}),
    (MAPS, 'by_string { key: "" value: 1 }', {"byString": {"": "1"}}),
    (MAPS, 'sides { key: "a" value: RIGHT }', {"sides": {"a": "RIGHT"}}),
    (MAPS, 'values { key: "a" value { bool_value: true } }', {"values": {"a": True}}),
    (MAPS, 'maps { key: "a" value {} }', {"maps": {"a": {}}}),
    (EVERY, "int32_wrapper {}", {"int32Wrapper": 0}),
    (EVERY, "bool_wrapper {}", {"boolWrapper": False}),
    (EVERY, "uint64_wrapper { value: 1 }", {"uint64Wrapper": "1"}),
    (EVERY, "double_wrapper { value: -inf }", {"doubleWrapper": "-Infinity"}),
    (EVERY, 'bytes_wrapper { value: "a" }', {"bytesWrapper": "YQ=="}),
    (EVERY, "struct {}", {"struct": {}}),
    (
        EVERY,
        'struct { fields { key: "a" value { number_value: 1 } } }',
        {"struct": {"a": 1.0}},
    ),
    (EVERY, "list { values { list_value {} } }", {"list": [[]]}),
    (EVERY, "value { struct_value {} }", {"value": {}}),
    (EVERY, "any {}", {"any": {}}),
    (
        EVERY,
        "any { [type.googleapis.com/google.protobuf.Duration] { seconds: 1 } }",
        {"any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}},
    ),
    (
        EVERY,
        "any { [type.googleapis.com/kinds.v1.Alone] { int32: 1 } }",
        {"any": {"@type": "type.googleapis.com/kinds.v1.Alone", "int32": 1}},
    ),
    (EVERY, 'mask { paths: "a_b.c" paths: "d" }', {"mask": "aB.c,d"}),
    (EVERY, "mask {}", {"mask": ""}),
    (EVERY, 'custom_name: "a"', {"@custom": "a"}),
    (EVERY, 'class: "a"', {"class": "a"}),  # a keyword of Python's
    ("legacy.v1.Legacy", 'name: "a" number: 7', {"name": "a", "number": 7}),
    ("legacy.v1.Legacy", 'Inner { text: "a" }', {"inner": {"text": "a"}}),
    (
        "legacy.v1.Legacy",
        '[extensions.v1.count]: 1 [extensions.v1.words]: "a"',
        {"[extensions.v1.count]": "1", "[extensions.v1.words]": ["a"]},
    ),
    ("extensions.v1.Groups", "Item { id: 1 }", {"item": [{"id": "1"}]}),
    ("edition.v1.Edition", 'explicit: "" implicit: "a"', {"explicit": "", "implicit": "a"}),
    ("edition.v1.Edition", "closed: CLOSED_ONE", {"closed": "CLOSED_ONE"}),
    ("edition.v1.Edition", 'delimited { implicit: "a" }', {"delimited": {"implicit": "a"}}),
]


@pytest.mark.parametrize(("name", "text", "tree"), BOTH)
def test_both_ways(name: str, text: str, tree: Any) -> None:
    """A message and its JSON make each other."""
    wanted = message(name, text)
    data = to_json(wanted, pool=protos())

    assert json.dumps(tree, sort_keys=True) == json.dumps(json.loads(data), sort_keys=True)
    assert str(wanted) == str(from_json(data, message_class(name), pool=protos()))


TAKEN: list[tuple[str, str, str]] = [
    (ALONE, '{"oneInt32": null, "oneString": "a"}', 'one_string: "a"'),
    (ALONE, '{"maybeInt32": null}', ""),
    (ALONE, '{"maybe_int32": 0}', "maybe_int32: 0"),
    (ALONE, '{"nullValue": null}', ""),
    (ALONE, '{"maybeNull": "NULL_VALUE"}', "maybe_null: NULL_VALUE"),
    (ALONE, '{"side": "LINKS"}', "side: LEFT"),
    (ALONE, '{"side": -1}', "side: RIGHT"),
    (ALONE, '{"side": "1"}', "side: LEFT"),  # as json_format has it
    (ALONE, '{"int32": "1"}', "int32: 1"),
    (ALONE, '{"int32": 1.0}', "int32: 1"),
    (ALONE, '{"int32": 1e2}', "int32: 100"),
    (ALONE, '{"int32": "1e2"}', "int32: 100"),
    (ALONE, '{"int64": 1}', "int64: 1"),
    (ALONE, '{"int64": 1e18}', "int64: 1000000000000000000"),  # a double holds it
    (ALONE, '{"uint64": 18446744073709551615}', "uint64: 18446744073709551615"),
    (ALONE, '{"double": 1}', "double: 1"),
    (ALONE, '{"double": -0}', ""),  # an integer, so no negative zero
    (ALONE, '{"double": "1.5"}', "double: 1.5"),
    (ALONE, '{"double": 18446744073709551616}', "double: 18446744073709551616"),
    (ALONE, '{"double": 1e-400}', ""),
    (ALONE, '{"float": 3.4028234663852886e38}', "float: 3.4028234663852886e38"),
    (ALONE, '{"bytes": "-_8"}', 'bytes: "\\373\\377"'),
    (ALONE, '{"bytes": "-_8="}', 'bytes: "\\373\\377"'),
    (ALONE, '{"bytes": "+/8"}', 'bytes: "\\373\\377"'),
    (ALONE, '{"bytes": "QQ"}', 'bytes: "A"'),
    (ALONE, '{"string": "\\ud83d\\ude00"}', 'string: "\\360\\237\\230\\200"'),
    (ALONE, ' {\n"string"\t:\r"a:b\\":"} ', 'string: "a:b\\":"'),
    (LISTS, '{"strings": null}', ""),
    (LISTS, '{"doubles": [1, 1.5]}', "doubles: 1 doubles: 1.5"),
    (LISTS, '{"int64s": ["1", 2]}', "int64s: 1 int64s: 2"),
    (MAPS, '{"byInt32": null}', ""),
    (MAPS, '{"byInt32": {"1.0": "a"}}', 'by_int32 { key: 1 value: "a" }'),
    (EVERY, '{"time": null}', ""),
    (EVERY, '{"time": "0001-01-01T00:00:00Z"}', "time { seconds: -62135596800 }"),
    (
        EVERY,
        '{"time": "9999-12-31T23:59:59.999999999Z"}',
        "time { seconds: 253402300799 nanos: 999999999 }",
    ),
    (EVERY, '{"time": "1970-01-01T00:00:00.1Z"}', "time { nanos: 100000000 }"),
    (EVERY, '{"time": "1970-01-01T23:59:00+23:59"}', "time {}"),
    (EVERY, '{"time": "1969-12-31T23:00:00-01:00"}', "time {}"),
    (EVERY, '{"duration": "-0.5s"}', "duration { nanos: -500000000 }"),
    (EVERY, '{"duration": "315576000000s"}', "duration { seconds: 315576000000 }"),
    (EVERY, '{"mask": "*"}', 'mask { paths: "*" }'),
    (EVERY, '{"value": 9007199254740993}', "value { number_value: 9007199254740992 }"),
    (
        EVERY,
        '{"value": [{}, null]}',
        "value { list_value { values { struct_value {} } values { null_value: NULL_VALUE } } }",
    ),
    (EVERY, '{"int32Wrapper": null}', ""),
    (
        EVERY,
        '{"any": {"value": null, "@type": "type.googleapis.com/google.protobuf.Value"}}',
        "any { [type.googleapis.com/google.protobuf.Value] { null_value: NULL_VALUE } }",
    ),
]


@pytest.mark.parametrize(("name", "data", "text"), TAKEN)
def test_taken(name: str, data: str, text: str) -> None:
    """JSON that is not printed this way, and is read."""
    read = from_json(data.encode(), message_class(name), pool=protos())

    assert str(message(name, text)) == str(read)


REFUSED = [
    (ALONE, '{"string": "\\ud800"}'),
    (ALONE, '{"string": "\\udc00\\ud800"}'),
    (MAPS, '{"byString": {"\\ud800": "1"}}'),
    (ALONE, '{"String": "a"}'),
    (ALONE, '{"int32": 2147483648}'),
    (ALONE, '{"uint32": -1}'),
    (ALONE, '{"int64": 9223372036854775808}'),
    (ALONE, '{"uint64": "18446744073709551616"}'),
    (ALONE, '{"int32": 1.5}'),
    (ALONE, '{"int32": true}'),
    (ALONE, '{"bool": 1}'),
    (ALONE, '{"bool": "true"}'),
    (ALONE, '{"double": 1e400}'),
    (ALONE, '{"double": NaN}'),
    (ALONE, '{"double": "nan"}'),
    (ALONE, '{"float": 3.5e38}'),
    (ALONE, '{"bytes": "Q"}'),
    (ALONE, '{"bytes": "QQ==QQ=="}'),
    (ALONE, '{"side": "left"}'),
    (ALONE, '{"side": 2147483648}'),
    (ALONE, '{"oneInt32": 1, "oneString": "a"}'),
    (ALONE, '{"int32": 1, "int32": 1}'),
    (ALONE, '{"int32": 1, "\\u0069nt32": 2}'),
    (ALONE, '{"int32" : 1, "int32" :2}'),
    (ALONE, '{"string": "::", "int32": 1, "int32": 1}'),
    (LISTS, '{"strings": [null]}'),
    (LISTS, '{"strings": "ab"}'),
    (LISTS, '{"strings": {"a": 1}}'),
    (LISTS, '{"doubles": [true]}'),
    (LISTS, '{"doubles": [' + "1.5, " * 50 + "true]}"),
    (LISTS, '{"doubles": [' + "1.5, " * 50 + '"a"]}'),
    (LISTS, '{"doubles": [' + "1.5, " * 50 + '"1.5 "]}'),
    (LISTS, '{"int64s": ["1,2", "3"]}'),
    (LISTS, '{"int64s": [' + '"1", ' * 40 + '" 1"]}'),
    (LISTS, '{"int64s": [' + '"1", ' * 40 + '"1,1"]}'),
    (LISTS, '{"int64s": [' + '"1", ' * 40 + '"[1", "1]"]}'),
    (LISTS, '{"bools": [1]}'),
    (LISTS, '{"alones": [null]}'),
    (LISTS, '{"wrapped": [null]}'),
    (MAPS, '{"byBool": {"True": true}}'),
    (MAPS, '{"byInt32": {"x": "a"}}'),
    (MAPS, '{"maps": {"a": null}}'),
    (MAPS, '{"byInt32": []}'),
    (EVERY, '{"time": "0000-01-01T00:00:00Z"}'),
    (EVERY, '{"time": "10000-01-01T00:00:00Z"}'),
    (EVERY, '{"time": "0001-01-01T00:00:00+00:01"}'),
    (EVERY, '{"time": "9999-12-31T23:59:59-00:01"}'),
    (EVERY, '{"time": "2026-02-30T00:00:00Z"}'),
    (EVERY, '{"time": "2026-01-31T23:59:60Z"}'),
    (EVERY, '{"time": "2026-01-31T24:00:00Z"}'),
    (EVERY, '{"time": "2026-01-31T12:00:00"}'),
    (EVERY, '{"time": "2026-01-31T12:00:00.1234567891Z"}'),
    (EVERY, '{"time": "2026-01-31t12:00:00z"}'),
    (EVERY, '{"time": 5}'),
    (EVERY, '{"duration": "315576000001s"}'),
    (EVERY, '{"duration": "1"}'),
    (EVERY, '{"duration": "1e3s"}'),
    (EVERY, '{"duration": "--1s"}'),
    (EVERY, '{"mask": "a_b"}'),
    (EVERY, '{"mask": 5}'),
    (EVERY, '{"any": {"@type": "type.googleapis.com/no.Such"}}'),
    (EVERY, '{"any": {"@type": ""}}'),
    (EVERY, '{"any": {"@type": 5}}'),
    (EVERY, '{"any": {"a": 5}}'),
    (EVERY, '{"any": {"@type": "type.googleapis.com/legacy.v1.Legacy"}}'),  # lacks what is required
    (EVERY, '{"any": {"@type": "type.googleapis.com/google.protobuf.Int32Value"}}'),
    (
        EVERY,
        '{"any": {"@type": "type.googleapis.com/google.protobuf.Int32Value", "value": null}}',
    ),
    (EVERY, '{"struct": {"a": 1, "a": 2}}'),
    (EVERY, '{"struct": []}'),
    (EVERY, '{"list": {}}'),
    (EVERY, '{"[x.y]": 1}'),
    ("legacy.v1.Legacy", '{"shade": 3}'),
    ("legacy.v1.Legacy", '{"[extensions.v1.count]": " 1"}'),
    ("legacy.v1.Legacy", '{"[extensions.v1.nope]": 1}'),
]


@pytest.mark.parametrize(("name", "data"), REFUSED)
def test_refused(name: str, data: str) -> None:
    """JSON that is refused by json_format, or should be."""
    with pytest.raises(InvalidRequest):
        from_json(data.encode(), message_class(name), pool=protos())


@pytest.mark.parametrize(
    ("data", "ignored"),
    [
        ('{"nope": {"a": [{"b": 1}], "c": null}}', True),
        ('{"side": "NOPE"}', True),
        ('{"nope": "\\ud800"}', True),
        ('{"nope": {"a": 1, "a": 2}}', False),
        ('{"[x.y]": 1}', False),
        ('{"side": " 1"}', False),
        ('{"nope": 1, "nope": 2}', False),
    ],
)
def test_ignored(data: str, ignored: bool) -> None:  # noqa: FBT001
    """Unknown keys and names of enum values are passed over on request, but not twice."""
    wanted = message_class(ALONE)
    if ignored:
        assert wanted() == from_json(data.encode(), wanted, ignore_unknown=True)
    else:
        with pytest.raises(InvalidRequest):
            from_json(data.encode(), wanted, ignore_unknown=True)


def nested(before: str, after: str, inner: str = "{}") -> tuple[str, str, str]:
    """Return what stands before, within and after each level of a document."""
    return before, inner, after


@pytest.mark.parametrize(
    ("name", "levels", "last"),
    [
        (EVERY, nested('{"child":', "}"), 99),
        (EVERY, nested('{"childList":[', "]}", ""), 100),
        (EVERY, nested('{"childMap":{"a":', "}}"), 99),
        ("google.protobuf.Struct", nested('{"a":', "}"), 49),
        ("google.protobuf.ListValue", nested("[", "]", ""), 50),
        (
            "google.protobuf.Any",
            nested(
                '{"@type":"type.googleapis.com/google.protobuf.Any","value":',
                "}",
                '{"@type":"type.googleapis.com/google.protobuf.Empty"}',
            ),
            99,
        ),
    ],
)
def test_depth(name: str, levels: tuple[str, str, str], last: int) -> None:
    """100 messages nest, and no more."""
    before, inner, after = levels

    for depth in (1, 40, last - 3, last):
        data = before * depth + inner + after * depth
        from_json(data.encode(), message_class(name), pool=protos())
    for depth in (last + 1, 2_000, 100_000):
        data = before * depth + inner + after * depth
        with pytest.raises(InvalidRequest, match="100 levels"):
            from_json(data.encode(), message_class(name), pool=protos())
