import subprocess
import sys
from types import ModuleType

import pytest

import transcoder
import transcoder.observers
import transcoder.policies

PACKAGES = [transcoder, transcoder.observers, transcoder.policies]


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_sorted_and_true(package: ModuleType) -> None:
    """Every public name is there, once, in order; what dir() shows is what __all__ says."""
    names = package.__all__

    assert sorted(names, key=lambda name: (name.upper() != name, name)) == names
    assert dir(package) == sorted(names)
    assert all(getattr(package, name) is not None for name in names)


@pytest.mark.parametrize("package", PACKAGES)
def test_unknown_name(package: ModuleType) -> None:
    """A name that is not public is an AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="Nope"):
        package.Nope  # noqa: B018  the access is the test


@pytest.mark.parametrize(
    "module",
    [
        "transcoder",
        "transcoder.protojson",
        "transcoder.transcoder",
        "transcoder.check",
        "transcoder.plugin",
    ],
)
def test_core_is_light(module: str) -> None:
    """The core is imported without grpc, starlette and asyncio."""
    edge = {"asyncio", "grpc", "grpc_status", "starlette"}
    script = f"import sys, {module}; print({edge} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"
