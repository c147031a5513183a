"""docs/policies/jwt.md says what the code does."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from starlette.testclient import TestClient

from pages import page
from services.user.v1.user_service_pb2 import User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from tokens import bad_tokens, claims, jwks, mint, rsa
from transcoder.policies.bearer import TOKEN_LIMIT, BadToken, refusal
from transcoder.policies.jwks import JWKS_LIMIT
from transcoder.policies.published import Published
from transcoder.policies.told_claims import ToldClaims
from transcoder.policies.verified import KEPT_FOR

PAGE = page("policies/jwt.md")
FIRST, SECOND = PAGE.blocks("python")
OURS = 'Issuer("https://login.example", audiences=["users"])'


class Users(UserServiceServicer):
    """Answers with whom it is told calls."""

    async def GetUser(self, request: Any, context: Any) -> User:
        """Return the caller."""
        told = dict(context.invocation_metadata())
        assert "authorization" not in told
        return User(id=told["x-user-id"], name=told.get("x-tenant-id", ""))

    async def DeleteUser(self, request: Any, context: Any) -> Any:
        """Return nothing."""
        return Empty()


def test_session() -> None:
    """The session of the page runs, and prints what it shows."""
    assert PAGE.sessions() == (0, PAGE.text.count(">>> "))


def test_gateway() -> None:
    """The gateway of the page lets in, asks and refuses as it says."""
    assert OURS in FIRST
    given = f'Issuer("https://login.example", audiences=["users"], keys={jwks(rsa())!r})'
    names: dict[str, Any] = {}
    exec(FIRST.replace(OURS, given), names)  # noqa: S102  our own page
    app = names["app"]
    add_UserServiceServicer_to_server(Users(), app)
    told = {"aud": "users", "tenant": "acme"}
    poor, rich = mint(_claims(**told)), mint(_claims(**told, scope="users.write"))

    with TestClient(app) as client:
        answer = client.get("/v1/users/1", headers={"authorization": f"Bearer {poor}"})
        assert answer.json() == {"id": "ann", "name": "acme"}
        assert client.get("/v1/users/1").status_code == 401
        assert client.get("/healthz").status_code == 200
        assert client.get("/openapi.json").status_code == 200
        statuses = [
            client.delete("/v1/users/1", headers={"authorization": f"Bearer {text}"}).status_code
            for text in (poor, rich)
        ]
        assert statuses == [403, 200]


def _claims(**told: Any) -> dict[str, Any]:
    return claims(time.time(), **told)


def test_described() -> None:
    """The API's description tells where the issuer of the page is."""
    app = PAGE.run(FIRST)["app"]
    add_UserServiceServicer_to_server(Users(), app)
    described = TestClient(app).get("/openapi.json").json()

    scheme = described["components"]["securitySchemes"]["jwt"]
    assert scheme["openIdConnectUrl"].startswith("https://login.example/")
    assert described["paths"]["/v1/users"]["get"]["security"] == [{"jwt": []}]


def test_overrides() -> None:
    """The second gateway of the page stands, with both policies."""
    app = PAGE.run(SECOND)["app"]
    add_UserServiceServicer_to_server(Users(), app)
    app.compile()


def test_reasons() -> None:
    """The table of reasons has all of them, and no other."""
    told = {row[0].strip("`") for row in PAGE.rows("## Which tokens are good?")}
    assert told == {bad.reason for bad in bad_tokens(0.0)} | {"too-large", "several"}


def test_challenge() -> None:
    """The header of the page is that of the answer to a bad token."""
    (block,) = PAGE.blocks("text")
    ((_, value),) = refusal("expired").headers
    assert block.strip() == f"WWW-Authenticate: {value}"


def test_published() -> None:
    """The table of times is that of the code."""
    rows = {row[0].strip("`"): row[1] for row in PAGE.rows("## Where do the keys come from?")}
    seconds = {
        each.name: f"{each.default:,.0f}"
        for each in dataclasses.fields(Published)
        if isinstance(each.default, float)
    }
    assert {name: rows[name] for name in seconds} == seconds


def test_limits() -> None:
    """The limits are those of the code."""
    assert f"{TOKEN_LIMIT:,} bytes" in PAGE.text
    assert f"{JWKS_LIMIT >> 20} MiB" in PAGE.text
    assert f"{KEPT_FOR:.0f} seconds" in PAGE.text


@pytest.mark.parametrize("row", PAGE.rows("## What do servicers see?"), ids=lambda row: row[0])
def test_told(row: list[str]) -> None:
    """A row of the table is what becomes of a claim."""
    claim, key, value = (cell.strip("`") for cell in row)
    told = ToldClaims({"c": key})
    if value == "refused":
        with pytest.raises(BadToken):
            told({"c": json.loads(claim)})
        return
    ((_, found),) = told({"c": json.loads(claim)})
    text = found.decode() if isinstance(found, bytes) else found
    shown = re.fullmatch(r"the bytes of `(.*)` in UTF-8", row[2])
    assert text == (shown[1] if shown else value)
