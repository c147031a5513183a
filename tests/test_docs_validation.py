"""docs/validation.md says what the code does."""

from __future__ import annotations

import json
import shlex
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from starlette.testclient import TestClient

from pages import page
from transcoder import Gateway
from transcoder.validation import MANY
from transcoder.violations import TOLD
from validated import pool_of

PAGE = page("validation.md")


@pytest.fixture(scope="module")
def client() -> TestClient:
    """A client of the page's gateway, which answers with the book."""
    pool = pool_of(PAGE.blocks("proto")[0])
    service = pool.FindServiceByName("shop.v1.Shop")

    async def answer(request: Any, context: Any) -> Any:
        return request.book

    handlers: dict[str, Any] = {
        rpc.name: grpc.unary_unary_rpc_method_handler(
            answer,
            GetMessageClass(rpc.input_type).FromString,
            GetMessageClass(rpc.output_type).SerializeToString,
        )
        for rpc in service.methods
    }
    app = Gateway(pool=pool, validate=True)
    generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
    app.add_generic_rpc_handlers([generic])
    return TestClient(app)


@pytest.mark.parametrize(("command", "shown"), PAGE.commands)
def test_session(client: TestClient, command: str, shown: str) -> None:
    """Each command of the page is answered as the page shows."""
    words = shlex.split(command)
    method = words[words.index("-X") + 1] if "-X" in words else "POST"
    body = json.loads(words[words.index("--json") + 1])
    answer = client.request(method, words[-1].removeprefix("localhost:8080"), json=body)

    assert words[0] == "curl"
    assert f"{answer.text}\n" == shown


def test_python() -> None:
    """The block of Python makes a gateway."""
    (block,) = PAGE.blocks("python")
    names = PAGE.run(block)

    assert isinstance(names["app"], Gateway)


def test_limits() -> None:
    """The limits are the code's."""
    assert len(PAGE.commands) == 3
    assert f"At most {TOLD} violations" in PAGE.text
    assert f"more than {MANY:,} items" in PAGE.text
