"""How compatible systems differ, as one value with four named settings.

A profile is plain options. Take a named one and replace what you need:

>>> import dataclasses
>>> dataclasses.replace(GOOGLE, unknown_query="ignore").unknown_query
'ignore'
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from transcoder.errors import ConfigError

Order = Literal["specificity", "last-wins"]
Unescape = Literal["except-reserved", "except-slash", "all", "legacy"]
Strictness = Literal["reject", "ignore"]
Stream = Literal["array", "ndjson", "result-lines"]
MetadataNames = Literal["all", "no-cookies", "prefixed", "listed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a compatible system does where the specification leaves room.

    Args:
        name: how it is called in messages and docs.
        order: which of several matching routes answers.
        wrong_method: HTTP status when only other methods fit the path.
        unescape: what percent-decoding leaves alone in a multi-segment variable.
        unknown_query: what happens to a query parameter that names no field.
        ignored_query: query parameters that say nothing, such as `utm_source`, whatever the
            fields.
        unknown_body: what happens to a JSON key that names no field.
        query_beside_body: what happens to the query when the rule says `body: "*"`.
        print_defaults: whether fields without presence are printed when they hold their default.
        proto_names: whether a reply's fields are printed as the proto has them, `user_id` instead
            of `userId`; both are read.
        enum_numbers: whether a reply's enum values are printed as numbers; both are read.
        trailing_slash: whether `/v1/users/` is another path than `/v1/users`, or the same.
        missing_content_type: whether a body without a Content-Type is JSON or a 415.
        system_parameters: whether `$alt`, `$prettyPrint`, `$fields` and their bare forms are
            Google's system parameters.
        form_fallback: whether a form POST falls back to the GET rule of its path.
        method_override: whether a form POST may name its method in X-HTTP-Method-Override.
        not_acceptable: what happens when a client accepts no media type that is answered.
        stream: how the replies of a stream are told apart when Accept does not say.
        request_metadata: which headers of a request become metadata, under which names; see
            `transcoder.inbound`.
        response_metadata: which metadata become headers of the answer; see `transcoder.outbound`.

    Raises:
        ConfigError: an option has a value that it has not.
    """

    name: str
    order: Order = "specificity"
    wrong_method: Literal[405, 501, 404] = 405
    unescape: Unescape = "except-reserved"
    unknown_query: Strictness = "reject"
    ignored_query: frozenset[str] = frozenset()
    unknown_body: Strictness = "reject"
    query_beside_body: Literal["reject", "ignore", "bind"] = "reject"
    print_defaults: bool = False
    proto_names: bool = False
    enum_numbers: bool = False
    trailing_slash: Literal["reject", "drop"] = "reject"
    missing_content_type: Literal["json", "reject"] = "json"
    system_parameters: bool = False
    form_fallback: bool = False
    method_override: bool = False
    not_acceptable: Strictness = "reject"
    stream: Stream = "array"
    request_metadata: MetadataNames = "no-cookies"
    response_metadata: MetadataNames = "no-cookies"

    def __post_init__(self) -> None:
        """Check the options."""
        for name, allowed in _allowed().items():
            value = getattr(self, name)
            if type(value) is not type(allowed[0]) or value not in allowed:
                expected = " or ".join(map(repr, allowed))
                raise ConfigError(f"profile: {name} {value!r}: {expected} is expected")


@functools.cache
def _allowed() -> dict[str, tuple[object, ...]]:
    """Return the values that options may have, of those that have not any."""
    kinds = get_type_hints(Profile)
    found = {
        name: (False, True) if kind is bool else get_args(kind) for name, kind in kinds.items()
    }
    return {name: values for name, values in found.items() if values and name != "ignored_query"}


GOOGLE = Profile(name="google", system_parameters=True)

GRPC_GATEWAY = Profile(
    name="grpc-gateway",
    order="last-wins",
    wrong_method=501,
    unescape="legacy",
    unknown_query="ignore",
    unknown_body="ignore",
    query_beside_body="ignore",
    print_defaults=True,
    form_fallback=True,
    method_override=True,
    not_acceptable="ignore",
    stream="result-lines",
    request_metadata="prefixed",
    response_metadata="prefixed",
)

ENVOY = Profile(
    name="envoy",
    wrong_method=404,
    unknown_body="ignore",
    query_beside_body="bind",
    trailing_slash="drop",
    not_acceptable="ignore",
    request_metadata="all",
    response_metadata="all",
)

STRICT = Profile(
    name="strict",
    missing_content_type="reject",
    request_metadata="listed",
    response_metadata="listed",
)

PROFILES = {profile.name: profile for profile in (GOOGLE, GRPC_GATEWAY, ENVOY, STRICT)}
