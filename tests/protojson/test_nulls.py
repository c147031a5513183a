from __future__ import annotations

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from json_cases import message_class, protos
from transcoder.errors import InvalidRequest
from transcoder.protojson import from_json

ANY = "type.googleapis.com/google.protobuf."
TAKEN = [
    # A field: for most it is no value, for Value and NullValue it is one.
    ("kinds.v1.Alone", '{"int32": null, "string": null, "bytes": null, "bool": null}'),
    ("kinds.v1.Alone", '{"side": null, "maybeDouble": null, "maybeSide": null}'),
    ("kinds.v1.Alone", '{"nullValue": null}'),
    ("kinds.v1.Alone", '{"maybeNull": null}'),
    ("everything.v1.Everything", '{"value": null}'),
    ("everything.v1.Everything", '{"child": null, "time": null, "duration": null, "mask": null}'),
    ("everything.v1.Everything", '{"struct": null, "list": null, "any": null, "empty": null}'),
    ("everything.v1.Everything", '{"int64Wrapper": null, "stringWrapper": null}'),
    # A whole list or map.
    ("kinds.v1.Lists", '{"int32s": null, "strings": null, "sides": null, "alones": null}'),
    ("kinds.v1.Lists", '{"structs": null, "lists": null, "anys": null, "wrapped": null}'),
    ("kinds.v1.Maps", '{"byInt32": null, "sides": null, "byteses": null, "alones": null}'),
    ("kinds.v1.Maps", '{"nulls": null, "values": null, "structs": null}'),
    # What is within one.
    ("kinds.v1.Lists", '{"values": [null, 1, null]}'),
    ("kinds.v1.Lists", '{"lists": [[null]], "structs": [{"a": null}]}'),
    ("kinds.v1.Maps", '{"values": {"a": null}}'),
    ("kinds.v1.Maps", '{"nulls": {"a": "NULL_VALUE"}}'),
    # A member of a oneof.
    ("kinds.v1.Alone", '{"oneNull": null}'),
    ("kinds.v1.Alone", '{"oneValue": null}'),
    ("kinds.v1.Alone", '{"oneString": null, "oneInt32": 1}'),
    ("kinds.v1.Alone", '{"oneString": null, "oneValue": null}'),
    ("kinds.v1.Alone", '{"oneString": null, "oneAlone": null}'),
    # Alone.
    ("google.protobuf.Value", "null"),
    ("google.protobuf.Any", f'{{"@type": "{ANY}Value", "value": null}}'),
]
REFUSED = [
    ("kinds.v1.Lists", '{"values": null}', "values: expected an array, got null"),
    ("kinds.v1.Lists", '{"nulls": null}', "nulls: expected an array, got null"),
    ("kinds.v1.Lists", '{"nulls": [null]}', "nulls[0]: "),
    ("kinds.v1.Lists", '{"int32s": [1, null]}', "int32s[1]: expected a 32-bit integer, got null"),
    ("kinds.v1.Lists", '{"int64s": [null]}', "int64s[0]: "),
    ("kinds.v1.Lists", '{"doubles": [null]}', "doubles[0]: "),
    ("kinds.v1.Lists", '{"bools": [true, null]}', "bools[1]: "),
    ("kinds.v1.Lists", '{"strings": [null]}', "strings[0]: "),
    ("kinds.v1.Lists", '{"byteses": [null]}', "byteses[0]: "),
    ("kinds.v1.Lists", '{"sides": [null]}', "sides[0]: "),
    ("kinds.v1.Lists", '{"alones": [{}, null]}', "alones[1]: expected an object, got null"),
    ("kinds.v1.Lists", '{"times": [null]}', "times[0]: "),
    ("kinds.v1.Lists", '{"structs": [null]}', "structs[0]: expected a Struct, got null"),
    ("kinds.v1.Lists", '{"lists": [null]}', "lists[0]: expected a ListValue, got null"),
    ("kinds.v1.Lists", '{"anys": [null]}', "anys[0]: "),
    ("kinds.v1.Lists", '{"wrapped": [null]}', "wrapped[0]: "),
    ("kinds.v1.Maps", '{"byInt32": {"1": null}}', "byInt32.1: expected a string, got null"),
    ("kinds.v1.Maps", '{"int32s": {"a": null}}', "int32s.a: "),
    ("kinds.v1.Maps", '{"sides": {"a": null}}', "sides.a: "),
    ("kinds.v1.Maps", '{"nulls": {"a": null}}', "nulls.a: "),
    ("kinds.v1.Maps", '{"byteses": {"a": null}}', "byteses.a: "),
    ("kinds.v1.Maps", '{"alones": {"1": null}}', "alones.1: expected an object, got null"),
    ("kinds.v1.Maps", '{"structs": {"a": null}}', "structs.a: "),
    ("kinds.v1.Maps", '{"times": {"a": null}}', "times.a: "),
    ("kinds.v1.Maps", '{"wrapped": {"a": null}}', "wrapped.a: "),
    ("kinds.v1.Alone", "null", "expected an object, got null"),
    ("google.protobuf.Timestamp", "null", "expected an RFC 3339 time"),
    ("google.protobuf.UInt64Value", "null", "expected an unsigned 64-bit integer, got null"),
    ("google.protobuf.Struct", "null", "expected a Struct, got null"),
    ("google.protobuf.ListValue", "null", "expected a ListValue, got null"),
    ("google.protobuf.Any", f'{{"@type": "{ANY}Duration", "value": null}}', "value: "),
    ("google.protobuf.Any", f'{{"@type": "{ANY}StringValue", "value": null}}', "value: "),
    ("google.protobuf.Any", '{"@type": null}', ""),
]
LOST = [
    ("kinds.v1.Alone", '{"oneString": "a", "oneValue": null}'),
    ("kinds.v1.Alone", '{"oneValue": null, "oneString": "a"}'),
    ("kinds.v1.Alone", '{"oneNull": null, "oneValue": null}'),
    ("kinds.v1.Alone", '{"oneAlone": {}, "oneNull": null}'),
]


def parse(document: str, name: str) -> Message:
    """Return what json_format reads."""
    return json_format.Parse(document, message_class(name)(), descriptor_pool=protos())


@pytest.mark.parametrize(("name", "document"), TAKEN)
def test_null(name: str, document: str) -> None:
    """Where json_format takes null, the message is the same."""
    expected = parse(document, name)

    assert expected == from_json(document.encode(), message_class(name), pool=protos())


@pytest.mark.parametrize(("name", "document", "told"), REFUSED)
def test_no_null(name: str, document: str, told: str) -> None:
    """Where it does not, we refuse it, and say where it is."""
    with pytest.raises(Exception):  # noqa: B017, PT011  of any kind
        parse(document, name)

    with pytest.raises(InvalidRequest) as refusal:
        from_json(document.encode(), message_class(name), pool=protos())
    assert refusal.value.status.message.startswith(told)


@pytest.mark.parametrize(("name", "document"), LOST)
def test_null_beside_another_member(name: str, document: str) -> None:
    """A null that is a value excludes the other members of its oneof; json_format loses one."""
    parse(document, name)

    with pytest.raises(InvalidRequest, match="only one of"):
        from_json(document.encode(), message_class(name), pool=protos())
