"""Bad and odd headers, through real sockets: what passes on, what is left out, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tests.conftest import Start

from wire import Answer, Catalogue, check_status, get, request


@pytest.fixture(scope="module")
def plain(start_shared: Start) -> Iterator[Catalogue]:
    """The server with its defaults; it holds nothing of what the tests sent it."""
    catalogue = Catalogue(start_shared("headers:create"))
    yield catalogue
    assert max(catalogue.grown()) <= 2


@pytest.fixture(scope="module")
def behind(start_shared: Start) -> Catalogue:
    """The server that believes proxies on loopback."""
    return Catalogue(start_shared("headers:behind"))


@pytest.fixture(scope="module")
def grpc_gateway(start_shared: Start) -> Catalogue:
    """The server for the clients of grpc-gateway."""
    return Catalogue(start_shared("headers:grpc_gateway"))


def told(catalogue: Catalogue, *headers: str) -> list[str]:
    """Return the metadata that the servicer sees, but for what each request has."""
    answer, called = catalogue.send(request("GET", "/query", *headers))
    assert (answer.status, called) == (200, "Query")
    ordinary = ("x-forwarded-", "grpcgateway-host=")
    pairs: list[str] = answer.json().get("stringList", [])
    return [pair for pair in pairs if not pair.startswith(ordinary)]


def origin(catalogue: Catalogue, *headers: str) -> dict[str, str]:
    """Return what the servicer is told of where a request came from."""
    answer, _ = catalogue.send(request("GET", "/query", *headers))
    pairs = (pair.partition("=") for pair in answer.json()["stringList"])
    return {
        key.removeprefix("x-forwarded-"): value
        for key, _, value in pairs
        if key.startswith("x-forwarded-")
    }


DIRECT = {"for": "127.0.0.1", "host": "localhost", "proto": "http"}

# The head of a request


@pytest.mark.parametrize("size", [33_000, 60_000, 100_000])
def test_long_headers(plain: Catalogue, size: int) -> None:
    """Headers of more than 32 KiB are refused, and the connection ends."""
    answer = plain.refused(request("GET", "/v1/a", f"Cookie: {'a' * size}"))

    assert (answer.status, answer.closed) == (431, True)


def test_endless_header(plain: Catalogue) -> None:
    """A header that does not end is refused while it arrives."""
    answer = plain.refused(b"GET /v1/a HTTP/1.1\r\nHost: localhost\r\nX-A: ", endless=b"a" * 65_536)

    assert (answer.status, answer.closed) == (431, True)


def test_ever_more_headers(plain: Catalogue) -> None:
    """Headers without an end are refused while they arrive."""
    answer = plain.refused(b"GET /v1/a HTTP/1.1\r\nHost: localhost\r\n", endless=b"A: b\r\n" * 1000)

    assert (answer.status, answer.closed) == (431, True)


def test_ever_more_trailers(plain: Catalogue) -> None:
    """Trailers without an end are refused while they arrive, and are nothing before that."""
    head = request("POST", "/v1/items", "Content-Type: application/json")
    chunked = head[:-2] + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    answer = plain.refused(chunked, endless=b"A: b\r\n" * 1000)

    assert (answer.status, answer.closed) == (431, True)


@pytest.mark.parametrize("count", [100, 1_000, 10_000])
def test_many_headers(plain: Catalogue, count: int) -> None:
    """More than 100 headers are refused."""
    answer = plain.refused(request("GET", "/v1/a", *["A: b"] * count))

    assert (answer.status, answer.closed) == (431, True)


def test_headers_within_the_limits(plain: Catalogue) -> None:
    """A hundred headers, and 32 KiB of them, are answered."""
    many, _ = plain.send(request("GET", "/v1/a", *["A: b"] * 99))
    long, _ = plain.send(request("GET", "/v1/a", f"Cookie: {'a' * 32_000}"))

    assert (many.status, long.status) == (200, 200)


@pytest.mark.parametrize(
    "line",
    [
        b"X-A: a\rb",
        b"X-A: a\x00b",
        b"X-A: a\r\n b",
        b"X-A : a",
        b": a",
        b"X A: a",
        b" X-A: a",
        b"X-A",
        b"X-\xff: a",
    ],
)
def test_malformed_headers(plain: Catalogue, line: bytes) -> None:
    """What is no header is refused, and the connection ends."""
    answer = plain.refused(b"GET /v1/a HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n\r\n")

    assert (answer.status, answer.closed) == (400, True)


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["localhost", "localhost"],
        ["localhost", "other"],
        [""],
        ["a/b?c"],
        ["a@b"],
        ["a, b"],
        ["a" * 1024],
        ["x:99999"],
        ["x:"],
        ["[::1"],
    ],
)
def test_no_host(plain: Catalogue, hosts: list[str]) -> None:
    """A request has one Host, and it is one."""
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    answer = plain.refused(f"GET /v1/a HTTP/1.1\r\n{lines}\r\n".encode())

    assert (answer.status, answer.closed) == (400, True)


@pytest.mark.parametrize("host", ["evil", "localhost:80", "[::1]:8080", "xn--bcher-kva.example"])
def test_any_host(plain: Catalogue, host: str) -> None:
    """A well-formed Host is answered, whatever it names."""
    answer, called = plain.send(request("GET", "/v1/a", host=host))

    assert (answer.status, called) == (200, "Get")


# Headers to metadata


@pytest.mark.parametrize(
    "header", ["X-A: \u00e9", "X-A: \u00ff\u00fe", "X-A: a\tb", "Cookie: a=b", "TE: trailers"]
)
def test_left_out(plain: Catalogue, header: str) -> None:
    """What metadata cannot carry, and what is not for the servicer, is left out."""
    assert told(plain, header, "X-B: b") == ["x-b=b"]


@pytest.mark.parametrize("value", ["!!!", "A", "AA=A", "\u00e9"])
def test_binary(plain: Catalogue, grpc_gateway: Catalogue, value: str) -> None:
    """A binary header that is not base64 is refused, and other connections do not notice."""
    other = plain.wire()
    assert plain.refused(request("GET", "/v1/a", f"X-Trace-Bin: {value}")).status == 400
    other.send(get("/v1/b"))
    assert other.answer().status == 200
    other.close()

    raw = request("GET", "/v1/a", f"Grpc-Metadata-Trace-Bin: {value}")
    assert grpc_gateway.refused(raw).status == 400


@pytest.mark.parametrize("size", [8_001, 12_000, 20_000])
def test_too_much_metadata(plain: Catalogue, size: int) -> None:
    """More metadata than gRPC carries for sure are refused each time."""
    for _ in range(3):
        answer = plain.refused(request("GET", "/v1/a", "X-A: " + "a" * size))
        assert (answer.status, answer.closed) == (431, False)


def test_many_metadata(grpc_gateway: Catalogue) -> None:
    """Many headers are metadata together."""
    headers = [f"Grpc-Metadata-Foo: {'a' * 100}"] * 90
    assert grpc_gateway.refused(request("GET", "/v1/a", *headers)).status == 431

    assert told(grpc_gateway, *headers[:70]) == [f"foo={'a' * 100}"] * 70


@pytest.mark.parametrize(
    "name",
    [
        *("Grpc-Timeout", "Te", "Host", "Content-Length", "Connection", "X-Internal"),
        *("Transfer-Encoding", "Grpc-Status", "X-Forwarded-For"),
    ],
)
def test_reserved_metadata(grpc_gateway: Catalogue, name: str) -> None:
    """Nobody writes gRPC's or the connection's own metadata by a prefix."""
    assert told(grpc_gateway, f"Grpc-Metadata-{name}: 1") == []


INTERNAL = [
    ["X-Internal: 1"],
    ["x_internal: 1"],
    ["X-INTERNAL: 1"],
    ["X-Internal: 1"] * 3,
    ["X_Internal: 1", "X-Internal: 2"],
    ["Connection: X-Internal", "X-Internal: 1"],
    ["Grpc-Metadata-X-Internal: 1"],
    ["Grpc-Metadata-X_Internal: 1"],
]


@pytest.mark.parametrize("headers", INTERNAL)
def test_strip_list(plain: Catalogue, grpc_gateway: Catalogue, headers: list[str]) -> None:
    """What a client may not say of itself is left out in every spelling."""
    assert told(plain, *headers) == []
    assert told(grpc_gateway, *headers) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_trailers(plain: Catalogue, method: str) -> None:
    """What comes behind a body is no header any more."""
    path = "/query" if method == "GET" else "/v1/items"
    head = request(method, path, "Content-Type: application/json", "Transfer-Encoding: chunked")
    trailers = b"X-Internal: 1\r\nAuthorization: Bearer t\r\nX-A: 1\r\n"
    answer, _ = plain.send(head + b"2\r\n{}\r\n0\r\n" + trailers + b"\r\n")

    assert answer.status == 200
    assert b"internal" not in answer.body
    assert b"uthorization" not in answer.body


@pytest.mark.parametrize("header", ["X-A", "Authorization", "X-Forwarded-For"])
def test_named_by_connection(plain: Catalogue, header: str) -> None:
    """A header that Connection names is the connection's; the gateway's own metadata stay."""
    assert told(plain, f"Connection: close, {header}", f"{header}: 1") == []
    assert origin(plain, f"Connection: {header}", f"{header}: 1") == DIRECT


def test_authorization(plain: Catalogue) -> None:
    """Credentials reach the servicer as they are sent, all of them."""
    headers = ["Authorization: Bearer a", "Authorization: Basic Yg=="]

    assert told(plain, *headers) == ["authorization=Bearer a", "authorization=Basic Yg=="]
    too_long = request("GET", "/v1/a", "Authorization: Bearer " + "a" * 64_000)
    assert plain.refused(too_long).status == 431


@pytest.mark.parametrize(
    "header",
    [
        "Range: bytes=" + ",".join(f"{number}-" for number in range(4_000)),
        "Accept: " + ",".join(["*/*;q=0.1"] * 700),
        "Accept: " + ",".join(["*/*;q="] * 900),
        "Accept-Encoding: " + ",".join(["gzip;q=0.1"] * 2_000),
        "If-None-Match: " + ",".join(['"a"'] * 1_500),
        "User-Agent: " + "a" * 7_000 + "!",
        "X-A: " + "," * 7_000,
        "Traceparent: 00-" + "0" * 5_000,
    ],
)
def test_little_work(plain: Catalogue, header: str) -> None:
    """Long headers that ask for much cost little."""
    answer, _ = plain.send(request("GET", "/v1/a", header), limit=0.05)

    assert answer.status in {200, 406, 431}


@pytest.mark.parametrize(
    "value", ["x" * 10_000, "a%0d%0ab", "\u00e9", "", "a b", "a\tb", "x" * 129]
)
def test_request_id(plain: Catalogue, value: str) -> None:
    """A request's id is the client's own only if it is well-formed."""
    kept, _ = plain.send(request("GET", "/nowhere", "X-Request-ID: abc-1"))
    twice, _ = plain.send(request("GET", "/nowhere", "X-Request-ID: a", "X-Request-ID: b"))
    new = plain.refused(request("GET", "/nowhere", f"X-Request-ID: {value}"))

    assert kept.headers["x-request-id"] == "abc-1"
    assert len(twice.headers["x-request-id"]) == len(new.headers["x-request-id"]) == 32


def test_forged_log(plain: Catalogue) -> None:
    """Nothing of a header gets into the log."""
    answer = plain.refused(request("GET", "/nowhere", 'User-Agent: a\x1f[31m", "status":200'[:17]))
    assert answer.status in {400, 404}


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "TLS/1.0"])
def test_upgrade(plain: Catalogue, upgrade: str) -> None:
    """No request of ours becomes a tunnel."""
    headers = ["Connection: close, keep-alive, upgrade", f"Upgrade: {upgrade}"]
    wire = plain.wire()
    wire.send(request("GET", "/v1/a", *headers))
    status = wire.answer().status
    wire.close()

    assert status in {200, 400, 403, 404, 426}


# Where a request came from


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Prefix: /evil",
        "X_Forwarded_For: 6.6.6.6",
        "Forwarded: for=6.6.6.6;host=evil;proto=https",
        "X-Real-IP: 6.6.6.6",
        "True-Client-IP: 6.6.6.6",
    ],
)
def test_untrusted_peer(plain: Catalogue, header: str) -> None:
    """What a client says of where it comes from is not believed, and not passed on."""
    assert origin(plain, header) == DIRECT
    assert told(plain, header) == []
    answer, _ = plain.send(request("GET", "/v1/a", header))
    assert "evil" not in f"{answer.headers} {answer.body!r}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("192.0.2.1", "192.0.2.1, 127.0.0.1"),
        ("6.6.6.6, 192.0.2.1, 10.0.0.1", "192.0.2.1, 10.0.0.1, 127.0.0.1"),
        ("::ffff:192.0.2.1", "192.0.2.1, 127.0.0.1"),
        ("192.0.2.1:80", "192.0.2.1, 127.0.0.1"),
        (", ".join(["6.6.6.6"] * 1000), "6.6.6.6, 127.0.0.1"),
        ("127.0.0.1, x", "127.0.0.1"),
        ("fe80::1%lo", "127.0.0.1"),
        ("010.0.0.1", "127.0.0.1"),
        ('"[::1]"', "127.0.0.1"),
        ("\u00e9", "127.0.0.1"),
    ],
)
def test_trusted_proxy(behind: Catalogue, value: str, expected: str) -> None:
    """Behind a trusted proxy the client is the rightmost address that is no proxy's."""
    assert origin(behind, f"X-Forwarded-For: {value}")["for"] == expected


# Deadlines


def left(answer: Answer) -> float:
    """Return the seconds that the servicer had left."""
    return float(answer.json()["doubleValue"])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("X-A: 1", 30),
        ("Grpc-Timeout: 5S", 5),
        ("Grpc-Timeout: 99999999H", 300),
        ("X-Request-Timeout: 2.5", 2.5),
    ],
)
def test_timeout(plain: Catalogue, header: str, seconds: float) -> None:
    """A call has the time that its client asks for, up to the maximum."""
    answer, _ = plain.send(request("GET", "/query", header))

    assert seconds - 2 < left(answer) <= seconds


@pytest.mark.parametrize("value", ["x", "1", "S", "", "-1S", "1.5S", "999999999S", "1 S", "1s"])
def test_malformed_timeout(plain: Catalogue, value: str) -> None:
    """A timeout of another grammar is refused."""
    assert plain.refused(request("GET", "/v1/a", f"Grpc-Timeout: {value}")).status == 400


@pytest.mark.parametrize("value", ["0S", "0n", "1n"])
def test_no_time(plain: Catalogue, value: str) -> None:
    """A call without time is over before it begins."""
    answer, called = plain.send(request("GET", "/v1/a", f"Grpc-Timeout: {value}"))

    assert (answer.status, answer.json()["code"], called) == (504, 4, "")


def test_two_timeouts(plain: Catalogue) -> None:
    """Two timeouts that differ are refused."""
    headers = ["Grpc-Timeout: 1S", "Grpc-Timeout: 2S"]

    assert plain.refused(request("GET", "/v1/a", *headers)).status == 400
    assert plain.send(request("GET", "/v1/a", headers[0], headers[0]))[0].status == 200


# Metadata to headers


def asked(catalogue: Catalogue, **metadata: str) -> Answer:
    """Return the answer of a servicer that sends these metadata."""
    query = "&".join(
        f"string_map[{key.replace('_', '-')}]={quote(value)}" for key, value in metadata.items()
    )
    return catalogue.send(get(f"/query?{query}"))[0]


def test_headers_of_an_answer(plain: Catalogue, grpc_gateway: Catalogue) -> None:
    """Metadata are headers of the answer, but none that would break it."""
    answer = asked(plain, x_cost="3", etag='"1"', set_cookie="a=b", content_length="1", te="x")
    assert answer.headers["x-cost"] == "3"
    assert answer.headers["etag"] == '"1"'
    assert not {"set-cookie", "te"} & set(answer.headers)

    answer = asked(grpc_gateway, x_cost="3", etag='"1"')
    assert answer.headers["grpc-trailer-x-cost"] == "3"
    assert answer.headers["etag"] == '"1"'


def test_http_status(plain: Catalogue) -> None:
    """The servicer sets the HTTP status of its answer."""
    created = asked(plain, x_http_code="201", location="/v1/a")

    assert (created.status, created.headers["location"]) == (201, "/v1/a")
    assert "x-http-code" not in created.headers


@pytest.mark.parametrize("code", ["204", "304"])
def test_http_status_without_a_body(plain: Catalogue, code: str) -> None:
    """An answer of such a status ends behind its head, and the connection goes on."""
    answer = asked(plain, x_http_code=code)

    assert (answer.status, answer.body) == (int(code), b"")
    assert not {"content-type", "content-length", "transfer-encoding"} & set(answer.headers)


@pytest.mark.parametrize("code", ["99", "600", "100", "1000", "x", "404"])
def test_no_http_status(plain: Catalogue, code: str) -> None:
    """A status that no reply can have is a 502, in our words."""
    answer = asked(plain, x_http_code=code)

    assert (answer.status, answer.json()["code"]) == (502, 13)
    assert "x-http-code" in plain.log()[-1] or "ValueError" in "".join(plain.log()[-30:])


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\x00", "\u00e9"])
def test_metadata_that_cannot_be_sent(plain: Catalogue, value: str) -> None:
    """Metadata that would split the answer are the servicer's defect."""
    query = f"/query?string_map[x-a]={quote(value)}"
    answer, _ = plain.send(get(query))

    assert answer.status in {400, 500}
    assert "x-evil" not in answer.headers


def test_no_sniffing(plain: Catalogue) -> None:
    """Answers and errors tell browsers to believe their content type."""
    for target in ("/v1/a", "/nowhere", "/v1/%zz", "/healthz", "no path"):
        answer, _ = plain.send(get(target))
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_problem(plain: Catalogue) -> None:
    """Errors are problems for who asks for them."""
    answer, _ = plain.send(request("GET", "/nowhere", "Accept: application/problem+json"))

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Not Found"
    check_status(plain.send(get("/nowhere"))[0])
