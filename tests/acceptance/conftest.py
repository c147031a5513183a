"""A routing suite for any data plane: it knows a base URL, a gRPC target and three tokens.

    pytest tests/acceptance --base-url=https://10.0.0.7:8443 --grpc-target=10.0.0.7:50051

Without a base URL, `transcoder gateway` is started before example backends, by `gateway.yaml` in
this folder, which says what a plane must be configured with:

- Three backends `v1`, `v2` and `acme` of `services.user.v1.UserService`, of which the first two
  answer `services.inventory.v1.InventoryService` too. `GetUser` and `UpdateUser` answer with the
  backend's own name as `name`, and as `email` with the metadata `x-tenant-id` that it was sent;
  `GetItem` answers with its name as `title`.
- Their routes, by the `google.api.http` rules of their protos, at hosts and by matches, weights and
  what calls stick by, as in the file; other hosts are refused. On the gRPC port the same matches
  hold for metadata.
- JSON Web Tokens, needed for all calls; the claim `tenant` is told to backends as `x-tenant-id`,
  and what clients send under that name is removed.

A plane that is given needs tokens of its own issuer: `ACCEPTANCE_TOKEN` with the tenant `other`,
`ACCEPTANCE_TOKEN_ACME` with the tenant `acme`, in the environment, and may take the URL and the
target there too: `ACCEPTANCE_BASE_URL`, `ACCEPTANCE_GRPC_TARGET`. Nobody else may call meanwhile:
calls are counted.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from services.user.v1 import user_service_pb2, user_service_pb2_grpc
from tokens import claims, jwks, mint, rsa

HERE = Path(__file__).parent
COMMAND = str(Path(sys.executable).with_name("transcoder"))
USERS = "users.example.com"
INVENTORY = "a.inventory.example.com"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the plane from the command line."""
    group = parser.getgroup("acceptance")
    group.addoption("--base-url", help="of a data plane, as http://10.0.0.7:8080")
    group.addoption("--grpc-target", help="of the same, as 10.0.0.7:50051")


@dataclass(frozen=True)
class Plane:
    """A data plane.

    Args:
        base_url: where it answers HTTP.
        grpc_target: where it answers gRPC.
        token: of a caller of the tenant `other`.
        acme: of a caller of the tenant `acme`.
    """

    base_url: str
    grpc_target: str
    token: str
    acme: str

    def rest(
        self,
        path: str,
        *headers: tuple[str, str],
        host: str = USERS,
        method: str = "GET",
        token: str | None = None,
    ) -> tuple[int, Any]:
        """Return the status of an answer, and what its JSON says."""
        url = urllib.parse.urlsplit(self.base_url)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.netloc, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        body = b"{}" if method == "PATCH" else b""
        for pair in (
            ("host", host),
            ("authorization", f"Bearer {self.token if token is None else token}"),
            *([("content-type", "application/json"), ("content-length", "2")] if body else []),
            *headers,
        ):
            connection.putheader(*pair)
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, json.loads(data) if data.startswith(b"{") else data

    def served_by(self, path: str, *headers: tuple[str, str], **asked: Any) -> str:
        """Return which backend answered a REST call."""
        status, told = self.rest(path, *headers, **asked)
        assert status == 200, told
        return str(told.get("name") or told.get("title"))

    def called(self, *metadata: tuple[str, str], token: str | None = None) -> Any:
        """Return the user that a gRPC call answers with."""
        agents = [("grpc.primary_user_agent", value) for key, value in metadata if key == "agent"]
        own = [pair for pair in metadata if pair[0] != "agent"]
        bearer = ("authorization", f"Bearer {self.token if token is None else token}")
        with grpc.insecure_channel(self.grpc_target, options=agents) as channel:
            stub: Any = user_service_pb2_grpc.UserServiceStub(channel)
            request = user_service_pb2.GetUserRequest(id="7")
            return stub.GetUser(request, metadata=[bearer, *own], timeout=30)


@pytest.fixture(scope="session")
def plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    """The plane that the command line or the environment names, else one of our own."""
    url, target = (
        request.config.getoption(option, default=None) or os.environ.get(variable)
        for option, variable in (
            ("--base-url", "ACCEPTANCE_BASE_URL"),
            ("--grpc-target", "ACCEPTANCE_GRPC_TARGET"),
        )
    )
    if (url is None) != (target is None):
        raise pytest.UsageError("give the base URL and the gRPC target, or none of them")
    if url is not None and target is not None:
        tokens = os.environ["ACCEPTANCE_TOKEN"], os.environ["ACCEPTANCE_TOKEN_ACME"]
        yield Plane(url.rstrip("/"), target, *tokens)
        return
    with ExitStack() as stack:
        backends = {name: stack.enter_context(_backend(name)) for name in ("v1", "v2", "acme")}
        folder = tmp_path_factory.mktemp("plane")
        http_target, grpc_target = stack.enter_context(_gateway(folder, backends))
        now = time.time()
        tokens = (
            mint(claims(now, tenant="other", exp=int(now) + 3600)),
            mint(claims(now, tenant="acme", exp=int(now) + 3600)),
        )
        yield Plane(f"http://{http_target}", grpc_target, *tokens)


class _Users(user_service_pb2_grpc.UserServiceServicer):
    def __init__(self, name: str) -> None:
        self._name = name

    def GetUser(self, request: Any, context: Any) -> Any:
        told = [value for key, value in context.invocation_metadata() if key == "x-tenant-id"]
        return user_service_pb2.User(name=self._name, email=",".join(told))

    UpdateUser = GetUser


class _Inventory(inventory_service_pb2_grpc.InventoryServiceServicer):
    def __init__(self, name: str) -> None:
        self._name = name

    def GetItem(self, request: Any, context: Any) -> Any:
        return inventory_service_pb2.Item(title=self._name)


@contextmanager
def _backend(name: str) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    add_users: Callable[..., None] = user_service_pb2_grpc.add_UserServiceServicer_to_server
    add_items: Callable[..., None] = (
        inventory_service_pb2_grpc.add_InventoryServiceServicer_to_server
    )
    add_users(_Users(name), server)
    add_items(_Inventory(name), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@contextmanager
def _gateway(folder: Path, backends: dict[str, str]) -> Iterator[tuple[str, str]]:
    text = (HERE / "gateway.yaml").read_text()
    for name, target in backends.items():
        text = text.replace(f'"{{{name}}}"', json.dumps(target))
    (folder / "gateway.yaml").write_text(text)
    (folder / "keys.json").write_text(json.dumps(jwks(rsa())))
    process = subprocess.Popen(
        [COMMAND, "gateway", "--log-level=warning", "gateway.yaml"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], 90)
        line = process.stdout.readline() if ready else ""
        found = re.fullmatch(r"REST on (\S+), gRPC on (\S+)\n", line)
        assert found is not None, line
        yield found[1], found[2]
    finally:
        process.terminate()
        process.communicate(timeout=60)
