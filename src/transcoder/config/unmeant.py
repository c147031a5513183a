"""What is not wrong with a file, and may not be meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from transcoder.config.build import Built
from transcoder.config.file import Keys
from transcoder.config.models import Config
from transcoder.config.models.services import Condition, Sticky
from transcoder.inbound import Inbound
from transcoder.policies.policy import Authenticator
from transcoder.profile import PROFILES

_TOLD_BY_US: Final = frozenset({"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"})


def unmeant(built: Built, folder: Path) -> Iterator[tuple[Keys, str]]:
    """Yield what never has an effect, or none yet, and where it is.

    Args:
        built: of the file.
        folder: of the file.
    """
    yield from _unfit(built)
    for name, upstream in built.config.upstreams.items():
        found = upstream.discovery
        if found is not None and found.file is not None and not (folder / found.file).exists():
            problem = f"{found.file} is not there: there are no endpoints until it is"
            yield ("upstreams", name, "discovery", "file"), problem


def _unfit(built: Built) -> Iterator[tuple[Keys, str]]:
    """Yield what versions are chosen by, and no call has."""
    knows = any(isinstance(each, Authenticator) for each in built.gateway.chain.policies.every)
    inbound = Inbound(PROFILES[built.config.profile], strip=())
    for keys, by in _choosing(built.config):
        if by.claim and not by.header and not knows:
            yield keys, f"claim {by.claim}: there is no policy that knows callers"
        if by.header and not by.claim and not _is_told(by.header.lower(), inbound):
            yield keys, f"header {by.header}: over HTTP it is not looked at"


def _choosing(config: Config) -> Iterator[tuple[Keys, Condition | Sticky]]:
    for section, versioned in (("services", config.services), ("routes", config.routes)):
        for index, each in enumerate(versioned):
            for number, match in enumerate(each.matches):
                at: Keys = (section, index, "matches", number)
                for place, condition in enumerate(match.conditions):
                    yield (*at, "all", place) if match.all else at, condition
            if each.sticky is not None:
                yield (section, index, "sticky"), each.sticky


def _is_told(name: str, inbound: Inbound) -> bool:
    """Say whether a header of any name becomes metadata of that name."""
    headers = name, f"grpc-metadata-{name}", name.removeprefix("grpcgateway-")
    told = inbound([(each.encode(), b"AAAA") for each in headers])
    return name in _TOLD_BY_US or any(key == name for key, _ in told)
