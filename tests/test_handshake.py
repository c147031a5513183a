from __future__ import annotations

import re
from typing import Any

import pytest

from transcoder.errors import ConfigError, InvalidRequest, StatusError
from transcoder.handshake import TOKEN_LIMIT, Handshakes, Token, subprotocol

Headers = list[tuple[bytes, bytes]]


def scope(*headers: tuple[str, str], query: str = "") -> dict[str, Any]:
    """Return the scope of a handshake."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    offered = [value for name, value in headers if name == "sec-websocket-protocol"]
    names = [name.strip() for value in offered for name in value.split(",")]
    return {"headers": raw, "subprotocols": names, "query_string": query.encode()}


def authorization(scope: dict[str, Any]) -> list[str]:
    """Return the credentials of a scope."""
    return [value.decode() for name, value in scope["headers"] if name == b"authorization"]


def is_allowed(origins: list[str], host: str, *, secure: bool, listed: tuple[str, ...]) -> bool:
    """Say whether pages of these origins may connect."""
    headers = [(b"host", host.encode())] if host else []
    headers += [(b"origin", origin.encode("latin-1")) for origin in origins]
    try:
        Handshakes(listed).check_origin(headers, secure=secure)
    except StatusError as error:
        return error.http != 403
    return True


@pytest.mark.parametrize(
    ("origins", "host"),
    [
        ([], "api.example"),  # No page, no Origin.
        ([], ""),
        (["http://api.example"], "api.example"),
        (["http://API.Example"], "api.EXAMPLE"),
        (["http://api.example:80"], "api.example"),
        (["http://api.example"], "api.example:80"),
        (["http://api.example:8080"], "api.example:8080"),
        (["http://[::1]:8080"], "[::1]:8080"),
        (["https://api.example"], "api.example"),  # Encrypted as far as a proxy.
        (["https://api.example"], "api.example:443"),
        (["https://app.example"], "api.example"),  # Listed, like those that follow.
        (["https://APP.example:443"], "api.example"),
        (["chrome-extension://abcdef"], "api.example"),
    ],
)
def test_origins_that_may_connect(origins: list[str], host: str) -> None:
    """Pages of the same origin may connect, those of listed ones, and what is no page."""
    listed = "https://app.example", "chrome-extension://abcdef"

    assert is_allowed(origins, host, secure=False, listed=listed)


@pytest.mark.parametrize(
    "origins",
    [
        ["null"],
        [""],
        ["api.example"],
        ["//api.example"],
        ["http://"],
        ["http://api.example/"],
        ["http://api.example:8080"],
        ["http://api.example:443"],
        ["https://api.example:80"],
        ["ftp://api.example"],
        ["http://api.example.evil.test"],
        ["http://evil.test?api.example"],
        ["http://evil.test#api.example"],
        ["http://api.example@evil.test"],
        ["http://evil.test@api.example"],
        ["http://evil-api.example"],
        ["http://sub.api.example"],
        ["http://api.example."],
        ["http://api.example http://evil.test"],
        ["http://api.example, http://evil.test"],
        ["http://api.example", "http://evil.test"],
        ["http://api.example", "http://api.example"],
        ["https://app.example.evil.test"],
        ["http://app.example"],
        ["http://api.example\xff"],
    ],
)
def test_origins_that_may_not_connect(origins: list[str]) -> None:
    """Pages of any other origin may not connect, whatever they add to look alike."""
    assert not is_allowed(origins, "api.example", secure=False, listed=("https://app.example",))


def test_an_origin_that_is_less_secure() -> None:
    """Over an encrypted connection a page of http is not of the same origin."""
    assert not is_allowed(["http://api.example"], "api.example", secure=True, listed=())


def test_an_origin_without_a_host() -> None:
    """Without a Host no page is of the same origin."""
    assert not is_allowed(["http://api.example"], "", secure=False, listed=())


@pytest.mark.parametrize("origin", ["*", "null", "app.example", "https://app.example/", ""])
def test_a_list_of_what_is_no_origin(origin: str) -> None:
    """Origins are listed as browsers write them."""
    with pytest.raises(ConfigError, match=re.escape(f"origins: {origin!r} is none")):
        Handshakes([origin])


def test_a_list_that_is_one_text() -> None:
    """One text is no list of origins."""
    with pytest.raises(ConfigError, match="a sequence of origins"):
        Handshakes("https://app.example")


def test_a_token_as_a_subprotocol() -> None:
    """A token among the subprotocols becomes the Authorization, and is in no other place."""
    said = scope(("sec-websocket-protocol", "bearer.abc.def, transcoder.json"))
    Handshakes().adopt(said)

    assert authorization(said) == ["Bearer abc.def"]
    assert said["subprotocols"] == ["transcoder.json"]
    assert (b"sec-websocket-protocol", b"transcoder.json") in said["headers"]
    assert subprotocol(said) == "transcoder.json"


def test_a_token_in_the_query() -> None:
    """A token under the query's key becomes the Authorization, and leaves the query."""
    said = scope(query="a=1&access%5Ftoken=x%2By&b=2")
    Handshakes(token=Token(query="access_token")).adopt(said)

    assert (authorization(said), said["query_string"]) == (["Bearer x+y"], b"a=1&b=2")


def test_a_token_in_a_cookie() -> None:
    """A token in the cookie of the name becomes the Authorization."""
    said = scope(("cookie", 'other=1; session="abc"; sessions=2'))
    Handshakes(token=Token(cookie="session")).adopt(said)

    assert authorization(said) == ["Bearer abc"]


def test_places_that_nobody_named() -> None:
    """Neither a cookie nor a key of the query is a token unless the gateway says so."""
    said = scope(("cookie", "session=abc"), query="access_token=abc")
    Handshakes().adopt(said)

    assert (authorization(said), said["query_string"]) == ([], b"access_token=abc")


def test_tokens_in_many_places() -> None:
    """What the client says most plainly counts: header, subprotocol, query, cookie."""
    handshakes = Handshakes(token=Token(cookie="session", query="token"))
    told = [
        ("authorization", "Basic header"),
        ("sec-websocket-protocol", "bearer.subprotocol"),
        ("cookie", "session=cookie"),
    ]
    found = []
    for start in range(3):
        said = scope(*told[start:], query="token=query")
        handshakes.adopt(said)
        assert b"token" not in said["query_string"]
        found += authorization(said)

    assert found == ["Basic header", "Bearer subprotocol", "Bearer query"]


@pytest.mark.parametrize("token", ["", "a b", "a\r\nx: y", "é", "x" * (TOKEN_LIMIT + 1)])
def test_tokens_that_are_none(token: str) -> None:
    """What could not stand in a header is no token."""
    said = scope(("cookie", f"session={token}"))
    Handshakes(token=Token(cookie="session")).adopt(said)

    assert authorization(said) == []


@pytest.mark.parametrize("name", ["a b", "a=b", "a;b", "é"])
def test_names_of_places_that_are_none(name: str) -> None:
    """A cookie, or a key of the query, has a name that can be sent."""
    with pytest.raises(ConfigError, match="websocket_token"):
        Token(cookie=name)


def test_a_timeout_in_the_query() -> None:
    """The timeout of a page, which can set no header, stands in the query."""
    said = scope(query="%24timeout=2.5&a=1")
    Handshakes().adopt(said)

    assert said["headers"] == [(b"x-request-timeout", b"2.5")]
    assert said["query_string"] == b"a=1"


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        ("transcoder.json", "transcoder.json"),
        ("transcoder.protobuf, transcoder.json", "transcoder.protobuf"),
        ("mqtt, transcoder.json", "transcoder.json"),
    ],
)
def test_the_subprotocol_that_is_selected(offered: str, selected: str) -> None:
    """The first of ours that the client offers is selected."""
    assert subprotocol(scope(("sec-websocket-protocol", offered))) == selected


def test_no_subprotocol() -> None:
    """Nothing is selected of nothing."""
    assert subprotocol(scope()) is None


@pytest.mark.parametrize("offered", ["mqtt", "bearer.abc", "Transcoder.JSON"])
def test_only_foreign_subprotocols(offered: str) -> None:
    """A client that offers none of ours is refused, and a token is none to select."""
    said = scope(("sec-websocket-protocol", offered))
    Handshakes().adopt(said)
    with pytest.raises(InvalidRequest) as caught:
        subprotocol(said)

    assert "offer the subprotocol transcoder.json" in caught.value.status.message
    assert "abc" not in caught.value.status.message
