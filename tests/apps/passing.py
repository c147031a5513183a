"""A gateway before a backend that the environment names, for a server that is its own process."""

from __future__ import annotations

import os

from transcoder import Gateway, HttpUpstream


def create() -> Gateway:
    """Return the gateway."""
    gateway = Gateway()
    gateway.forward("/back/**", HttpUpstream(f"http://{os.environ['BACKEND']}"))
    return gateway
