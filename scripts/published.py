"""Compile the protos that Google publishes, for the test that loads all their rules.

    python scripts/published.py [FILE]    default: build/published/protos.binpb

npm brings them: no Python package has more than the common ones. Where it cannot, this says so and
writes nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "google-proto-files@5.0.3"


def fetch(folder: Path) -> str:
    """Unpack the package into `folder/package`; return why not, or nothing."""
    command = ["npm", "pack", "--loglevel=error", f"--pack-destination={folder}", PACKAGE]
    try:
        packed = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    except FileNotFoundError:
        return "npm is not installed"
    except subprocess.TimeoutExpired:
        return "npm did not end"
    archives = list(folder.glob("*.tgz"))
    if packed.returncode or not archives:
        return packed.stderr.partition("\n")[0] or f"npm failed with {packed.returncode}"
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    return ""


def compile_annotated(protos: Path, target: Path) -> None:
    """Write the descriptor set of all protos that have rules."""
    found = sorted(protos.rglob("*.proto"))
    annotated = [str(file) for file in found if b"(google.api.http)" in file.read_bytes()]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={protos}"]
    command += ["--include_imports", f"--descriptor_set_out={target}", *annotated]
    compiled = subprocess.run(command, check=False, capture_output=True, text=True)
    if compiled.returncode:
        errors = [line for line in compiled.stderr.splitlines() if ": warning: " not in line]
        sys.exit("\n".join(errors))


def main(target: Path) -> None:
    """Write the descriptor set, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        failure = fetch(folder)
        if failure:
            print(f"{PACKAGE} cannot be had, its rules are not tested: {failure}")
            return
        compiled = folder / target.name
        compile_annotated(folder / "package", compiled)
        compiled.replace(target)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/published/protos.binpb"))
