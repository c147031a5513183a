from __future__ import annotations

import pytest

from transcoder.errors import InvalidRequest, StatusError
from transcoder.forwarded import TrustedProxies
from transcoder.inbound import Inbound
from transcoder.profile import ENVOY, GOOGLE, GRPC_GATEWAY, PROFILES, STRICT, Profile

Pairs = list[tuple[str, str | bytes]]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"x-tenant", b"acme", [("x-tenant", "acme")]),
        (b"X-Tenant", b"acme", [("x-tenant", "acme")]),  # metadata keys are lower case
        (b"x_tenant", b"acme", [("x_tenant", "acme")]),
        (b"authorization", b"Bearer t", [("authorization", "Bearer t")]),
        (b"trace-bin", b"AAE", [("trace-bin", b"\x00\x01")]),
        (b"trace-bin", b"AA==, AQ", [("trace-bin", b"\x00"), ("trace-bin", b"\x01")]),
        (b"if-match", b'"1"', [("if-match", '"1"')]),
        (b"cookie", b"a=b", []),
        (b"connection", b"close", []),
        (b"te", b"trailers", []),
        (b"host", b"example.com", []),
        (b"content-length", b"3", []),
        (b"content_length", b"3", []),
        (b"grpc-timeout", b"1S", []),  # gRPC's own names are not the client's to write
        (b"grpc-metadata-x", b"1", []),
        (b"x-internal", b"true", []),
        (b"X_Internal", b"true", []),  # many servers fold _ and -
        (b"x-forwarded-for", b"6.6.6.6", []),
        (b"x_forwarded_proto", b"https", []),
        (b"x-forwarded-prefix", b"/a", []),
        (b"forwarded", b"for=6.6.6.6", []),
        (b"x-real-ip", b"6.6.6.6", []),
        (b"x-name", "é".encode(), []),  # metadata is printable ASCII
        (b"x-name", b"a\x00b", []),
        (b"x name", b"a", []),
        (b":path", b"/", []),
        (b"x-" + b"a" * 100, b"1", [("x-" + "a" * 100, "1")]),
    ],
)
def test_google(name: bytes, value: bytes, expected: Pairs) -> None:
    """A header becomes metadata unless it is the connection's, gRPC's or cannot be carried."""
    assert expected == list(Inbound()([(name, value)]))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"grpc-metadata-x-tenant", b"acme", [("x-tenant", "acme")]),
        (b"grpc-metadata-trace-bin", b"AAE", [("trace-bin", b"\x00\x01")]),
        (
            b"authorization",
            b"Bearer t",
            [("authorization", "Bearer t"), ("grpcgateway-authorization", "Bearer t")],
        ),
        (b"accept", b"*/*", [("grpcgateway-accept", "*/*")]),
        (b"host", b"a", [("grpcgateway-host", "a")]),
        (b"content-type", b"application/json", [("grpcgateway-content-type", "application/json")]),
        (b"cookie", b"a=b", [("grpcgateway-cookie", "a=b")]),
        (b"if-match", b'"1"', [("grpcgateway-if-match", '"1"')]),
        (b"x-tenant", b"acme", []),
        (b"grpcgateway-authorization", b"Bearer t", []),
        (b"accept-encoding", b"gzip", []),
        (b"grpc-metadata-grpc-timeout", b"1S", []),
        (b"grpc-metadata-te", b"trailers", []),
        (b"grpc-metadata-host", b"a", []),
        (b"grpc-metadata-content-length", b"1", []),
        (b"grpc-metadata-:path", b"/", []),
        (b"grpc-metadata-connection", b"close", []),
        (b"grpc-metadata-", b"a", []),
        (b"grpc-metadata-x-internal", b"1", []),
        (b"grpc-metadata-x_internal", b"1", []),
        (b"grpc-metadata-x-forwarded-for", b"6.6.6.6", []),
        (b"grpc-metadata-grpc-metadata-x", b"1", []),
    ],
)
def test_grpc_gateway(name: bytes, value: bytes, expected: Pairs) -> None:
    """grpc-gateway's clients write metadata behind a prefix, and permanent headers get one."""
    assert expected == list(Inbound(GRPC_GATEWAY)([(name, value)]))


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (GOOGLE, ["user-agent", "x-tenant"]),
        (ENVOY, ["user-agent", "cookie", "x-tenant"]),
        (GRPC_GATEWAY, ["grpcgateway-user-agent", "grpcgateway-cookie"]),
        (STRICT, ["user-agent"]),
    ],
)
def test_profiles(profile: Profile, expected: list[str]) -> None:
    """The profile says which headers pass."""
    headers = [(b"user-agent", b"a"), (b"cookie", b"a=b"), (b"x-tenant", b"t"), (b"te", b"x")]

    assert expected == [key for key, _ in Inbound(profile)(headers)]


def test_repeated_headers() -> None:
    """A header sent twice gives two pairs, in order."""
    pairs = Inbound()([(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")])

    assert pairs == (("x-a", "1"), ("x-b", "2"), ("x-a", "3"))


def test_named_by_connection() -> None:
    """A header that `Connection` names ends here."""
    headers = [(b"connection", b"close, X-A"), (b"x-a", b"1"), (b"x-b", b"2")]

    assert Inbound()(headers) == (("x-b", "2"),)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
@pytest.mark.parametrize(
    "name",
    [
        b"x-internal",
        b"X-INTERNAL",
        b"x_internal",
        b"grpc-metadata-x-internal",
        b"x-internal-bin",
        b"grpc-metadata-x_internal-bin",
    ],
)
def test_stripped(profile: Profile, name: bytes) -> None:
    """The strip list is removed in every spelling, under every profile."""
    assert Inbound(profile)([(name, b"MTIz"), (b"x-internal", b"2"), (name, b"NDU2")]) == ()


def test_own_strip_list() -> None:
    """A strip list of one's own takes the place of the usual one."""
    inbound = Inbound(strip=["X-User"])

    assert inbound([(b"x_user", b"1"), (b"x-internal", b"2")]) == (("x-internal", "2"),)


def test_own_strip_list_by_beginning() -> None:
    """A name that ends in a star is of all headers that begin so."""
    inbound = Inbound(strip=["x-user-*"])

    assert inbound([(b"X_User_Name", b"1"), (b"x-user", b"2")]) == (("x-user", "2"),)


def test_trusted_peer() -> None:
    """A trusted peer may say what others may not, and still nothing that is the connection's."""
    headers = [(b"x-internal", b"1"), (b"host", b"a")]

    assert Inbound()(headers, trusted=True) == (("x-internal", "1"),)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"x-tenant", [("tenant", "AAE")]),
        (b"x-key", [("key-bin", b"\x00\x01")]),  # the key says how the value is sent
        (b"x-te", []),
        (b"x-timeout", []),
        (b"x-odd", []),
        (b"x-user", []),
        (b"accept", []),
    ],
)
def test_matcher(name: bytes, expected: Pairs) -> None:
    """A matcher names the metadata, but nothing that a client may not say."""
    keys = {
        "x-tenant": "Tenant",
        "x-key": "key-bin",
        "x-te": "te",
        "x-timeout": "grpc-timeout",
        "x-odd": "a b",
        "x-user": "x-internal",
    }

    assert expected == list(Inbound(matcher=keys.get)([(name, b"AAE")]))


def test_matcher_is_asked_once() -> None:
    """A matcher is asked once for a header's name, however many requests hold it."""
    asked = []

    def match(name: str) -> str:
        asked.append(name)
        return name

    inbound = Inbound(matcher=match)
    for _ in range(3):
        inbound([(b"x-a", b"1")])

    assert asked == ["x-a"]


@pytest.mark.parametrize("profile", [GOOGLE, ENVOY])
def test_check_binary(profile: Profile) -> None:
    """A binary header that is not base64 is refused before the call, by its name."""
    with pytest.raises(InvalidRequest, match="trace-bin: the header is not base64"):
        Inbound(profile).check([(b"x-a", b"1"), (b"trace-bin", b"!!!")])


@pytest.mark.parametrize(
    "name", [b"grpc-trace-bin", b"x name-bin", b"x-internal-bin", b"grpc-tags-bin"]
)
def test_check_what_does_not_pass(name: bytes) -> None:
    """A binary header that becomes no metadata is not looked at."""
    Inbound(strip=["x-internal-bin"]).check([(name, b"!!!")])


def test_check_size() -> None:
    """Metadata of more than 8,000 bytes are refused before the call."""
    headers = [(b"x-%04d" % number, b"a" * 94) for number in range(80)]
    inbound = Inbound()
    inbound.check(headers)

    with pytest.raises(StatusError, match="8001 bytes of metadata: 8000 are allowed") as caught:
        inbound.check([*headers, (b"a", b"")])
    assert caught.value.http == 431


def test_check_size_of_what_passes() -> None:
    """Headers that become no metadata may be longer."""
    Inbound().check([(b"cookie", b"a" * 9000), (b"x-a", b"1")])


def test_check_own_matcher() -> None:
    """A binary key that a matcher gives is checked as a binary header is."""
    with pytest.raises(InvalidRequest, match="x-key"):
        Inbound(matcher={"x-key": "key-bin"}.get).check([(b"x-key", b"!!!")])


def test_origin() -> None:
    """Metadata tell where the request came from, as far as it is believed."""
    headers = [
        (b"host", b"inside"),
        (b"x-forwarded-for", b"6.6.6.6, 192.0.2.1"),
        (b"x-forwarded-host", b"example.com"),
        (b"x-forwarded-proto", b"https"),
    ]
    inbound = Inbound(proxies=TrustedProxies(["10.0.0.1"]))

    assert inbound.of(headers, ("10.0.0.1", 1), "http") == (
        ("x-forwarded-for", "192.0.2.1, 10.0.0.1"),
        ("x-forwarded-host", "example.com"),
        ("x-forwarded-proto", "https"),
    )
    assert inbound.of(headers, ("10.0.0.2", 1), "http") == (
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-host", "inside"),
        ("x-forwarded-proto", "http"),
    )


def test_origin_of_a_unix_socket() -> None:
    """The peer of a Unix socket has no address to tell of."""
    assert Inbound().of([], None, "http") == (("x-forwarded-proto", "http"),)


@pytest.mark.parametrize(
    "key", ["x-forwarded-for", "x-forwarded-user", "X_Forwarded_Client_Cert", "forwarded"]
)
def test_origin_over_grpc(key: str) -> None:
    """What names a client in metadata is taken of a trusted proxy only, as it is over HTTP."""
    inbound = Inbound(proxies=TrustedProxies(["10.0.0.1"]))

    assert inbound.admitted([(key, "ann")], "10.0.0.2") == ()
    assert inbound.admitted([(key, "ann")], "10.0.0.1") == ((key, "ann"),)
