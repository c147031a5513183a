"""protoc in a process of its own, with the plugins that are installed here on its path."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from compiled import INCLUDE

BIN = Path(sys.executable).parent


OURS = (sys.executable, "-m", "grpc_tools.protoc")


def protoc(
    folder: Path, *arguments: str, program: Sequence[str | Path] = OURS
) -> subprocess.CompletedProcess[str]:
    """Run protoc, that of grpc_tools or another one, in a folder that has protos."""
    includes = [f"--proto_path={each}" for each in (folder, *INCLUDE[1:])]
    return subprocess.run(
        [*program, *includes, *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
