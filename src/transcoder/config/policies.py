"""The policies and observers that a file names; each is imported only where it is named."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from transcoder import observers, policies
from transcoder.config.file import Keys
from transcoder.config.folder import Folder
from transcoder.config.models import observers as watching
from transcoder.config.models import policies as standing
from transcoder.config.models.model import Model
from transcoder.config.parts import Parts
from transcoder.policies.policy import Policy


def policies_of(given: standing.Policies, parts: Parts) -> Iterator[tuple[Keys, Policy]]:
    """Yield what stands before calls, behind where the file says it.

    Args:
        given: what the file says.
        parts: makes them.

    Raises:
        WrongPart: an option is none.
    """
    for name in type(given).model_fields:
        options = getattr(given, name)
        several = options if isinstance(options, list) else [options]
        for index, each in enumerate(several):
            if each is not None:
                place = (name, index) if isinstance(options, list) else (name,)
                keys: Keys = ("policies", *place)
                yield keys, parts.made(keys, _POLICIES[name], each)


def overrides_of(
    given: Mapping[str, standing.Overrides], parts: Parts
) -> dict[str, dict[str, Any]]:
    """Return what stands before some calls in the place of the policy of a name, by selector.

    Raises:
        WrongPart: an option is none.
    """
    found: dict[str, dict[str, Any]] = {}
    for selector, each in given.items():
        by_name = found.setdefault(selector, {})
        at = "overrides", selector
        for key in each.model_fields_set - {"rate_limits"}:
            options = getattr(each, key)
            name = key.replace("_", "-")
            by_name[name] = options and parts.made((*at, key), _POLICIES[key], options)
        for name, limit in each.rate_limits.items():
            keys = (*at, "rate_limits", name)
            by_name[name] = limit and parts.made(
                keys, functools.partial(_rate_limit, name=name), limit
            )
    return found


def observers_of(given: watching.Observers, parts: Parts) -> Iterator[Any]:
    """Yield who is told of calls; as `policies_of`."""
    for name in type(given).model_fields:
        options = getattr(given, name)
        if options is not None:
            yield parts.made(("observers", name), _OBSERVERS[name], options)


_Make: TypeAlias = "Callable[[Any, Folder], Any]"


def _plain(home: Any, name: str) -> _Make:
    """Return what makes something whose options are its arguments."""

    def make(options: Model, _at: Folder) -> Any:
        return getattr(home, name)(**options.told())

    return make


def _jwt(options: standing.Jwt, at: Folder) -> Any:
    issuers = []
    for each in options.issuers:
        told = each.told("name", "published", "keys")
        if each.published is not None:
            told["keys"] = policies.Published(**each.published.told())
        elif each.keys is not None:
            told["keys"] = at(each.keys)
        issuers.append(policies.Issuer(each.name, **told))
    require = {of: policies.Requirement(**each.told()) for of, each in options.require.items()}
    return policies.Jwt(*issuers, require=require, **options.told("issuers", "require"))


def _rate_limit(options: standing.RateLimit, _at: Folder, name: str = "") -> Any:
    shared = options.shared
    limiter = None
    if shared is not None:
        limiter = policies.SharedLimiter(rate=options.rate, **shared.told())
    told = options.told("shared", "name")
    return policies.RateLimit(limiter=limiter, name=name or options.name, **told)


def _api_keys(options: standing.ApiKeys, at: Folder) -> Any:
    return policies.ApiKeys(at.unwatched(options.keys), **options.told("keys"))


def _authorization(options: standing.Authorization, _at: Folder) -> Any:
    grants: dict[str, Any] = {
        name: {of: policies.Grant(**each.told()) for of, each in getattr(options, name).items()}
        for name in ("allow", "deny")
        if getattr(options, name)
    }
    return policies.Authorization(default=options.default, **grants)


def _access_log(options: watching.AccessLog, at: Folder) -> Any:
    path = options.path if options.path == "-" else at.unwatched(options.path)
    return observers.AccessLog(path, **options.told("path"))


def _audit_log(options: watching.AuditLog, at: Folder) -> Any:
    spool = None if options.spool is None else at.unwatched(options.spool)
    return observers.AuditLog(
        at.unwatched(options.path), spool=spool, **options.told("path", "spool")
    )


_POLICIES: dict[str, _Make] = {
    "request_id": _plain(policies, "RequestId"),
    "internal": _plain(policies, "Internal"),
    "ip_filter": _plain(policies, "IpFilter"),
    "concurrency": _plain(policies, "ConcurrencyLimit"),
    "rate_limits": _rate_limit,
    "cors": _plain(policies, "Cors"),
    "jwt": _jwt,
    "api_keys": _api_keys,
    "mutual_tls": _plain(policies, "MutualTls"),
    "authorization": _authorization,
    "compression": _plain(policies, "Compression"),
    "security_headers": _plain(policies, "SecurityHeaders"),
}

_OBSERVERS: dict[str, _Make] = {
    "access_log": _access_log,
    "audit_log": _audit_log,
    "metrics": _plain(observers, "Metrics"),
    "traces": _plain(observers, "Traces"),
}
