"""What the console shows, in tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from transcoder.console import html
from transcoder.console.diagram import diagram
from transcoder.console.history import KEPT, History, Rates
from transcoder.console.look import Look
from transcoder.console.readings import Backend, RouteKey, values
from transcoder.console.sparkline import Spot, sparkline
from transcoder.console.view import View
from transcoder.observers.failures import Failure

ROUTES: Final = 50
"""How many are shown: those with the most calls."""

FAILURES: Final = 15
"""How many are shown of each kind: the server's failures, and calls that it refused."""


def topology(view: View) -> str:
    """Return who calls whom, of all processes."""
    known = {view.name, *(peer.name for peer in view.peers if peer.topology is not None)}
    silent = [peer for peer in view.peers if peer.topology is None]
    drawn = diagram(view.edges, known, {peer.name for peer in silent} - known)
    missing = "".join(
        f'<p class="bad">{html.text(f"{peer.address} does not answer: {peer.problem}")}</p>'
        for peer in silent
    )
    rows = [
        (
            _td(each.source, "name"),
            _td(each.destination, "name"),
            _number(html.rate(each.rate)),
            _share(each.failed),
            _number(html.seconds(each.p50)),
            _number(html.seconds(each.p99)),
        )
        for each in view.edges
    ]
    heads = "source", "destination", "calls/s", "failed", "p50", "p99"
    return f'<div class="wide">{drawn}</div>{missing}{_table(heads, rows)}'


def routes(history: History) -> str:
    """Return the routes with the most calls."""
    keys = [key for key in history.keys if isinstance(key, RouteKey)]
    keys.sort(key=lambda key: (-history.rates(key).rate, -history.counts(key).calls, key))
    heads = "method", "calls/s", "", "failed", "", "refused", "p50", "p99", ""
    table = _table(heads, (_route(key, history) for key in keys[:ROUTES]))
    more = len(keys) - ROUTES
    return table + (f'<p class="note">{more} more have fewer calls.</p>' if more > 0 else "")


def _route(key: RouteKey, history: History) -> Iterable[str]:
    rates, series, now = history.rates(key), history.series(key), history.end
    name = key.method or ("no route" if not key.route else "the gateway itself")
    where = f"{key.door} {key.route}"
    yield f'<td class="name">{html.text(name)}<small>{html.text(where)}</small></td>'
    yield _number(html.rate(rates.rate))
    yield _drawn([[each.rate for each in series]], now)
    yield _share(rates.failed)
    yield _drawn([[each.failed for each in series]], now, kind="share", least=0.01)
    yield _number(html.share(rates.refused))
    yield _number(html.seconds(rates.p50))
    yield _number(html.seconds(rates.p99))
    yield _drawn([[each.p50 for each in series], [each.p99 for each in series]], now)


def failures(found: Sequence[Failure]) -> str:
    """Return the last failures."""
    if not found:
        return '<p class="note">There were none.</p>'
    faults = [each for each in found if each.is_fault]
    refusals = [each for each in found if not each.is_fault]
    shown = sorted(faults[-FAILURES:] + refusals[-FAILURES:], key=lambda each: -each.at)
    heads = "time, UTC", "request id", "what was asked", "status", "why", "took", "peer"
    return _table(heads, map(_failure, shown))


def _failure(failure: Failure) -> Iterator[str]:
    asked = failure.method or failure.path
    more = failure.path if failure.method and failure.door != "grpc" else ""
    status = " ".join(filter(None, (str(failure.http_status or ""), failure.code)))
    why = ": ".join(filter(None, (failure.denied_by, failure.reason)))
    yield _number(html.moment(failure.at))
    yield f"<td><code>{html.text(failure.request_id)}</code></td>"
    yield f'<td class="name">{html.cut(asked, 160)}<small>{html.cut(more, 160)}</small></td>'
    yield f'<td class="{"bad" if failure.is_fault else ""}">{html.text(status)}</td>'
    yield _td(why)
    yield _number(html.seconds(failure.seconds))
    yield _td(failure.peer or "unix")


def backends(view: View) -> str:
    """Return what this process calls; nothing where that is nothing."""
    families, history = view.look.families, view.history
    breakers: dict[str, list[str]] = {}
    for labels, value in values(families, "transcoder_breaker_state"):
        if value:
            parts = labels.get("version"), labels["method"].rpartition("/")[2], labels["state"]
            breakers.setdefault(labels["upstream"], []).append(" ".join(filter(None, parts)))
    failing = {
        labels["check"].removeprefix("upstream:"): value
        for labels, value in values(families, "transcoder_check_failing")
        if labels["check"].startswith("upstream:")
    }
    keys = [key for key in history.keys if isinstance(key, Backend)]
    rows = [
        (
            f'<td class="name">{html.text(key.service)}<small>{html.text(key.target)}</small></td>',
            *_rates(history.rates(key)),
            _td(", ".join(breakers.get(key.service, ())) or html.NOTHING),
            _reached(failing.get(key.service)),
        )
        for key in sorted(keys)
    ]
    heads = "service", "calls/s", "failed", "p50", "p99", "breaker", "reached"
    return _table(heads, rows) if rows else ""


def _reached(failing: float | None) -> str:
    if failing is None:
        return _td(html.NOTHING)
    return '<td class="bad">no</td>' if failing else "<td>yes</td>"


def _rates(rates: Rates) -> Iterator[str]:
    yield _number(html.rate(rates.rate))
    yield _share(rates.failed)
    yield _number(html.seconds(rates.p50))
    yield _number(html.seconds(rates.p99))


def limits(look: Look) -> str:
    """Return what is allowed, and how near calls are to it."""
    found: dict[str, list[str]] = {}
    for name, what in (
        ("transcoder_concurrency_running", "{:g} run"),
        ("transcoder_concurrency_streaming", "{:g} streams"),
        ("transcoder_concurrency_waiting", "{:g} wait"),
        ("transcoder_limiter_store_down", "its store does not answer"),
    ):
        for labels, value in values(look.families, name):
            if value or "{" in what:
                found.setdefault(labels["policy"], []).append(what.format(value))
    for labels, value in values(look.families, "transcoder_policy_refusals"):
        told = f"{value:,.0f} refused: {labels['reason']}"
        found.setdefault(labels["policy"], []).append(told)
    allowed = look.about.limits
    rows = [
        (_td(name, "name"), _td(allowed.get(name, "")), _td(", ".join(found.get(name, ()))))
        for name in dict.fromkeys([*allowed, *found])
    ]
    return _table(("what", "limit", "now"), rows) if rows else ""


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _td(value: str, kind: str = "") -> str:
    return f'<td class="{kind}">{html.text(value)}</td>' if kind else f"<td>{html.text(value)}</td>"


def _number(value: str, kind: str = "number") -> str:
    return f'<td class="{kind}">{value}</td>'


def _share(value: float) -> str:
    return _number(html.share(value), "number bad" if value else "number")


def _drawn(
    lines: Sequence[Sequence[Spot | None]], now: float, kind: str = "", least: float = 0.0
) -> str:
    return f'<td class="{kind}">{sparkline(lines, now, KEPT, least)}</td>'
