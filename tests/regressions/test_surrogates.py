"""Half a surrogate pair, which JSON can write and UTF-8 cannot; found by fuzzing."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import InvalidRequest
from transcoder.fields import FieldPath, UnknownField
from transcoder.protojson import from_json


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (rb'{"stri\ud800e": 1}', "stri?e: no such field"),
        (rb'{"enumValue": "\ud800"}', "enumValue: no such value of Color"),
        (rb'{"child": {"\udfff": {}}}', "child.?: no such field"),
        (rb'{"stringMap": {"a": "\ud800"}}', "stringMap.a: holds half of a surrogate pair"),
    ],
)
def test_is_refused(protos: DescriptorPool, body: bytes, message: str) -> None:
    """The client is told where it stands, as a question mark; descriptors are not asked for it."""
    everything = GetMessageClass(protos.FindMessageTypeByName("everything.v1.Everything"))
    with pytest.raises(InvalidRequest) as refused:
        from_json(body, everything)

    assert refused.value.status.message == message
    assert message.encode() in refused.value.status.to_json()


def test_names_no_field(protos: DescriptorPool) -> None:
    """A field path of a JSON key that has no UTF-8 leads nowhere."""
    everything = protos.FindMessageTypeByName("everything.v1.Everything")
    with pytest.raises(UnknownField):
        FieldPath.resolve(everything, "string\ud800")
