"""Protobuf JSON: messages to bytes and bytes to messages.

The mapping is that of the protobuf language guide, section "ProtoJSON format". Usable alone:

>>> from google.protobuf.struct_pb2 import Struct
>>> from_json(b'{"a": [1, null]}', Struct)["a"][0]
1.0

Each type of messages has one encoder and one decoder, compiled when it is first needed, or before
by a `Precompiled`. They take the usual and are exact about it. The rest json_format decides, from
the same message or bytes; what it takes against the mapping is refused. docs/json.md lists the
refusals.
"""

from __future__ import annotations

from transcoder.protojson.decode import from_json
from transcoder.protojson.encode import to_json
from transcoder.protojson.precompile import Precompiled

__all__ = ["Precompiled", "from_json", "to_json"]
