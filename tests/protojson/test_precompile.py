from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import api_pb2, type_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from transcoder.protojson import Precompiled, decode, encode, from_json, to_json
from transcoder.protojson.cache import RECENT

MANY = RECENT + 10


def test_types_within() -> None:
    """A type's types are all that its fields reach, once each, those that hold themselves too."""
    ahead = Precompiled()
    ahead.encoder(type_pb2.Type)
    one_way = len(ahead)  # Type, Field, Option, Any and SourceContext
    ahead.encoder(type_pb2.Type)
    ahead.decoder(type_pb2.Type)

    assert (one_way, len(ahead)) == (5, 10)


def test_precompiled() -> None:
    """What is compiled ahead is what the calls use."""
    ahead = Precompiled()
    ahead.encoder(api_pb2.Api, print_defaults=True)
    ahead.decoder(api_pb2.Api, ignore_unknown=True)
    api = api_pb2.Api(name="a", methods=[api_pb2.Method(name="b")])
    data = to_json(api, print_defaults=True)

    assert api == from_json(data, api_pb2.Api, ignore_unknown=True)


def test_many_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was compiled ahead is compiled again, however many types there are."""
    many = _many_types()
    ahead = Precompiled()
    ahead.encoder(many)
    ahead.decoder(many)
    for counts in ("observe._encoded", "observe._decoded"):
        monkeypatch.setattr(f"transcoder.{counts}", {})  # whose room others need
    for compile_ in ("encode.compile_encoder", "decode.compile_decoder"):
        monkeypatch.setattr(f"transcoder.protojson.{compile_}", None)

    for index in range(MANY):
        descriptor = many.DESCRIPTOR.file.message_types_by_name[f"M{index}"]
        assert to_json(from_json(b'{"a":"b"}', GetMessageClass(descriptor))) == b'{"a":"b"}'
    assert len(encode._documents) <= RECENT
    assert len(decode._documents) <= RECENT


def _many_types() -> Any:
    """Return a type that has so many others within it."""
    pool = DescriptorPool()
    file = FileDescriptorProto(name="many.proto", syntax="proto3")
    whole = part = file.message_type.add(name="Whole")
    for index in range(MANY):
        if index % 1_000 == 0:
            _add_field(whole, f"Part{index}")
            part = file.message_type.add(name=f"Part{index}")
        file.message_type.add(name=f"M{index}").field.add(name="a", number=1, type=9, label=1)
        _add_field(part, f"M{index}")
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("Whole"))


def _add_field(message: DescriptorProto, name: str) -> None:
    number = len(message.field) + 1
    message.field.add(name=f"f{number}", number=number, type=11, label=1, type_name=f".{name}")
