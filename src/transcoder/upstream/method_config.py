"""gRPC's service config: what a client keeps to, method by method.

Its JSON is that of `grpc.service_config.ServiceConfig` (service_config.md in gRPC's documentation).
gRPC is handed what it does well, retries and load balancing among it. Timeouts are kept here,
for gRPC's fall short by a second or two (github.com/grpc/grpc/issues/34547), and hedging, which it
does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from transcoder.errors import ConfigError
from transcoder.status import Code

_DURATION = re.compile(r"\d{1,9}(\.\d{1,9})?s")
_MOST_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Hedging:
    """A call is sent more than once, and the first good reply taken (gRFC A6).

    Args:
        attempts: at most, the first included.
        delay: seconds between two of them.
        non_fatal: codes that end an attempt and not the call.
    """

    attempts: int
    delay: float
    non_fatal: frozenset[Code]


@dataclass(frozen=True, slots=True)
class MethodConfig:
    """What holds for a method.

    Args:
        timeout: seconds that a call of it may take at most; None for no bound.
        hedging: how its calls are hedged; None for not at all.
    """

    timeout: float | None = None
    hedging: Hedging | None = None


_NOTHING = MethodConfig()


class ServiceConfig:
    """A service config, read.

    Args:
        config: as its JSON has it.
        load_balancing: the policy, where `config` names none.
        health_check: the service whose health the backend is asked about; "" for that of the
            whole backend, None to ask for none but what `config` says.

    Raises:
        ConfigError: it is wrong; the message says where.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | None,
        load_balancing: str,
        health_check: str | None = None,
    ) -> None:
        told = dict(config or {})
        if "loadBalancingConfig" not in told and "loadBalancingPolicy" not in told:
            told["loadBalancingConfig"] = [{load_balancing: {}}]
        if health_check is not None:
            if "healthCheckConfig" in told:
                raise ConfigError("health_check: service_config has a healthCheckConfig as well")
            if _balancing(told) == "pick_first":
                raise ConfigError(
                    "health_check: gRPC asks for none where it balances by pick_first"
                )
            told["healthCheckConfig"] = {"serviceName": health_check}
        self.watches: Final = "healthCheckConfig" in told
        """Whether the backend's health is watched, by a call that never ends."""
        self._methods: dict[tuple[str, str], MethodConfig] = {}
        entries = _list(told.get("methodConfig", []), "methodConfig")
        told["methodConfig"] = [
            self._entry(entry, f"methodConfig[{index}]") for index, entry in enumerate(entries)
        ]
        try:
            self.json = json.dumps(told, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"service_config: it has no JSON form: {error}") from error

    def of(self, path: str) -> MethodConfig:
        """Return what holds for a method: its own entry, its service's, or that for all."""
        _, service, method = path.split("/")
        for key in ((service, method), (service, ""), ("", "")):
            if key in self._methods:
                return self._methods[key]
        return _NOTHING

    def _entry(self, entry: Any, where: str) -> Mapping[str, Any]:
        """Take an entry in; return what of it is gRPC's to keep."""
        told = dict(_mapping(entry, where))
        timeout = told.pop("timeout", None)
        hedging = told.pop("hedgingPolicy", None)
        if "retryPolicy" in told:
            _check_retries(told["retryPolicy"], f"{where}.retryPolicy")
            if hedging is not None:
                raise ConfigError(f"service_config: {where}: either retries or hedging")
        config = MethodConfig(
            None if timeout is None else _seconds(timeout, f"{where}.timeout"),
            None if hedging is None else _hedging(hedging, f"{where}.hedgingPolicy"),
        )
        for name in _names(told.get("name"), f"{where}.name"):
            if name in self._methods:
                raise ConfigError(f"service_config: {where}: {'/'.join(name)} is named twice")
            self._methods[name] = config
        return told


def _balancing(told: Mapping[str, Any]) -> str:
    """Return the policy of load balancing that counts: the first of a list, before a plain name."""
    listed = told.get("loadBalancingConfig")
    if isinstance(listed, list) and listed and isinstance(listed[0], Mapping):
        return next(iter(listed[0]), "")
    return str(told.get("loadBalancingPolicy", "")).lower()


def _names(names: Any, where: str) -> Iterator[tuple[str, str]]:
    for name in _list(names, where):
        parts = _mapping(name, where)
        service, method = parts.get("service") or "", parts.get("method") or ""
        if method and not service:
            raise ConfigError(f"service_config: {where}: a method needs its service")
        yield service, method


def _check_retries(policy: Any, where: str) -> None:
    given = _mapping(policy, where)
    _attempts(given, where)
    for key in ("initialBackoff", "maxBackoff"):
        _seconds(given.get(key), f"{where}.{key}")
    multiplier = given.get("backoffMultiplier")
    if not isinstance(multiplier, int | float) or multiplier <= 0:
        raise ConfigError(f"service_config: {where}.backoffMultiplier: a number over 0 is needed")
    if not _codes(given.get("retryableStatusCodes"), f"{where}.retryableStatusCodes"):
        raise ConfigError(f"service_config: {where}.retryableStatusCodes: none is given")


def _hedging(policy: Any, where: str) -> Hedging:
    given = _mapping(policy, where)
    return Hedging(
        min(_attempts(given, where), _MOST_ATTEMPTS),
        _seconds(given.get("hedgingDelay", "0s"), f"{where}.hedgingDelay"),
        _codes(given.get("nonFatalStatusCodes", []), f"{where}.nonFatalStatusCodes"),
    )


def _attempts(policy: Mapping[str, Any], where: str) -> int:
    attempts = policy.get("maxAttempts")
    if not isinstance(attempts, int) or attempts < 2:
        raise ConfigError(f"service_config: {where}.maxAttempts: 2 or more is needed")
    return attempts


def _codes(names: Any, where: str) -> frozenset[Code]:
    try:
        return frozenset(
            Code(name) if isinstance(name, int) else Code[name] for name in _list(names, where)
        )
    except (KeyError, ValueError) as error:
        raise ConfigError(f"service_config: {where}: {error} is no status code") from None


def _seconds(duration: Any, where: str) -> float:
    if not isinstance(duration, str) or not _DURATION.fullmatch(duration):
        raise ConfigError(f'service_config: {where}: a duration as "1.5s" is needed')
    return float(duration[:-1])


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"service_config: {where}: an object is needed")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError(f"service_config: {where}: a list is needed")
    return value
