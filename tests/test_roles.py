"""Edge and internal gateways: whose word about a call is taken, by real certificates."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from entrances import SINGLE, Running, serving
from over_tls import CA, HERE, chain, trust, write, write_ca
from streams import POOL, Ask, Told
from transcoder import Gateway, ServerTls
from transcoder.call_details import Principal
from transcoder.errors import ConfigError
from transcoder.policies import (
    Authorization,
    CallDetails,
    Grant,
    Internal,
    MutualTls,
    Now,
    RateLimit,
    RequestId,
    Stage,
)
from transcoder.policies.policy import Policy
from transcoder.status import Code

EDGE = CA.issue_cert("edge.internal")
OTHER = CA.issue_cert("other.internal")
IDENTITY = {"x-internal": "true", "x-request-id": "r-1", "x-user-id": "ann"}


class Keys:
    """Knows callers by a header, and tells the servicer; a stand-in for one that costs time."""

    name = "keys"
    stage = Stage.AUTHENTICATION
    challenge = "Key"
    security: Mapping[str, Mapping[str, Any]] = {}
    writes = ("x-user-id",)

    def __init__(self) -> None:
        self.asked = 0

    def decide(self, call: CallDetails, now: Now) -> None:
        self.asked += 1
        key = call.one(b"x-key")
        if key is not None:
            call.principal = Principal(subject=key.decode(), scheme="key")
            call.tell_servicer("x-user-id", key.decode())


@dataclass(frozen=True)
class Asking:
    """Calls through both doors, of a client with a certificate."""

    running: Running

    async def http(self, client: trustme.LeafCert, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the metadata that the servicer saw, or the code of the refusal."""
        before = len(self.running.servicer.seen)

        def ask() -> int:
            host, port = "localhost", self.running.listening.http.port
            connection = http.client.HTTPSConnection(host, port, context=trust(client), timeout=30)
            connection.request("GET", "/v1/a/single", headers=dict(headers))
            answer = connection.getresponse()
            code = json.loads(answer.read()).get("code", 0) if answer.status >= 400 else 0
            connection.close()
            return int(code)

        code = await asyncio.to_thread(ask)
        return {"code": code} if code else self.running.seen(before)

    async def websocket(
        self, client: trustme.LeafCert, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return what the servicer of a stream saw, by WebSocket."""
        before = len(self.running.servicer.seen)
        url = f"wss://localhost:{self.running.listening.http.port}/v1/a/told?count=1"
        secured = trust(client)
        async with connect(
            url, additional_headers=headers, ssl=secured, proxy=None, open_timeout=30
        ) as opened:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await opened.recv()
        return self.running.seen(before)

    async def grpc(self, client: trustme.LeafCert, headers: Mapping[str, str]) -> dict[str, Any]:
        """Do the same over gRPC; values of `-bin` are base64 for all doors."""
        before = len(self.running.servicer.seen)
        pair = client.private_key_pem.bytes(), chain(client)
        shown = grpc.ssl_channel_credentials(CA.cert_pem.bytes(), *pair)
        target = f"localhost:{self.running.listening.grpc.port}"
        metadata = tuple(
            (key.lower(), base64.b64decode(value) if key.endswith("-bin") else value)
            for key, value in headers.items()
        )
        async with grpc.aio.secure_channel(target, shown) as channel:
            method = channel.unary_unary(
                SINGLE,
                request_serializer=Ask.SerializeToString,
                response_deserializer=Told.FromString,
            )
            try:
                await method(Ask(topic="a"), metadata=metadata, timeout=30)
            except grpc.aio.AioRpcError as error:
                return {"code": error.code().value[0]}
        return self.running.seen(before)


def through(
    folder: Path, fact: Callable[[Asking], Awaitable[None]], *policies: Policy, **options: Any
) -> None:
    """Have a test ask a gateway that trusts the edge, by mTLS on both ports."""
    tls = ServerTls(**write(folder, HERE), client_ca=write_ca(folder))
    given = {"trusted_peers": ["edge.internal"], **options}

    async def all_of_it() -> None:
        gateway = Gateway(pool=POOL, policies=policies, **given)
        async with asyncio.timeout(90), serving(gateway, tls=tls) as running:
            await fact(Asking(running))

    asyncio.run(all_of_it())


def told(seen: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return what was seen of the identity."""
    return {key: seen[key] for key in IDENTITY if key in seen}


def test_internal(tmp_path: Path) -> None:
    """An internal gateway keeps what the edge says of a call, and nobody else may say it."""

    async def fact(asking: Asking) -> None:
        for ask in (asking.http, asking.grpc):
            assert told(await ask(EDGE, IDENTITY)) == {key: [IDENTITY[key]] for key in IDENTITY}
            assert told(await ask(OTHER, IDENTITY)) == {}

    through(tmp_path, fact, role="internal")


SPELLINGS = {
    "X-INTERNAL": "true",
    "x_internal": "true",
    "X.Internal": "true",
    "x-internal-bin": "dHJ1ZQ==",
    "x-request-id-bin": "cg==",
    "X_User_Id": "root",
    "x-user-id-bin": "cm9vdA==",
    "x-user": "root",
    "x-tenant-id": "acme",
    "x-caller": "billing",
    "x-peer": "edge",
    "x-claim-plan": "gold",
    "x-groups": "admins",
    "x-roles": "admin",
    "x-scopes": "all",
    "x-auth-request-email": "root@example.com",
    "x-principal": "root",
    "x-subject": "root",
    "x-shop-plan": "gold",
    "x_shop_plan-bin": "Z29sZA==",
}
ORDINARY = {"x-experiment-group": "B", "x-auth": "1", "x-shopping": "1", "accept-language": "en"}


def test_identity_headers(tmp_path: Path) -> None:
    """What tells an identity passes at no door of a client that is not listed, in no spelling."""
    sent = {**SPELLINGS, **ORDINARY}
    # Metadata keys are in lower case, and bytes are told as such.
    kept = {key.lower() for key in sent}

    async def fact(asking: Asking) -> None:
        for ask in (asking.http, asking.grpc, asking.websocket):
            assert kept & (await ask(EDGE, sent)).keys() == kept
            assert kept & (await ask(OTHER, sent)).keys() == ORDINARY.keys()

    through(tmp_path, fact, role="internal", strip=["x-shop-*"])


def test_policies_of_its_own(tmp_path: Path) -> None:
    """What its own policies say of a call stands before what the edge says, and names it anew."""
    keys = Keys()

    async def fact(asking: Asking) -> None:
        for ask in (asking.http, asking.grpc):
            trusted = told(await ask(EDGE, IDENTITY))
            assert trusted == {key: [IDENTITY[key]] for key in IDENTITY}
            better = told(await ask(EDGE, {**IDENTITY, "x-key": "bob"}))
            assert better["x-user-id"] == ["bob"]
            other = told(await ask(OTHER, {**IDENTITY, "x-key": "eve"}))
            assert other["x-user-id"] == ["eve"]
            assert "x-internal" not in other
            (name,) = other["x-request-id"]
            assert name != IDENTITY["x-request-id"]

    options: dict[str, Any] = {"role": "internal", "skip_for_trusted": []}
    through(tmp_path, fact, RequestId(), Optional(keys), **options)


class Optional(Keys):
    """Asks after callers without asking anybody to be known."""

    stage = Stage.REQUEST_ID

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        self._keys = keys

    def decide(self, call: CallDetails, now: Now) -> None:
        self._keys.decide(call, now)


def test_skipped(tmp_path: Path) -> None:
    """What the edge has asked of a call is not asked again, but of everybody else it is."""
    keys = Keys()

    async def fact(asking: Asking) -> None:
        for ask in (asking.http, asking.grpc):
            for _ in range(3):
                assert "code" not in await ask(EDGE, {})
        assert keys.asked == 0
        assert await asking.http(OTHER, {}) == {"code": Code.UNAUTHENTICATED}
        assert await asking.grpc(OTHER, {}) == {"code": Code.RESOURCE_EXHAUSTED}
        assert keys.asked == 1

    through(tmp_path, fact, RateLimit("1/hour"), keys, role="internal")


def test_by_certificate(tmp_path: Path) -> None:
    """Who may call by its certificate is asked of trusted peers too."""

    async def fact(asking: Asking) -> None:
        for ask in (asking.http, asking.grpc):
            assert "code" not in await ask(EDGE, {})
            assert await ask(OTHER, {}) == {"code": Code.PERMISSION_DENIED}

    allowed = Authorization(allow={"streams.v1.Streams.*": Grant(names=["edge.internal"])})
    through(tmp_path, fact, Keys(), MutualTls(["*"]), allowed, role="internal")

    async def nobody(asking: Asking) -> None:
        assert await asking.http(EDGE, {}) == {"code": Code.PERMISSION_DENIED}

    through(tmp_path, nobody, Keys(), MutualTls(["other.internal"]), role="internal")


def test_edge(tmp_path: Path) -> None:
    """An edge gateway marks all calls, whatever anybody says, and takes nobody's word."""

    async def fact(asking: Asking) -> None:
        for ask in (asking.http, asking.grpc):
            for client in (EDGE, OTHER):
                seen = await ask(client, {"x-internal": "no", "x_internal": "no"})
                assert seen["x-internal"] == ["true"]
                assert "x_internal" not in seen

    through(tmp_path, fact, role="edge", trusted_peers=())


def test_identity_at_an_edge(tmp_path: Path) -> None:
    """What tells an identity is nothing that an edge's clients may say, but what it keeps."""
    sent = {**SPELLINGS, **ORDINARY}
    del sent["x-request-id-bin"]
    kept = ORDINARY.keys() | {"x-tenant-id", "x-shop-plan", "x_shop_plan-bin", "x-internal"}

    async def fact(asking: Asking) -> None:
        for ask in (asking.http, asking.grpc, asking.websocket):
            for client in (EDGE, OTHER):
                seen = await ask(client, sent)
                assert {key.lower() for key in sent} & seen.keys() == kept
                assert seen["x-internal"] == ["true"]
                assert seen["x-tenant-id"] == ["acme"]

    through(tmp_path, fact, role="edge", trusted_peers=(), keep=["x-tenant-*"])


def test_kept_of_everybody(tmp_path: Path) -> None:
    """An internal gateway that keeps a header lets everybody say it, but not what policies say."""

    async def fact(asking: Asking) -> None:
        for ask in (asking.http, asking.grpc):
            seen = await ask(OTHER, {"x-tenant-id": "acme", "x-user-id": "root"})
            assert seen.get("x-tenant-id") == ["acme"]
            assert seen.get("x-user-id") != ["root"]

    through(tmp_path, fact, Optional(Keys()), role="internal", keep=["x-tenant-id", "x-user-id"])


def test_no_role(tmp_path: Path) -> None:
    """Without a role a trusted peer may not say what policies of the gateway may."""

    async def fact(asking: Asking) -> None:
        for ask in (asking.http, asking.grpc):
            assert told(await ask(EDGE, IDENTITY)).keys() == {"x-internal", "x-request-id"}

    through(tmp_path, fact, Optional(Keys()))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"role": "middle"}, "role 'middle': 'edge' or 'internal' is expected"),
        (
            {"role": "internal", "policies": [Internal()]},
            "policies: internal: an internal gateway keeps what trusted peers say, and marks none",
        ),
        (
            {"role": "internal", "strip": ["x-plan", "x a"]},
            "strip: 'x a': a header is expected, as x-user-id, or several, as x-user-*",
        ),
        (
            {"strip": ["*"]},
            "strip: '*': a header is expected, as x-user-id, or several, as x-user-*",
        ),
        ({"strip": "x-a"}, "strip 'x-a': a sequence is expected"),
        (
            {"policies": [RequestId()], "skip_for_trusted": ["jwt"]},
            "skip_for_trusted: no policy is named 'jwt': there are request-id",
        ),
        (
            {"policies": [MutualTls(["*"])], "skip_for_trusted": ["mutual-tls"]},
            "skip_for_trusted: mutual-tls: what a certificate allows is asked of everybody",
        ),
        (
            {"policies": [Authorization()], "skip_for_trusted": ["authorization"]},
            "skip_for_trusted: authorization: what a certificate allows is asked of everybody",
        ),
    ],
)
def test_wrong(options: dict[str, Any], problem: str) -> None:
    """What cannot be meant is refused in one line."""
    with pytest.raises(ConfigError) as raised:
        Gateway(**options)

    assert str(raised.value) == problem


def test_named_anew() -> None:
    """A call that is named anew has another id than its client says."""
    call = CallDetails("http", headers=[(b"x-request-id", b"r-1")])
    assert call.request_id == "r-1"
    call.name_anew()
    assert call.request_id != "r-1"
