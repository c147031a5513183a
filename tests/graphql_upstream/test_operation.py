"""REST in front of a GraphQL server, each on a real socket or through ASGI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from graphs import SDL, Graph, graph
from transcoder import ConfigError, Gateway, GraphQl, Timeouts
from transcoder.call_details import CallDetails
from transcoder.policies import RequestId
from transcoder.policies.policy import Now, Stage

ONE = "query One($id: ID!) { user(id: $id) { id name role } }"
MANY = """
query Many($role: [Role!], $first: Int, $over: Float, $active: Boolean) {
  users(role: $role, first: $first, over: $over, active: $active) { id name role }
}
"""
CREATE = "mutation Create($user: NewUser!) { createUser(user: $user) { id name role } }"
RENAME = "mutation ($id: ID!, $name: String!) { renameUser(id: $id, name: $name) { id name } }"
ECHO = "query ($text: String!) { echo(text: $text) }"


@pytest.fixture(scope="module")
def served() -> Iterator[Graph]:
    """A GraphQL server."""
    with graph() as running:
        yield running


def gateway(served: Graph, *, told: dict[str, Any] | None = None, **options: Any) -> Gateway:
    """Return a gateway with routes of users.

    Args:
        served: who answers them.
        told: how it is spoken to.
        options: of the gateway.
    """
    made = Gateway(**options)
    users = GraphQl(served.url, sdl=SDL, **(told or {}))
    one = users.operation(ONE, variables={"id": "path.id"}, answer="user")
    page = {"role": "query.role", "first": "query.page_size"}
    page |= {"over": "query.over", "active": "query.active"}
    made.forward("/v1/users/{id}", one, method="GET")
    many = users.operation(MANY, variables=page, answer="users")
    made.forward("/v1/users", many, method="GET")
    create = users.operation(CREATE, variables={"user": "body"}, answer="createUser")
    made.forward("/v1/users", create, method="POST")
    told_name = {"id": "path.id", "name": "body.name"}
    rename = users.operation(RENAME, variables=told_name, answer="renameUser")
    made.forward("/v1/users/{id}", rename, method="PATCH")
    echo = users.operation(ECHO, variables={"text": "metadata.x-text"})
    made.forward("/v1/echo", echo, method="GET")
    made.forward("/v1/wait", users.operation("{ wait }"), method="GET")
    boss = users.operation(
        "query ($id: ID!) { user(id: $id) { name manager { name } } }",
        variables={"id": "path.id"},
        answer="user",
        partial=True,
    )
    made.forward("/v1/bosses/{id}", boss, method="GET")
    return made


@pytest.fixture(scope="module")
def client(served: Graph) -> Iterator[TestClient]:
    """A client of that gateway."""
    with TestClient(gateway(served)) as running:
        yield running


def test_path(client: TestClient) -> None:
    """A variable of the path is a variable of the document; the part that is named answers."""
    answer = client.get("/v1/users/7")

    assert answer.json() == {"id": "7", "name": "Ann", "role": "ADMIN"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "etag" not in answer.headers


def test_a_large_body(client: TestClient) -> None:
    """A body of many values is taken too, off the event loop."""
    lines = [str(number) for number in range(5_000)]
    body = {"name": "Ann", "address": {"city": "Bern", "lines": lines}}

    assert client.post("/v1/users", json=body).json()["name"].endswith("'4999']}")


def test_head(client: TestClient) -> None:
    """HEAD is answered where GET is, without a body."""
    answer = client.head("/v1/users/7")

    assert (answer.status_code, answer.content) == (200, b"")


def test_query(client: TestClient) -> None:
    """Parameters of the query have the types of variables; those that repeat make a list."""
    query = "role=GUEST&role=ADMIN&page_size=1&over=1.5&active=true"
    (user,) = client.get(f"/v1/users?{query}").json()

    assert user["role"] == "ADMIN"
    assert user["name"] == "{'role': ['GUEST', 'ADMIN'], 'over': 1.5, 'active': True}"


def test_defaults(client: TestClient) -> None:
    """What the request does not say is as the schema has it."""
    assert len(client.get("/v1/users").json()) == 3


def test_mutations(client: TestClient) -> None:
    """Mutations take the body, whole or member by member."""
    address = {"city": "Bern", "lines": ["a", "b"]}
    created = client.post("/v1/users", json={"name": "Ann", "address": address})
    renamed = client.patch("/v1/users/7", json={"name": "Ben"})

    assert created.json() == {"id": "1", "name": str(address), "role": "GUEST"}
    assert renamed.json() == {"id": "7", "name": "Ben"}


def test_metadata(client: TestClient) -> None:
    """A variable may have what servicers see as metadata, and the whole of the data may answer."""
    assert client.get("/v1/echo", headers={"x-text": "hi"}).json() == {"echo": "hi"}
    assert client.get("/v1/echo").json()["message"] == "x-text: is required"


@pytest.mark.parametrize(
    ("asked", "body", "status", "told"),
    [
        ("GET /v1/users?pagesize=1", None, 400, "pagesize: no such parameter; did you mean pag"),
        ("GET /v1/users?page_size=x", None, 400, "page_size: expected a 32-bit integer"),
        ("GET /v1/users?role=ADMN", None, 400, "role: no such value of Role; did you mean ADM"),
        ("GET /v1/users/7?a=1", None, 400, "a: no such parameter"),
        ("POST /v1/users", b"", 400, "body: is required"),
        ("POST /v1/users", b"{", 400, "the body is not JSON: line 1, column 2"),
        ("POST /v1/users", b'{"nme": 1}', 400, "nme: no such field of NewUser; did you mean na"),
        ("POST /v1/users", b'{"name": 7}', 400, "name: expected String"),
        ("POST /v1/users", b" " * (2 << 20), 413, "the body is over the limit of 1048576 bytes"),
        ("PATCH /v1/users/7", b"{}", 400, "name: is required"),
        ("DELETE /v1/users/7", None, 405, "this path answers GET, HEAD, OPTIONS, PATCH"),
        ("GET /v1/users/0", None, 404, "there is none"),
        ("GET /v1/users/FORBIDDEN", None, 403, "FORBIDDEN is not to be had"),
        ("GET /v1/users/UNAUTHENTICATED", None, 401, "UNAUTHENTICATED is not to be had"),
        ("GET /v1/users/NOT_FOUND", None, 404, "NOT_FOUND is not to be had"),
        ("GET /v1/users/BAD_USER_INPUT", None, 400, "BAD_USER_INPUT is not to be had"),
        ("GET /v1/users/secret", None, 500, "internal error"),
    ],
)
def test_refused(
    client: TestClient, asked: str, body: bytes | None, status: int, told: str
) -> None:
    """What is wrong is told as google.rpc.Status."""
    method, path = asked.split()
    headers = {"content-type": "application/json"}
    answer = client.request(method, path, content=body, headers=headers)

    assert answer.status_code == status
    assert answer.json().keys() == {"code", "message", "details"}
    assert answer.json()["message"].startswith(told)


def test_details(client: TestClient) -> None:
    """The details name the place that the backend names."""
    (detail,) = client.get("/v1/users/BAD_USER_INPUT").json()["details"]

    assert detail["fieldViolations"][0]["field"] == "user"


def test_one_line(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the backend's is one line in the log, which says what the client is not told."""
    caplog.set_level(logging.INFO, "transcoder")
    client.get("/v1/users/secret")

    (record,) = [each for each in caplog.records if each.name.startswith("transcoder")]
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith("'secret' 'secret is not to be had'")


def test_partial(client: TestClient) -> None:
    """Where a route says so, what failed is null and the rest answers."""
    assert client.get("/v1/bosses/7").json() == {"name": "Ann", "manager": None}


def test_other_bodies(client: TestClient) -> None:
    """A body that is not JSON is 415."""
    answer = client.post("/v1/users", data={"name": "Ann"})

    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("headers", "options"),
    [
        ({"x-request-timeout": "0.2"}, {}),
        ({"grpc-timeout": "200m"}, {}),
        ({"grpc-timeout": "1H"}, {"timeouts": Timeouts(default=0.1, maximum=0.2)}),
        ({}, {"timeouts": Timeouts(default=0.2)}),
        ({}, {"told": {"timeout": 0.2}}),
    ],
)
def test_deadlines(served: Graph, headers: dict[str, str], options: dict[str, Any]) -> None:
    """Time is over at the client's deadline, or at that of the gateway, or of the backend."""
    with TestClient(gateway(served, **options)) as client:
        answer = client.get("/v1/wait", headers=headers)

    assert (answer.status_code, answer.json()["message"]) == (504, "the deadline has passed")


def test_bad_timeout(client: TestClient) -> None:
    """A deadline that is none is refused."""
    assert client.get("/v1/wait", headers={"grpc-timeout": "x"}).status_code == 400


class Tells:
    """A policy that says who calls."""

    name = "tells"
    stage = Stage.SIZE
    writes = ("x-user-id", "seal-bin")

    def decide(self, call: CallDetails, now: Now) -> None:
        """Say it."""
        call.tell_servicer("x-user-id", "ann")
        call.tell_servicer("seal-bin", b"\0")


SENT = {
    "authorization": "Bearer secret",
    "cookie": "a=b",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "x-internal": "true",
    "x-other": "1",
    "x-request-id": "r1",
    "x-user-id": "forged",
}


def test_headers(served: Graph) -> None:
    """The backend learns of the trace, the request's id and what policies say, and no more."""
    policies = [RequestId(), Tells()]
    with TestClient(gateway(served, policies=policies)) as client:
        assert client.get("/v1/users/7", headers=SENT).status_code == 200
    head = served.heads[-1]

    assert float(head.pop("x-request-timeout")) == pytest.approx(30, abs=29)
    assert int(head.pop("content-length")) > 0
    assert head.pop("host") == served.url.removeprefix("http://").rstrip("/")
    assert head == {
        "accept": "application/graphql-response+json, application/json;q=0.9",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "seal-bin": "AA==",
        "traceparent": SENT["traceparent"],
        "x-request-id": "r1",
        "x-user-id": "ann",
    }


def test_identity(served: Graph) -> None:
    """Credentials, and other headers, go along where they are asked for; the strip list never."""
    identity = ["authorization", "x-internal", "x-other"]
    with TestClient(gateway(served, told={"identity": identity})) as client:
        assert client.get("/v1/users/7", headers=SENT).status_code == 200
    head = served.heads[-1]

    assert (head["authorization"], head["x-other"]) == ("Bearer secret", "1")
    assert "x-internal" not in head


def test_gone(served: Graph) -> None:
    """When the client goes away, the backend's answer is waited for no longer."""
    made = gateway(served)
    served.came.clear()
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.to_thread(served.came.wait, 60)
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    async def ask() -> None:
        scope = {"type": "http", "method": "GET", "path": "/v1/wait", "raw_path": b"/v1/wait"}
        async with asyncio.timeout(60), made.router.lifespan_context(made):
            await made({**scope, "query_string": b"", "headers": []}, receive, send)

    asyncio.run(ask())

    assert sent == []


@pytest.mark.parametrize(
    ("document", "variables", "route", "told"),
    [
        (ONE, {"id": "path.id"}, "GET /v1/users/{user}", "the path has no 'id'"),
        (ONE, {"id": "path.id"}, "GET /v1/{a}/{id}", "'a' of the path fills none"),
        (RENAME, {"id": "path.id", "name": "query.n"}, "GET /{id}", "a mutation is not for GET"),
        (RENAME, {"id": "path.id", "name": "query.n"}, "* /{id}", "a mutation is not for *"),
        (ECHO, {"text": "body"}, "GET /v1/a", "a request of GET has no body"),
    ],
)
def test_routes(document: str, variables: dict[str, str], route: str, told: str) -> None:
    """An operation that does not go with its route is refused at start."""
    operation = GraphQl("http://localhost:1").operation(document, variables=variables)
    method, path = route.split()
    with pytest.raises(ConfigError) as raised:
        Gateway().forward(path, operation, method=method)

    assert told in str(raised.value)
