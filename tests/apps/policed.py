"""Gateways with policies, for servers that are processes of their own."""

from __future__ import annotations

import os

import streams
from streams import POOL, Streams
from transcoder import Gateway
from transcoder.policies.rate_limit import RateLimit


def shared() -> Gateway:
    """Return a gateway whose limit is in the store that the environment names."""
    from transcoder.policies.shared_limit import SharedLimiter  # noqa: PLC0415  it needs an extra

    limiter = SharedLimiter(os.environ["STORE"], "200/hour", window="moving", patience=5)
    gateway = Gateway(pool=POOL, policies=[RateLimit("200/hour", limiter=limiter)])
    streams.register(Streams(lambda _: None), gateway)
    return gateway
