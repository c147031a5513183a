"""Check that the protos break no client that was built from the last git tag's.

    python scripts/breaking.py    run in the repository's root; 1 if something breaks

Both are compiled with what they import now.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from protoc import write_image

BUF = str(Path(sys.executable).with_name("buf"))


def last_tag() -> str | None:
    """The nearest tag on the way to HEAD, or None."""
    command = ["git", "describe", "--tags", "--abbrev=0"]
    described = subprocess.run(command, check=False, capture_output=True, text=True)
    return described.stdout.strip() or None


def unpack(tag: str, folder: Path) -> bool:
    """Unpack the tag's protos into `folder`; False if it has none."""
    if not _git("ls-tree", "--name-only", tag, "proto"):
        return False
    archived = _git("archive", "--format=tar", tag, "proto")
    with tarfile.open(fileobj=io.BytesIO(archived)) as archive:
        archive.extractall(folder, filter="data")
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
        now, then = Path(folder, "now.binpb"), Path(folder, "then.binpb")
        write_image(now, Path("proto"))
        write_image(then, Path(folder, "proto"))
        own = {path.name for root in (".", folder) for path in Path(root, "proto").iterdir()}
        command = [BUF, "breaking", str(now), "--against", str(then)]
        command += [f"--path={name}" for name in sorted(own)]
        compared = subprocess.run(command, check=False)
    if compared.returncode:
        print(f"breaking changes: the lines above break what {tag} promised", file=sys.stderr)
    return 1 if compared.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
