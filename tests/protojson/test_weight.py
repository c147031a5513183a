from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from cost import BOUND, cost
from large import EVERYTHING, PRINTED, REFUSED
from transcoder.protojson import weight as module
from transcoder.protojson.weight import LIMIT, weight
from transcoder.response_encoder import REPLY_LIMIT

OWN = weight(EVERYTHING())


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"int32_list": [1] * 100, "string_list": ["x"] * 100}, 0),  # these count by their bytes
        ({"child": {}}, OWN),
        ({"child": {"child": {}}}, 2 * OWN),
        ({"child_list": [{}] * 3}, 3 * OWN),
        ({"child_list": [{"child_list": [{}] * 2}] * 3}, 9 * OWN),
        ({"time": {"seconds": 1}, "time_list": [{}] * 3}, 4),
        ({"choice_child": {"time": {}}}, OWN + 1),
        ({"string_map": {"a": "x", "b": "y"}}, 4),
        ({"duration_map": {"a": {}, "b": {}}}, 6),
        ({"child_map": {"a": {"time": {}}, "b": {}}}, 2 * (2 + OWN) + 1),
        ({"value_list": [{"null_value": 0}, {"bool_value": True}]}, 2),
        ({"value": {"list_value": {"values": [{}, {}]}}}, 4),
    ],
)
def test_messages_count(message: dict[str, Any], expected: int) -> None:
    """All messages in a message count, however deep, and the keys of maps."""
    assert weight(EVERYTHING(**message)) - OWN == expected


def test_structs_count() -> None:
    """Each value of a Struct counts, with its key and the entry that holds them."""
    struct = Struct(fields={"a": Value(), "b": Value(list_value=ListValue(values=[Value()] * 5))})

    assert weight(struct) == 1 + 2 * 3 + 1 + 5


def test_defaults_count() -> None:
    """Fields that are printed whatever they hold count too."""
    plain = sum(not field.has_presence for field in EVERYTHING.DESCRIPTOR.fields)

    assert weight(EVERYTHING(), print_defaults=True) == OWN + plain // 4


def test_numbers_count() -> None:
    """The numbers in lists count where it is asked for, and texts never."""
    lists = EVERYTHING(int32_list=[1] * 100, enum_list=[1] * 50, string_list=["x"] * 100)
    message = EVERYTHING(child=lists, string_map={"a": "x"})

    assert weight(message) == 2 * OWN + 2
    assert weight(message, numbers=True) == 2 * OWN + 2 + 10 + 5


def test_any_counts(protos: DescriptorPool) -> None:
    """The message inside an Any counts, when the pool has its type."""
    content = EVERYTHING(child_list=[{}] * 10).SerializeToString()
    held = {"type_url": "type.googleapis.com/everything.v1.Everything", "value": content}
    message = EVERYTHING(any=held)

    assert weight(message, pool=EVERYTHING.DESCRIPTOR.file.pool) == OWN + 1 + 11 * OWN
    assert weight(message) == OWN + 1


def test_large_any_is_not_looked_at() -> None:
    """An Any of many bytes is over every limit, for to look at it would hold the loop."""
    assert weight(EVERYTHING(any={"value": bytes(module.ANY_LIMIT)})) == OWN + 1
    assert weight(EVERYTHING(any={"value": bytes(module.ANY_LIMIT + 1)})) > LIMIT


def test_contents_do_not_count(protos: DescriptorPool) -> None:
    """Where an Any is only serialized, it counts as one message, whatever it holds."""
    held = {"value": EVERYTHING(child_list=[{}] * 10).SerializeToString() + bytes(1 << 20)}

    assert weight(EVERYTHING(any=held), contents=False) == OWN + 1


def test_extensions_count(protos: DescriptorPool) -> None:
    """Messages in extensions count."""
    legacy: Any = GetMessageClass(protos.FindMessageTypeByName("legacy.v1.Legacy"))
    other = protos.FindExtensionByName("extensions.v1.other")
    message = legacy()
    alone = weight(message)
    message.Extensions[other].SetInParent()

    assert weight(message) == 2 * alone


def test_enough() -> None:
    """Counting ends soon after it is enough."""
    message = EVERYTHING(child_list=[{"child_list": [{}] * 10}] * 100)

    assert 50 < weight(message, enough=50) < weight(message)


@pytest.mark.parametrize("name", PRINTED)
def test_large_messages(name: str) -> None:
    """A message just under the limits is counted in little time."""
    message = PRINTED[name]()
    pool = EVERYTHING.DESCRIPTOR.file.pool

    assert weight(message, numbers=True, pool=pool) <= LIMIT
    assert message.ByteSize() <= REPLY_LIMIT
    assert cost(lambda: weight(message, pool=pool)) < BOUND


@pytest.mark.parametrize("name", REFUSED)
def test_too_large_messages(name: str) -> None:
    """A message over the limits is found to be so in little time."""
    message = REFUSED[name]()
    pool = EVERYTHING.DESCRIPTOR.file.pool

    weighs = weight(message, numbers=True, pool=pool)
    assert weighs > LIMIT or message.ByteSize() > REPLY_LIMIT
    assert cost(lambda: weight(message, pool=pool)) < BOUND
