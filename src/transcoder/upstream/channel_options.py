"""What gRPC is told about a channel, in its own names and units.

The names are those of `grpc/impl/channel_arg_names.h`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from transcoder.errors import ConfigError

Options = tuple[tuple[str, Any], ...]

METADATA_AT_MOST = 16_384
"""Bytes of a backend's metadata that gRPC reads; of them METADATA_LIMIT may be the servicer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """When a connection with calls on it counts as dead (gRPC's keepalive.md).

    Args:
        time: seconds of silence until the backend is pinged.
        timeout: seconds that it has to answer.
    """

    time: float = 10
    timeout: float = 5

    def options(self) -> Options:
        """Return gRPC's options."""
        timeout = _milliseconds("keepalive", self.timeout)
        return (
            ("grpc.keepalive_time_ms", _milliseconds("keepalive", self.time)),
            ("grpc.keepalive_timeout_ms", timeout),
            # gRPC waits for the answer of any ping so long, and while it waits for one it sends no
            # other: with its own minute, a keepalive would not end before that.
            ("grpc.http2.ping_timeout_ms", timeout),
        )


WATCHING: Final = Keepalive(time=310)
"""Where health is watched: gRPC's servers cut who pings more often than every 300 s by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """When a backend that was lost is tried again (gRPC's connection-backoff.md).

    The seconds between two attempts grow from the first to the last figure, and vary by a fifth.

    Args:
        first: after the first failure.
        longest: after many.
        timeout: seconds that an attempt may take.
    """

    # Less a fifth that is one attempt a second; plus a fifth, and the pause of a breaker before it,
    # a backend is found in two.
    first: float = 1.25
    longest: float = 1.25
    timeout: float = 5

    def options(self) -> Options:
        """Return gRPC's options."""
        return (
            ("grpc.initial_reconnect_backoff_ms", _milliseconds("backoff", self.first)),
            ("grpc.max_reconnect_backoff_ms", _milliseconds("backoff", self.longest)),
            ("grpc.min_reconnect_backoff_ms", _milliseconds("backoff", self.timeout)),
        )


FLOW: Options = (
    # With its own reckoning gRPC lets some 5 MB of each stream come that nobody reads.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 262_144),
)
"""What holds of a stream's bytes that wait to be read (HTTP/2's flow control)."""

OWN: Options = (
    *FLOW,
    # Connections that no other channel shares, so that a new channel connects anew.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 1),
)
"""What holds for every channel."""


def message_options(limit: int) -> Options:
    """Return the options that limit messages, both ways, and metadata."""
    return (
        ("grpc.max_receive_message_length", limit),
        ("grpc.max_send_message_length", limit),
        # One limit instead of two: between them gRPC refuses at random.
        ("grpc.max_metadata_size", METADATA_AT_MOST),
        ("grpc.absolute_max_metadata_size", METADATA_AT_MOST),
    )


def _milliseconds(name: str, seconds: float) -> int:
    if not 0.001 <= seconds <= 86_400:
        raise ConfigError(f"{name}: {seconds} s is not between a millisecond and a day")
    return round(seconds * 1000)
