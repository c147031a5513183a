from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import google.api
import pytest
import yaml
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from described import GET, check, described, method
from services.user.v1 import user_service_pb2
from transcoder import Profile, Transcoder
from transcoder.openapi import Serving, document, to_json, to_yaml
from transcoder.profile import PROFILES
from transcoder.security import PUBLIC, Security

USERS = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
OURS = ("catalogue", "edition", "everything", "legacy", "messaging", "streams")
ASK = "message Ask { string id = 1; } message Reply { string id = 1; }"


def published() -> list[ServiceDescriptor]:
    """Return all services of googleapis-common-protos, each once."""
    folder = Path(next(iter(google.api.__path__))).parent
    modules = sorted(folder.rglob("*_pb2.py"))
    names = (path.relative_to(folder.parent).with_suffix("").parts for path in modules)
    files = [importlib.import_module(".".join(name)).DESCRIPTOR for name in names]
    found = {
        service.full_name: service for file in files for service in file.services_by_name.values()
    }
    return list(found.values())


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("name", OURS)
def test_documents_of_all_our_protos_are_valid(
    protos: DescriptorPool, name: str, profile: Profile
) -> None:
    """Under every profile, the document of every test proto is one, and its examples fit."""
    services = protos.FindFileByName(f"{name}.proto").services_by_name.values()
    transcoder = Transcoder(services, profile=profile, unbound=True)

    check(document(transcoder, serving=Serving(body_limit=7, websockets=True)))


def test_a_document_of_all_common_protos_is_valid() -> None:
    """The services that Google's common protos bring make one valid document."""
    made = document(Transcoder(published(), unbound=True))
    check(made)

    assert "/v1/projects/{name}/locations/{name_1}" in made["paths"]
    assert {tag["name"] for tag in made["tags"]} == {"Locations", "Operations"}


def test_the_user_service_is_described_with_its_comments() -> None:
    """Comments come from the file beside generated code, without being asked for."""
    made = document(Transcoder([USERS]))
    check(made)
    operation = made["paths"]["/v1/users"]["post"]

    assert made["openapi"] == "3.1.1"
    assert made["info"] == {"title": "services.user.v1", "version": "v1"}
    assert operation["operationId"] == "UserService_CreateUser"
    assert operation["summary"] == "Creates a user."
    assert operation["description"] == "ALREADY_EXISTS if the id or the email is taken."
    assert made["tags"][0]["description"].startswith("The people of an organisation")


def test_the_same_routes_make_the_same_document() -> None:
    """Two documents of the same routes are the same, byte for byte."""
    first, second = (to_json(document(Transcoder([USERS]))) for _ in range(2))

    assert first == second


def test_every_process_makes_the_same_document() -> None:
    """Sets and hashes, which differ between processes, have no say in a document."""
    program = (
        "import sys; from compiled import pool; from transcoder import Transcoder;"
        "from transcoder.openapi import document, to_json; protos = pool();"
        f"names = {OURS};"
        "files = [protos.FindFileByName(f'{name}.proto') for name in names];"
        "services = [each for file in files for each in file.services_by_name.values()];"
        "made = document(Transcoder(services, unbound=True, conflicts='warn'));"
        "sys.stdout.buffer.write(to_json(made))"
    )
    apps = Path(__file__).parent.parent / "apps"
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(apps)},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    (only,) = made
    assert len(json.loads(only)["paths"]) == 30


def test_yaml_says_what_json_says() -> None:
    """Both texts of a document hold the same tree, in the same order."""
    made = document(Transcoder([USERS]))
    from_yaml, from_json = yaml.safe_load(to_yaml(made)), json.loads(to_json(made))

    assert from_yaml == from_json
    assert list(from_yaml["paths"]) == list(from_json["paths"])
    assert b"&id" not in to_yaml(made)


def test_what_is_said_goes_before_what_is_found() -> None:
    """Title, version, description and servers may be told."""
    made = described(
        ASK + method(GET),
        title="Users",
        version="7",
        description="All of them.",
        servers=["https://api.example.com"],
    )

    assert made["info"] == {"title": "Users", "version": "7", "description": "All of them."}
    assert made["servers"] == [{"url": "https://api.example.com"}]


def test_an_empty_transcoder_has_a_document() -> None:
    """Without any route there is a document without paths."""
    made = document(Transcoder())
    check(made)

    assert made["paths"] == {}


SECURITY = Security(
    schemes={
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    },
    requires=[{"bearer": ["read"]}, {"bearer": [], "key": []}],
    methods={"api.v1.Asks.Open": PUBLIC, "api.v1.Asks.Either": [{}, {"key": []}]},
)
ASKS = "".join(
    f'rpc {name}(Ask) returns (Reply) {{ option (google.api.http) = {{get: "/v1/{name}"}}; }}'
    for name in ("Do", "Open", "Either")
)


def test_operations_require_what_is_said() -> None:
    """An operation has the alternatives of its method, and the two statuses of who has none."""
    made = described(f"{ASK} service Asks {{ {ASKS} }}", security=SECURITY)
    check(made)
    found = {path: item["get"] for path, item in made["paths"].items()}

    assert found["/v1/Do"]["security"] == [{"bearer": ["read"]}, {"bearer": [], "key": []}]
    assert found["/v1/Open"]["security"] == []
    assert found["/v1/Either"]["security"] == [{}, {"key": []}]
    assert {path: "401" in each["responses"] for path, each in found.items()} == {
        "/v1/Do": True,
        "/v1/Open": False,
        "/v1/Either": True,
    }
    assert made["components"]["securitySchemes"] == SECURITY.schemes
    unknown = made["components"]["responses"]["Unauthenticated"]
    assert list(unknown["headers"]) == ["WWW-Authenticate", "X-Request-Id"]


def test_restricted_things_appear_only_under_their_labels() -> None:
    """What is visible to other labels only is nowhere: methods, fields, messages, enum values."""
    text = """
    enum Color { COLOR_UNSPECIFIED = 0; SECRET_RED = 1
      [(google.api.value_visibility).restriction = "INTERNAL"]; }
    message SecretPart { option (google.api.message_visibility).restriction = "INTERNAL";
      string text = 1; }
    message Ask {
      string id = 1;
      string secret = 2 [(google.api.field_visibility).restriction = "INTERNAL, TRUSTED"];
      SecretPart part = 3; repeated SecretPart parts = 4; map<string, SecretPart> by_name = 5;
      Color color = 6; oneof kind { string text = 7; int32 number = 8;
        string third = 9 [(google.api.field_visibility).restriction = "INTERNAL"]; } }
    service Asks {
      rpc Find(Ask) returns (Ask) { option (google.api.http) = {get: "/v1/c"}; }
      rpc Do(Ask) returns (Ask) { option (google.api.http) = {post: "/v1/a" body: "*"}; }
      rpc SecretDo(Ask) returns (Ask) {
        option (google.api.http) = {get: "/v1/b"};
        option (google.api.method_visibility).restriction = "INTERNAL"; } }
    """
    hidden = json.dumps(described(text)).lower()
    trusted = json.dumps(described(text, labels={"TRUSTED"}))
    internal = json.dumps(described(text, labels={"INTERNAL"}))

    assert "secret" not in hidden
    assert "byname" not in hidden
    assert "third" not in hidden
    assert "at most one of `text`, `number`." in hidden
    assert '"secret"' in trusted
    assert "SecretDo" not in trusted
    assert {'"SECRET_RED"' in internal, "Asks_SecretDo" in internal, '"byName"' in internal} == {
        True
    }


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ('{get: "/v1/{secret}"}', False),
        ('{get: "/v1/{part.text}"}', False),
        ('{post: "/v1/asks" body: "part"}', False),
        ('{get: "/v1/asks" response_body: "secret"}', False),
        ('{get: "/v1/{secret}" additional_bindings {get: "/v1/asks/{id}"}}', True),
    ],
)
def test_a_rule_with_a_restricted_field(rule: str, shown: bool) -> None:  # noqa: FBT001  a column
    """A binding that names a field of other labels is not told; the method's others are."""
    text = f"""
    message Part {{ string text = 1; }}
    message Ask {{
      string id = 1;
      string secret = 2 [(google.api.field_visibility).restriction = "INTERNAL"];
      Part part = 3 [(google.api.field_visibility).restriction = "INTERNAL"];
    }} {method(rule)}
    """
    made = described(text)

    assert list(made["paths"]) == (["/v1/asks/{id}"] if shown else [])
    assert "secret" not in json.dumps(made)
    assert described(text, labels={"INTERNAL"})["paths"].keys() - made["paths"].keys()
