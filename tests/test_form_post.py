from __future__ import annotations

import dataclasses

import pytest

from transcoder.form_post import is_looked_at, method_of
from transcoder.profile import ENVOY, GOOGLE, GRPC_GATEWAY, STRICT, Profile

FORM = (b"content-type", b"application/x-www-form-urlencoded")
OVERRIDE = b"x-http-method-override"
NO_FALLBACK = dataclasses.replace(GRPC_GATEWAY, form_fallback=False)
NO_OVERRIDE = dataclasses.replace(GRPC_GATEWAY, method_override=False)


@pytest.mark.parametrize(
    ("headers", "rules", "profile", "expected"),
    [
        ([FORM], {"GET"}, GRPC_GATEWAY, "GET"),
        ([FORM], {"GET", "POST"}, GRPC_GATEWAY, "POST"),
        ([FORM], {"DELETE"}, GRPC_GATEWAY, "POST"),  # only GET is fallen back to
        ([FORM], set(), GRPC_GATEWAY, "POST"),
        ([FORM], {"GET"}, NO_FALLBACK, "POST"),
        ([(b"content-type", b"Application/X-WWW-Form-Urlencoded;charset=utf-8")], {"GET"},
         GRPC_GATEWAY, "GET"),
        ([(b"content-type", b"application/json")], {"GET"}, GRPC_GATEWAY, "POST"),
        ([(b"content-type", b"multipart/form-data; boundary=x")], {"GET"}, GRPC_GATEWAY, "POST"),
        ([], {"GET"}, GRPC_GATEWAY, "POST"),
        ([FORM, (OVERRIDE, b"DELETE")], {"POST"}, GRPC_GATEWAY, "DELETE"),
        ([FORM, (OVERRIDE, b"patch")], set(), GRPC_GATEWAY, "PATCH"),
        ([FORM, (OVERRIDE, b"POST")], {"GET"}, GRPC_GATEWAY, "POST"),
        ([FORM, (OVERRIDE, b"GET"), (OVERRIDE, b"get")], {"POST"}, GRPC_GATEWAY, "GET"),
        ([FORM, (OVERRIDE, b"GET"), (OVERRIDE, b"DELETE")], {"POST"}, GRPC_GATEWAY, "POST"),
        ([FORM, (OVERRIDE, b"HEAD")], {"POST"}, GRPC_GATEWAY, "POST"),  # no body in its answer
        ([FORM, (OVERRIDE, b"CONNECT")], {"POST"}, GRPC_GATEWAY, "POST"),
        ([FORM, (OVERRIDE, b"")], {"POST"}, GRPC_GATEWAY, "POST"),
        ([FORM, (OVERRIDE, b"GET, DELETE")], {"POST"}, GRPC_GATEWAY, "POST"),
        ([FORM, (OVERRIDE, b"DELETE")], {"GET"}, NO_OVERRIDE, "GET"),
        ([(OVERRIDE, b"DELETE")], {"POST"}, GRPC_GATEWAY, "POST"),  # no form
    ],
)  # fmt: skip
def test_method(
    headers: list[tuple[bytes, bytes]], rules: set[str], profile: Profile, expected: str
) -> None:
    """A form POST stands for what it names, or for GET where only that has a rule."""
    assert method_of(headers, profile, rules.__contains__) == expected


def test_is_looked_at() -> None:
    """Only grpc-gateway lets a POST stand for another method."""
    assert [is_looked_at(each) for each in (GOOGLE, GRPC_GATEWAY, ENVOY, STRICT)] == [
        False,
        True,
        False,
        False,
    ]
    assert is_looked_at(NO_FALLBACK)
    assert is_looked_at(NO_OVERRIDE)
