"""Fuzz one target, from its corpus.

    python fuzz/run.py TARGET [libFuzzer options]    see fuzz_targets.py

Inputs that reach new code stay in build/fuzz, and so does what fails, as TARGET-crash-…: mend it,
and add it as a test to tests/regressions. The corpus itself is only read.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests/apps")]

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: make fuzz")

with atheris.instrument_imports(include=["transcoder"]):
    from fuzz_targets import TARGETS, timed


def main(name: str, *options: str) -> None:
    """Fuzz until libFuzzer's options say to end."""
    target = TARGETS[name]
    target(b"")  # compiles what the inputs need
    grown = HERE.parent / "build/fuzz" / name
    grown.mkdir(parents=True, exist_ok=True)
    folders = [str(grown), str(HERE / "corpus" / name)]
    defaults = [f"-artifact_prefix={grown}-", "-max_len=8192", "-timeout=10", "-verbosity=0"]
    arguments = [sys.argv[0], *folders, *defaults, "-print_final_stats=1", *options]
    atheris.Setup(arguments, lambda data: timed(target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"expected one of {', '.join(TARGETS)}")
    main(*sys.argv[1:])
