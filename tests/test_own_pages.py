from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from described import check, method, transcoder_of
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Channel, ConfigError, Gateway, OpenApi, Timeouts
from transcoder.openapi import Serving, document, to_json
from transcoder.policies.api_keys import ApiKeys
from transcoder.policies.key_file import create_key
from transcoder.security import Security

SERVING = Serving(body_limit=1 << 20, message_limit=1 << 20, timeouts=Timeouts(), websockets=True)
HIDDEN = """
message Ask { string text = 1; }
service Secrets {
  rpc Tell(Ask) returns (Ask) {
    option (google.api.http) = {get: "/v1/secrets"};
    option (google.api.method_visibility).restriction = "INTERNAL";
  }
}
"""


def gateway(**options: Any) -> Gateway:
    made = Gateway(**options)
    add_UserServiceServicer_to_server(UserServiceServicer(), made)  # type: ignore[arg-type]
    return made


def client(**options: Any) -> TestClient:
    return TestClient(gateway(**options))


def routed(text: str, **options: Any) -> Gateway:
    made = Gateway(**options)
    (service,) = {
        route.endpoint.binding.rpc.containing_service for route in transcoder_of(text).routes
    }
    made.route(service, Channel("127.0.0.1:1"))
    return made


def test_the_document() -> None:
    """The document is that of the running routes and options."""
    made = gateway()
    answer = TestClient(made).get("/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.content == to_json(document(made.transcoder, serving=SERVING))


def test_yaml() -> None:
    """YAML says the same as JSON."""
    web = client()
    answer = web.get("/openapi.yaml")

    assert answer.headers["content-type"] == "application/yaml"
    assert yaml.safe_load(answer.text) == web.get("/openapi.json").json()


def test_without_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyYAML there is no such document."""
    monkeypatch.setattr("transcoder.own_pages.find_spec", lambda _: None)

    assert client().get("/openapi.yaml").status_code == 404


def test_options() -> None:
    """What a program says of its API is in the document."""
    told = OpenApi(title="Users", version="7", description="Of users.", servers=["https://a.test"])
    made = client(openapi=told, body_limit=7).get("/openapi.json").json()

    assert made["info"] == {"title": "Users", "version": "7", "description": "Of users."}
    assert made["servers"] == [{"url": "https://a.test"}]


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi.yaml", "/docs"])
def test_head(path: str) -> None:
    """HEAD has the headers of GET, and no body."""
    web = client()
    got, asked = web.get(path), web.head(path)

    assert (asked.headers, asked.content) == (got.headers, b"")
    assert int(got.headers["content-length"]) == len(got.content)


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi.yaml", "/docs"])
@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
def test_what_the_client_has(path: str, known: str) -> None:
    """A client that has the answer is told so, and is sent nothing."""
    web = client()
    tag = web.get(path).headers["etag"]
    answer = web.get(path, headers={"if-none-match": known.format(tag)})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)


def test_what_the_client_has_no_more() -> None:
    """A client with another document is sent this one."""
    assert client().get("/docs", headers={"if-none-match": '"old"'}).status_code == 200


def test_off() -> None:
    """With openapi=None, there is neither document nor page."""
    web = client(openapi=None)
    paths = ["/openapi.json", "/openapi.yaml", "/docs"]

    assert [web.get(path).status_code for path in paths] == [404] * 3


def test_no_page() -> None:
    """The document goes without the page, too."""
    web = client(openapi=OpenApi(docs=None))

    assert (web.get("/openapi.json").status_code, web.get("/docs").status_code) == (200, 404)


def test_other_paths() -> None:
    """Document and page are where the program wants them, and the page finds the document."""
    web = client(openapi=OpenApi(path="/about/api", docs="/help/users/docs"))
    page = web.get("/help/users/docs").text

    assert web.get("/about/api.json").status_code == 200
    assert 'data-document="../../about/api.json" data-base="../.."' in page


def test_a_path_that_is_none() -> None:
    """A path that is none is refused at once."""
    with pytest.raises(ConfigError, match="expected '/' at the start"):
        Gateway(openapi=OpenApi(path="openapi"))


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi.yaml", "/docs"])
def test_a_route_in_their_place(path: str) -> None:
    """A rule with the path of the document or the page is refused at start, naming both."""
    text = "message Ask { string text = 1; }" + method(f'{{get: "{path}"}}')

    with pytest.raises(ConfigError, match=r"the gateway's (openapi|docs) .*api\.v1\.Asks\.Do"):
        routed(text).compile()


def test_a_wildcard_in_their_place() -> None:
    """A rule whose variable would take their paths leaves them to them."""
    text = "message Ask { string text = 1; }" + method('{get: "/{text}"}')

    assert TestClient(routed(text)).get("/docs").headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/openapi.json", "openapi"),
        ("/openapi.yaml", "openapi"),
        ("/docs", "docs"),
        ("/healthz", "health"),
        ("/v1/users/ann", "services.user.v1.UserService.GetUser"),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_the_name_of_a_route(path: str, name: str, *, wrapped: bool) -> None:
    """The scope has the route of the document, the page and the health as of any method."""
    seen: list[Any] = []

    class Seeing:
        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self._app(scope, receive, send)
            seen.append(scope.get("route"))

    app: ASGIApp = gateway(middleware=[Middleware(Seeing)]) if wrapped else Seeing(gateway())
    TestClient(app).get(path)

    assert [(route.name, str(route.template)) for route in seen] == [(name, _template(path))]


def _template(path: str) -> str:
    return path.replace("/ann", "/{id}")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[ApiKeys, str]:
    """A policy, and a key that it takes."""
    path = tmp_path / "keys.json"
    key = create_key(path, "ann", [], datetime.now(UTC))
    return ApiKeys(path), key


def test_policies(keys: tuple[ApiKeys, str]) -> None:
    """Policies stand before document and page, and the document tells of them."""
    policy, key = keys
    web = client(policies=[policy], public=["services.user.v1.UserService.GetUser", "/docs"])
    answered = web.get("/openapi.json", headers={"x-api-key": key})
    made = answered.json()
    check(made)

    assert (web.get("/openapi.json").status_code, answered.status_code) == (401, 200)
    assert web.get("/docs").status_code == 200
    assert made["components"]["securitySchemes"] == policy.security
    assert made["paths"]["/v1/users/{id}"]["get"]["security"] == []
    assert made["paths"]["/v1/users/{id}"]["delete"]["security"] == [{"api-keys": []}]


def test_what_is_said_of_security(keys: tuple[ApiKeys, str]) -> None:
    """What a program says of security goes before what its policies do."""
    policy, key = keys
    security = Security(schemes={"vpn": {"type": "mutualTLS"}}, requires=[{"vpn": []}])
    web = client(policies=[policy], openapi=OpenApi(security=security))
    made = web.get("/openapi.json", headers={"x-api-key": key}).json()

    assert made["components"]["securitySchemes"] == {"vpn": {"type": "mutualTLS"}}


def test_visibility() -> None:
    """A method that is restricted is told only where its label is."""
    hidden = TestClient(routed(HIDDEN)).get("/openapi.json")
    labels = OpenApi(labels={"INTERNAL"})
    shown = TestClient(routed(HIDDEN, openapi=labels)).get("/openapi.json")

    assert "ecrets" not in hidden.text
    assert list(shown.json()["paths"]) == ["/v1/secrets"]


def test_a_service_that_comes_later() -> None:
    """The document has the services that were registered after it was first asked for."""
    made = Gateway()
    web = TestClient(made)
    before = web.get("/openapi.json").json()
    add_UserServiceServicer_to_server(UserServiceServicer(), made)  # type: ignore[arg-type]

    assert before["paths"] == {}
    assert "/v1/users/{id}" in web.get("/openapi.json").json()["paths"]


def test_mounted() -> None:
    """Under a mount, the document says where the paths begin."""
    made = gateway()
    mounts = [Mount(f"/{number}", made) for number in range(20)]
    web = TestClient(Starlette(routes=mounts))

    told = [web.get(f"/{number}/openapi.json").json()["servers"] for number in range(20)]
    assert told == [[{"url": f"/{number}"}] for number in range(20)]


def test_many_at_once() -> None:
    """Many who ask at once get one document, also when the first of them goes away."""
    made = gateway()

    async def ask() -> bytes:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        path = "/openapi.json"
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode()}
        await made({**scope, "query_string": b"", "headers": []}, receive, send)
        body: bytes = sent[1]["body"]
        return body

    async def all_of_them() -> set[bytes]:
        gone = asyncio.create_task(ask())
        others = [asyncio.create_task(ask()) for _ in range(5)]
        await asyncio.sleep(0)
        gone.cancel()
        return set(await asyncio.gather(*others))

    (only,) = asyncio.run(all_of_them())
    assert json.loads(only)["openapi"] == "3.1.1"


def test_the_page() -> None:
    """The page is one document that may load nothing but what comes from its own host."""
    answer = client().get("/docs")
    policy = answer.headers["content-security-policy"]

    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"//\w|\bsrc=|\bimport\b", answer.text) == []


def test_who_does_not_ask() -> None:
    """What makes documents is loaded by the first request for one, not with the gateway."""
    program = (
        "import sys; from transcoder import Gateway; Gateway().compile();"
        "print([name for name in ('transcoder.openapi', 'transcoder.docs_page', 'yaml')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"
