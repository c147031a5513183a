from __future__ import annotations

import asyncio
import math

import pytest

from transcoder.discovery.listed import Listed, read_endpoints
from transcoder.discovery.source import Answer, Endpoint
from transcoder.errors import ConfigError

A, B = Endpoint("a:1"), Endpoint("b:2", 3)


def test_listed() -> None:
    """What is listed is so for good, in its order."""
    listed = Listed(["b:1", Endpoint("a:1", 5)])

    assert asyncio.run(listed.look()) == Answer((Endpoint("b:1"), Endpoint("a:1", 5)), math.inf)
    assert listed.name == "b:1, a:1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("e.yaml", "- a:1\n- {address: 'b:2', weight: 3}\n"),
        ("e.yml", "- address: a:1\n- address: b:2\n  weight: 3\n"),
        ("e", "# two\n- a:1\n- {address: 'b:2', weight: 3}\n"),
        ("e.json", '["a:1", {"address": "b:2", "weight": 3}]'),
        ("e.jsonl", '"a:1"\n\n{"address": "b:2", "weight": 3}\n'),
    ],
)
def test_file(name: str, text: str) -> None:
    """A file is a list in YAML or JSON, or has a line of JSON for each."""
    assert read_endpoints(text, name) == (A, B)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("e.yaml", "", "a list of endpoints is expected"),
        ("e.yaml", "a:1\nb:2", "a list of endpoints is expected"),
        ("e.yaml", "[]", "at least one endpoint is expected"),
        ("e.yaml", "- a:1\n- ]", "line 2, column 3: no YAML: "),
        ("e.yaml", "- a:1\n- a:0", "[1]: 'a:0' is no address: HOST:PORT is expected"),
        ("e.yaml", "- 5", "[0]: HOST:PORT is expected, or an address and a weight"),
        ("e.yaml", "- {adress: 'a:1'}", "[0]: HOST:PORT is expected, or an address and a weight"),
        ("e.yaml", "- {address: 'a:1', x: 1}", "[0]: HOST:PORT is expected, or an address"),
        ("e.yaml", "- {address: 'a:1', weight: 0}", "[0]: a:1: weight 0: a whole number"),
        ("e.yaml", "- a:1\n- a:1", "a:1 is there twice"),
        ("e.yaml", "!!python/object:os.system {}", "no YAML: "),
        ("e.yaml", "[" * 3000, "line 1, column 65: no YAML: it is nested too deep"),
        ("e.yaml", "- 2001-99-99", "[0]: '2001-99-99' is no address: HOST:PORT is expected"),
        ("e.yaml", "- 2020-01-01 25:00:00", "[0]: '2020-01-01 25:00:00' is no address"),
        ("e.yaml", "- {address: 'a:1', weight: 2020-13-45}", "weight '2020-13-45': a whole"),
        (
            "e.yaml",
            '- a:1\n- !!int "x"',
            "line 2, column 3: no YAML: 'x' is read as an int, and is none",
        ),
        ("e.yaml", f"- {'9' * 5000}", "9' and more is read as an int, and is too long"),
        ("e.yaml", "- !!set {a}", "line 1, column 3: no YAML: 'tag:yaml.org,2002:set' is no tag"),
        ("e.yaml", "- &a {address: 'a:1'}\n- {<<: *a}", "[1]: HOST:PORT is expected, or an"),
        ("e.jsonl", "[" * 100_000, "line 1: no JSON: "),
        ("e.jsonl", "", "at least one endpoint is expected"),
        ("e.jsonl", '"a:1"\na:2', "line 2: no JSON: "),
        ("e.jsonl", '"a:1"\n[]', "line 2: HOST:PORT is expected"),
        ("e.jsonl", "\n".join(f'"a:{port}"' for port in range(1, 1002)), "1001 endpoints: at most"),
    ],
)
def test_wrong(name: str, text: str, problem: str) -> None:
    """What is wrong with it is told, with its place, in one line."""
    with pytest.raises(ConfigError) as raised:
        read_endpoints(text, name)

    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)
