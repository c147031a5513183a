"""The plugin's options, as protoc hands them over: `--transcoder_opt=unbound,conflicts=warn`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from transcoder.errors import ConfigError
from transcoder.profile import GOOGLE, PROFILES, Profile
from transcoder.route import DOCS, HEALTH, LIVENESS, OPENAPI, READINESS
from transcoder.values import suggestion

KNOWN: Final[Mapping[str, str]] = {
    "comments": "keep the protos' comments too, as JSON, for the OpenAPI document",
    "conflicts": "refuse or warn: whether a route that never answers is an error",
    "docs": "the path of the gateway's page for people; nothing for none",
    "health": "the path of the gateway's health; nothing for none",
    "liveness": "the path that tells whether the gateway lives; nothing for none",
    "openapi": "that of its OpenAPI document, without .json; nothing for none",
    "profile": f"the system to behave like: {', '.join(PROFILES)}",
    "readiness": "the path that tells whether it is ready; nothing for none",
    "service_config": "a file with rules in place of options, the YAML of google.api.Service",
    "unbound": "methods without a rule have the route POST /package.Service/Method",
}

_PATHS: Final = {"docs", "health", "liveness", "openapi", "readiness"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the gateway of the generated modules will be told, so that it is checked alike.

    Args:
        comments: whether the comments of each proto are written beside its modules.
        conflicts, profile, unbound: as `Gateway` takes them.
        health, liveness, readiness: as `Health` does, `health` as its `path`.
        docs, openapi: as `OpenApi` does, its `docs` and `path`; None where the gateway has none.
        service_config: the file of a service configuration, whose rules `Gateway(rules=...)` has.
    """

    comments: bool = False
    conflicts: Literal["refuse", "warn"] = "refuse"
    docs: str | None = DOCS
    health: str | None = HEALTH
    liveness: str | None = LIVENESS
    openapi: str | None = OPENAPI
    profile: Profile = GOOGLE
    readiness: str | None = READINESS
    service_config: str = ""
    unbound: bool = False


def parse(parameter: str) -> Options:
    """Return the options of a request to the plugin.

    Args:
        parameter: names and values, joined by commas. A flag goes without a value.

    Raises:
        ConfigError: there is no such option, or it does not take that value.

    >>> options = parse("unbound,conflicts=warn,health=")
    >>> options.unbound, options.conflicts, options.health
    (True, 'warn', None)
    >>> parse("conflict=warn")
    Traceback (most recent call last):
    ...
    transcoder.errors.ConfigError: there is no option conflict; did you mean conflicts? \
There are comments, conflicts, docs, health, liveness, openapi, profile, readiness, \
service_config, unbound
    """
    said: dict[str, Any] = {}
    for part in filter(None, parameter.split(",")):
        name, given, value = part.partition("=")
        if name not in KNOWN:
            raise ConfigError(_unknown(name))
        if name in said:
            raise ConfigError(f"option {name} is given twice")
        said[name] = _value(name, value if given else None)
    return Options(**said)


def _unknown(name: str) -> str:
    near = suggestion(name, KNOWN)
    return f"there is no option {name}{near or '.'} There are {', '.join(KNOWN)}"


def _value(name: str, value: str | None) -> Any:
    if name in {"comments", "unbound"}:
        return _chosen(name, "true" if value is None else value, {"true": True, "false": False})
    if value is None:
        raise ConfigError(f"option {name} needs a value: {name}=...")
    if name == "conflicts":
        return _chosen(name, value, {"refuse": "refuse", "warn": "warn"})
    if name == "profile":
        return _chosen(name, value, PROFILES)
    if name == "service_config" and not value:
        raise ConfigError("option service_config needs the name of a file")
    return (value or None) if name in _PATHS else value


def _chosen(name: str, value: str, choices: Mapping[str, Any]) -> Any:
    if value not in choices:
        raise ConfigError(f"option {name} is one of {', '.join(choices)}, not {value}")
    return choices[value]
