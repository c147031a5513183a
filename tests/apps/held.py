"""How long the event loop of a gateway was held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse


class Held:
    """Measures how long the loop was held.

    CPU seconds count, for those of other processes are nobody's fault here.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = 0.0

    def turn(self) -> None:
        """Take a turn of the loop, and the next in a millisecond."""
        now = time.process_time()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        asyncio.get_running_loop().call_later(0.001, self.turn)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Begin."""
        self._last = time.process_time()
        self.turn()
        yield

    async def tell(self, request: Request) -> JSONResponse:
        """Answer with the longest time since it was last asked."""
        longest, self.longest = self.longest, 0.0
        return JSONResponse(longest)
