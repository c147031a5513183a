from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.errors import InvalidRequest
from transcoder.selection import DEPTH_LIMIT, Selection


@pytest.fixture
def everything(protos: DescriptorPool) -> Descriptor:
    """The message with one field of each kind."""
    message: Descriptor = protos.FindMessageTypeByName("everything.v1.Everything")
    return message


ANSWER = {
    "int32Value": 1,
    "stringValue": "s",
    "@custom": "c",
    "stringList": ["a", "b"],
    "child": {"int32Value": 2, "stringValue": "t", "child": {"int32Value": 3, "class": "k"}},
    "childList": [{"int32Value": 4, "stringValue": "u"}, {"stringValue": "v"}],
    "stringMap": {"a": "1", "b": "2"},
    "childMap": {"x": {"int32Value": 5, "class": "l"}, "y": {"class": "m"}},
    "struct": {"a": {"b": 1, "c": 2}, "d": [{"b": 3}, 4]},
    "time": "1970-01-01T00:00:01Z",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int32Value", {"int32Value": 1}),
        ("int32_value", {"int32Value": 1}),
        ("custom_name,@custom", {"@custom": "c"}),  # names of one field
        ("int32Value,time", {"int32Value": 1, "time": "1970-01-01T00:00:01Z"}),
        ("boolValue", {}),  # a field without a value
        ("child/int32Value", {"child": {"int32Value": 2}}),
        ("child.int32_value", {"child": {"int32Value": 2}}),
        ("child(int32Value)", {"child": {"int32Value": 2}}),
        (
            "child(int32Value,child/class)",
            {"child": {"int32Value": 2, "child": {"class": "k"}}},
        ),
        ("child.child(class)", {"child": {"child": {"class": "k"}}}),
        ("child/int32Value,child/stringValue", {"child": {"int32Value": 2, "stringValue": "t"}}),
        ("child(child),child/child/class", {"child": {"child": ANSWER["child"]["child"]}}),  # type: ignore[index]
        ("child,child/int32Value", {"child": ANSWER["child"]}),  # the whole includes the part
        ("child/int32Value,child", {"child": ANSWER["child"]}),
        ("childList/int32Value", {"childList": [{"int32Value": 4}, {}]}),
        ("childList(int32Value)", {"childList": [{"int32Value": 4}, {}]}),
        ("stringList", {"stringList": ["a", "b"]}),
        ("stringMap/a", {"stringMap": {"a": "1"}}),
        ("stringMap/*", {"stringMap": {"a": "1", "b": "2"}}),
        ("childMap/x", {"childMap": {"x": {"int32Value": 5, "class": "l"}}}),
        ("childMap/x/class", {"childMap": {"x": {"class": "l"}}}),
        ("childMap/*/class", {"childMap": {"x": {"class": "l"}, "y": {"class": "m"}}}),
        ("struct/a/b", {"struct": {"a": {"b": 1}}}),
        ("struct(a/b,d)", {"struct": {"a": {"b": 1}, "d": [{"b": 3}, 4]}}),
        ("struct/d/b", {"struct": {"d": [{"b": 3}]}}),  # 4 has no b
        ("*", ANSWER),
        ("*/int32Value", {"child": {"int32Value": 2}, "childList": [{"int32Value": 4}, {}],
                          "stringList": [], "stringMap": {}, "childMap": {}, "struct": {}}),
    ],
)  # fmt: skip
def test_selects(everything: Descriptor, text: str, expected: dict[str, Any]) -> None:
    """A selection leaves what it names, and nothing else."""
    before = json.dumps(ANSWER)

    assert Selection.parse(text, everything).of(ANSWER) == expected
    assert json.dumps(ANSWER) == before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nope", "column 1: no such field"),
        ("int32Valu", "column 1: no such field; did you mean int32_value?"),
        ("child/nope", "column 7: no such field"),
        ("child(int32Value,nope)", "column 18: no such field"),
        ("int32Value/x", "column 11: nothing is below this field"),
        ("time/seconds", "column 5: nothing is below this field"),  # JSON text, no object
        ("stringMap/a/b", "column 12: nothing is below this field"),
        ("int32Value,", "column 12: expected the name of a field"),
        (",", "column 1: expected the name of a field"),
        ("child/", "column 7: expected the name of a field"),
        ("child()", "column 7: expected the name of a field"),
        (" int32Value", "column 1: expected the name of a field"),
        ("int32Value time", "column 11: expected a comma"),
        ("child(int32Value", "column 17: expected a comma or a closing parenthesis"),
        ("int32Value)", "column 11: expected a comma"),
        ("child(class)class", "column 13: expected a comma"),
        ("*,time", "column 3: * stands alone"),
        ("time,*", "column 6: * stands alone"),
    ],
)  # fmt: skip
def test_refuses(everything: Descriptor, text: str, problem: str) -> None:
    """What is no selection of this answer is refused, with the column."""
    with pytest.raises(InvalidRequest) as refused:
        Selection.parse(text, everything)

    assert (refused.value.field, refused.value.problem) == ("fields", problem)


def test_depth(everything: Descriptor) -> None:
    """A selection may have so many levels and no more, in either way of writing."""
    Selection.parse("/".join(["child"] * DEPTH_LIMIT), everything)
    for text in ("/".join(["child"] * 2000), "child(" * 2000):
        with pytest.raises(InvalidRequest, match="over 32 levels"):
            Selection.parse(text, everything)


def test_of_a_field(everything: Descriptor) -> None:
    """An answer that is one field is selected from inside that field."""
    fields = everything.fields_by_name

    assert Selection.parse("class", fields["child_list"]).of([{"class": "a", "time": ""}]) == [
        {"class": "a"}
    ]
    assert Selection.parse("a", fields["string_map"]).of({"a": "1", "b": "2"}) == {"a": "1"}
    with pytest.raises(InvalidRequest, match="column 1: this answer has no fields"):
        Selection.parse("a", fields["string_value"])
