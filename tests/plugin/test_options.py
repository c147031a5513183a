from __future__ import annotations

import pytest

from transcoder.errors import ConfigError
from transcoder.plugin.options import KNOWN, Options, parse
from transcoder.profile import ENVOY


def test_nothing_said() -> None:
    """Without options a gateway without options is meant."""
    assert parse("") == Options()


def test_all() -> None:
    """Options are joined by commas, whichever way they reached protoc."""
    said = (
        "comments,conflicts=warn,docs=,health=/up,liveness=/alive,openapi=/api,profile=envoy,"
        "readiness=,service_config=a=b.yaml,unbound=true"
    )

    assert parse(said) == Options(
        comments=True,
        conflicts="warn",
        docs=None,
        health="/up",
        liveness="/alive",
        openapi="/api",
        profile=ENVOY,
        readiness=None,
        service_config="a=b.yaml",
        unbound=True,
    )
    assert {part.partition("=")[0] for part in said.split(",")} == set(KNOWN)


def test_a_flag_may_be_denied() -> None:
    """A flag takes a value too."""
    assert not parse("unbound=false").unbound


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("unbound=1", "option unbound is one of true, false, not 1"),
        ("profile=apache", "option profile is one of google, grpc-gateway, envoy, strict, not"),
        ("health", "option health needs a value: health=..."),
        ("service_config=", "option service_config needs the name of a file"),
        ("unbound,unbound", "option unbound is given twice"),
        ("paths=source_relative", "there is no option paths. There are comments, conflicts, docs"),
    ],
)
def test_wrong(said: str, told: str) -> None:
    """What is no option, or no value of one, is refused with what there is."""
    with pytest.raises(ConfigError) as raised:
        parse(said)

    assert str(raised.value).startswith(told)
