"""Whether two requests of one id ask for the same, when their content may not be kept."""

from __future__ import annotations

import asyncio
import hashlib

from google.protobuf.message import Message

_COST = 1 << 12


async def digest(content: Message, request_id: str) -> bytes:
    """Return what is the same for the same content under the same id.

    A digest that is quick to compute would give a card's number away to whoever tries them all.
    """
    data = content.SerializeToString(deterministic=True)
    salt = request_id.encode()
    return await asyncio.to_thread(hashlib.scrypt, data, salt=salt, n=_COST, r=8, p=1, dklen=16)
