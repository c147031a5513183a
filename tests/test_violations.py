from __future__ import annotations

from dataclasses import replace

import pytest
from google.rpc import error_details_pb2

from transcoder.errors import StatusError
from transcoder.http_rule import bindings
from transcoder.status import Code
from transcoder.violations import (
    BODY_LIMIT,
    TOLD,
    Mask,
    Step,
    Violation,
    client_name,
    proto_name,
    refusal,
    steps_of,
)
from validated import SERVICE, message

CREATE = bindings(SERVICE.methods_by_name["Create"])
(UPDATE,) = bindings(SERVICE.methods_by_name["Update"])


def violation(kind: str, path: str, rule: str = "rule") -> Violation:
    """Return a violation at a path such as `user.tags[1]`."""
    found = [(name, f"[{rest}" if rest else "") for name, _, rest in _cut(path)]
    return Violation(steps_of(message(kind).DESCRIPTOR, found), "is wrong", rule)


def _cut(path: str) -> list[tuple[str, str, str]]:
    return [step.partition("[") for step in path.split(".")] if path else []


def listed(error: StatusError) -> list[error_details_pb2.BadRequest.FieldViolation]:
    """Return the violations that an error tells."""
    (packed,) = error.status.details
    told = error_details_pb2.BadRequest()
    assert packed.Unpack(told)
    return list(told.field_violations)


@pytest.mark.parametrize(
    ("index", "path", "query", "body", "name"),
    [
        # The body is the field user.
        (0, "user.address.region_code", b"", b"{}", "address.regionCode"),
        (0, "user.address.region_code", b"", b'{"region_code":""}', "address.region_code"),
        (0, "user.address.region_code", b"", b'{"regionCode":"region_code"}', "address.regionCode"),
        (0, "user.tags[1]", b"", b"{}", "tags[1]"),
        (0, "user", b"", b"{}", "user"),
        (0, "user_id", b"user_id=a", b'{"userId":1}', "user_id"),
        (0, "user_id", b"userId=a", b'{"user_id":1}', "userId"),
        (0, "user_id", b"", b"", "userId"),
        # The body is everything.
        (1, "user.quota_bytes", b"quota_bytes", b"{}", "user.quotaBytes"),
        (1, "user.quota_bytes", b"", b'{"quota_bytes":1}', "user.quota_bytes"),
        (1, "user.contact", b"", b"{}", "user.contact"),
    ],
)
def test_client_name(index: int, path: str, query: bytes, body: bytes, name: str) -> None:
    """Over HTTP a place has the name that the client used, else the JSON name."""
    assert client_name(CREATE[index], query, body)(violation("CreateRequest", path)) == name


@pytest.mark.parametrize(
    ("field", "path", "name"),
    [
        ("user.tags", "user.tags[1]", "[1]"),
        ("user.tags", "user.tags", "user.tags"),
        ("user.address", "user.address.region_code", "regionCode"),
    ],
)
def test_name_in_a_body_of_a_field(field: str, path: str, name: str) -> None:
    """In a body that is one field, a place is named from there on, and all of it by the field."""
    binding = replace(CREATE[0], body=field)

    assert client_name(binding, b"", b"[]")(violation("CreateRequest", path)) == name


def test_path_name() -> None:
    """What the path says has its name in the template, also when the body could say it."""
    name = client_name(UPDATE, b"", b'{"id":"a"}')

    assert name(violation("UpdateRequest", "user.id")) == "user.id"
    assert name(violation("UpdateRequest", "user.name")) == "name"


def test_proto_name() -> None:
    """On the gRPC port a place has its proto name, also one behind what is not known."""
    assert proto_name(violation("CreateRequest", "user.tags[1]")) == "user.tags[1]"
    assert proto_name(violation("CreateRequest", "nothing.here")) == "nothing.here"
    assert violation("CreateRequest", "nothing.here").steps[1] == Step(None, "here")


@pytest.mark.parametrize(
    ("path", "paths", "concerns"),
    [
        ("user.name", ["name"], True),
        ("user.name", ["email"], False),
        ("user.name", ["email", "name"], True),
        ("user.name", [], True),
        ("user.name", ["*"], True),
        ("user.address.city", ["address"], True),
        ("user.address.city", ["address.city"], True),
        ("user.address.city", ["address.street"], False),
        # A rule about all of a message, of which the mask names a part.
        ("user.address", ["address.street"], False),
        ("user.address", ["address"], True),
        ("user", ["name"], False),
        # Items are named by what holds them.
        ("user.tags[1]", ["tags"], True),
        ("user.labels", ["labels.a"], True),
        ("user.homes[a].city", ["homes"], True),
        # A oneof is named by its members.
        ("user.contact", ["phone"], True),
        ("user.contact", ["messenger.handle"], False),
        ("user.contact", ["name"], False),
        # What is no part of the resource.
        ("etag", ["name"], True),
        ("", ["name"], True),
        # What says which resource it is.
        ("user.id", ["name"], True),
    ],
)
def test_mask(path: str, paths: list[str], concerns: bool) -> None:  # noqa: FBT001  a column
    """A violation concerns a request whose mask names its place, or that has no mask."""
    kind = message("UpdateRequest")
    mask = Mask.of(kind.DESCRIPTOR, frozenset({("user", "id")}))
    request = kind(update_mask={"paths": paths})
    found = [violation("UpdateRequest", path)]

    assert mask is not None
    assert list(mask.concerning(request, found)) == (found if concerns else [])


def test_required_resource() -> None:
    """That there is no resource concerns every mask."""
    mask = Mask.of(message("UpdateRequest").DESCRIPTOR)
    found = [violation("UpdateRequest", "user", "required")]

    assert mask is not None
    assert mask.concerning(message("UpdateRequest")(update_mask={"paths": ["name"]}), found)


@pytest.mark.parametrize("kind", ["CreateRequest", "GetRequest", "User"])
def test_no_mask(kind: str) -> None:
    """A type without a FieldMask has no mask."""
    assert Mask.of(message(kind).DESCRIPTOR) is None


def test_refusal() -> None:
    """A refusal lists the places, what is wrong there, and the rules as reasons."""
    found = [
        violation("CreateRequest", "user.name", "string.min_len"),
        violation("CreateRequest", "user_id", "4 letters, at most"),
    ]
    error = refusal(found, proto_name)

    assert error.status.code == Code.INVALID_ARGUMENT
    assert error.status.message == "user.name: is wrong; 1 more"
    assert [(each.field, each.description, each.reason) for each in listed(error)] == [
        ("user.name", "is wrong", "STRING_MIN_LEN"),
        ("user_id", "is wrong", ""),
    ]


def test_numbered() -> None:
    """In a stream the message's number stands before the place, as in errors of decoding."""
    found = [violation("CreateRequest", "user.name"), violation("CreateRequest", "")]

    assert [each.field for each in listed(refusal(found, proto_name, 2))] == [
        "[2].user.name",
        "[2]",
    ]


def test_many() -> None:
    """Of many violations some are listed; the message says how many there are."""
    error = refusal([violation("CreateRequest", "user_id")] * 1000, proto_name)

    assert len(listed(error)) == TOLD
    assert error.status.message == "user_id: is wrong; 999 more"


def test_long() -> None:
    """What is told stays within the limits of messages and details, however long the texts are."""
    long = Violation(violation("CreateRequest", "user_id").steps, "é" * 10_000, "a" * 60)
    error = refusal([long] * 30, lambda _: "x" * 10_000)

    assert len(error.status.message.encode()) <= 512
    assert 1 < len(listed(error)) < TOLD
    assert len(error.status.to_json()) <= BODY_LIMIT
