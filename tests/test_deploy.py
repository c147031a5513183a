"""What stands in deploy/ fits what a server tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from counted import counted, families, labels
from pages import ROOT
from promtool import promtool

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
TARGET = {"job", "instance"}
"""Labels that Prometheus adds to what it scrapes."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAME = re.compile(r"\btranscoder_\w+")
_SELECTOR = re.compile(r"\b(transcoder_\w+)\{([^}]*)\}")
_BY = re.compile(r"\bby\s*\(([^)]*)\)")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def rules() -> list[dict[str, Any]]:
    """Return the rules of the alerts."""
    told = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in told["groups"] for rule in group["rules"]]


def panels() -> Iterator[dict[str, Any]]:
    """Yield the panels of all dashboards."""
    for path in DASHBOARDS:
        yield from json.loads(path.read_text(encoding="utf-8"))["panels"]


def shown() -> Iterator[tuple[str, set[str]]]:
    """Yield all expressions, each with the labels that are shown of what it finds."""
    for rule in rules():
        told = " ".join(rule["annotations"].values())
        yield rule["expr"], set(re.findall(r"\$labels\.(\w+)", told))
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"], set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))


@pytest.fixture(scope="module")
def known() -> Mapping[str, frozenset[str]]:
    """What a server tells: the names of samples, and their labels."""
    return labels(counted().text)


def test_expressions(known: Mapping[str, frozenset[str]]) -> None:
    """Each names metrics that there are, by their labels, and shows labels that are left."""
    count = 0
    for expression, told in shown():
        bare = _STRING.sub('""', expression)
        names = set(_NAME.findall(bare))
        assert names, expression
        assert names <= known.keys(), expression
        for name, selector in _SELECTOR.findall(bare):
            assert set(_LABEL.findall(selector)) <= known[name] | TARGET, expression
        left = set().union(*(known[name] for name in names)) | TARGET
        for by in _BY.findall(bare):
            kept = {each.strip() for each in by.split(",")}
            assert kept <= left, expression
        if groups := _BY.findall(bare):
            left = {each.strip() for group in groups for each in group.split(",")}
        assert told <= left, expression
        count += 1
    assert count > 30


def test_complete(known: Mapping[str, frozenset[str]]) -> None:
    """Each metric is on the dashboard, but for what a histogram tells beside its buckets."""
    drawn = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    named = set(_NAME.findall(_STRING.sub('""', drawn)))
    assert {name for name in known if not name.endswith(("_sum", "_count"))} == named


def test_panels() -> None:
    """Panels have titles and places of their own."""
    for path in DASHBOARDS:
        told = json.loads(path.read_text(encoding="utf-8"))["panels"]
        assert len({panel["id"] for panel in told}) == len(told)
        assert len({panel["title"] for panel in told}) == len(told)
        places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in told}
        assert len(places) == len(told)
    assert DASHBOARDS


def test_alerts() -> None:
    """Each alert says what is the matter, and what to do, to people of a severity."""
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}


def test_rules_as_prometheus_reads_them(tmp_path: Path) -> None:
    """Prometheus takes the alerts, and the expressions of the dashboards."""
    assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", str(ALERTS))
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    records = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(asked)
    ]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    assert f"SUCCESS: {len(asked)} rules found" in promtool("check", "rules", str(path))


def test_scrape_as_prometheus_reads_it() -> None:
    """Prometheus finds no fault with the names and texts of what is scraped."""
    assert promtool("check", "metrics", text=counted().plain) == ""


def test_names() -> None:
    """Names have our prefix and base units, and what only rises, and nothing else, is `_total`."""
    found = families(counted().text)
    for family in found:
        assert re.fullmatch(r"transcoder(_[a-z]+)+", family.name)
        assert not re.search(r"_(milli|micro|kilo|minutes|ms|total|count|sum|bucket)", family.name)
        assert family.documentation
        if "duration" in family.name or "lag" in family.name:
            assert family.name.endswith("_seconds")
        for sample in family.samples:
            assert sample.name.endswith("_total") is (family.type == "counter")
    assert len(found) > 20


def alert(name: str, summary: str, **labels: str) -> dict[str, Any]:
    """Return an alert that fires, as promtool expects it."""
    (rule,) = [each for each in rules() if each["alert"] == name]
    description = rule["annotations"]["description"]
    return {
        "exp_labels": {**rule["labels"], **labels, "job": "shop", "instance": "a"},
        "exp_annotations": {"summary": summary, "description": description},
    }


def test_alerts_fire(tmp_path: Path) -> None:
    """A blocked loop is told once it counts, an open breaker after a minute, and nothing else."""
    of = 'job="shop",instance="a"'
    series = {
        f'transcoder_build_info{{version="1",{of}}}': "1x20",
        f"transcoder_event_loop_blocked_total{{{of}}}": "0x4 1x15",
        f'transcoder_breaker_state{{state="open",upstream="users",{of}}}': "0x4 1x15",
    }
    blocked = "The event loop of a was blocked for more than a second."
    broken = "No calls go to users: its breaker is open."
    fires = {
        ("TranscoderEventLoopBlocked", "4m"): [],
        ("TranscoderEventLoopBlocked", "6m"): [alert("TranscoderEventLoopBlocked", blocked)],
        ("TranscoderBreakerOpen", "5m"): [],
        ("TranscoderBreakerOpen", "7m"): [
            alert("TranscoderBreakerOpen", broken, state="open", upstream="users")
        ],
        **{
            (rule["alert"], "20m"): []
            for rule in rules()
            if rule["alert"] not in {"TranscoderEventLoopBlocked", "TranscoderBreakerOpen"}
        },
    }
    told = {
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "interval": "1m",
        "alert_rule_test": [
            {"alertname": name, "eval_time": at, "exp_alerts": alerts}
            for (name, at), alerts in fires.items()
        ],
    }
    path = tmp_path / "tests.json"
    path.write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": [told]}))
    assert "SUCCESS" in promtool("test", "rules", str(path))
