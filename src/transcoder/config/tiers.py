"""Gateways of which one stands behind another: what only the two files together show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from transcoder.config.build import Built
from transcoder.config.file import Keys, Mistake, noted
from transcoder.config.models import Config
from transcoder.header_names import HeaderNames
from transcoder.policies import ApiKeys, Authorization, ConcurrencyLimit, MutualTls, RequestId
from transcoder.policies.bearer import AUTHORIZATION
from transcoder.policies.policy import Policy, Writer

_OF_EACH: Final[tuple[Any, ...]] = (Authorization, ConcurrencyLimit, MutualTls, RequestId)
"""What each gateway does for itself: who may call by certificate, what it can bear, the id."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A gateway and its file.

    Args:
        name: of the file.
        text: of the file.
        config: what it says.
        built: what is made of that.
    """

    name: str
    text: str
    config: Config
    built: Built


def notes(tiers: Sequence[Tier]) -> Iterator[Mistake]:
    """Yield what is not wrong, and may not be meant, of internal gateways behind edges.

    Args:
        tiers: of which none need have a role; only edges and internal ones are compared.
    """
    edges = [tier for tier in tiers if tier.config.role == "edge"]
    for edge in edges:
        yield from _unheard(edge)
    for tier in tiers:
        if tier.config.role == "internal":
            yield from _trusting(tier)
            for edge in edges:
                yield from _believed(tier, edge)
                yield from _unsaid(tier, edge)
                yield from _repeated(tier, edge)


def _trusting(tier: Tier) -> Iterator[Mistake]:
    """Yield that an internal gateway takes nobody's word."""
    if not tier.config.trusted_peers:
        told = "role: internal trusts nobody: name the edge's certificate in trusted_peers"
        yield noted(tier.text, tier.name, ("role",), told)


def _repeated(tier: Tier, edge: Tier) -> Iterator[Mistake]:
    """Yield the policies that run at both, for the same calls."""
    for keys, policy in tier.built.policies.items():
        if isinstance(policy, _OF_EACH) or _is_skipped(policy, tier):
            continue
        if any(type(policy) is type(each) for each in edge.built.policies.values()):
            told = f"{policy.name} runs for the same calls as at {edge.name}"
            yield noted(tier.text, tier.name, keys, f"{told}: {_advice(tier)}")


def _unheard(edge: Tier) -> Iterator[Mistake]:
    """Yield the headers that an edge chooses by, and takes away before."""
    gateway = edge.built.gateway
    for keys, name in _chosen_by(edge.config):
        if name in gateway.stripped and name not in gateway.chain.writes:
            told = f"{name}: taken away of what clients say: match a claim, or name it in keep"
            yield noted(edge.text, edge.name, keys, told)


def _believed(tier: Tier, edge: Tier) -> Iterator[Mistake]:
    """Yield what the edge says of calls, and the internal gateway believes of everybody."""
    stripped = tier.built.gateway.stripped
    keys: Keys = ("role",) if tier.config.strip is None else ("strip",)
    for name in sorted({name for name in _said_by(edge) if name not in stripped}):
        told = f"{name}: said by {edge.name}, and believed of everybody: name it in strip"
        yield noted(tier.text, tier.name, keys, told)


def _said_by(edge: Tier) -> Iterator[str]:
    """Yield what the policies of an edge say; credentials are taken away rather than said."""
    for policy in edge.built.gateway.chain.policies.every:
        if isinstance(policy, Writer):
            credential = policy.header if isinstance(policy, ApiKeys) else AUTHORIZATION
            yield from (key for key in policy.writes if key != credential)


def _unsaid(tier: Tier, edge: Tier) -> Iterator[Mistake]:
    """Yield what the internal gateway believes of the edge, whose clients may say it."""
    if not tier.config.trusted_peers:
        return
    for index, name in enumerate(edge.config.keep):
        if name in tier.built.gateway.stripped:
            told = f"{name}: clients may say it, and {tier.name} believes it of this gateway"
            yield noted(edge.text, edge.name, ("keep", index), told)
    kept = HeaderNames(edge.config.keep)
    for keys, name in _named(tier.config):
        said = name not in edge.built.gateway.stripped and name not in kept
        if said and name in tier.built.gateway.stripped:
            told = (
                f"{name}: believed of {edge.name}, whose clients may say it: name it in strip there"
            )
            yield noted(tier.text, tier.name, keys, told)


def _named(config: Config) -> Iterator[tuple[Keys, str]]:
    """Yield the headers that a file names to strip them or to choose by them."""
    for index, name in enumerate(config.strip or ()):
        yield ("strip", index), name
    yield from _chosen_by(config)


def _chosen_by(config: Config) -> Iterator[tuple[Keys, str]]:
    """Yield the headers that a file names to choose by them."""
    for section, versioned in (("services", config.services), ("routes", config.routes)):
        for index, each in enumerate(versioned):
            at = (section, index)
            for number, match in enumerate(each.matches):
                named = (one.header for one in match.conditions if one.header)
                yield from (((*at, "matches", number), name) for name in named)
            if each.sticky is not None and each.sticky.header:
                yield (*at, "sticky"), each.sticky.header


def _is_skipped(policy: Policy, tier: Tier) -> bool:
    return (
        bool(tier.config.trusted_peers) and policy.name in tier.built.gateway.chain.policies.skipped
    )


def _advice(tier: Tier) -> str:
    if not tier.config.trusted_peers:
        return "name the edge's certificate in trusted_peers"
    return "name it in skip_for_trusted"
