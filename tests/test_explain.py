from __future__ import annotations

import pytest
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import given
from hypothesis import strategies as st

from transcoder.errors import StatusError
from transcoder.explain import Bound, Explanation, explain, stopped
from transcoder.path_template import PathTemplate
from transcoder.profile import ENVOY, GOOGLE, GRPC_GATEWAY, Profile
from transcoder.route import Match, Route
from transcoder.routing import Router
from transcoder.transcoder import Transcoder

METHODS = "everything.v1.Bindings."


@pytest.fixture
def transcoder(protos: DescriptorPool) -> Transcoder:
    """Four routes on two methods."""
    return made(protos, GOOGLE)


def made(protos: DescriptorPool, profile: Profile) -> Transcoder:
    """Return a transcoder with a handful of routes."""
    rules = {
        f"{METHODS}Everyone": HttpRule(
            get="/v1/users/{string_value}",
            additional_bindings=[
                HttpRule(post="/v1/users/{string_value}:stop", body="*"),
                HttpRule(patch="/v1/users/{child.string_value}", body="child"),
                HttpRule(get="/v1/{custom_name=files/**}/raw"),
                HttpRule(get="/v1/users/me"),
            ],
        ),
    }
    service = protos.FindServiceByName("everything.v1.Bindings")
    return Transcoder([service], rules=rules, profile=profile)


def told(error: StatusError | None) -> str:
    return f"{error.http} {error.status.message}" if error else ""


def test_match(transcoder: Transcoder) -> None:
    """What matched, what it bound and the message are told."""
    found = explain(
        transcoder, "GET", "/v1/users/a%20b?int32Value=7&enum_list=RED&time=1970-01-01T00:00:00Z"
    )

    assert found.route is not None
    assert found.route.template.text == "/v1/users/{string_value}"
    assert found.bound == (
        Bound(origin="path", name="string_value", value="a b", field="string_value", note="string"),
        Bound(origin="query", name="int32Value", value="7", field="int32_value", note="int32"),
        Bound(
            origin="query",
            name="enum_list",
            value="RED",
            field="enum_list",
            note="repeated everything.v1.Color",
        ),
        Bound(
            origin="query",
            name="time",
            value="1970-01-01T00:00:00Z",
            field="time",
            note="google.protobuf.Timestamp",
        ),
    )
    assert '"int32Value": 7' in found.request
    assert (found.error, found.candidates) == (None, ())


@pytest.mark.parametrize(
    ("profile", "request_", "note", "error"),
    [
        (
            GOOGLE,
            "GET /v1/users/7?int_value=1",
            "no such field; did you mean int64_value?",
            "400 int_value: no such field; did you mean int64_value?",
        ),
        (
            GRPC_GATEWAY,
            "GET /v1/users/7?int_value=1",
            "no such field; did you mean int64_value?",
            "",
        ),
        (
            GOOGLE,
            "GET /v1/users/7?string_value=1",
            "passed over: the path sets string_value",
            "",
        ),
        (
            GOOGLE,
            "PATCH /v1/users/7?child.int32_value=1",
            "passed over: the body sets child",
            "",
        ),
        (GOOGLE, "GET /v1/users/7?$alt=json", "a system parameter", ""),
        (
            GOOGLE,
            "GET /v1/users/7?string_map[a]=b",
            "map<string, string>",
            "",
        ),
        (
            GOOGLE,
            "POST /v1/users/7:stop?int32_value=1",
            "the body holds all fields",
            "400 int32_value: this method takes its fields from the body: send it there",
        ),
        (ENVOY, "POST /v1/users/7:stop?int32_value=1", "int32", ""),
        (
            GOOGLE,
            "GET /v1/users/7?int32_value=x",
            "int32",
            "400 int32_value: expected a 32-bit integer",
        ),
    ],
)
def test_query(
    protos: DescriptorPool, profile: Profile, request_: str, note: str, error: str
) -> None:
    """Each parameter tells which field it set, or why it set none."""
    method, target = request_.split(" ")
    found = explain(made(protos, profile), method, target)

    assert found.bound[-1].note == note
    assert told(found.error) == error


def test_body(transcoder: Transcoder) -> None:
    """The body is part of the message, or of the refusal."""
    right = explain(transcoder, "POST", "/v1/users/7:stop", b'{"int32Value": 7}')
    wrong = explain(transcoder, "POST", "/v1/users/7:stop", b"{")

    assert '"int32Value": 7' in right.request
    assert told(wrong.error).startswith("400 ")


def test_no_json_form(transcoder: Transcoder) -> None:
    """A message that JSON cannot say is still a match; why there is no JSON stands in its place."""
    found = explain(transcoder, "GET", "/v1/users/7?mask=a__b")

    assert found.error is None
    assert found.request.startswith("everything.v1.Everything has no JSON form: ")


def test_bad_query(transcoder: Transcoder) -> None:
    """A query that cannot be read is told as to a client."""
    found = explain(transcoder, "GET", "/v1/users/7?a=%zz")

    assert found.route is not None
    assert told(found.error).startswith("400 the query holds a %")


@pytest.mark.parametrize("profile", [GOOGLE, ENVOY])
def test_options(protos: DescriptorPool, profile: Profile) -> None:
    """An OPTIONS without a route of its own is told the methods of the path, as a server does."""
    found = explain(made(protos, profile), "OPTIONS", "/v1/users/7")

    assert found == Explanation(allow=("GET", "HEAD", "OPTIONS", "PATCH"))


def test_options_of_no_path(transcoder: Transcoder) -> None:
    """An OPTIONS of a path that nothing answers is refused as others are."""
    assert told(explain(transcoder, "OPTIONS", "/v2").error).startswith("404 ")


def test_system_parameters(transcoder: Transcoder) -> None:
    """A system parameter that is wrong is a refusal, though the message could be made."""
    found = explain(transcoder, "GET", "/v1/users/7?$fields=nope")

    assert (told(found.error)[:4], found.request) == ("400 ", "")


def near(transcoder: Transcoder, method: str, target: str) -> dict[str, str]:
    """What stopped each candidate, the nearest first."""
    found = explain(transcoder, method, target)
    return {f"{each.route.method} {each.route.template}": each.stopped for each in found.candidates}


def test_near_routes(transcoder: Transcoder) -> None:
    """Where nothing answers, the nearest routes tell where they stopped, the likeliest first."""
    found = near(transcoder, "GET", "/v1/user/me")

    assert next(iter(found)) == "GET /v1/users/me"
    assert found["GET /v1/users/me"] == "segment 2 is 'user', not 'users'"
    assert found["GET /v1/users/{string_value}"] == "segment 2 is 'user', not 'users'"
    assert found["POST /v1/users/{string_value}:stop"] == "the path does not end with ':stop'"


def test_far_shorter_path(protos: DescriptorPool) -> None:
    """A route of which the path has only the beginning is near, however much is missing."""
    names = ("int32_value", "int64_value", "bool_value", "enum_value", "bytes_value", "class")
    rule = HttpRule(get=f"/v1/int/{'/'.join(f'{{{name}}}' for name in names)}")
    rules = {f"{METHODS}Everyone": rule, f"{METHODS}Update": HttpRule(get="/v1/get/x")}
    service = protos.FindServiceByName("everything.v1.Bindings")

    found = near(Transcoder([service], rules=rules), "GET", "/v1/int/1/2")

    assert next(iter(found.items())) == (
        f"GET {rule.get}",
        "the path ends where '*' should follow",
    )


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        ("get", "501 no such HTTP method: methods are case-sensitive, write GET"),
        ("FOO", "501 no such HTTP method"),
        ("TRACE", "501 no such HTTP method"),
    ],
)
def test_method_that_no_server_takes(transcoder: Transcoder, method: str, problem: str) -> None:
    """What the HTTP port refuses before it looks for a route is told."""
    assert told(explain(transcoder, method, "/v1/users/me").error) == problem


def test_wrong_method(transcoder: Transcoder) -> None:
    """A route that fits under another method comes first."""
    found = near(transcoder, "DELETE", "/v1/users/7:stop")

    assert next(iter(found.items())) == (
        "POST /v1/users/{string_value}:stop",
        "the path fits, but it answers POST",
    )


def test_empty_segment(transcoder: Transcoder) -> None:
    """A trailing slash that is in the way is told."""
    assert near(transcoder, "GET", "/v1/users/me/")["GET /v1/users/me"] == (
        "an empty segment fits nothing"
    )


def test_malformed_path(transcoder: Transcoder) -> None:
    """A path that no route can have has no near ones."""
    found = explain(transcoder, "GET", "/v1/%zz")

    assert told(found.error) == "400 the path holds a malformed percent escape"
    assert found.candidates == ()


@pytest.mark.parametrize(
    ("profile", "route", "why"),
    [
        (GOOGLE, "/v1/users/{string_value}", "/v1/users/me is more specific"),
        (GRPC_GATEWAY, "/v1/users/{string_value}", "/v1/users/me was declared later"),
    ],
)
def test_other_routes_that_fit(
    protos: DescriptorPool, profile: Profile, route: str, why: str
) -> None:
    """Where a route answers, others that fit tell why they do not."""
    found = near(made(protos, profile), "HEAD", "/v1/users/me")

    assert found == {f"GET {route}": f"fits too, but {why}"}


@pytest.mark.parametrize(
    ("template", "keys", "why"),
    [
        ("/", [], ""),
        ("/", ["a"], "the path goes on with 'a'"),
        ("/a/*", ["a"], "the path ends where '*' should follow"),
        ("/a/*", ["a", "b"], ""),
        ("/a", ["a\0b"], "segment 1 is 'a%2Fb', not 'a'"),  # an encoded slash is data
        ("/a/**", ["a"], ""),
        ("/a/**/z", ["a", "b", "c", "z"], ""),
        ("/a/**/z", ["a", "b", "c"], "segment 3 is 'c', not 'z'"),
        ("/a/**/z", ["a"], "the path is shorter than 2 segments"),
        ("/a/**/z", ["b"], "segment 1 is 'b', not 'a'"),
        ("/a:v", ["a:v"], ""),
        ("/a:v", ["a"], "the path does not end with ':v'"),
        ("/*:v", [":v"], "the path does not end with ':v'"),  # nothing in front of the colon
    ],
)
def test_stopped(template: str, keys: list[str], why: str) -> None:
    """Where a path stops to fit is told by segment."""
    assert stopped(PathTemplate.parse(template), keys) == why


templates = st.builds(
    lambda front, deep, back, verb: "/" + "/".join([*front, *deep, *back]) + verb,
    st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3),
    st.sampled_from([[], ["**"]]),
    st.lists(st.sampled_from(["a", "b", "*"]), max_size=2),
    st.sampled_from(["", ":v", ":a:b"]),
)
paths = st.lists(st.sampled_from(["a", "b", "c", "a:v", "b:a:b", "a%2Fb"]), min_size=1, max_size=6)


@given(templates, paths)
def test_agrees_with_the_router(text: str, parts: list[str]) -> None:
    """A path that stops nowhere is one that the router matches, and the other way around."""
    path = "/" + "/".join(parts)
    router = Router([Route("GET", PathTemplate.parse(text), "A", None)])
    keys = router.segments(path)
    assert keys is not None

    assert (not stopped(PathTemplate.parse(text), keys)) == isinstance(
        router.match("GET", path), Match
    )
