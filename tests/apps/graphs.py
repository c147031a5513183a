"""A GraphQL server of users, on a socket of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from ariadne import MutationType, ObjectType, QueryType, make_executable_schema
from ariadne.asgi import GraphQL
from graphql import GraphQLError
from starlette.types import ASGIApp, Receive, Scope, Send

SDL = """\
enum Role {
  ADMIN
  GUEST
}

type User {
  id: ID!
  name: String
  role: Role!
  manager: User
}

input Address {
  city: String!
  lines: [String!]
}

input NewUser {
  name: String!
  role: Role! = GUEST
  address: Address
}

type Query {
  user(id: ID!): User
  users(role: [Role!], first: Int = 3, over: Float, active: Boolean): [User!]!
  echo(text: String!): String
  wait: String
}

type Mutation {
  createUser(user: NewUser!): User
  renameUser(id: ID!, name: String!): User
}

type Subscription {
  counted: Int!
}
"""

query, mutation, user = QueryType(), MutationType(), ObjectType("User")


@query.field("user")
def find(_: Any, info: Any, id: str) -> Any:  # noqa: A002  the schema's name
    """Return a user, none for 0, or the error that the id names."""
    if not id.isdigit():
        raise GraphQLError(f"{id} is not to be had", extensions={"code": id})
    return None if id == "0" else {"id": id, "name": "Ann", "role": "ADMIN"}


@query.field("users")
def find_all(_: Any, info: Any, first: int, **chosen: Any) -> Any:
    """Return as many users, each with what they were chosen by as its name."""
    role = (chosen.get("role") or ["GUEST"])[-1]
    return [{"id": str(n), "name": str(chosen), "role": role} for n in range(first)]


@query.field("echo")
def say(_: Any, info: Any, text: str) -> str:
    """Return a text."""
    return text


@query.field("wait")
async def wait(_: Any, info: Any) -> str:
    """Return only when nobody waits any longer."""
    while (await info.context["request"].receive())["type"] != "http.disconnect":
        pass
    return "gone"


@user.field("manager")
def find_manager(_: Any, info: Any) -> Any:
    """Fail."""
    raise ValueError("no such table")


@mutation.field("createUser")
def create(_: Any, info: Any, user: Any) -> Any:
    """Return what is created."""
    return {"id": "1", "name": str(user.get("address") or user["name"]), "role": user["role"]}


@mutation.field("renameUser")
def rename(_: Any, info: Any, id: str, name: str) -> Any:  # noqa: A002  as above
    """Return the user under the new name."""
    return {"id": id, "name": name, "role": "GUEST"}


_SCHEMA = make_executable_schema(SDL, query, mutation, user)


@dataclass
class Graph:
    """The server.

    Args:
        url: of it.
        heads: the headers of each request that came.
        came: set when one comes.
    """

    url: str = ""
    heads: list[dict[str, str]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as an ASGI application."""
        pairs = scope["headers"]
        self.came.set()
        self.heads.append({name.decode(): value.decode("latin-1") for name, value in pairs})
        await _APP(scope, receive, send)


_APP = GraphQL(_SCHEMA)


@contextmanager
def graph(**options: Any) -> Iterator[Graph]:
    """Run the server.

    Args:
        options: of uvicorn.
    """
    served = Graph()
    scheme = "https" if "ssl_certfile" in options else "http"
    with serving(served, lifespan="off", **options) as address:
        served.url = f"{scheme}://{address}/"
        yield served


@contextmanager
def serving(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Run an application; the value is host and port.

    Args:
        app: what answers.
        options: of uvicorn.
    """
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, **options))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # The kernel takes connections, whether or not the server has begun to.
        serving = threading.Thread(target=server.run, args=([listening],))
        serving.start()
        try:
            yield "{}:{}".format(*listening.getsockname())
        finally:
            server.should_exit = True
            serving.join(60)
