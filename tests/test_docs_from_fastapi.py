"""docs/from-fastapi.md does what it says, and names what is here."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Annotated, Any

import grpc
import pydantic
import pytest
from google.protobuf.message_factory import GetMessageClass
from starlette.testclient import TestClient

from named import SPAN, is_ours
from pages import page
from sessions import Session
from transcoder import Gateway
from validated import pool_of

PAGE = page("from-fastapi.md")
RULES = PAGE.rows("## Rules of values")
TYPES = {"string": "string", "int32": "int32", "repeated": "repeated string"}
PYDANTIC = {
    "Annotated": Annotated,
    "AnyUrl": pydantic.AnyUrl,
    "Field": pydantic.Field,
    "UUID": uuid.UUID,
}


@pytest.mark.timeout(300)
def test_session(tmp_path: Path) -> None:
    """Who follows the page gets what it shows: both applications answer alike."""
    Session(tmp_path, PAGE).follow()


@pytest.mark.parametrize("row", PAGE.rows("## What is what"), ids=lambda row: row[0])
def test_ours(row: list[str]) -> None:
    """What stands beside a name of FastAPI is there."""
    assert [name for name in SPAN.findall(row[1]) if not is_ours(name)] == []


def by_rule(rule: str) -> TestClient:
    """Return a client of a gateway whose request has one field, of this rule."""
    kind = rule.replace(" ", ".").partition(".")[0]
    declared = TYPES.get(kind, "map<string, int32>")
    pool = pool_of(
        f"""
        syntax = "proto3";
        package rules.v1;
        import "buf/validate/validate.proto";
        import "google/api/annotations.proto";
        message Ask {{ {declared} value = 1 [(buf.validate.field).{rule}]; }}
        message Told {{}}
        service Rules {{
          rpc Check(Ask) returns (Told) {{
            option (google.api.http) = {{post: "/v1/check" body: "*"}};
          }}
        }}
        """
    )
    ask, told = (
        GetMessageClass(pool.FindMessageTypeByName(f"rules.v1.{name}")) for name in ("Ask", "Told")
    )

    async def check(request: Any, context: Any) -> Any:
        return told()

    handler = grpc.unary_unary_rpc_method_handler(check, ask.FromString, told.SerializeToString)
    app = Gateway(pool=pool, validate=True)
    generic = grpc.method_handlers_generic_handler("rules.v1.Rules", {"Check": handler})
    app.add_generic_rpc_handlers([generic])
    return TestClient(app)


@pytest.mark.parametrize("row", RULES, ids=lambda row: row[1])
def test_rules(row: list[str]) -> None:
    """What pydantic refuses in a row, its rule of protovalidate refuses."""
    annotation, rule, value = (SPAN.findall(cell)[0] for cell in row)
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(
        eval(annotation, PYDANTIC)  # noqa: S307  our own page
    )
    with pytest.raises(pydantic.ValidationError):
        adapter.validate_python(json.loads(value))
    answer = by_rule(rule).post("/v1/check", json={"value": json.loads(value)})

    assert answer.status_code == 400
    (violation,) = answer.json()["details"][0]["fieldViolations"]
    assert violation["field"] == "value"
