"""The user service answers the same with all policies on as with none, through each door."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import grpc.aio
import httpx2
import pytest
from google.protobuf import json_format
from websockets.asyncio.client import connect

from entrances import open_doors
from services.user.app import create_app
from services.user.v1 import user_service_pb2 as pb
from services.user.v1.user_service_pb2_grpc import UserServiceStub
from tokens import ISSUER, claims, jwks, mint, rsa
from transcoder import Listening
from transcoder.observers import AccessLog, AuditLog, Metrics, Traces
from transcoder.policies import (
    ApiKeys,
    Authorization,
    Compression,
    ConcurrencyLimit,
    Cors,
    Decompression,
    Grant,
    Internal,
    Introspection,
    IpFilter,
    Issuer,
    Jwt,
    MutualTls,
    RateLimit,
    RequestId,
    Requirement,
    SecurityHeaders,
)
from transcoder.policies.key_file import create_key
from transcoder.policies.policy import Policy

SERVICE = "services.user.v1.UserService"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 2000
ADA = {"name": "Ada", "email": "ada@example.com", "quotaBytes": "9007199254740993"}
IMPORTED = """{"userId": "bob", "user": {"name": "Bob", "email": "bob@example.com"}}
{"userId": "eve", "user": {}}"""
ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/healthz", {}),
    ("GET", "/v1/users", {}),
    ("POST", "/v1/users?user_id=ada", {"json": ADA}),
    ("POST", "/v1/users?user_id=ada", {"json": ADA}),
    ("POST", "/v1/users", {"json": {**ADA, "email": "no email"}}),
    ("POST", "/v1/users", {"content": b"{", "headers": {"content-type": "application/json"}}),
    ("POST", "/v1/users", {"content": b"name=a", "headers": {"content-type": "text/plain"}}),
    ("GET", "/v1/users/ada", {}),
    ("HEAD", "/v1/users/ada", {}),
    ("OPTIONS", "/v1/users/ada", {}),
    ("PUT", "/v1/users/ada", {}),
    ("GET", "/v1/users/nobody", {}),
    ("GET", "/v1/users:lookup?email=ada@example.com", {}),
    ("PATCH", "/v1/users/ada", {"json": {"address": {"city": "London"}}}),
    ("PATCH", "/v1/users/ada", {"json": {"etag": "old", "name": "A"}}),
    ("POST", "/v1/users:import", {"content": IMPORTED}),
    ("GET", "/v1/users?page_size=1&order_by=id", {}),
    ("GET", "/v1/users?page_size=-1", {}),
    ("GET", "/v1/users?no_such=1", {}),
    ("PUT", "/v1/users/ada/avatar", {"content": PNG, "headers": {"content-type": "image/png"}}),
    ("GET", "/v1/users/ada/avatar", {}),
    ("POST", "/v1/users/bob:deactivate", {"json": {}}),
    ("POST", "/v1/users/bob:deactivate", {"json": {}}),
    ("DELETE", "/v1/users/bob", {}),
    ("GET", "/elsewhere", {}),
]
SAID = [
    {"room": "lobby", "userId": "ada", "text": "anybody?"},
    {"text": "bye"},
]

Told: TypeAlias = list[tuple[Any, ...]]
Use: TypeAlias = Callable[[Listening, Mapping[str, str]], Awaitable[Told]]


def everything(folder: Path) -> dict[str, Any]:
    """Return the options of a gateway with all policies and observers."""
    keys = folder / "keys.json"
    create_key(keys, "ann", ["users"], datetime.now(UTC))
    login = Issuer(ISSUER, audiences=["api"], keys=jwks(rsa()))
    asked = Introspection("https://login.example/introspect", client_id="a", client_secret="b")
    policies: list[Policy] = [
        RequestId(),
        SecurityHeaders(),
        Compression(),
        IpFilter(allow=["127.0.0.0/8"]),
        Decompression(),
        ConcurrencyLimit(),
        RateLimit("1000/second"),
        Cors(["https://app.example"]),
        MutualTls(["*"], forward="x-certificate"),
        Jwt(login, forward={"sub": "x-user"}, require={"*": Requirement(scopes=["users"])}),
        ApiKeys(keys),
        asked,
        Authorization(allow={f"{SERVICE}.*": Grant(scopes=["users"]), "*": Grant()}),
        Internal(),
        RateLimit("1000/second", by="principal", name="rate-of-caller"),
    ]
    observers = [
        AccessLog(folder / "access.log"),
        AuditLog(folder / "audit.log"),
        Metrics(),
        Traces(),
    ]
    return {"policies": policies, "observers": observers}


async def by_rest(listening: Listening, headers: Mapping[str, str]) -> Told:
    """Ask one thing after another; return statuses, types and bodies."""
    told: Told = []
    url = f"http://{listening.http.target}"
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
        for verb, path, options in ASKED:
            given = {**options, "headers": {**headers, **options.get("headers", {})}}
            answer = await client.request(verb, path, **given)
            kind = answer.headers.get("content-type"), answer.headers.get("allow")
            told.append((verb, path, answer.status_code, kind, plain(answer.content)))
    return told


async def by_streams(listening: Listening, headers: Mapping[str, str]) -> Told:
    """Watch by Server-Sent Events, and chat by WebSocket."""
    target = listening.http.target
    watching = {**headers, "accept": "text/event-stream"}
    path = "/v1/users:watch?after_sequence=0"
    async with httpx2.AsyncClient(base_url=f"http://{target}", timeout=20) as client:
        await client.post("/v1/users?user_id=ada", json=ADA, headers=headers)
        await client.patch("/v1/users/ada", json={"name": "Ada King"}, headers=headers)
        events = b""
        async with client.stream("GET", path, headers=watching) as answer:
            kind = answer.headers["content-type"]
            async for piece in answer.aiter_raw():
                events += piece
                if events.count(b"\n\n") >= 2:
                    break
    told: Told = [("events", answer.status_code, kind, plain(events))]
    uri = f"ws://{target}/v1/rooms:chat"
    async with connect(uri, additional_headers=headers, proxy=None) as chat:
        for said in SAID:
            await chat.send(json.dumps(said))
        await chat.send("")
        heard = [plain(str(each).encode()) async for each in chat]
    return [*told, ("chat", chat.close_code, heard)]


async def by_grpc(listening: Listening, headers: Mapping[str, str]) -> Told:
    """Call by the stub; return codes, messages and replies."""
    told: Told = []
    metadata = tuple(headers.items())
    async with grpc.aio.insecure_channel(listening.grpc.target) as channel:
        users: Any = UserServiceStub(channel)
        user = pb.User(name="Ada", email="ada@example.com")
        other = pb.User(name="Bob", email="bob@example.com")
        for method, request in [
            ("CreateUser", pb.CreateUserRequest(user_id="ada", user=user)),
            ("CreateUser", pb.CreateUserRequest(user_id="ada", user=user)),
            ("CreateUser", pb.CreateUserRequest()),
            ("GetUser", pb.GetUserRequest(id="ada")),
            ("GetUser", pb.GetUserRequest(id="nobody")),
            ("ListUsers", pb.ListUsersRequest(page_size=1)),
            ("CreateUser", pb.CreateUserRequest(user_id="bob", user=other)),
            ("DeactivateUser", pb.DeactivateUserRequest(id="bob")),
            ("DeactivateUser", pb.DeactivateUserRequest(id="bob")),
            ("DeleteUser", pb.DeleteUserRequest(id="bob")),
        ]:
            call = getattr(users, method)(request, metadata=metadata)
            code, details = await call.code(), await call.details()
            reply = b"" if code.value[0] else written(await call)
            told.append((method, code.name, details, plain(reply)))
        imports = [pb.ImportUsersRequest(user_id="bob", user=user), pb.ImportUsersRequest()]
        told.append(("ImportUsers", written(await users.ImportUsers(imports, metadata=metadata))))
        watching = users.WatchUsers(pb.WatchUsersRequest(after_sequence=0), metadata=metadata)
        told += [("WatchUsers", plain(written(await watching.read()))) for _ in range(2)]
        watching.cancel()
        texts = [json_format.ParseDict(each, pb.ChatRequest()) for each in SAID]
        chat = users.Chat(iter(texts), metadata=metadata)
        told += [("Chat", plain(written(each))) async for each in chat]
    return told


def written(message: Any) -> bytes:
    """Return a message as text."""
    return json_format.MessageToJson(message).encode()


CHANGING = re.compile(rb'("(?:\w*[tT]ime|etag|nextPageToken)": ?")[^"]+')


def plain(body: bytes) -> bytes:
    """Return a body without what differs each time."""
    return CHANGING.sub(rb"\1~", body)


@pytest.mark.parametrize("use", [by_rest, by_streams, by_grpc])
def test_identical(tmp_path: Path, use: Use) -> None:
    """A client is told the same with all policies on as with all off, to the last byte."""

    async def told(name: str, options: Mapping[str, Any], headers: Mapping[str, str]) -> Told:
        app = create_app(f"sqlite:///{tmp_path / name}.db", **options)
        async with asyncio.timeout(50), open_doors(app) as listening:
            return await use(listening, headers)

    token = mint(claims(time.time(), scope="users"))
    headers = {"authorization": f"Bearer {token}"}
    on = asyncio.run(told("on", everything(tmp_path), headers))
    off = asyncio.run(told("off", {}, headers))

    assert len(on) > 1
    assert on == off
    log = (tmp_path / "access.log").read_text()
    assert '"subject":"ann"' in log
    audit = (tmp_path / "audit.log").read_text()
    decided = {json.loads(line)["policy"] for line in audit.splitlines()}
    assert decided >= {"rate-limit", "authentication", "authorization", "rate-of-caller"}


def test_on(tmp_path: Path) -> None:
    """The same policies let in nobody who brings no token."""

    async def statuses() -> list[Any]:
        app = create_app("sqlite://", **everything(tmp_path))
        async with asyncio.timeout(50), open_doors(app) as listening:
            async with httpx2.AsyncClient() as client:
                answer = await client.get(f"http://{listening.http.target}/v1/users")
            async with grpc.aio.insecure_channel(listening.grpc.target) as channel:
                users: Any = UserServiceStub(channel)
                call = users.ListUsers(pb.ListUsersRequest())
                return [answer.status_code, (await call.code()).name]

    assert asyncio.run(statuses()) == [401, "UNAUTHENTICATED"]
