"""Copy Google's common protos out of the installed package into a folder.

    python scripts/googleapis.py [FOLDER]    default: build/googleapis

buf reads modules inside its workspace only, and we keep no copies of our own.
"""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import files
from pathlib import Path

DISTRIBUTION = "googleapis-common-protos"


def copy_protos(folder: Path) -> int:
    """Copy each proto of the package to its path below `folder` and return their number."""
    protos = [path for path in files(DISTRIBUTION) or () if path.suffix == ".proto"]
    for proto in protos:
        target = folder / proto
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(proto.locate()), target)
    return len(protos)


if __name__ == "__main__":
    destination = Path(sys.argv[1] if len(sys.argv) > 1 else "build/googleapis")
    if not copy_protos(destination):
        sys.exit(f"{DISTRIBUTION} holds no protos; is it installed here?")
