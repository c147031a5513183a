from __future__ import annotations

from typing import Any

import pytest

from transcoder.errors import ConfigError, InvalidRequest, StatusError
from transcoder.status import Code
from transcoder.timeouts import LONGEST, Timeout, Timeouts

METHOD = "shop.v1.Orders.Get"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1H", 300.0),
        (b"2M", 120.0),
        (b"7S", 7.0),
        (b"00000007S", 7.0),
        (b"250m", 0.25),
        (b"250u", 0.00025),
        (b"99999999n", 0.099999999),
        (b"99999999H", 300.0),  # of 11,415 years
        (b"99999999S", 300.0),
    ],
)
def test_grpc_timeout(value: bytes, expected: float) -> None:
    """The timeout of gRPC is up to 8 digits and a unit; a longer one than allowed is cut."""
    assert expected == pytest.approx(Timeouts().of(METHOD, [(b"grpc-timeout", value)]))


@pytest.mark.parametrize(
    "value",
    [
        *(b"x", b"1", b"S", b"", b"-1S", b"+1S", b"1.5S", b"999999999S", b" 1S", b"1S "),
        *(b"1s", b"1 S", "\u0663S".encode(), b"1SS", b"1S,1S"),
    ],
)
def test_malformed_grpc_timeout(value: bytes) -> None:
    """A timeout of another grammar is refused by its name."""
    with pytest.raises(InvalidRequest, match="grpc-timeout"):
        Timeouts().of(METHOD, [(b"grpc-timeout", value)])


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"2", 2.0), (b"0.25", 0.25), (b"2.000", 2.0), (b"9999999999", 300.0)],
)
def test_request_timeout(value: bytes, expected: float) -> None:
    """The plainer timeout is in seconds."""
    assert expected == Timeouts().of(METHOD, [(b"x-request-timeout", value)])


@pytest.mark.parametrize(
    "value", [b"", b"-1", b"1e3", b"inf", b"nan", b".5", b"5.", b"1 ", b"1S", b"9" * 11, b"0x1"]
)
def test_malformed_request_timeout(value: bytes) -> None:
    """A timeout that is no plain number is refused by its name."""
    with pytest.raises(InvalidRequest, match="x-request-timeout"):
        Timeouts().of(METHOD, [(b"x-request-timeout", value)])


@pytest.mark.parametrize(
    "header",
    [
        (b"grpc-timeout", b"0S"),
        (b"grpc-timeout", b"0n"),
        (b"grpc-timeout", b"1n"),  # it has passed when it is read
        (b"x-request-timeout", b"0"),
        (b"x-request-timeout", b"0.000001"),
    ],
)
def test_no_time(header: tuple[bytes, bytes]) -> None:
    """A call that is given no time is over before it begins."""
    with pytest.raises(StatusError) as caught:
        Timeouts().of(METHOD, [header])
    assert caught.value.status.code is Code.DEADLINE_EXCEEDED


def test_repeated() -> None:
    """A timeout may be said twice, but not in two ways."""
    same = [(b"grpc-timeout", b"1S"), (b"grpc-timeout", b"1S")]
    assert Timeouts().of(METHOD, same) == 1.0

    with pytest.raises(InvalidRequest, match="two things"):
        Timeouts().of(METHOD, [*same, (b"grpc-timeout", b"1000m")])


def test_both() -> None:
    """Of the two headers the shorter timeout counts."""
    asked = [(b"grpc-timeout", b"2S"), (b"x-request-timeout", b"1.5")]

    assert Timeouts().of(METHOD, asked) == 1.5
    assert Timeouts().of(METHOD, [asked[0], (b"x-request-timeout", b"9")]) == 2.0


@pytest.mark.parametrize(
    ("own", "nothing", "much"),
    [
        (None, 30.0, 300.0),
        (60, 60.0, 300.0),
        (400, 400.0, 400.0),
        (Timeout(5, 10), 5.0, 10.0),
        (Timeout(None), None, 300.0),
        (Timeout(None, 900), None, 900.0),
    ],
)
def test_methods(own: float | Timeout | None, nothing: float | None, much: float) -> None:
    """A method may have a default and a maximum of its own."""
    timeouts = Timeouts(methods={} if own is None else {METHOD: own})

    assert timeouts.of(METHOD, []) == nothing
    assert timeouts.of(METHOD, [(b"grpc-timeout", b"99999999S")]) == much


def test_streams() -> None:
    """A stream has a deadline only if its client or its method says so."""
    timeouts = Timeouts(methods={"a.B.Own": 60})

    assert timeouts.of(METHOD, [], streams=True) is None
    assert timeouts.of(METHOD, [(b"grpc-timeout", b"1H")], streams=True) == 3600.0
    assert timeouts.of(METHOD, [(b"grpc-timeout", b"99999999H")], streams=True) == LONGEST
    assert timeouts.of("a.B.Own", [], streams=True) == 60.0


def test_no_default() -> None:
    """Calls may have no end where nobody asks for one."""
    assert Timeouts(default=None).of(METHOD, []) is None


@pytest.mark.parametrize(
    "options",
    [
        {"default": 0},
        {"default": -1.0},
        {"maximum": 0},
        {"maximum": float("inf")},
        {"default": float("nan")},
        {"default": 301},
        {"methods": {METHOD: 0}},
    ],
)
def test_refused(options: dict[str, Any]) -> None:
    """Seconds that are none are refused at start."""
    with pytest.raises(ConfigError, match="timeout"):
        Timeouts(**options)


def test_refused_timeout() -> None:
    """A method's default may not be over its maximum."""
    with pytest.raises(ConfigError, match="over its maximum"):
        Timeout(5, 4)
