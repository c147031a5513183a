"""A source that is asked again and again: a file, and a name server that comes and goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from nameserver import name_server
from transcoder.discovery import Answer, Dns, Endpoint, EndpointFile, Following, Listed
from transcoder.discovery.records import Refresh

PATIENCE = 30.0
SOON = Refresh(minimum=0.05, maximum=0.1)


class Seen:
    """What a follower was told."""

    def __init__(self) -> None:
        self.answers: list[list[str]] = []

    def __call__(self, endpoints: tuple[Endpoint, ...]) -> None:
        self.answers.append([endpoint.address for endpoint in endpoints])


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110  nobody tells of it
            await asyncio.sleep(0.01)


def test_once() -> None:
    """What does not change is told once, whoever asks."""

    async def running() -> list[list[str]]:
        seen = Seen()
        following = Following(Listed(["a:1"]), seen)
        await asyncio.gather(following.known(), following.known())
        await following.known()
        await following.close()
        return seen.answers

    assert asyncio.run(running()) == [["a:1"]]


def test_another_loop() -> None:
    """It goes on in the loop that asks next."""
    seen = Seen()
    following = Following(Listed(["a:1"]), seen)
    for _ in range(2):
        asyncio.run(following.known())

    assert following.endpoints == (Endpoint("a:1"),)


def test_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that turns bad leaves what was there, and says why in one line."""
    path = tmp_path / "e.yaml"

    async def running() -> list[list[str]]:
        seen = Seen()
        following = Following(EndpointFile(path), seen)
        await following.known()
        assert following.problem == "No such file or directory"
        path.write_text("- a:1\n")
        await until(lambda: seen.answers == [["a:1"]])
        path.write_text("- a\n")
        await until(lambda: "is no address" in following.problem)
        assert following.endpoints == (Endpoint("a:1"),)
        path.write_text("- b:1\n- c:1\n")
        await until(lambda: len(seen.answers) == 2)
        await following.close()
        return seen.answers

    with caplog.at_level(logging.INFO):
        answers = asyncio.run(running())

    wrong = "[0]: 'a' is no address: HOST:PORT is expected"
    assert answers == [["a:1"], ["b:1", "c:1"]]
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: no endpoints: No such file or directory",
        f"{path}: the endpoints are a:1",
        f"{path}: there are endpoints again",
        f"{path}: no endpoints: {wrong}; the 1 of before stay",
        f"{path}: the endpoints are b:1, c:1",
        f"{path}: there are endpoints again",
    ]


def test_names(tmp_path: Path) -> None:
    """Records that change are followed; through an outage, the last ones stay."""

    async def running() -> list[list[str]]:
        with name_server(tmp_path, "host-record=users.test,127.0.0.2") as server:
            seen = Seen()
            source = Dns("users.test:1", nameserver=server.address, refresh=SOON)
            following = Following(source, seen)
            await following.known()
            both = "host-record=users.test,127.0.0.2", "host-record=users.test,127.0.0.3"
            await asyncio.to_thread(server.tell, *both)
            await until(lambda: len(seen.answers) == 2)
            await asyncio.to_thread(server.stop)
            await until(lambda: following.problem == "the name server does not answer")
            assert len(following.endpoints) == 2
            await asyncio.to_thread(server.tell, "host-record=users.test,127.0.0.3")
            await until(lambda: len(seen.answers) == 3)
            assert following.problem == ""
            await following.close()
            return seen.answers

    assert asyncio.run(running()) == [
        ["127.0.0.2:1"],
        ["127.0.0.2:1", "127.0.0.3:1"],
        ["127.0.0.3:1"],
    ]


def test_a_defect(caplog: pytest.LogCaptureFixture) -> None:
    """A source with a defect is asked again, and the defect is told."""

    class Broken:
        name = "broken"

        def __init__(self) -> None:
            self.asked = 0

        async def look(self) -> Answer:
            self.asked += 1
            if self.asked == 1:
                raise KeyError("x")
            return Answer((Endpoint("a:1"),), 60)

    async def running() -> list[list[str]]:
        seen = Seen()
        following = Following(Broken(), seen)
        await following.known()
        assert following.problem == "KeyError: 'x'"
        await until(lambda: bool(seen.answers))
        await following.close()
        return seen.answers

    assert asyncio.run(running()) == [["a:1"]]
    assert "Traceback" in caplog.text
