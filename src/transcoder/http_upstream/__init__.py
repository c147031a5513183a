"""HTTP backends: a streaming reverse proxy, for what a gateway has no descriptor of.

proxy.py      a request's way: its headers, the breaker, the backend's answer
address.py    where the backend is, and what a request asks it for
endpoints.py  which of several endpoints gets a request
client.py     kept connections to one, and what becomes of their failures
upload.py     the body of a request, on its way up
answer.py     the backend's answer, on its way down
socket.py     a WebSocket, both ways
retries.py    how often a request may be sent again
"""

from __future__ import annotations

try:
    import httpx2  # noqa: F401  whoever comes in here needs it
except ImportError as missing:
    raise ImportError(f"{missing.name} is missing: install transcoder[http]") from missing

from transcoder.http_upstream.proxy import HttpUpstream

__all__ = ["HttpUpstream"]
