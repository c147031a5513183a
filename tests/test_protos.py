"""What becomes of a proto: generated code, the proof that it is fresh, and promises to clients."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ODD = """\
syntax = "proto3";

// A package of what generators get wrong.
package odd.v1;

import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";

// Comments land in the generated code.
service OddService {
  // Gets one.
  rpc GetOdd(GetOddRequest) returns (GetOddResponse) {
    option (google.api.http) = {get: "/v1/odds/{odd_id}"};
  }
}

message GetOddRequest {
  string odd_id = 1;
}

message GetOddResponse {
  optional int64 big_count = 1;
  string renamed = 2 [json_name = "anotherName"];
  map<string, google.protobuf.Timestamp> times = 3;
  oneof choice {
    string a_1 = 4;
    bytes none = 5;
  }
}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with our tools, our protos and one odd proto, committed and without a tag."""
    for name in ("buf.yaml", "buf.gen.yaml", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copytree(ROOT / "proto", tmp_path / "proto", dirs_exist_ok=True)
    (tmp_path / "proto/odd/v1").mkdir(parents=True)
    (tmp_path / "proto/odd/v1/odd.proto").write_text(ODD)
    (tmp_path / "src").mkdir()
    (tmp_path / ".venv").symlink_to(sys.prefix)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "proto")
    git(tmp_path, "commit", "--quiet", "--message", "Start")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the workspace."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def git(folder: Path, *arguments: str) -> None:
    """Run git as somebody, whatever the machine's configuration says."""
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    command = ["git", *identity, "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(command, cwd=folder, check=True)


def edit(folder: Path, old: str, new: str) -> None:
    """Replace a part of the odd proto."""
    path = folder / "proto/odd/v1/odd.proto"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def contents(folder: Path) -> dict[str, bytes]:
    """Each Python file, stub and file of comments below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for pattern in ("*.py*", "*_comments.json")
        for path in folder.rglob(pattern)
    }


def test_buf_generates_what_make_generates(workspace: Path) -> None:
    """`buf generate` and the generator write the same files, byte for byte."""
    run(workspace, "scripts/generate.py", "--out", "src").check_returncode()
    (workspace / "src").rename(workspace / "made")
    run(workspace, "scripts/protoc.py", "build/protos.binpb").check_returncode()
    named = (workspace / "buf.gen.yaml").read_text()
    (workspace / "buf.gen.yaml").write_text(named.replace("[services]", "[services, odd]"))
    buf = str(Path(sys.executable).with_name("buf"))
    subprocess.run([buf, "generate"], cwd=workspace, check=True)

    assert contents(workspace / "src") == contents(workspace / "made")


def test_fresh_code_passes(workspace: Path) -> None:
    """Code that was just generated is fresh, and checking it writes nothing."""
    run(workspace, "scripts/generate.py").check_returncode()
    before = contents(workspace)
    checked = run(workspace, "scripts/generate.py", "--check")

    assert (checked.returncode, checked.stderr) == (0, "")
    assert contents(workspace) == before


def test_stale_code_fails(workspace: Path) -> None:
    """A changed proto, a new proto and a proto that is gone are each told, with what to do."""
    run(workspace, "scripts/generate.py").check_returncode()
    edit(workspace, "string renamed", "string renamed_again")
    shutil.copy(workspace / "src/odd/v1/odd_pb2.py", workspace / "src/odd/v1/gone_pb2.py")
    (workspace / "proto/new.proto").write_text('syntax = "proto3";\n')
    checked = run(workspace, "scripts/generate.py", "--check")

    assert checked.returncode == 1
    assert "src/odd/v1/odd_pb2.py: differs" in checked.stderr
    assert "src/odd/v1/gone_pb2.py: its proto is gone" in checked.stderr
    assert "src/new_pb2.py: not generated yet; run `make generate`" in checked.stderr


def test_without_a_tag_nothing_breaks(workspace: Path) -> None:
    """Before the first release there is no promise to keep, and the check says so."""
    edit(workspace, "string odd_id = 1", "string odd_id = 2")
    checked = run(workspace, "scripts/breaking.py")

    assert checked.returncode == 0
    assert checked.stdout == "breaking changes: no git tag yet, nothing to compare with\n"


def test_a_shallow_clone_without_a_tag_fails(workspace: Path, tmp_path: Path) -> None:
    """Where a clone left the tags behind, nothing is compared, which is no success."""
    git(workspace, "tag", "v1")
    edit(workspace, "string odd_id = 1", "string odd_id = 2")
    git(workspace, "commit", "--quiet", "--all", "--message", "Break a promise")
    clone = tmp_path / "clone"
    git(workspace, "clone", "--quiet", "--depth=1", workspace.as_uri(), str(clone))
    shutil.copytree(workspace / "scripts", clone / "scripts", dirs_exist_ok=True)
    checked = run(clone, "scripts/breaking.py")

    assert checked.returncode == 1
    assert checked.stderr == (
        "breaking changes: this clone is shallow and has no tag to compare with; "
        "run `git fetch --unshallow --tags`\n"
    )


def test_a_tag_without_protos_promises_nothing(workspace: Path) -> None:
    """A release from before the protos is nothing to compare with."""
    git(workspace, "rm", "--quiet", "-r", "--cached", "proto")
    git(workspace, "add", "scripts")
    git(workspace, "commit", "--quiet", "--message", "Drop the protos")
    git(workspace, "tag", "v1")
    checked = run(workspace, "scripts/breaking.py")

    assert checked.returncode == 0
    assert checked.stdout == "breaking changes: v1 has no protos, nothing to compare with\n"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("string odd_id = 1", "string odd_id = 2", 'field "1" with name "odd_id"'),
        ("bytes none = 5", "string none = 5", 'changed type from "bytes" to "string"'),
        # The JSON name is a promise to REST clients though the wire knows nothing of it.
        ('json_name = "anotherName"', 'json_name = "third"', 'option "json_name"'),
        ("rpc GetOdd(", "rpc ReadOdd(", 'RPC "GetOdd"'),
    ],
)
def test_a_broken_promise_fails(workspace: Path, old: str, new: str, found: str) -> None:
    """What a client of the last tag relies on may not change."""
    git(workspace, "tag", "v1")
    edit(workspace, old, new)
    checked = run(workspace, "scripts/breaking.py")

    assert checked.returncode == 1
    assert found in checked.stdout
    assert "break what v1 promised" in checked.stderr


def test_an_addition_breaks_nothing(workspace: Path) -> None:
    """A new field beside the old ones leaves the clients of the last tag as they were."""
    git(workspace, "tag", "v1")
    edit(workspace, "string odd_id = 1;", "string odd_id = 1;\n  string more = 2;")
    checked = run(workspace, "scripts/breaking.py")

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
