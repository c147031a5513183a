"""What headers a backend sees, and what of its own a client is told."""

from __future__ import annotations

from typing import Any

import pytest

from behind import Front, Told, run
from transcoder import ConfigError, Gateway, HttpUpstream, Tls
from transcoder.policies import Internal, RequestId

FORGED = "X-Internal: forged"


def seen(*headers: str, **options: Any) -> list[tuple[bytes, bytes]]:
    """Return the headers that the backend sees."""

    async def fact(front: Front) -> list[tuple[bytes, bytes]]:
        await front.get("/back/a", *headers)
        return front.backend.asked[0].headers

    return run(fact, **options)


def values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Return the values of the headers that some server takes for one."""
    return [value for key, value in headers if key.lower().replace(b"_", b"-") == name]


@pytest.mark.parametrize(
    "forged",
    [
        [FORGED],
        ["x_internal: forged"],
        ["X-INTERNAL: forged"],
        [FORGED, FORGED, FORGED],
        [FORGED, "X_Internal: forged"],
        [FORGED, "Connection: X-Internal"],
        ["Connection: X-Internal, close"],
        ["Grpc-Metadata-X-Internal: forged"],
        ["grpc_metadata_x_internal: forged"],
    ],
)
def test_internal(forged: list[str]) -> None:
    """The backend sees the gateway's mark once, whatever the client says in whichever spelling."""
    found = seen(*forged, policies=[Internal()])

    assert values(found, b"x-internal") == [b"true"]
    assert values(found, b"grpc-metadata-x-internal") == []


def test_internal_without_a_policy() -> None:
    """A client's mark is taken away where nobody sets one."""
    assert values(seen(FORGED), b"x-internal") == []


def test_identity_headers() -> None:
    """Behind an internal gateway nobody who is not listed tells an identity, in any spelling."""
    forged = ("X-User-ID", "x_tenant", "x-caller-bin", "Grpc-Metadata-X_Peer-Bin", "x-shop-plan")
    found = seen(*(f"{name}: a" for name in forged), "x-a: b", role="internal", strip=["x-shop*"])

    assert [name for name, _ in found if not name.startswith(b"x-forwarded-")] == [b"host", b"x-a"]


def test_internal_in_a_trailer() -> None:
    """A mark in a trailer does not become a header."""

    async def fact(front: Front) -> list[tuple[bytes, bytes]]:
        await front.raw(
            b"POST /back/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
            b"transfer-encoding: chunked\r\ntrailer: x-internal\r\n\r\n"
            b"1\r\na\r\n0\r\nx-internal: forged\r\n\r\n"
        )
        (request,) = front.backend.asked
        assert request.body == b"a"
        return request.headers

    assert values(run(fact, policies=[Internal()]), b"x-internal") == [b"true"]


@pytest.mark.parametrize(
    "given", ["a" * 129, "a%0d%0ab", "ä", "", "a b"], ids=["long", "escaped", "latin", "empty", "2"]
)
def test_request_id(given: str) -> None:
    """A name that is none is replaced, for the backend as for the client."""

    async def fact(front: Front) -> tuple[list[bytes], list[bytes]]:
        answer = await front.get("/back/a", f"X-Request-ID: {given}")
        return front.backend.asked[0].all(b"x-request-id"), answer.all(b"x-request-id")

    backend, client = run(fact, policies=[RequestId()])

    assert backend == client
    assert len(backend) == 1
    assert len(backend[0]) == 32


def test_request_id_is_kept() -> None:
    """A well-formed name is passed on once."""
    assert values(seen("X-Request-ID: a-1", policies=[RequestId()]), b"x-request-id") == [b"a-1"]


@pytest.mark.parametrize(
    "headers",
    [
        ["X-Forwarded-For: 6.6.6.6"],
        ["x_forwarded_for: 6.6.6.6"],
        ["X-Forwarded-For: 6.6.6.6", "Connection: X-Forwarded-For"],
        ["X-Forwarded-Host: evil", "X-Forwarded-Proto: https", "X-Forwarded-Prefix: /a"],
        ["Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6", "True-Client-IP: 6.6.6.6"],
    ],
)
def test_origin(headers: list[str]) -> None:
    """Who the client is comes from the connection alone, where no proxy is trusted."""
    found = seen(*headers)
    named = [
        (name, value)
        for name, value in found
        if b"forwarded" in name.replace(b"_", b"-") or b"-ip" in name
    ]

    assert named == [
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-host", b"edge.example"),
        (b"x-forwarded-proto", b"http"),
    ]


def test_origin_behind_a_proxy() -> None:
    """A trusted proxy's word counts, from the right."""
    headers = "X-Forwarded-For: 6.6.6.6, 192.0.2.7", "X-Forwarded-Proto: https"
    found = seen(*headers, trusted_proxies=["127.0.0.1"])

    assert values(found, b"x-forwarded-for") == [b"192.0.2.7, 127.0.0.1"]
    assert values(found, b"x-forwarded-proto") == [b"https"]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Connection: X-Hop\r\nX-Hop: 1", b"x-hop"),
        ("Keep-Alive: timeout=5", b"keep-alive"),
        ("Proxy-Connection: keep-alive", b"proxy-connection"),
        ("Proxy-Authorization: Basic YTpi", b"proxy-authorization"),
        ("TE: trailers", b"te"),
        ("Trailer: a", b"trailer"),
        ("Connection: upgrade\r\nUpgrade: h2c", b"upgrade"),
        ("HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", b"http2-settings"),
    ],
)
def test_hop_by_hop(header: str, name: bytes) -> None:
    """What is about the client's connection is not about the backend's."""
    found = seen(header)

    assert values(found, name) == []
    assert values(found, b"connection") == []


def test_end_to_end() -> None:
    """All other headers pass as they are, in their order."""
    sent = [
        "Cookie: a=b; c=d",
        "Authorization: Bearer abc",
        "Accept-Encoding: br",
        "X-Twice: 1",
        "x-twice: 2",
        'If-None-Match: W/"a"',
        "X-Latin: \xe4",
        "Range: bytes=0-1",
        "User-Agent: a",
    ]
    found = seen(*sent)
    expected = [tuple(each.split(": ", 1)) for each in sent]

    assert [
        (name.decode(), value.decode("latin-1"))
        for name, value in found
        if not name.startswith((b"x-forwarded", b"host"))
    ] == [(name.lower(), value) for name, value in expected]


@pytest.mark.parametrize(("host", "sees"), [("backend", None), ("keep", b"edge.example")])
def test_host(host: str, sees: bytes | None) -> None:
    """The backend sees its own name as Host, or the client's where that is wanted."""

    async def fact(front: Front) -> tuple[list[bytes], bytes]:
        await front.get()
        return front.backend.asked[0].all(b"host"), front.backend.target.encode()

    found, own = run(fact, options={"host": host})

    assert found == [sees or own]


def test_timeout() -> None:
    """A client's deadline is passed on as the seconds that are left, within the maximum."""
    (told,) = values(seen("Grpc-Timeout: 9000000S"), b"x-request-timeout")

    assert told == b"300.000"
    assert values(seen("Grpc-Timeout: 20S"), b"grpc-timeout") == []


def answered(raw: bytes, **options: Any) -> Told:
    """Return what a client is told of an answer."""

    async def fact(front: Front) -> Told:
        return await front.get()

    return run(fact, b"HTTP/1.1 200 OK\r\n" + raw, **options)


def test_answer() -> None:
    """Headers of an answer pass, but those of the connection, the server, and the gateway's own."""
    told = answered(
        b'Content-Type: text/html\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nETag: "x"\r\n'
        b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nServer: secret\r\n"
        b"Date: Mon, 01 Jan 2001 00:00:00 GMT\r\nX-Internal: 1\r\nX-Request-ID: other\r\n"
        b"Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
        policies=[RequestId(), Internal()],
    )
    names = [name for name, _ in told.headers]

    assert sorted(names) == [
        b"connection",
        b"content-length",
        b"content-type",
        b"date",
        b"etag",
        b"set-cookie",
        b"set-cookie",
        b"x-request-id",
    ]
    assert told.all(b"connection") == [b"close"]
    assert told.all(b"x-request-id") != [b"other"]
    assert b"2001" not in told.all(b"date")[0]


def test_encoded_answer() -> None:
    """An encoded body passes untouched, whatever it holds."""
    told = answered(b"content-encoding: gzip\r\ncontent-length: 7\r\n\r\nno gzip")

    assert (told.all(b"content-encoding"), told.body) == ([b"gzip"], b"no gzip")


@pytest.mark.parametrize(
    "options",
    [
        {"host": "client"},
        {"timeout": 0},
        {"connections": 0},
        {"tls": Tls()},
    ],
)
def test_options(options: dict[str, Any]) -> None:
    """An option that is none is refused."""
    with pytest.raises(ConfigError):
        HttpUpstream("http://a", **options)


def test_prefix() -> None:
    """A prefix that a route does not have cannot be taken away."""
    with pytest.raises(ConfigError, match="does not begin with it"):
        Gateway().forward("/old/**", HttpUpstream("http://a"), strip_prefix="/ol")
