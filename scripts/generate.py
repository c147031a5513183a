"""Write the Python code of every proto below `proto/` to `src/`, or check that it is fresh.

    python scripts/generate.py            write
    python scripts/generate.py --check    compare with a temporary folder; 1 if anything differs

This is the one generator: protoc as grpcio-tools ships it, with the plugins for messages, their
types, servicers, their types, and routes with the protos' comments, which the API's documentation
needs. buf.gen.yaml names the same five.
"""

from __future__ import annotations

import argparse
import filecmp
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from protoc import compile_protos

from transcoder.comments import SUFFIX

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "proto"
SOURCES = ROOT / "src"
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi", "_transcoder.py", SUFFIX)
BY_HAND = {"buf/validate/validate_pb2.py"}
# Concrete: a servicer may leave methods to the base class, which answers UNIMPLEMENTED.
STUBS = "quiet,generate_concrete_servicer_stubs"


def generate(out: Path) -> None:
    """Run protoc over all protos; the code lands in `out` under the protos' own paths."""
    types, routes = (
        Path(sys.executable).with_name(f"protoc-gen-{name}") for name in ("mypy_grpc", "transcoder")
    )
    compile_protos(
        PROTOS,
        *(f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")),
        f"--plugin=protoc-gen-mypy_grpc={types}",
        f"--mypy_grpc_out={STUBS}:{out}",
        f"--plugin=protoc-gen-transcoder={routes}",
        f"--transcoder_out=comments:{out}",
    )


def differences(fresh: Path, committed: Path) -> Iterator[str]:
    """Yield one line for each generated file that is missing, stale or without a proto."""
    made, kept = _generated(fresh), _generated(committed)
    yield from (f"{path}: not generated yet" for path in sorted(made - kept))
    yield from (f"{path}: its proto is gone" for path in sorted(kept - made))
    for path in sorted(made & kept):
        if not filecmp.cmp(fresh / path, committed / path, shallow=False):
            yield f"{path}: differs from what its proto gives"


def _generated(folder: Path) -> set[str]:
    found = {
        path.relative_to(folder).as_posix()
        for suffix in GENERATED
        for path in folder.rglob(f"*{suffix}")
    }
    return found - BY_HAND


def main() -> int:
    """Do what the arguments say and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--out", type=Path, default=SOURCES, help="where to write (src)")
    arguments = parser.parse_args()
    if not arguments.check:
        generate(arguments.out)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = list(differences(Path(folder), SOURCES))
    for line in stale:
        print(f"src/{line}; run `make generate`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
