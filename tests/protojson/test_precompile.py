from google.protobuf import api_pb2, struct_pb2

from transcoder.protojson import from_json, precompile_decoder, precompile_encoder, to_json
from transcoder.protojson.precompile import types_within


def test_types_within() -> None:
    """A type's types are all that its fields reach, once each, those that hold themselves too."""
    names = [each.name for each in types_within(struct_pb2.Struct.DESCRIPTOR)]

    assert names == ["Struct", "Value", "ListValue"]


def test_precompiled() -> None:
    """What is compiled ahead is what the calls use."""
    precompile_encoder(api_pb2.Api, print_defaults=True)
    precompile_decoder(api_pb2.Api, ignore_unknown=True)
    api = api_pb2.Api(name="a", methods=[api_pb2.Method(name="b")])
    data = to_json(api, print_defaults=True)

    assert api == from_json(data, api_pb2.Api, ignore_unknown=True)
