"""What documents say is what the running gateway does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from catalogue import serving
from described import validator
from instances import instances
from services.user.app import create_app
from transcoder.openapi import Document, document

CATALOGUE = serving(lambda _: None)
ITEMS = document(CATALOGUE.transcoder)
EVERYTHING = ITEMS["paths"]["/v1/items"]["post"]["requestBody"]["content"]["application/json"]
QUERY = [each for each in ITEMS["paths"]["/query"]["get"]["parameters"] if "schema" in each]
_SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def checked(made: Document, operation: dict[str, Any], status: int) -> Draft202012Validator:
    """Return the validator of an operation's answers."""
    responses = operation["responses"]
    response = responses.get(str(status), responses["default"])
    if "$ref" in response:
        response = made["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return validator(made, response["content"]["application/json"]["schema"])


def check(made: Document, operation: dict[str, Any], status: int, answer: Any) -> None:
    """Check an answer against what its operation says."""
    misfits = checked(made, operation, status).iter_errors(answer)
    assert [error.message for error in misfits] == []


ITEM = checked(ITEMS, ITEMS["paths"]["/v1/items"]["post"], 200)


@pytest.fixture(scope="module")
def catalogue() -> Iterator[TestClient]:
    """A client that keeps its event loop: one for each request takes longer than the request."""
    with TestClient(CATALOGUE) as client:
        yield client


@_SLOW
@given(body=instances(ITEMS, EVERYTHING["schema"]))
def test_what_a_body_may_be_is_taken(catalogue: TestClient, body: Any) -> None:
    """Whatever fits the schema of a body is taken, and the answer fits the answer's schema."""
    answered = catalogue.post("/v1/items", json=body)

    assert answered.status_code == 200, answered.text
    assert [error.message for error in ITEM.iter_errors(answered.json())] == []


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(each) for each in value]
    return value if isinstance(value, str) else json.dumps(value)


@_SLOW
@given(data=st.data())
def test_what_a_query_may_be_is_taken(catalogue: TestClient, data: st.DataObject) -> None:
    """Whatever fits the schemas of the parameters is taken, one at a time."""
    parameter = data.draw(st.sampled_from(QUERY))
    value = data.draw(instances(ITEMS, parameter["schema"]))
    name = parameter["name"]
    if parameter.get("style") == "deepObject":
        value = {key: each for key, each in value.items() if not set("[]") & set(key) and key}
        query = {f"{name}[{key}]": _texts(each) for key, each in value.items()}
    else:
        query = {name: _texts(value)}
    answered = catalogue.get("/query", params=query)

    assert answered.status_code == 200, (query, answered.text)


def test_what_does_not_fit_is_refused(catalogue: TestClient) -> None:
    """What the schema of a body does not allow, the gateway does not take."""
    checked = validator(ITEMS, EVERYTHING["schema"])
    for body in (
        {"none": 1},
        {"int32Value": 2**31},
        {"int64Value": "1.5"},
        {"boolValue": 1},
        {"bytesValue": "YQ="},
        {"duration": "1"},
        {"choiceInt": 1, "choiceString": "a"},
        {"intMap": {"a": "1"}},
        {"time": "today"},
    ):
        answered = catalogue.post("/v1/items", json=body)

        assert not checked.is_valid(body), body
        assert answered.status_code == 400, body
        check(ITEMS, ITEMS["paths"]["/v1/items"]["post"], 400, answered.json())


@pytest.fixture(scope="module")
def users() -> Iterator[TestClient]:
    """The user service on a database of its own."""
    with TestClient(create_app("sqlite://")) as client:
        yield client


def call(users: TestClient, method: str, path: str, url: str, **options: Any) -> Any:
    """Call an operation of the user service; return the answer, which fits the document."""
    made = document(users.app.transcoder)  # type: ignore[attr-defined]
    answered = users.request(method, url, **options)
    told = answered.json()
    check(made, made["paths"][path][method.lower()], answered.status_code, told)
    return told


def test_answers_of_the_user_service_fit(users: TestClient) -> None:
    """A user's life, from creation to the error for one that is gone, is as described."""
    made = document(users.app.transcoder)  # type: ignore[attr-defined]
    example = made["components"]["schemas"]["services.user.v1.User-Request"]["examples"][0]
    body = {**example, "email": "ann@example.com", "address": {**example["address"]}}
    one = "/v1/users/{id}"
    user = call(users, "POST", "/v1/users", "/v1/users?userId=ann", json=body)
    changed = call(users, "PATCH", one, "/v1/users/ann", json={"name": "Ann"})
    listed = call(users, "GET", "/v1/users", "/v1/users?pageSize=1")
    call(users, "POST", f"{one}:deactivate", "/v1/users/ann:deactivate", json={})
    gone = call(users, "DELETE", one, "/v1/users/ann")
    missing = call(users, "GET", one, "/v1/users/ann")
    refused = call(users, "POST", "/v1/users", "/v1/users", json={"nmae": "Ann"})

    assert (user["id"], changed["name"], len(listed["users"])) == ("ann", "Ann", 1)
    assert (gone, missing["code"], refused["code"]) == ({}, 5, 3)


def test_problems_of_the_user_service_fit(users: TestClient) -> None:
    """An error that is asked for as a problem is as described."""
    made = document(users.app.transcoder)  # type: ignore[attr-defined]
    accept = {"accept": "application/problem+json"}
    answered = users.get("/v1/users/nobody", headers=accept)
    error = made["components"]["responses"]["Error"]["content"][answered.headers["content-type"]]

    assert validator(made, error["schema"]).is_valid(answered.json())


def test_streams_of_the_user_service_fit(users: TestClient) -> None:
    """A stream of requests as an array is taken, and its reply is as described."""
    path = "/v1/users:import"
    users_ = [{"user": {"name": "Bo", "email": "bo@example.com"}}, {"user": {}}]
    told = call(users, "POST", path, path, json=users_)

    assert (told["createdCount"], told["failedCount"]) == ("1", "1")
