"""docs/headers.md and docs/errors.md say what the code does."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from services.user.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server
from transcoder import Code, Gateway, Status
from transcoder.inbound import STRICT_HEADERS
from transcoder.outbound import STRICT_METADATA
from transcoder.profile import PROFILES
from transcoder.status import http_status

DOCS = Path(__file__).parent.parent / "docs"
HEADERS = (DOCS / "headers.md").read_text(encoding="utf-8")
ERRORS = (DOCS / "errors.md").read_text(encoding="utf-8")


def block(text: str) -> dict[str, Any]:
    """Run a page's one block of Python; return its names."""
    (found,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(found, names)  # noqa: S102  our own page
    return names


@pytest.mark.parametrize("page", ["headers.md", "errors.md"])
def test_code(page: str) -> None:
    """The code of the pages runs, and prints what they show."""
    text = (DOCS / page).read_text(encoding="utf-8")
    failed, tried = doctest.testfile(str(DOCS / page), module_relative=False, verbose=False)

    assert failed == 0
    assert tried == text.count(">>> ")


def test_created() -> None:
    """The servicer of the page answers 201 with its headers."""
    app = Gateway()
    add_UserServiceServicer_to_server(block(HEADERS)["Users"](), app)  # type: ignore[arg-type]
    answer = TestClient(app).post("/v1/users", json={"name": "Ada"})

    assert (answer.status_code, answer.json()) == (201, {"id": "7", "name": "Ada"})
    assert (answer.headers["location"], answer.headers["etag"]) == ("/v1/users/7", '"1"')


def test_shape() -> None:
    """The function of the page shapes what is the client's fault."""
    names = block(ERRORS)
    shaped = names["shape"](Status(Code.NOT_FOUND, "no such user"), 404)

    assert json.loads(shaped.body) == {"error": "not_found", "message": "no such user"}
    assert names["shape"](Status(Code.INTERNAL), 500) is None
    assert isinstance(names["app"], Gateway)


def test_statuses() -> None:
    """The table of statuses is the code's."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|$", ERRORS, re.MULTILINE)

    assert dict(rows) == {code.name: str(http_status(code)) for code in Code}
    assert len(rows) == len(Code)


def test_profiles() -> None:
    """Both tables have every profile."""
    names = re.findall(r"^\| `([a-z-]+)` \| [a-zI`]", HEADERS, re.MULTILINE)

    assert sorted(set(names)) == sorted(PROFILES)
    assert len(names) == 2 * len(PROFILES)


def test_kept_names() -> None:
    """The lists that the page names hold what the page says of them."""
    assert {"etag", "location", "retry-after", "www-authenticate"} <= STRICT_METADATA
    assert "authorization" in STRICT_HEADERS
