from __future__ import annotations

import asyncio
import html.parser
import os
import re
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from entrances import serving
from scraping import LOCAL, asked
from streams import POOL
from transcoder import Gateway
from transcoder.call_details import CallDetails
from transcoder.console import Console
from transcoder.console.look import About, Look, Question
from transcoder.console.page import policy
from transcoder.console.peers import Peers
from transcoder.console.tables import FAILURES, ROUTES
from transcoder.observers import Metrics
from transcoder.observers.failures import Failures
from transcoder.observers.scrape import taken
from transcoder.status import Code

if TYPE_CHECKING:
    from tests.conftest import Served, Start

HOSTILE = "<img src=x onerror=alert(1)>\u202e\x1b[31m'\""


class Told:
    """What a console tells of, which a test fills."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.failures = Failures()
        self.about = About()
        self.status: Mapping[str, Any] = {"status": "SERVING", "checks": []}
        self.looks = 0

    def called(self, method: str, route: str = "/v1/a", code: Code = Code.OK, **more: Any) -> None:
        """Tell of a call."""
        call = CallDetails("http", method=method, template=route, **more)
        for each in (self.metrics, self.failures):
            each.began(call)
        call.code, call.http_status = code, 200 if code is Code.OK else 500
        call.ended = call.started + 0.01
        for each in (self.metrics, self.failures):
            each.ended(call)

    def look(self, worker: str = "") -> Look:
        """Return all of it."""
        self.looks += 1
        families = taken([self.metrics.registry])
        failures = self.failures.recent.since()
        return Look(about=self.about, families=families, failures=failures)

    async def ready(self) -> Mapping[str, Any]:
        """Return the state."""
        return self.status

    async def explain(self, question: Question) -> Mapping[str, Any]:
        """Return what is wrong."""
        return {"problem": question.target}


class Page(html.parser.HTMLParser):
    """A page as a browser reads it: its elements, and the text of each."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.cells: list[str] = []
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if self.cells:
            self.cells[-1] += data


def console(told: Told, now: list[float] | None = None) -> Console:
    """Return a console without peers; its clock stands, unless a test moves it."""
    clock = [0.0] if now is None else now
    return Console(told, Peers([], "", lambda: clock[0]), now=lambda: clock[0])


def page(told: Told, worker: str = "") -> Page:
    """Return the page."""
    return Page(asyncio.run(console(told).page(worker)))


def test_hostile_names() -> None:
    """Whoever made up a name, it is shown as text, and does nothing."""
    told = Told()
    plain = page(told)
    identity = {"x509_subject_alternative_name": [HOSTILE.encode()]}
    told.called(HOSTILE, HOSTILE, Code.INTERNAL, path=HOSTILE, peer=HOSTILE, identity=identity)
    told.about = About(services=(HOSTILE,), limits={HOSTILE: HOSTILE})
    check = {"name": HOSTILE, "status": "DEGRADED", "problem": HOSTILE}
    told.status = {"status": "DEGRADED", "checks": [check]}
    found = page(told)

    assert found.tags - plain.tags <= {"td", "polyline", "small", "code"}
    assert "onerror" not in found.attributes
    assert sum("<img src=x onerror=alert(1)>" in cell for cell in found.cells) >= 5
    assert not any({"\u202e", "\x1b"} & set(cell) for cell in found.cells)


def test_bounded() -> None:
    """Of many routes and failures some are shown, and it is said how many are not."""
    told = Told()
    for number in range(ROUTES + 30):
        for _ in range(number + 1):
            told.called(f"a.A.M{number}", f"/v1/{number}", Code.INTERNAL)
    data = asyncio.run(console(told).page())

    assert len(re.findall(rb'<td class="name">a\.A\.M\d+<small>http', data)) == ROUTES
    assert data.count(b">500 INTERNAL<") == FAILURES
    assert b"30 more have fewer calls." in data
    assert len(data) < 200_000


def test_looks_are_few() -> None:
    """Many who look at the same moment see the same, which is made once."""
    told, now = Told(), [0.0]
    shown = console(told, now)

    async def look() -> list[bytes]:
        return list(await asyncio.gather(*(shown.page() for _ in range(20))))

    first = asyncio.run(look())
    assert (len(set(first)), told.looks) == (1, 1)
    now[0] += 1
    asyncio.run(look())
    assert told.looks == 2


def test_nobody_looks() -> None:
    """While nobody looks, nothing is looked at."""
    told = Told()
    console(told)
    told.called("a.A.M")
    assert told.looks == 0


def test_names() -> None:
    """A process has the name of its first service, or is a gateway."""
    told = Told()
    assert asyncio.run(console(told).topology()).name == "gateway"
    told.about = About(services=("a.A", "b.B"))
    assert asyncio.run(console(told).topology()).name == "a.A"


def test_unknown_worker() -> None:
    """There is no page of a worker that there is not."""
    with pytest.raises(KeyError):
        page(Told(), "7")


def test_explanation() -> None:
    """What is asked stands in the form again, as text."""
    told = console(Told())
    data = asyncio.run(told.explanation(Question(target=HOSTILE, body='</textarea><b>"')))
    assert b"<img" not in data
    assert b"&lt;/textarea&gt;&lt;b&gt;&quot;</textarea>" in data
    assert b"bad" not in asyncio.run(told.explanation(Question())).partition(b"</style>")[2]


def test_policy() -> None:
    """The browser may run the page's script and no other, and ask its own port and no other."""
    told = dict(each.split(" ", 1) for each in policy().split("; "))
    assert told["default-src"] == "'none'"
    assert told["script-src"].startswith("'sha256-")
    assert told["connect-src"] == told["form-action"] == "'self'"
    assert "unsafe" not in policy()


def test_guarded() -> None:
    """The pages are behind the same guard as all of the port, and are only read."""

    async def fact() -> list[int]:
        async with asyncio.timeout(50), serving(Gateway(pool=POOL), admin=LOCAL) as running:
            assert running.listening.admin is not None
            target = running.listening.admin.target

            def ask() -> list[int]:
                paths = "/console", "/console/explain", "/topology"
                foreign = [asked(target, each, Origin="http://evil.example")[0] for each in paths]
                named = [asked(target, each, Host="evil.example")[0] for each in paths]
                return [*foreign, *named, asked(target, "/console?worker=0")[0]]

            return await asyncio.to_thread(ask)

    assert asyncio.run(fact()) == [403] * 6 + [404]


@pytest.fixture(scope="module")
def served(start_shared: Start) -> Served:
    """A server of two workers with an admin port."""
    return start_shared(workers=2, admin=LOCAL, settle=0)


def eventually(served: Served, path: str, expected: bytes) -> bytes:
    """Return a page as soon as it has a text."""
    until = time.monotonic() + 30
    while expected not in (text := asked(served.admin_target, path)[2]):
        assert time.monotonic() < until, text.decode()
        time.sleep(0.1)
    return text


def test_workers(served: Served) -> None:
    """With several workers the page shows their sum, and each of them."""
    served.get("/nowhere")
    whole = eventually(served, "/console", b"/nowhere")
    assert b">all workers</a>" in whole
    assert b"google.longrunning.Operations: console" in whole
    pages = [asked(served.admin_target, f"/console?worker={place}")[2] for place in (0, 1)]
    assert sum(b"/nowhere" in each for each in pages) == 1
    assert asked(served.admin_target, "/console?worker=2")[0] == 404


def test_explanation_of_workers(served: Served) -> None:
    """A worker explains a request, for the process of the port serves none; so does the next."""
    path = "/console/explain?target=/v1/operations/7"
    assert b"google.longrunning.Operations.GetOperation" in asked(served.admin_target, path)[2]

    for pid in served.workers():
        os.kill(pid, signal.SIGKILL)
    eventually(served, path, b"google.longrunning.Operations.GetOperation")
