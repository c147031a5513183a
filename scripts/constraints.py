"""Write constraints.txt: the newest version of each package that pyproject.toml allows.

    python scripts/constraints.py    run in the repository's root

The versions are those that pip picks for an empty environment. Names and versions only: where a
package comes from is the business of whoever installs it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import venv
from pathlib import Path

HEAD = "# Every package of the environment, written by `make constraints`.\n"
PIN = re.compile(r"[A-Za-z0-9._-]+==\S+")


def freeze(folder: Path) -> list[str]:
    """Install everything into a new environment in `folder` and return one pin a line."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", "--upgrade", "pip"], check=True)
    groups = ["--group", "dev", "--group", "fuzz", "--group", "bench"]
    subprocess.run([*pip, "install", "--quiet", *groups, "--editable", "."], check=True)
    command = [*pip, "freeze", "--all", "--exclude-editable"]
    frozen = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line for line in frozen.splitlines() if PIN.fullmatch(line)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as environment:
        pins = freeze(Path(environment))
    Path("constraints.txt").write_text(HEAD + "\n".join(pins) + "\n", encoding="utf-8")
