"""Status codes: gRPC's names, their HTTP twins, and `google.rpc.Status` as JSON."""

from __future__ import annotations

import base64
import enum
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import any_pb2, json_format
from google.protobuf.descriptor_pool import Default, DescriptorPool

MESSAGE_LIMIT = 512
"""Bytes of an error message that a client is shown."""

DETAILS_LIMIT = 6000
"""Bytes of an error's details: what gRPC clients take beside other metadata. The rest is cut."""


class Code(enum.IntEnum):
    """The canonical status codes of `google/rpc/code.proto`."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


FAULTS: Final = frozenset(
    {Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.UNAVAILABLE, Code.DATA_LOSS}
)
"""Codes by which it is the server that failed, and not the client who asked for the wrong thing."""

_HTTP = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    # Not the like-named 412: that one speaks of If-Match and its kin.
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


# JSON would spell each in six bytes.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def code_of(number: int) -> Code:
    """Return the code of that number; a number outside the table is UNKNOWN."""
    try:
        return Code(number)
    except ValueError:
        return Code.UNKNOWN


def http_status(code: Code) -> int:
    """Return the HTTP status that `google/rpc/code.proto` gives for a code."""
    return _HTTP[code]


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended: `google.rpc.Status` as a value."""

    code: Code
    message: str = ""
    details: Sequence[any_pb2.Any] = ()

    def sent_details(self) -> Sequence[any_pb2.Any]:
        """Return the first of the details that are within DETAILS_LIMIT together."""
        sizes = itertools.accumulate(packed.ByteSize() for packed in self.details)
        return [
            each for each, size in zip(self.details, sizes, strict=True) if size <= DETAILS_LIMIT
        ]

    def to_json(self, pool: DescriptorPool | None = None) -> bytes:
        """Return the JSON form of the status.

        A detail of a type that nobody knows keeps its bytes, as base64.

        Args:
            pool: where the types of details are looked up, before the default pool.

        >>> Status(Code.NOT_FOUND, "no such user").to_json()
        b'{"code":5,"message":"no such user","details":[]}'
        """
        body = {
            "code": int(self.code),
            "message": shortened(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", self.message)),
            "details": [_detail(packed, pool) for packed in self.sent_details()],
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )


def shortened(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return `text` cut to `limit` bytes of UTF-8, with an ellipsis where it was cut.

    What has no UTF-8, as half a surrogate pair that JSON can write, becomes a question mark.
    """
    if text.isascii() and len(text) <= limit:
        return text
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"


def _detail(packed: any_pb2.Any, pool: DescriptorPool | None) -> dict[str, Any]:
    for known in (pool, Default()):
        if known is None:
            continue
        try:
            return json_format.MessageToDict(packed, descriptor_pool=known)
        except Exception:  # noqa: BLE001, S112  json_format raises anything at a stranger's bytes
            continue
    value = base64.b64encode(packed.value).decode("ascii")
    return {"@type": packed.type_url, "value": value}
