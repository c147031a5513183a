"""JSON bytes to messages."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from transcoder.protojson.explain import explain

M = TypeVar("M", bound=Message)


def from_json(
    data: bytes,
    message_class: type[M],
    *,
    ignore_unknown: bool = False,
    pool: DescriptorPool | None = None,
) -> M:
    """Return the message that JSON bytes say.

    Args:
        data: one JSON document in UTF-8.
        message_class: of any descriptor pool.
        ignore_unknown: pass over keys that name no field, instead of refusing them.
        pool: where the types inside `google.protobuf.Any` are looked up.

    Raises:
        InvalidRequest: the bytes are not JSON, or not of this message; `field` is the JSON path.

    >>> from google.protobuf.duration_pb2 import Duration
    >>> from_json(b'"1.5s"', Duration).nanos
    500000000
    """
    message = message_class()
    try:
        json_format.Parse(
            data.decode(),
            message,
            ignore_unknown_fields=ignore_unknown,
            descriptor_pool=pool,
        )
    except Exception:  # noqa: BLE001  json_format lets TypeError, AttributeError and more through
        # Its own texts list all fields and repeat the value; the client is told less, and better.
        raise explain(data, message_class, ignore_unknown=ignore_unknown) from None
    return message
