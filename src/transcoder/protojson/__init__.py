"""Protobuf JSON: messages to bytes and bytes to messages.

The mapping is that of the protobuf language guide, section "ProtoJSON format". Usable alone:

>>> from google.protobuf.struct_pb2 import Struct
>>> from_json(b'{"a": [1, null]}', Struct)["a"][0]
1.0
"""

from __future__ import annotations

from transcoder.protojson.decode import from_json
from transcoder.protojson.encode import to_json

__all__ = ["from_json", "to_json"]
