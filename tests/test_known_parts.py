from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from transcoder.fields import FieldPath
from transcoder.known_parts import KnownPath, known_path
from transcoder.values import BadValue


@pytest.fixture
def everything(protos: DescriptorPool) -> Descriptor:
    """The message with one field of each kind."""
    return protos.FindMessageTypeByName("everything.v1.Everything")


def found(message: Descriptor, path: str) -> KnownPath:
    known = known_path(FieldPath.resolve(message, path))
    assert known is not None
    return known


@pytest.mark.parametrize(
    ("path", "above"),
    [
        ("time", ()),
        ("time.seconds", ("time",)),
        ("child.mask.paths", ("child.mask",)),
        ("value.struct_value.fields", ("value", "value.struct_value")),
    ],
)
def test_above(everything: Descriptor, path: str, above: tuple[str, ...]) -> None:
    """A path knows the values that it goes into, the outermost first."""
    known = found(everything, path)

    assert (known.name, known.above) == (path, above)


@pytest.mark.parametrize("path", ["int32_value", "child", "child.class", "time_list", "string_map"])
def test_nothing_well_known(everything: Descriptor, path: str) -> None:
    """Other paths have nothing to do with it, and lists hold any number of values."""
    assert known_path(FieldPath.resolve(everything, path)) is None


def test_parts_beside_parts(everything: Descriptor) -> None:
    """Parts go together with other parts, and with other values."""
    said: set[str] = {"duration", "timely"}
    for part in ("time.seconds", "time.nanos", "mask.paths"):
        found(everything, part).keep_apart(said)
        said.add(part)

    with pytest.raises(BadValue, match="takes one, or its parts"):
        found(everything, "time").keep_apart(said)


def test_check(everything: Descriptor) -> None:
    """The outermost value is looked at, wherever in it a part is."""
    message: Any = GetMessageClass(everything)()
    known = found(everything, "child.value.list_value.values")
    message.child.value.list_value.values.add(number_value=1)
    known.check(message)

    message.child.value.list_value.values.add(number_value=float("inf"))
    with pytest.raises(BadValue, match="its parts make no Value"):
        known.check(message)
