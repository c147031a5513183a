from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from transcoder.admin_guard import Guard, is_local, is_loopback
from transcoder.errors import ConfigError
from transcoder.listeners import Address, Claim

TOKEN = "correct horse"


async def ok(scope: Any, receive: Any, send: Any) -> None:
    """Answer 200."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def asked(address: str, headers: dict[str, str], token: str = "", kind: str = "http") -> Any:
    """Return the status and headers of an answer, at an address, to some headers."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": f"{kind}.connect"}

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": kind, "method": "GET", "path": "/", "raw_path": b"/", "headers": raw}
    with Claim.take("admin", Address.parse(address)) as claim:
        asyncio.run(Guard(ok, claim, token)(scope, receive, send))
    return sent[0]


def status(address: str, headers: dict[str, str], token: str = "") -> int:
    """Return the status of an answer."""
    return int(asked(address, headers, token)["status"])


def basic(user: str, password: str) -> str:
    """Return the credentials of RFC 7617."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104  all interfaces
        ("0x7f000001", False),  # An address to some resolvers, and a name to a browser.
    ],
)
def test_loopback(host: str, *, loopback: bool) -> None:
    """Loopback's names are its addresses and `localhost`, and no name that resolves to them."""
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:9901", 200),
        ("localhost:9901", 200),
        ("[::1]:9901", 200),
        ("localhost", 200),
        ("evil.example:9901", 403),  # It resolves to this machine by now.
        ("", 403),
        ("[::1", 403),
    ],
)
def test_host(host: str, expected: int) -> None:
    """A port on the loopback interface answers under loopback's names."""
    assert status("127.0.0.1:0", {"host": host}) == expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:9901", 200),
        ("https://localhost:9901", 200),  # Something in front of it speaks TLS.
        ("http://localhost:8080", 403),  # Another port is another origin.
        ("http://evil.example", 403),
        ("null", 403),
    ],
)
def test_origin(origin: str, expected: int) -> None:
    """It answers no page of another origin."""
    assert status("127.0.0.1:0", {"host": "localhost:9901", "origin": origin}) == expected


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),  # RFC 9110, section 11.1
        (f"Basic {TOKEN}", 401),
        (f"Basic {basic('anybody', TOKEN)}", 200),  # As a browser does that asked for a password.
        (f"basic {basic('', TOKEN)}", 200),
        (f"Basic {basic(TOKEN, 'wrong')}", 401),
        (f"Basic {basic('anybody', '')}", 401),
        (f"Digest {TOKEN}", 401),
        ("Bearer", 401),
        ("Bearer correct hors", 401),
        (f"Bearer {TOKEN}é", 401),
    ],
)
@pytest.mark.parametrize("address", ["127.0.0.1:0", "0.0.0.0:0"])
def test_token(address: str, authorization: str | None, expected: int) -> None:
    """Where there is a token it must be shown, whatever the interface."""
    told = {} if authorization is None else {"authorization": authorization}
    assert status(address, {"host": "127.0.0.1", **told}, TOKEN) == expected


def test_challenge() -> None:
    """Who shows none is told what to show."""
    headers = asked("127.0.0.1:0", {"host": "localhost"}, TOKEN)["headers"]
    told = [value for name, value in headers if name == b"www-authenticate"]
    assert told == [b'Bearer realm="admin"', b'Basic realm="admin"']


def test_other_names() -> None:
    """A port on other interfaces has the names that it has, for there the token decides."""
    told = {"host": "gateway.internal:9901", "authorization": f"Bearer {TOKEN}"}
    assert status("0.0.0.0:0", told, TOKEN) == 200
    assert status("0.0.0.0:0", {**told, "origin": "http://evil.example"}, TOKEN) == 403


def test_unix_socket(tmp_path: Any) -> None:
    """A Unix socket is reached by those who may open it, under any name."""
    assert status(f"unix:{tmp_path}/admin", {"host": "admin"}) == 200


def test_no_websockets() -> None:
    """There are no WebSockets."""
    told = asked("127.0.0.1:0", {"host": "localhost"}, kind="websocket")
    assert told == {"type": "websocket.close"}


def test_local() -> None:
    """All interfaces are more than the loopback one."""
    for address, expected in (("127.0.0.1:0", True), ("localhost:0", True), (":0", False)):
        with Claim.take("admin", Address.parse(address)) as claim:
            assert is_local(claim) is expected


@pytest.mark.parametrize(
    ("address", "token", "problem"),
    [
        (
            "0.0.0.0:0",
            "",
            (
                "is reached from outside: give a token (admin_token), "
                "or an address of this machine, as 127.0.0.1:9901"
            ),
        ),
        ("127.0.0.1:0", "é", "admin_token: ASCII is expected, for it is sent in a header"),
    ],
)
def test_refused(address: str, token: str, problem: str) -> None:
    """Without a token nobody is let in from outside, and what is no token is none."""
    with pytest.raises(ConfigError) as caught, Claim.take("admin", Address.parse(address)) as claim:
        Guard(ok, claim, token)

    assert str(caught.value).endswith(problem)
