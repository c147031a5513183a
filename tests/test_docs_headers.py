"""docs/headers.md and docs/errors.md say what the code does."""

from __future__ import annotations

import json
import re

import pytest
from starlette.testclient import TestClient

from pages import Page, page
from services.user.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server
from transcoder import Code, Gateway, Status
from transcoder.inbound import STRICT_HEADERS
from transcoder.outbound import STRICT_METADATA
from transcoder.profile import PROFILES
from transcoder.status import http_status

HEADERS, ERRORS = page("headers.md"), page("errors.md")


@pytest.mark.parametrize("shown", [HEADERS, ERRORS], ids=lambda shown: shown.name)
def test_code(shown: Page) -> None:
    """The code of the pages runs, and prints what they show."""
    assert shown.sessions() == (0, shown.text.count(">>> "))


def test_created() -> None:
    """The servicer of the page answers 201 with its headers."""
    app = Gateway()
    (block,) = HEADERS.blocks("python")
    add_UserServiceServicer_to_server(HEADERS.run(block)["Users"](), app)  # type: ignore[arg-type]
    answer = TestClient(app).post("/v1/users", json={"name": "Ada"})

    assert (answer.status_code, answer.json()) == (201, {"id": "7", "name": "Ada"})
    assert (answer.headers["location"], answer.headers["etag"]) == ("/v1/users/7", '"1"')


def test_shape() -> None:
    """The function of the page shapes what is the client's fault."""
    (block,) = ERRORS.blocks("python")
    names = ERRORS.run(block)
    shaped = names["shape"](Status(Code.NOT_FOUND, "no such user"), 404)

    assert json.loads(shaped.body) == {"error": "not_found", "message": "no such user"}
    assert names["shape"](Status(Code.INTERNAL), 500) is None
    assert isinstance(names["app"], Gateway)


def test_statuses() -> None:
    """The table of statuses is the code's."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|$", ERRORS.text, re.MULTILINE)

    assert dict(rows) == {code.name: str(http_status(code)) for code in Code}
    assert len(rows) == len(Code)


def test_profiles() -> None:
    """Both tables have every profile."""
    names = re.findall(r"^\| `([a-z-]+)` \| [a-zI`]", HEADERS.text, re.MULTILINE)

    assert sorted(set(names)) == sorted(PROFILES)
    assert len(names) == 2 * len(PROFILES)


def test_kept_names() -> None:
    """The lists that the page names hold what the page says of them."""
    assert {"etag", "location", "retry-after", "www-authenticate"} <= STRICT_METADATA
    assert "authorization" in STRICT_HEADERS
