from __future__ import annotations

import pytest
from google.protobuf import text_format

from services.update_mask import apply, problem, settable
from services.user.v1.user_service_pb2 import User

STORED = """
    id: "ann" name: "Ann" email: "a@x.org" role: ROLE_ADMIN state: STATE_ACTIVE tags: "a"
    labels { key: "k" value: "v" } address { street: "S" city: "C" } phone: "+41" newsletter: true
    etag: "1"
"""


def user(text: str) -> User:
    return text_format.Parse(text, User())


@pytest.mark.parametrize(
    ("paths", "sent", "replaced", "by"),
    [
        (["name"], 'name: "B" email: "ignored"', "name", 'name: "B"'),
        (["address.city"], 'address { city: "D" street: "T" }', "", 'address { city: "D" }'),
        ([], 'name: "B" address { city: "D" }', "address", 'name: "B" address { city: "D" }'),
        ([], 'id: "b" state: STATE_INACTIVE etag: "2"', "", ""),  # only the server writes these
        (["id", "state", "etag"], 'id: "b" state: STATE_INACTIVE etag: "2"', "", ""),
        (["tags"], 'tags: "b" tags: "c"', "tags", 'tags: "b" tags: "c"'),
        (["labels"], 'labels { key: "l" value: "w" }', "labels", 'labels { key: "l" value: "w" }'),
        (["messenger.handle"], 'messenger { handle: "h" }', "phone", 'messenger { handle: "h" }'),
        (["messenger.handle"], "", "", ""),  # neither has one: the phone stays
        (["newsletter"], "newsletter: false", "", "newsletter: false"),
    ],
)
def test_takes_over_what_the_mask_names(
    paths: list[str], sent: str, replaced: str, by: str
) -> None:
    """What the mask names is taken over, and nothing else."""
    target, expected = user(STORED), user(STORED)
    if replaced:
        expected.ClearField(replaced)
    text_format.Merge(by, expected)

    apply(paths, user(sent), target)

    assert expected == target


@pytest.mark.parametrize(
    "name", ["name", "role", "tags", "labels", "address", "phone", "newsletter"]
)
def test_clears_what_has_no_value(name: str) -> None:
    """A field that the mask names and the client did not send is cleared."""
    target, expected = user(STORED), user(STORED)
    expected.ClearField(name)

    apply([name], User(), target)

    assert expected == target


def test_clears_within_a_message() -> None:
    """A path into a message that the client did not send clears that field alone."""
    target = user(STORED)

    apply(["address.city"], User(), target)

    assert target.address == User.Address(street="S")


def test_an_empty_message_is_a_value() -> None:
    """A message that is sent empty replaces the former one, and is there."""
    target = user(STORED)

    apply(["address"], User(address=User.Address()), target)

    assert target.HasField("address")
    assert not target.address.city


def test_a_star_is_all_that_clients_write() -> None:
    """A star replaces everything except what the server alone writes."""
    target = user(STORED)

    apply(["*"], User(name="B"), target)

    assert user('id: "ann" name: "B" state: STATE_ACTIVE etag: "1"') == target


def test_the_server_writes_some_fields_alone() -> None:
    """Fields are settable unless their behaviour says otherwise; the etag is a condition."""
    assert set(settable(User())).isdisjoint(
        {"id", "state", "avatar_bytes", "create_time", "update_time", "etag"}
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("name", ""),
        ("address.city", ""),
        ("create_time.seconds", ""),
        ("contact", "services.user.v1.User has no field contact"),  # a oneof is no field
        ("nme", "services.user.v1.User has no field nme"),
        ("address.town", "services.user.v1.User.Address has no field town"),
        ("name.first", "name can only be named as a whole"),
        ("labels.k", "labels can only be named as a whole"),
        ("tags.0", "tags can only be named as a whole"),
        ("", "services.user.v1.User has no field "),
        ("address.", "services.user.v1.User.Address has no field "),
        ("x" * 1000, "services.user.v1.User has no field " + "x" * 64),
    ],
)
def test_tells_what_is_wrong_with_a_path(path: str, expected: str) -> None:
    """A path is right, or its problem names the first part that is wrong."""
    assert expected == problem(path, User)
