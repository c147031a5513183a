from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from compiled import descriptor_set
from transcoder.cli import main
from transcoder.descriptors import read_descriptors
from transcoder.schema_diff import differences

TEXT = """
syntax = "proto3";
package a.v1;
import "google/api/annotations.proto";
enum Kind { KIND_UNSPECIFIED = 0; GOOD = 1; }
message Inner { string text = 1; }
message Ask { string name = 1; Kind kind = 2; repeated Inner inner = 3; Ask again = 4; }
service Asks {
  rpc Do(Ask) returns (Ask) { option (google.api.http) = {get: "/v1/asks"}; }
  rpc Undo(Ask) returns (Ask);
}
"""
UNDO = (
    "method a.v1.Asks.Undo is (stream a.v1.Ask) returns (a.v1.Inner), "
    "and was (a.v1.Ask) returns (a.v1.Ask) (incompatible)"
)


def changes(text: str) -> list[str]:
    """Return what changed in another text."""
    both = [read_descriptors(descriptor_set(each), "a").services for each in (TEXT, text)]
    return [str(each) for each in differences(*both)]


def test_same() -> None:
    """Comments and order change nothing."""
    assert changes("// Another.\n" + TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("service Asks", "service Bids {} service Asks", "service a.v1.Bids is new"),
        (
            "service Asks",
            "service Bids",
            "service a.v1.Bids is new|service a.v1.Asks is gone (incompatible)",
        ),
        ("  rpc Undo(Ask) returns (Ask);", "", "method a.v1.Asks.Undo is gone (incompatible)"),
        (
            "rpc Undo(Ask) returns (Ask);",
            "rpc Undo(Ask) returns (Ask); rpc Redo(Ask) returns (Ask);",
            "method a.v1.Asks.Redo is new",
        ),
        (
            "rpc Undo(Ask) returns (Ask)",
            "rpc Undo(stream Ask) returns (Inner)",
            UNDO,
        ),
        (
            '{get: "/v1/asks"}',
            '{get: "/v2/asks"}',
            "method a.v1.Asks.Do has another google.api.http rule (incompatible)",
        ),
        ("string name = 1;", "", "field a.v1.Ask.name (string) is gone (incompatible)"),
        (
            "string text = 1;",
            "string text = 1; int32 more = 2;",
            "field a.v1.Inner.more (int32) is new",
        ),
        (
            "string text = 1;",
            "bytes text = 1;",
            "field a.v1.Inner.text is bytes, and was string (incompatible)",
        ),
        (
            "repeated Inner inner",
            "Inner inner",
            "field a.v1.Ask.inner is a.v1.Inner, and was repeated a.v1.Inner (incompatible)",
        ),
        (
            "string text = 1;",
            "string words = 1;",
            "field a.v1.Inner.text is named words (incompatible)",
        ),
        ("GOOD = 1;", "GOOD = 1; BAD = 2;", "value a.v1.Kind.BAD = 2 is new"),
        ("GOOD = 1;", "", "value a.v1.Kind.GOOD = 1 is gone (incompatible)"),
    ],
)
def test_changes(old: str, new: str, told: str) -> None:
    """Each change is told, once, and whether it breaks clients of before."""
    assert old in TEXT
    assert changes(TEXT.replace(old, new)) == told.split("|")


@pytest.mark.parametrize(
    ("old", "new", "code", "count"),
    [
        ("message Inner {", "message Inner { int32 more = 2;", 0, "1 changes, 0 incompatible\n"),
        ("string text = 1;", "", 1, "1 changes, 1 incompatible\n"),
    ],
)
def test_command(tmp_path: Path, old: str, new: str, code: int, count: str) -> None:
    """`check --diff` tells the changes, and ends with 1 if one of them breaks clients."""
    (tmp_path / "old.binpb").write_bytes(descriptor_set(TEXT))
    (tmp_path / "new.binpb").write_bytes(descriptor_set(TEXT.replace(old, new)))
    told = ["--descriptor-set", str(tmp_path / "new.binpb"), "--diff", str(tmp_path / "old.binpb")]
    result = CliRunner().invoke(main, ["check", *told])

    assert (result.exit_code, result.stderr) == (code, count)
    assert result.stdout.startswith("field a.v1.Inner.")


def test_command_of_a_file() -> None:
    """It compares services, and no files that describe gateways."""
    result = CliRunner().invoke(main, ["check", "gateway.yaml", "--diff", __file__])

    assert result.exit_code == 2
    assert "--diff compares services" in result.stderr
