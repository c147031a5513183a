"""Bad and odd paths and methods, through real sockets: what reaches a servicer, and as what."""

from __future__ import annotations

import pytest

from wire import Catalogue, check_status, get, request

# What is answered


@pytest.mark.parametrize(
    ("target", "called", "value"),
    [
        # An encoded slash is data: it separates nothing.
        ("/v1/a%2Fb", "Get", "a/b"),
        ("/v1/a%2fb", "Get", "a/b"),
        ("/v1/%2F", "Get", "/"),
        ("/v1/items%2F", "Get", "items/"),
        ("/v1/admin%2Fx", "Get", "admin/x"),
        # In a variable of several segments it stays encoded (google.api.http), or it would.
        ("/deep/a%2Fb", "Deep", "a%2Fb"),
        ("/deep/a%2fb/c", "Deep", "a%2fb/c"),
        ("/deep/a%20b/%C3%A4", "Deep", "a b/ä"),
        # Decoded once.
        ("/v1/a%252Fb", "Get", "a%2Fb"),
        ("/v1/%252e%252e", "Get", "%2e%2e"),
        ("/v1/%2500", "Get", "%00"),
        ("/deep/a%252Fb", "Deep", "a%2Fb"),
        # A semicolon begins no parameters, a backslash separates nothing.
        ("/v1/x;admin=1", "Get", "x;admin=1"),
        ("/v1/;", "Get", ";"),
        ("/v1/..;", "Get", "..;"),
        ("/v1/x\\..\\..\\admin", "Get", "x\\..\\..\\admin"),
        ("/v1/x%5C..%5Cadmin", "Get", "x\\..\\admin"),
        # Dots that are no dot segment.
        ("/v1/...", "Get", "..."),
        ("/v1/.well-known", "Get", ".well-known"),
        ("/v1/a..b", "Get", "a..b"),
        # A literal is its text, however it is encoded; so is what stands in front of a query.
        ("/v1/%69tems", "Items", ""),
        ("/%61dmin", "Admin", ""),
        ("/v1/items?", "Items", ""),
        ("/v1/items??", "", ""),
        # An unknown verb is data.
        ("/v1/x:lend", "Get", "x:lend"),
        ("/v1/x%3Adelete", "Get", "x:delete"),
        ("/v1/:", "Get", ":"),
        ("/deep/a:b/c:d", "Deep", "a:b/c:d"),
        ("/between/a/end/end", "Between", "a/end"),
        ("/v1/admin/x", "Admin", "x"),
    ],
)
def test_what_a_path_is(catalogue: Catalogue, target: str, called: str, value: str) -> None:
    """A path is split where it has slashes, then decoded once; nothing else is done to it."""
    answer, ran = catalogue.send(get(target))
    if not called:
        check_status(answer)
        return

    assert (answer.status, ran) == (200, called)
    assert answer.headers["x-called"] == called
    assert answer.json().get("stringValue", "") == value


@pytest.mark.parametrize(
    ("method", "target", "called", "value"),
    [
        ("POST", "/v1/x:delete", "Remove", "x"),
        ("POST", "/v1/x:y:delete", "Remove", "x:y"),
        ("POST", "/v1/a%2Fb:delete", "Remove", "a/b"),
        ("POST", "/v1/x:%64elete", "Remove", "x"),
        ("DELETE", "/v1/x:delete", "Delete", "x:delete"),
        ("PATCH", "/any", "Any", ""),
        ("PROPFIND", "/any", "Any", ""),
    ],
)
def test_method_and_verb(
    catalogue: Catalogue, method: str, target: str, called: str, value: str
) -> None:
    """A colon before a known verb separates it, an encoded colon is data."""
    answer, ran = catalogue.send(request(method, target))

    assert (answer.status, ran) == (200, called)
    assert answer.json().get("stringValue", "") == value


@pytest.mark.parametrize("target", ["/v1/x%3Adelete", "/v1/x:Delete", "/v1/:delete"])
def test_what_is_no_verb(catalogue: Catalogue, target: str) -> None:
    """An encoded colon, another case or nothing in front of it: no verb, so no such POST."""
    assert catalogue.refused(request("POST", target)).status in {404, 405}


def test_head_is_get_without_a_body(catalogue: Catalogue) -> None:
    """HEAD on a GET route calls the method and says the length that GET would."""
    answer, called = catalogue.send(request("HEAD", "/v1/a"))
    body, _ = catalogue.send(get("/v1/a"))

    assert called == "Get"
    assert answer.headers["content-length"] == body.headers["content-length"]


def test_head_of_nothing(catalogue: Catalogue) -> None:
    """HEAD of a path without a route is refused without a body."""
    assert catalogue.refused(request("HEAD", "/nothing")).status == 404


def test_options_of_a_path(catalogue: Catalogue) -> None:
    """OPTIONS of a path tells its methods and calls none."""
    answer, called = catalogue.send(request("OPTIONS", "/v1/x"))

    assert (answer.status, called) == (204, "")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"]
)
def test_method_override_is_ignored(catalogue: Catalogue, name: str) -> None:
    """A header names no method unless the profile says so."""
    headers = [f"{name}: DELETE", "Content-Type: application/json"]
    answer, called = catalogue.send(request("POST", "/v1/items", *headers, body=b"{}"))

    assert (answer.status, called) == (200, "Create")


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://localhost/v1/a", "localhost"),
        ("HTTP://LOCALHOST/v1/a", "localhost"),
        ("https://a.example:8443/v1/a?int32_value=0", "a.example:8443"),
    ],
)
def test_absolute_form(catalogue: Catalogue, target: str, host: str) -> None:
    """A target may be a URL, if its host is the one that the Host header names."""
    answer, called = catalogue.send(request("GET", target, host=host))

    assert (answer.status, called) == (200, "Get")
    assert answer.headers["x-route"] == "catalogue.v1.Catalogue.Get /v1/{string_value}"


@pytest.mark.parametrize("target", ["http://localhost", "http://localhost?int32_value=1"])
def test_absolute_form_without_a_path(catalogue: Catalogue, target: str) -> None:
    """A URL without a path is the path `/`."""
    assert catalogue.refused(get(target)).status == 404


@pytest.mark.parametrize(
    ("target", "called"),
    [
        ("/v1/" + "a" * 8188, "Get"),
        ("/deep" + "/a" * 4090, "Deep"),
        ("/between" + "/a" * 4080 + "/end", "Between"),
    ],
)
def test_long_path(catalogue: Catalogue, target: str, called: str) -> None:
    """A path of 8 KiB is answered, of one segment as of 4,000."""
    answer, ran = catalogue.send(get(target), limit=0.05)

    assert (answer.status, ran) == (200, called)


# What is refused


@pytest.mark.parametrize(
    "target",
    [
        "/v1/a%00b",
        "/v1/%00",
        "/%00",
        "/deep/a/%00/b",
        "/v1/a:%00",
        "/v1/%c0%af",  # `/`, overlong
        "/v1/%c0%ae%c0%ae/admin",  # `..`, overlong
        "/v1/%e0%80%af",
        "/v1/%f8%80%80%80%af",
        "/v1/%ff%fe",
        "/v1/%ff",
        "/v1/a%80",
        "/v1/%c3",  # cut
        "/deep/%c3/%a4",  # `ä`, torn by a slash
        "/v1/%ed%a0%80",  # a surrogate
        "/v1/%ed%a0%bd%ed%b8%80",  # two of them
        "/v1/%f4%90%80%80",  # beyond Unicode
        "/v1/%zz",
        "/v1/%",
        "/v1/%4",
        "/v1/%%32",
        "/v1/%u002f",
        "/v1/% 41",
        "/v1/%+1",
        "/nothing/%zz",  # also where there is no route
    ],
)
def test_bad_escape(catalogue: Catalogue, target: str) -> None:
    """What does not decode to UTF-8 without a NUL is refused, wherever it stands."""
    assert catalogue.refused(get(target)).status == 400


@pytest.mark.parametrize(
    "target",
    [
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/.%2E/admin",
        "/v1/%2e./admin",
        "/v1/..%2fadmin",
        "/v1/..%2Fadmin",
        "/v1/%2e%2e%2fadmin",
        "/v1/./admin",
        "/./admin",
        "/../admin",
        "/..",
        "/v1/.",
        "/v1/..",
        "/v1/x/..",
        "/v1/.%2e/",
        "/v1/a%2F..%2Fb",
        "/deep/a/../b",
        "/deep/../admin",
        "/deep/..",
        "/v1/..:delete",
        "/v1/.:x/..",
    ],
)
def test_dot_segment(catalogue: Catalogue, target: str) -> None:
    """A dot segment is refused in every spelling: nobody downstream can read it otherwise."""
    assert catalogue.refused(get(target)).status == 400


@pytest.mark.parametrize(
    "target",
    [
        "//admin",
        "///admin",
        "/admin//",
        "/admin/",
        "/v1//x",
        "//v1/x",
        "/v1//",
        "/v1/items/",
        "/v1/x/",
        "/v1/",
        "/v1",
        "/",
        "//",
        "/deep//x",
        "/deep/x/",
        "/between//end",
        "/v1\\..\\admin",
        "/v1\\x",
        "/\\admin",
        "/V1/items",
        "/V1/Items",
        "/Admin",
        "/ADMIN",
        "/admin;x=1",
        "/admin%20",
        "/admin%2F",
        "/%2Fadmin",
        "/v1%2Fx",
        "/v1%2Fadmin%2Fx",
        "/admin%3Fx",
        "/admin%23x",
        "/deepx",
        "/catalogue.v1.Catalogue/Admin",  # unbound methods have no route unless asked for
        "/%E2%80%8Badmin",  # zero-width space
        "/%EF%BC%8Fadmin",  # full-width slash
        "/v1/%61dmin%2F",
    ],
)
def test_near_a_route_is_no_route(catalogue: Catalogue, target: str) -> None:
    """A path is no route's because of case, slashes, parameters or blanks; nothing redirects."""
    answer, called = catalogue.send(get(target))
    if target == "/v1/%61dmin%2F":
        # One segment, so not the route of two.
        assert (answer.status, called) == (200, "Get")
        return

    assert (answer.status, called) == (404, "")
    check_status(answer)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/" + "a" * 8189, 414),
        ("/v1/" + "a" * (64 << 10), 414),
        ("/v1/" + "a" * (1 << 20), 414),
        ("/v1/" + "%41" * 4000, 414),
        ("/nothing" + "/a" * 4000, 404),
        ("/v1" + "/a" * 4000, 404),
        ("/nothing" + "/a" * 5000, 414),
        ("/deep" + "/a" * 10_000, 414),
        ("/" * 8192, 404),
        ("/deep" + "/" * 8000, 404),
    ],
)
def test_too_long(catalogue: Catalogue, target: str, status: int) -> None:
    """A path over 8 KiB is refused as too long, and many segments cost next to nothing."""
    assert catalogue.refused(get(target), limit=0.05).status == status


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://evil/v1/a", "localhost"),
        ("http://localhost:1/v1/a", "localhost"),
        ("http://user@localhost/v1/a", "localhost"),
        ("http:///v1/a", "localhost"),
        ("ftp://localhost/v1/a", "localhost"),
        ("http://localhost/v1/a#x", "localhost"),
        ("localhost/v1/a", "localhost"),
        ("a/b", "localhost"),
        ("v1/a", "localhost"),
        ("?x", "localhost"),
        ("mailto:a", "localhost"),
        ("", "localhost"),
        ("/v1/a#frag?x", "localhost"),
        ("/v1/a#", "localhost"),
        ("/v1/a?int32_value=1#x", "localhost"),
        ("#", "localhost"),
        ("*", "localhost"),
    ],
)
def test_what_is_no_target(catalogue: Catalogue, target: str, host: str) -> None:
    """A target is a path or a URL of the same host, without a fragment."""
    assert catalogue.refused(request("GET", target, host=host)).status == 400


@pytest.mark.parametrize(
    "target",
    [
        "/v1/ä".encode(),
        "/v1/a?string_value=ä".encode(),
        b"/v1/\xff",
        b"/v1/\xc0\xaf",
        b"/v1/a b",
        b"/v1/a\tb",
        b"/v1/\x01",
        b"/v1/\x00",
        b"/v1/\x7f",
        b"/v1/a\rb",
        b"/v1/a?x=\x01",
        b"/v1/a?x=\x00",
        b"/v1/a?x=\x1b[31m",
        b"/v1/a\nX: b",
    ],
)
def test_raw_bytes_in_a_target(catalogue: Catalogue, target: bytes) -> None:
    """What RFC 3986 wants encoded is refused raw, and the connection ends."""
    answer = catalogue.refused(get(target))

    assert (answer.status, answer.closed) == (400, True)


def test_options_of_the_server(catalogue: Catalogue) -> None:
    """`OPTIONS *` calls nothing."""
    assert catalogue.refused(request("OPTIONS", "*")).status == 400


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("CONNECT", "x:80", 501),
        ("CONNECT", "/any", 501),
        ("TRACE", "/", 501),
        ("TRACE", "/v1/a", 501),
        ("TRACE", "/any", 501),  # though the route takes all methods
        ("FOO", "/", 501),
        ("get", "/", 501),
        ("get", "/v1/a", 501),
        ("GETT", "/v1/a", 501),
        ("G\x00T", "/v1/a", 501),
        ("PRI", "*", 400),
        ("PUT", "/v1/a", 405),
        ("PROPFIND", "/v1/a", 405),
        ("QUERY", "/v1/a", 405),
        ("M-SEARCH", "/v1/a", 405),
        ("POST", "/admin", 405),
        ("DELETE", "/admin", 405),
        ("PUT", "/", 404),
    ],
)
def test_wrong_method(catalogue: Catalogue, method: str, target: str, status: int) -> None:
    """A method that a path does not answer is told which it does; what is no method is a 501."""
    answer = catalogue.refused(request(method, target))

    assert answer.status == status
    assert ("allow" in answer.headers) == (status == 405)


def test_trace_echoes_nothing(catalogue: Catalogue) -> None:
    """TRACE sends nothing back of what it was sent."""
    answer = catalogue.refused(request("TRACE", "/v1/a", "Authorization: Bearer seal"))

    assert b"seal" not in answer.body
