from __future__ import annotations

import pytest

from transcoder.calls import IDENTITY, Calls
from transcoder.errors import ConfigError, InvalidRequest, StatusError
from transcoder.forwarded import TrustedProxies
from transcoder.inbound import Inbound
from transcoder.timeouts import Timeouts
from transcoder.trusted_peers import TrustedPeers

METHOD = "/shop.v1.Orders/Get"
SCOPE = {"type": "http", "client": ("192.0.2.1", 4711), "scheme": "https"}


def calls(*trusted: str, timeouts: Timeouts | None = None) -> Calls:
    """Make calls with the usual headers."""
    return Calls(Inbound(), timeouts or Timeouts(), TrustedPeers(trusted))


def test_call() -> None:
    """A call knows its method, its peer, its metadata and its time."""
    call = calls()(SCOPE, [(b"x-a", b"1")], METHOD)
    left = call.time_remaining()

    assert (call.method, call.peer, dict(call.identity)) == (METHOD, ("192.0.2.1", 4711), {})
    assert call.metadata == (
        ("x-a", "1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
    )
    assert left is not None
    assert 29 < left <= 30


@pytest.mark.parametrize(
    ("headers", "streams", "expected"),
    [
        ([], False, 9),
        ([], True, 9),
        ([(b"grpc-timeout", b"2S")], False, 2),
    ],
)
def test_method_timeouts(
    headers: list[tuple[bytes, bytes]], *, streams: bool, expected: float
) -> None:
    """Timeouts are a method's by its full name."""
    make = calls(timeouts=Timeouts(methods={"shop.v1.Orders.Get": 9}))
    left = make(SCOPE, headers, METHOD, streams=streams).time_remaining()

    assert left is not None
    assert expected - 1 < left <= expected


def test_stream() -> None:
    """A stream has no deadline where nobody asks for one."""
    assert calls()(SCOPE, [], METHOD, streams=True).deadline is None


def test_refused() -> None:
    """What could not be metadata is refused where the call is made."""
    with pytest.raises(InvalidRequest):
        calls()(SCOPE, [(b"x-bin", b"!")], METHOD)
    with pytest.raises(StatusError):
        calls()(SCOPE, [(b"x-a", b"a" * 9000)], METHOD)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([b"spiffe://shop/edge"], ["1"]),
        ([b"other", b"spiffe://shop/edge"], ["1"]),
        ([b"other"], []),
        ([], []),
    ],
)
def test_trusted_peers(names: list[bytes], expected: list[str]) -> None:
    """What is on the strip list passes from a client whose certificate has a trusted name."""
    scope = {**SCOPE, IDENTITY: {"x509_subject_alternative_name": names}}
    call = calls("spiffe://shop/edge")(scope, [(b"x-internal", b"1")], METHOD)

    assert [value for key, value in call.metadata if key == "x-internal"] == expected
    assert call.identity["x509_subject_alternative_name"] == names


def test_trusted_peers_are_a_sequence() -> None:
    """A text is no list of names."""
    with pytest.raises(ConfigError, match="sequence"):
        TrustedPeers("spiffe://shop/edge")


class Context:
    """The part of grpc.aio's context that says who calls, with what."""

    def __init__(self, peer: str, *names: bytes) -> None:
        self._peer = peer
        self._names = names

    def peer(self) -> str:
        return self._peer

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_subject_alternative_name": list(self._names)}

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        names = ("x_internal", "x-internal", "x-forwarded-for", "x-a")
        return tuple((name, "1") for name in names)


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (Context("ipv4:192.0.2.1:4711"), ["x-a"]),
        (Context("ipv6:%5B2001:db8::1%5D:4711"), ["x-a"]),
        (Context("unix:"), ["x-a"]),
        (Context("ipv4:10.0.0.1:4711"), ["x-forwarded-for", "x-a"]),
        (Context("ipv6:%5B::ffff:10.0.0.1%5D:4711"), ["x-forwarded-for", "x-a"]),
        (Context("ipv4:192.0.2.1:4711", b"edge"), ["x_internal", "x-internal", "x-a"]),
    ],
)
def test_admitted(context: Context, expected: list[str]) -> None:
    """A client of the gRPC port may say no more than one over HTTP."""
    inbound = Inbound(proxies=TrustedProxies(["10.0.0.0/8"]))
    admitted = Calls(inbound, Timeouts(), TrustedPeers(["edge"])).admitted(context)

    assert expected == [key for key, _ in admitted]
