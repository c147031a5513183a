from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from toggles import Toggle
from transcoder import readiness
from transcoder.errors import ConfigError
from transcoder.policies import Check
from transcoder.policies.policy import Named
from transcoder.readiness import Readiness, Report, State, Verdict, worst

T = TypeVar("T")


def made(*checks: Check, **options: Any) -> Readiness:
    """Return a readiness of some checks, which never drains."""
    return Readiness(lambda: False, checks, **options)


def states(report: Report) -> dict[str, str]:
    """Return what each check says."""
    return {each.name: each.state.value for each in report.verdicts}


def run(fact: Coroutine[Any, Any, T]) -> T:
    """Run a test."""
    return asyncio.run(asyncio.wait_for(fact, 20))


def asking(ask: Callable[[], Awaitable[str]]) -> Named:
    """Return a check that does something."""
    return Named("asking", ask)


def test_worst() -> None:
    """The state of several checks is the worst of theirs; without any, calls may come."""
    assert worst([State.SERVING, State.NOT_SERVING, State.DEGRADED]) is State.NOT_SERVING
    assert worst([State.DEGRADED, State.SERVING]) is State.DEGRADED
    assert worst([]) is State.SERVING


def test_report() -> None:
    """Each check is told with its name, state and time."""
    report = run(made(Toggle("a"), Toggle("b", "gone")).report())

    assert states(report) == {"a": "SERVING", "b": "NOT_SERVING"}
    assert report.state() is State.NOT_SERVING
    assert all(0 <= each.seconds < 1 for each in report.verdicts)


def test_problems() -> None:
    """What is amiss is told to operators, and to nobody else."""
    report = run(made(Toggle(problem="10.0.0.7 is gone")).report())

    assert report.as_json(problems=True)["checks"][0]["problem"] == "10.0.0.7 is gone"
    assert "10.0.0.7" not in str(report.as_json())


def test_services() -> None:
    """What is about one service leaves the others as they are, and counts for all together."""
    found = made()
    found.add(Toggle("a", "gone"), ["a.v1.A"])
    found.add(Toggle("all"))
    report = run(found.report())

    assert report.state("a.v1.A") is report.state() is State.NOT_SERVING
    assert report.state("b.v1.B") is State.SERVING
    assert states(report.about("b.v1.B")) == {"all": "SERVING"}


@pytest.mark.parametrize(
    ("check", "tolerates"), [(Toggle("a", "gone", vital=False), ()), (Toggle("a", "gone"), ["a"])]
)
def test_degraded(check: Toggle, tolerates: list[str]) -> None:
    """A problem that calls can live with, as the check or an option says, degrades."""
    found = made(check, tolerates=tolerates)
    found.compile()

    assert run(found.report()).state() is State.DEGRADED


def test_exception() -> None:
    """A check that fails is a problem."""

    async def fail() -> str:
        raise OSError("no route")

    report = run(made(asking(fail)).report())

    assert report.verdicts[0].problem == "OSError: no route"
    assert report.state() is State.NOT_SERVING


def test_kept() -> None:
    """Within a second nobody is asked again."""
    check = Toggle()

    async def twice(found: Readiness) -> None:
        await found.report()
        await found.report()

    run(twice(made(check)))
    assert check.asked == 1


def test_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After that everybody is."""
    monkeypatch.setattr(readiness, "KEPT", 0.0)
    check = Toggle()

    async def twice(found: Readiness) -> list[Report]:
        first = await found.report()
        check.problem = "gone"
        return [first, await found.report()]

    assert [each.state() for each in run(twice(made(check)))] == [
        State.SERVING,
        State.NOT_SERVING,
    ]


def test_single_flight() -> None:
    """Those who ask at once wait for one answer, even when the first of them goes away."""
    open_gate = asyncio.Event()
    asked = 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        await open_gate.wait()
        return ""

    async def at_once(found: Readiness) -> list[Report]:
        waiting = [asyncio.create_task(found.report()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        open_gate.set()
        return await asyncio.gather(*waiting[1:])

    reports = run(at_once(made(asking(ask))))

    assert asked == 1
    assert [each.state() for each in reports] == [State.SERVING, State.SERVING]


def test_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that does not answer in time is a problem, and is asked again the next time."""
    monkeypatch.setattr(readiness, "KEPT", 0.0)
    asked = 0

    async def hang() -> str:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        return ""

    async def twice(found: Readiness) -> Report:
        await found.report()
        return await found.report()

    report = run(twice(made(asking(hang), Toggle("other"), timeout=0.05)))

    assert states(report) == {"asking": "NOT_SERVING", "other": "SERVING"}
    assert report.verdicts[0].problem == "no answer within 0.05 s"
    assert asked == 2


def test_check_that_cannot_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not even end when it is cancelled runs once, however often readiness asks."""
    monkeypatch.setattr(readiness, "KEPT", 0.0)
    asked = 0
    gate = asyncio.Event()

    async def cling() -> str:
        nonlocal asked
        asked += 1
        while not gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await gate.wait()
        return ""

    async def thrice(found: Readiness) -> tuple[list[Report], int]:
        reports = [await found.report(), await found.report()]
        before = asked
        gate.set()
        return [*reports, await found.report()], before

    reports, before = run(thrice(made(asking(cling), timeout=0.05)))

    assert [each.state().value for each in reports] == ["NOT_SERVING", "NOT_SERVING", "SERVING"]
    assert before == 1


def test_drain() -> None:
    """While the server drains nothing is ready, whatever was found out a moment ago."""
    drains = False
    found = Readiness(lambda: drains)
    check = Toggle()
    found.add(check)

    async def before_and_after() -> list[Report]:
        nonlocal drains
        before = await found.report()
        drains = True
        return [before, await found.report()]

    before, after = run(before_and_after())

    assert (before.state(), after.state()) == (State.SERVING, State.NOT_SERVING)
    assert states(after) == {"drain": "NOT_SERVING", "database": "SERVING"}
    assert found.latest == after
    assert check.asked == 1


def test_check_that_comes_and_goes() -> None:
    """A check counts from when it is added until it is removed, and not a second later."""
    found, check = made(), Toggle(problem="gone")

    async def each() -> list[Report]:
        reports = [await found.report()]
        found.add(check)
        reports.append(await found.report())
        found.remove(check)
        return [*reports, await found.report()]

    assert [each.state().value for each in run(each())] == ["SERVING", "NOT_SERVING", "SERVING"]


def test_another_loop() -> None:
    """What was asked in a loop that is gone is asked anew in the next one."""
    check = Toggle()
    found = made(check)
    run(found.report())
    check.problem = "gone"
    found.add(Toggle("other"))

    assert run(found.report()).state() is State.NOT_SERVING


def test_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A change is one line, and what stays as it is none."""
    monkeypatch.setattr(readiness, "KEPT", 0.0)
    check = Toggle()
    found = made(check)

    async def turn() -> None:
        for problem in ("", "gone", "gone", "", ""):
            check.problem = problem
            await found.report()

    run(turn())

    assert caplog.messages == ["NOT_SERVING, database: gone", "SERVING again, database"]


@pytest.mark.parametrize(
    ("checks", "tolerates", "problem"),
    [
        (
            (Toggle("a"), Toggle("b")),
            ["c"],
            "health: tolerates 'c': there is no such check; there are: a, b",
        ),
    ],
)
def test_names(checks: tuple[Toggle, ...], tolerates: list[str], problem: str) -> None:
    """Names are told apart, and those of options exist."""
    with pytest.raises(ConfigError) as caught:
        made(*checks, tolerates=tolerates).compile()

    assert str(caught.value) == problem


def test_times_are_rounded() -> None:
    """Times are told to the microsecond."""
    verdict = Verdict("a", State.SERVING, 0.123456789)

    assert verdict.as_json(problems=True) == {
        "name": "a",
        "status": "SERVING",
        "seconds": 0.123457,
    }


def test_same_name() -> None:
    """Of checks of one name, the second and further ones are told with a number."""
    found = Readiness(lambda: False)
    for _ in range(3):
        found.add(Toggle("a"))
    found.compile()

    async def names() -> list[str]:
        return [each.name for each in (await found.report()).verdicts]

    assert asyncio.run(names()) == ["a", "a-2", "a-3"]
