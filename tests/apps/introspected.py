"""An issuer that is asked about tokens (RFC 7662)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GOOD: dict[str, Any] = {"active": True, "sub": "ann", "scope": "a b", "exp": 4_000_000_000}


@dataclass
class Issuer:
    """An introspection endpoint.

    Args:
        answers: what is said of each token, as bytes or as what JSON is made of.
        pause: seconds until it says so.
    """

    answers: Mapping[str, Any]
    pause: float = 0.0
    status: int = 200
    asked: list[dict[str, str]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].partition("\r")[0])
                form = dict(urllib.parse.parse_qsl((await reader.readexactly(length)).decode()))
                self.heads.append(head)
                self.asked.append(form)
                await asyncio.sleep(self.pause)
                told = self.answers.get(form["token"], {"active": False})
                body = told if isinstance(told, bytes) else json.dumps(told).encode()
                line = f"HTTP/1.1 {self.status} A\r\ncontent-length: {len(body)}\r\n"
                writer.write(line.encode() + b"location: /elsewhere\r\n\r\n" + body)
                await writer.drain()
        writer.close()
