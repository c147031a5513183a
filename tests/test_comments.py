from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from compiled import descriptor_set
from services.user.v1 import user_service_pb2
from transcoder import ConfigError
from transcoder.comments import kept_comments, read_comments

PROTO = """
syntax = "proto3";
// A package.
package a.v1;
// A message.
message Ask {
  // A field
  // of two lines.
  string id = 1;
  // A oneof.
  oneof one { string left = 2; // Behind it.
  }
  // Inside.
  message Part { string text = 1; }
  // An inner enum.
  enum Inner { INNER_UNSPECIFIED = 0; }
}
// An enum.
enum Color {
  // A value.
  COLOR_UNSPECIFIED = 0;
}
// A service.
service Asks {
  // A method.
  //
  // (-- Not for
  // others. --)
  // More of it.
  rpc Do(Ask) returns (Ask);
}
"""


def test_what_is_indented_alike() -> None:
    """A comment begins where its lines do, and what stands further in stays so."""
    proto = "syntax = 'proto3';\n//\tOne.\n//\n//\t    x()\nmessage A {}"

    assert read_comments(descriptor_set(proto), "a.binpb") == {"A": "One.\n\n    x()"}


def test_everything_that_has_a_comment_is_found() -> None:
    """Comments are known by full names, without what is internal, in front or behind."""
    assert read_comments(descriptor_set(PROTO), "a.binpb") == {
        "api.proto": "A package.",
        "a.v1.Ask": "A message.",
        "a.v1.Ask.id": "A field\nof two lines.",
        "a.v1.Ask.one": "A oneof.",
        "a.v1.Ask.left": "Behind it.",
        "a.v1.Ask.Part": "Inside.",
        "a.v1.Ask.Inner": "An inner enum.",
        "a.v1.Color": "An enum.",
        "a.v1.Color.COLOR_UNSPECIFIED": "A value.",
        "a.v1.Asks": "A service.",
        "a.v1.Asks.Do": "A method.\n\n\nMore of it.",
    }


def test_an_image_in_json_is_read() -> None:
    """What `buf build` writes as JSON holds comments as well."""
    image = {
        "file": [
            {
                "name": "a.proto",
                "messageType": [{"name": "A"}],
                "sourceCodeInfo": {"location": [{"path": [4, 0], "leadingComments": " An A.\n"}]},
                "bufExtension": {"isImport": False},
            }
        ]
    }

    assert read_comments(json.dumps(image).encode(), "a.json") == {"A": "An A."}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"a": 1}', "a.json: expected an object of full names and their comments"),
        (b'{"a"', "a.json is not JSON"),
        (b"\xff", "a.json is no descriptor set"),
    ],
)
def test_what_holds_no_comments_is_refused(data: bytes, told: str) -> None:
    """A file of another kind is an error that names it."""
    with pytest.raises(ConfigError, match=told):
        read_comments(data, "a.json")


def test_comments_are_found_beside_generated_modules() -> None:
    """The comments of a generated module's file are beside it; of others there are none."""
    found = kept_comments([user_service_pb2.DESCRIPTOR])

    assert found["services.user.v1.UserService.CreateUser"].startswith("Creates a user.")
    assert found["services.user.v1.User.Role.ROLE_ADMIN"] == "Reads, writes and manages users."


def test_comments_of_imports_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that a file imports have their comments beside their own modules."""
    module = ModuleType("low_v1_pb2")
    module.__file__ = str(tmp_path / "low_v1_pb2.py")
    (tmp_path / "low-v1_comments.json").write_text('{"Low": "Low."}')
    monkeypatch.setitem(sys.modules, "low_v1_pb2", module)
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="low-v1.proto"))
    pool.Add(FileDescriptorProto(name="high.proto", dependency=["low-v1.proto"]))

    assert kept_comments([pool.FindFileByName("high.proto")]) == {"Low": "Low."}
