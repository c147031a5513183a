"""Check that the protos break no client that was built from the last git tag's.

    python scripts/breaking.py    run in the repository's root; 1 if something breaks

The tag's protos are unpacked beside Google's in a workspace of their own, for buf cannot see the
second module in git.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from googleapis import copy_protos

BUF = str(Path(sys.executable).with_name("buf"))


def last_tag() -> str | None:
    """The nearest tag on the way to HEAD, or None."""
    command = ["git", "describe", "--tags", "--abbrev=0"]
    described = subprocess.run(command, check=False, capture_output=True, text=True)
    return described.stdout.strip() or None


def unpack(tag: str, folder: Path) -> bool:
    """Lay out the tag's buf workspace in `folder`; False if the tag has no protos."""
    if not _git("ls-tree", "--name-only", tag, "proto"):
        return False
    archived = _git("archive", "--format=tar", tag, "proto")
    with tarfile.open(fileobj=io.BytesIO(archived)) as archive:
        archive.extractall(folder, filter="data")
    shutil.copyfile("buf.yaml", folder / "buf.yaml")
    copy_protos(folder / "build" / "googleapis")
    return True


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], check=True, stdout=subprocess.PIPE).stdout


def main() -> int:
    """Compare with the last tag and return the exit code."""
    tag = last_tag()
    if tag is None and _git("rev-parse", "--is-shallow-repository").strip() == b"true":
        problem = "this clone is shallow and has no tag to compare with"
        print(f"breaking changes: {problem}; run `git fetch --unshallow --tags`", file=sys.stderr)
        return 1
    if tag is None:
        print("breaking changes: no git tag yet, nothing to compare with")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if not unpack(tag, Path(folder)):
            print(f"breaking changes: {tag} has no protos, nothing to compare with")
            return 0
        command = [BUF, "breaking", "proto", "--against", f"{folder}/proto"]
        compared = subprocess.run(command, check=False)
    if compared.returncode:
        print(f"breaking changes: the lines above break what {tag} promised", file=sys.stderr)
    return 1 if compared.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
