from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from graphs import SDL, graph
from transcoder.config import Config, build, read_models
from transcoder.config.build import Built
from transcoder.errors import ConfigError

ONE = "query One($id: ID!) {\n  user(id: $id) { id name }\n}\n"
BOTH = f"""{ONE}
mutation Rename($id: ID!, $name: String!) {{
  renameUser(id: $id, name: $name) {{ id }}
}}
"""
ROUTE: dict[str, Any] = {
    "path": "/v1/users/{id}",
    "methods": ["GET"],
    "graphql": {
        "upstream": "users",
        "document": "users.graphql",
        "operation": "One",
        "variables": {"id": "path.id"},
        "answer": "user",
    },
}


def text(url: str = "http://localhost:1/", *routes: Any, **upstream: Any) -> str:
    """Return a file; JSON is YAML."""
    users = {"graphql": url, **upstream}
    return json.dumps({"upstreams": {"users": users}, "routes": [*routes]}, indent=1)


def built(folder: Path, file: str) -> Built:
    """Build what a file says."""
    config, found = read_models(file, "g.yaml")
    assert found == []
    assert isinstance(config, Config)
    return build(config, folder)


def test_graphql(tmp_path: Path) -> None:
    """A file alone puts REST in front of a GraphQL server, by documents of files or its own."""
    (tmp_path / "users.graphql").write_text(BOTH)
    (tmp_path / "schema.graphql").write_text(SDL)
    rename = {"id": "path.id", "name": "body.name"}
    writing = {"operation": "Rename", "variables": rename, "answer": "renameUser"}
    inline = {"upstream": "users", "document": "{ users { id } }", "answer": "users"}
    routes = (
        ROUTE,
        {**ROUTE, "methods": ["PUT", "PATCH"], "graphql": {**ROUTE["graphql"], **writing}},
        {"path": "/v1/users", "graphql": inline},
    )
    with graph() as served:
        made = built(tmp_path, text(served.url, *routes, sdl="schema.graphql", timeout=30.0))
        with TestClient(made.gateway) as client:
            one = client.get("/v1/users/7")
            renamed = [
                client.request(each, "/v1/users/7", json={"name": "B"})
                for each in ("PUT", "PATCH", "POST")
            ]
            many = client.get("/v1/users")

    assert one.json() == {"id": "7", "name": "Ann"}
    assert [each.status_code for each in renamed] == [200, 200, 405]
    assert many.json() == [{"id": "0"}, {"id": "1"}, {"id": "2"}]
    assert made.gateway.services == ()


@pytest.mark.parametrize(
    ("route", "told"),
    [
        ({"path": "v1"}, "routes[0].path: 'v1', column 1: "),
        ({"methods": ["get"]}, "routes[0].methods[0]: a method as HTTP spells it is expected"),
        ({"graphql": None}, "routes[0]: one of upstream, versions and graphql is expected"),
        (
            {"graphql": {**ROUTE["graphql"], "upstream": "usres"}},
            "routes[0].graphql.upstream: no upstream is named 'usres'; did you mean users?",
        ),
        (
            {"graphql": {**ROUTE["graphql"], "anwser": "user"}},
            "routes[0].graphql.anwser: no such key; did you mean answer?",
        ),
        (
            {"graphql": {**ROUTE["graphql"], "variables": ["id"]}},
            "routes[0].graphql.variables: a mapping is expected",
        ),
    ],
)
def test_mistakes(route: Any, told: str) -> None:
    """What is wrong with a route is told with the line and column of it."""
    config, (mistake,) = read_models(text("http://localhost:1/", {**ROUTE, **route}), "g.yaml")

    assert config is None
    assert mistake.message.startswith(told)
    assert mistake.line > 6


@pytest.mark.parametrize(
    ("graphql", "told"),
    [
        ({"document": "none.graphql"}, "none.graphql: No such file or directory"),
        ({"operation": "Two"}, "users.graphql: no operation is named 'Two'"),
        ({"answer": "usr"}, "answer 'usr': the document asks for no 'usr'; did you mean user?"),
        ({"variables": {"id": "path.ids"}}, "variables: the path has no 'ids'; did you mean id?"),
        ({"document": "{ user(id: 1) { nme } }", "operation": ""}, "document:1:17: Cannot query"),
        ({"document": "query One {\n  user(", "operation": ""}, "document:2:8: Expected Name"),
    ],
)
def test_documents(tmp_path: Path, graphql: Any, told: str) -> None:
    """So is what is wrong with its document, with line and column there."""
    (tmp_path / "users.graphql").write_text(ONE)
    (tmp_path / "schema.graphql").write_text(SDL)
    route = {**ROUTE, "graphql": {**ROUTE["graphql"], **graphql}}
    with pytest.raises(ConfigError) as raised:
        built(tmp_path, text("http://localhost:1/", route, sdl="schema.graphql"))

    assert str(raised.value).startswith("routes[0]: ")
    assert told in str(raised.value)


def test_upstreams(tmp_path: Path) -> None:
    """An upstream that is wrong is told by its name."""
    (tmp_path / "schema.graphql").write_text("type Query {\n  a: [Int\n}")
    with pytest.raises(ConfigError, match=r"^upstreams\.users: sdl:3:1: Expected ']', found '}'"):
        built(tmp_path, text("http://localhost:1/", ROUTE, sdl="schema.graphql"))
    with pytest.raises(ConfigError, match=r"^upstreams\.users: url 'localhost:1': "):
        built(tmp_path, text("localhost:1", ROUTE))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, a file that needs it says so."""
    monkeypatch.setitem(sys.modules, "transcoder.graphql_upstream", None)
    with pytest.raises(ConfigError, match=r"^upstreams\.users: graphql: import of "):
        built(Path(), text("http://localhost:1/", ROUTE))


def test_conflicts(tmp_path: Path) -> None:
    """Two routes of the same requests are in conflict."""
    (tmp_path / "users.graphql").write_text(ONE)
    with pytest.raises(ConfigError, match="answer the same requests"):
        built(tmp_path, text("http://localhost:1/", ROUTE, ROUTE)).gateway.compile()
