"""How long a call may take: what its client asks for, within what its method allows.

A client asks in gRPC's own way or in a plainer one; of both, the shorter counts:

    Grpc-Timeout       1 to 8 digits and a unit, H M S m u n (gRPC over HTTP/2, "Requests")
    X-Request-Timeout  seconds, as `2` or `0.25`

Who asks for longer than allowed gets what is allowed. Who asks for nothing gets the method's
default; streams have none, for nobody knows how long a stream lasts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from transcoder.errors import ConfigError, InvalidRequest, StatusError
from transcoder.metadata import TIMEOUT_HEADERS, RawHeaders
from transcoder.status import Code

LONGEST: Final = 365 * 86_400.0
"""Seconds that a stream may ask for; timers take no more than a few years."""

SHORTEST: Final = 1e-4
"""Seconds below which a timeout is over before the request is read."""

_GRPC = re.compile(r"([0-9]{1,8})([HMSmun])")
_SECONDS = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,9})?")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


@dataclass(frozen=True, slots=True)
class Timeout:
    """What one method allows, in seconds.

    Args:
        default: for calls that ask for nothing; None for no end.
        maximum: for calls that ask for longer; None is the maximum of all methods.

    Raises:
        ConfigError: one of them is not a number above 0, or the default is over the maximum.
    """

    default: float | None
    maximum: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        for seconds in (self.default, self.maximum):
            if seconds is not None and not 0 < seconds < math.inf:
                raise ConfigError(f"timeout {seconds!r}: seconds above 0 are expected")
        if self.default is not None and self.maximum is not None and self.default > self.maximum:
            raise ConfigError(f"timeout {self.default!r} is over its maximum of {self.maximum!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long calls may take, in seconds.

    Args:
        default: for unary calls that ask for nothing; None for no end.
        maximum: for unary calls that ask for longer.
        methods: other ones, by the method's full name; a number is the default, and the maximum
            too where it is over `maximum`. They hold for streams as well.

    Raises:
        ConfigError: a number is not above 0, or a default is over its maximum.

    >>> timeouts = Timeouts(default=30, methods={"shop.v1.Orders.Report": Timeout(60, 600)})
    >>> timeouts.of("shop.v1.Orders.Get", [(b"grpc-timeout", b"500m")])
    0.5
    >>> timeouts.of("shop.v1.Orders.Get", [(b"x-request-timeout", b"9999")])
    300.0
    >>> timeouts.of("shop.v1.Orders.Report", [])
    60.0
    """

    default: float | None = 30.0
    maximum: float = 300.0
    methods: Mapping[str, float | Timeout] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the numbers."""
        Timeout(self.default, self.maximum)
        for timeout in self.methods.values():
            if not isinstance(timeout, Timeout):
                Timeout(timeout)

    def of(self, method: str, headers: RawHeaders, *, streams: bool = False) -> float | None:
        """Return how many seconds a call has; None for as many as it likes.

        Args:
            method: the full name, `package.Service.Method`.
            headers: of the request, names in lower case.
            streams: whether the method takes or returns a stream.

        Raises:
            InvalidRequest: a header is malformed, or says two things.
            StatusError: DEADLINE_EXCEEDED, the client gives it no time.
        """
        default, maximum = self.allowed(method, streams=streams)
        asked = _asked(headers)
        return default if asked is None else float(min(asked, maximum))

    def asked(self, headers: RawHeaders) -> float | None:
        """Return how many seconds the client asks for, the maximum at most; None for nothing.

        Raises:
            InvalidRequest, StatusError: as `of`.
        """
        asked = _asked(headers)
        return None if asked is None else float(min(asked, self.maximum))

    def allowed(self, method: str, *, streams: bool) -> tuple[float | None, float]:
        """Return what a method has: seconds for who asks for nothing, and the most of all."""
        own = self.methods.get(method) if self.methods else None
        if own is None:
            return (None, LONGEST) if streams else (self.default, self.maximum)
        if not isinstance(own, Timeout):
            return float(own), max(float(own), self.maximum)
        default = None if own.default is None else float(own.default)
        return default, own.maximum or max(self.maximum, default or 0.0)


def _asked(headers: RawHeaders) -> float | None:
    given = [pair for pair in headers if pair[0] in TIMEOUT_HEADERS]
    if not given:
        return None
    values = {name: value.decode("latin-1") for name, value in given}
    if len(values) != len(set(given)):
        raise InvalidRequest("the headers of a timeout say two things")
    seconds = min(_seconds(name, value) for name, value in values.items())
    if seconds < SHORTEST:
        raise StatusError(Code.DEADLINE_EXCEEDED, "the deadline has passed")
    return seconds


def _seconds(name: bytes, value: str) -> float:
    if name == b"grpc-timeout":
        found = _GRPC.fullmatch(value)
        if found is None:
            raise InvalidRequest("1 to 8 digits and one of H M S m u n expected", "grpc-timeout")
        return int(found[1]) * _UNITS[found[2]]
    if not _SECONDS.fullmatch(value):
        raise InvalidRequest("seconds expected, as 2 or 0.25", "x-request-timeout")
    return float(value)


NO_TIMEOUTS: Final = Timeouts(default=None, maximum=LONGEST)
"""For calls that may take as long as they like."""

DEFAULT_TIMEOUTS: Final = Timeouts()
"""What holds where nobody says anything else."""
