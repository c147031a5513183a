from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from transcoder.fields import FieldPath, FieldPathError, key_setter, oneof_guard, setter
from transcoder.values import BadValue


@pytest.fixture
def everything(protos: DescriptorPool) -> Descriptor:
    """The message with one field of each kind."""
    return protos.FindMessageTypeByName("everything.v1.Everything")


def put(message: Descriptor, path: str, *texts: str) -> Any:
    """Return a message whose field was set from each text."""
    filled = GetMessageClass(message)()
    set_ = setter(FieldPath.resolve(message, path))
    for text in texts:
        set_(filled, text)
    return filled


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("int32_value", ("int32_value",)),
        ("int32Value", ("int32_value",)),
        ("child.choiceChild.string_value", ("child", "choice_child", "string_value")),
        ("@custom", ("custom_name",)),
        ("class", ("class",)),  # a keyword of Python
        ("time.seconds", ("time", "seconds")),
    ],
)
def test_resolves(everything: Descriptor, path: str, names: tuple[str, ...]) -> None:
    """A path is found by proto and JSON names, mixed as the client likes."""
    assert FieldPath.resolve(everything, path).names == names


@pytest.mark.parametrize(
    ("path", "problem", "depth"),
    [
        ("int32_valeu", "no such field; did you mean int32_value?", 0),
        ("child.nothing_like_it", "no such field", 1),
        ("", "no such field", 0),
        ("child.", "no such field", 1),
        ("child..child", "no such field", 1),
        ("customName", "no such field; did you mean custom_name?", 0),  # json_name took its place
        ("__class__", "no such field; did you mean class?", 0),
        ("DESCRIPTOR", "no such field", 0),
        ("int32_value.x", "int32_value is not a message", 0),
        ("child.child_list.child", "child_list is not a message", 1),
        ("string_map.key", "string_map is not a message", 0),
    ],
)
def test_does_not_resolve(everything: Descriptor, path: str, problem: str, depth: int) -> None:
    """A path that leads nowhere says where it stops, and what is near."""
    with pytest.raises(FieldPathError) as refused:
        FieldPath.resolve(everything, path)

    assert (str(refused.value), refused.value.depth) == (problem, depth)


def test_json_names_can_be_refused(everything: Descriptor) -> None:
    """A rule in a proto speaks of proto names only."""
    with pytest.raises(FieldPathError, match="did you mean int32_value"):
        FieldPath.resolve(everything, "int32Value", json_names=False)


def test_group(protos: DescriptorPool) -> None:
    """A group is found by its field's name, not by its type's."""
    legacy = protos.FindMessageTypeByName("legacy.v1.Legacy")

    assert put(legacy, "inner.text", "x").inner.text == "x"
    with pytest.raises(FieldPathError):
        FieldPath.resolve(legacy, "Inner")


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("int32_value", "5", {"int32_value": 5}),
        ("optional_int32", "0", {"optional_int32": 0}),
        ("choice_int", "0", {"choice_int": 0}),
        ("class", "x", {"class": "x"}),
        ("child.child.string_value", "x", {"child": {"child": {"string_value": "x"}}}),
        ("child.string_value", "", {"child": {}}),
        ("int32_wrapper", "0", {"int32_wrapper": {}}),
        ("child.duration", "0s", {"child": {"duration": {}}}),
        ("value", "1", {"value": {"number_value": 1}}),
        ("mask", "", {"mask": {}}),
    ],
)
def test_sets(everything: Descriptor, path: str, text: str, expected: dict[str, Any]) -> None:
    """A singular field is set, and present where presence is told."""
    assert put(everything, path, text) == GetMessageClass(everything)(**expected)


def test_sets_child_though_empty(everything: Descriptor) -> None:
    """A default on the way makes its parents present."""
    assert put(everything, "child.duration", "0s").HasField("child")


def test_well_known_value_is_replaced(everything: Descriptor) -> None:
    """The second value of a well-known type leaves nothing of the first."""
    assert list(put(everything, "mask", "a,b", "c").mask.paths) == ["c"]


@pytest.mark.parametrize(
    ("path", "texts", "expected"),
    [
        ("int32_list", ["1", "2"], [1, 2]),
        ("enum_list", ["RED", "2"], [1, 2]),
        ("bytes_list", ["YQ"], [b"a"]),
    ],
)
def test_appends(everything: Descriptor, path: str, texts: list[str], expected: list[Any]) -> None:
    """Each value of a repeated field is appended."""
    assert list(getattr(put(everything, path, *texts), path)) == expected


def test_appends_well_known(everything: Descriptor) -> None:
    """Times are appended as other values are."""
    times = put(everything, "time_list", "1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z").time_list

    assert [time.seconds for time in times] == [1, 2]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("child", "child is a message: set its fields one by one"),
        ("child_list", "child_list holds messages: send it in the body"),
        ("any", "any holds a message of any type, which only a JSON body says"),
        ("empty", "empty is a message without fields, which only a JSON body says"),
        ("string_map", "string_map is a map: write string_map[key]=value"),
    ],
)
def test_no_setter(everything: Descriptor, path: str, problem: str) -> None:
    """Messages and maps are not said by one text."""
    with pytest.raises(FieldPathError) as refused:
        setter(FieldPath.resolve(everything, path))

    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("path", "key", "text", "entries"),
    [
        ("string_map", "a.b", "x", {"a.b": "x"}),
        ("int_map", "-5", "7", {-5: 7}),
        ("bool_map", "true", "RED", {True: 1}),
        ("bytes_map", "a", "YQ==", {"a": b"a"}),
        ("child.string_map", "k", "", {"k": ""}),
    ],
)
def test_sets_map_entry(
    everything: Descriptor, path: str, key: str, text: str, entries: dict[Any, Any]
) -> None:
    """Key and value of a map entry are read by their types."""
    message: Any = GetMessageClass(everything)()
    field_path = FieldPath.resolve(everything, path)
    key_setter(field_path)(message, key, text)

    parent = message.child if path.startswith("child.") else message
    assert dict(getattr(parent, field_path.leaf.name)) == entries


def test_sets_map_of_well_known(everything: Descriptor) -> None:
    """A map may hold messages that text says, zero values too."""
    message: Any = GetMessageClass(everything)()
    set_ = key_setter(FieldPath.resolve(everything, "duration_map"))
    set_(message, "a", "1.5s")
    set_(message, "b", "0s")

    durations = message.duration_map
    assert {key: durations[key].seconds for key in durations} == {"a": 1, "b": 0}


def test_map_key_once(everything: Descriptor) -> None:
    """A key of a map takes one value, whichever way it is written."""
    message: Any = GetMessageClass(everything)()
    set_ = key_setter(FieldPath.resolve(everything, "int_map"))
    set_(message, "1", "1")

    with pytest.raises(BadValue, match="too many values"):
        set_(message, "01", "2")


@pytest.mark.parametrize(
    ("path", "key", "text"),
    [("int_map", "x", "1"), ("int_map", "1", "x"), ("bool_map", "yes", "RED")],
)
def test_refuses_map_entry(everything: Descriptor, path: str, key: str, text: str) -> None:
    """Keys are read as strictly as values."""
    with pytest.raises(BadValue):
        key_setter(FieldPath.resolve(everything, path))(GetMessageClass(everything)(), key, text)


@pytest.mark.parametrize(
    ("path", "problem"),
    [("child_map", "holds messages: send it in the body"), ("int32_list", "is not a map")],
)
def test_no_key_setter(everything: Descriptor, path: str, problem: str) -> None:
    """Only maps of what text can say have entries that text can set."""
    with pytest.raises(FieldPathError, match=problem):
        key_setter(FieldPath.resolve(everything, path))


@pytest.mark.parametrize(
    ("path", "held"),
    [
        ("choice_int", {"choice_string": ""}),
        ("choice_child.string_value", {"choice_string": ""}),
        ("choice_time", {"choice_child": {}}),
        ("child.choice_int", {"child": {"choice_string": "x"}}),
    ],
)
def test_oneof_conflict(everything: Descriptor, path: str, held: dict[str, Any]) -> None:
    """A second member of a oneof is refused, wherever on the path it stands."""
    guard = oneof_guard(FieldPath.resolve(everything, path))

    assert guard is not None
    with pytest.raises(BadValue, match=r"only one of \w+ and \w+ may be set"):
        guard(GetMessageClass(everything)(**held))


def test_oneof_member_again(everything: Descriptor) -> None:
    """Going deeper into the member that is set is no conflict."""
    guard = oneof_guard(FieldPath.resolve(everything, "choice_child.int32_value"))
    held = GetMessageClass(everything)(choice_child={"string_value": "x"})

    assert guard is not None
    guard(held)
    assert held.WhichOneof("choice") == "choice_child"


def test_optional_is_no_oneof(everything: Descriptor) -> None:
    """A proto3 optional field conflicts with nothing."""
    assert oneof_guard(FieldPath.resolve(everything, "optional_int32")) is None


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("legacy.v1.Legacy", "number", "0"),
        ("legacy.v1.Legacy", "name", ""),
        ("edition.v1.Edition", "explicit", ""),
        ("edition.v1.Edition", "delimited.open", "0"),
    ],
)
def test_presence(protos: DescriptorPool, name: str, path: str, text: str) -> None:
    """A default that a client says is present in proto2 and in editions."""
    message = put(protos.FindMessageTypeByName(name), path, text)

    assert message.HasField(path.split(".", maxsplit=1)[0])


def test_implicit_presence(protos: DescriptorPool) -> None:
    """A field of implicit presence takes its default and says nothing."""
    message = put(protos.FindMessageTypeByName("edition.v1.Edition"), "implicit", "")

    assert not message.ListFields()
