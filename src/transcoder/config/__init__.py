"""`gateway.yaml`: a gateway in front of services, without a line of code.

    file.py      YAML, with the place of each key
    models/      what may be said, and of what type
    build.py     what is said, as the objects that the library has for it; with the same
                 names as the models, services.py, upstreams.py and so on for those

Its words are those of the library's keyword arguments.
"""

from __future__ import annotations

try:
    import pydantic  # noqa: F401  whoever comes in here needs both
    import yaml  # noqa: F401
except ImportError as missing:
    raise ImportError(f"{missing.name} is missing: install transcoder[gateway]") from missing

from transcoder.config.build import Built, build, open_file
from transcoder.config.file import Mistake, load, mistakes, read_models
from transcoder.config.models import Config
from transcoder.config.server import http_ports, options

__all__ = [
    "Built",
    "Config",
    "Mistake",
    "build",
    "http_ports",
    "load",
    "mistakes",
    "open_file",
    "options",
    "read_models",
]
