from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from transcoder.protojson import Precompiled
from transcoder.protojson import cache as module
from transcoder.protojson.cache import Cache


def test_made_once() -> None:
    """A value is made when it is first asked for, and once."""
    made: list[int] = []
    cache = Cache(_keeping(made))

    assert [cache.find(number).value for number in (3, 4, 3, 4)] == [-3, -4, -3, -4]
    assert made == [3, 4]


def test_what_is_held_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody holds stays, however much is asked for; of the rest, a part."""
    monkeypatch.setattr(module, "RECENT", 10)
    made: list[int] = []
    cache = Cache(_keeping(made))
    held = [cache.find(number) for number in range(100)]
    for number in range(100, 1_000):
        cache.find(number)

    assert [cache.find(number) for number in range(100)] == held
    assert made == list(range(1_000))
    assert len(cache) <= 100 + 10


def test_pools_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The types of a pool that nobody uses any more go, with all that was compiled for them."""
    monkeypatch.setattr(module, "RECENT", 1)
    kept = []
    for _ in range(3):
        a_class: Any = _class()
        ahead = Precompiled()
        ahead.encoder(a_class)
        ahead.decoder(a_class)
        ahead.weight(a_class)
        kept.append(weakref.ref(a_class))
        del ahead, a_class
    gc.collect()

    assert [found() is None for found in kept] == [True, True, False]


def _keeping(made: list[int]) -> Callable[[int], int]:
    """Return what makes values, and keeps of which keys it did."""

    def make(key: int) -> int:
        made.append(key)
        return -key

    return make


def _class() -> Any:
    pool = DescriptorPool()
    file = FileDescriptorProto(name="a.proto", syntax="proto3")
    file.message_type.add(name="A").field.add(name="b", number=1, type=9, label=3)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("A"))
