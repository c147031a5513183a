"""What a page in a real browser sees, through its own EventSource and WebSocket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from browsers import tab
from pages import page
from services.user.app import create_app
from sockets import Telling, serving
from streams import Ask, Told
from transcoder import EventStream, Listening, Server

PAGE = """<!doctype html><title>facts</title><script>
const users = `ws://${location.host}`, streams = `ws://STREAMS`, strangers = `ws://STRANGERS`;

const opened = (url, protocols, binary) => new Promise((resolve) => {
  const socket = new WebSocket(url, protocols), seen = {messages: []};
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => {
    const data = event.data;
    seen.messages.push(typeof data === "string" ? data : Array.from(new Uint8Array(data)));
    seen.came?.();
  };
  seen.closed = new Promise((ended) => {
    socket.onclose = ({code, reason, wasClean}) => {
      Object.assign(seen, {code, reason, wasClean, protocol: socket.protocol});
      resolve([socket, seen]);
      ended(seen);
    };
  });
  socket.onopen = () => { seen.opened = true; resolve([socket, seen]); };
});
const exchanged = async (url, messages, protocols) => {
  const [socket, seen] = await opened(url, protocols);
  for (const message of messages) if (seen.opened) socket.send(message);
  return seen.closed;
};
const first = (seen) => new Promise((resolve) => {
  if (seen.messages.length) resolve(); else seen.came = resolve;
});
const called = async (method, path, body) => {
  const headers = {"content-type": "application/json"};
  return (await fetch(path, {method, headers, body: JSON.stringify(body)})).json();
};

const facts = {
  events: async () => {
    const source = new EventSource("/v1/users:watch?afterSequence=0");
    const changes = [];
    const came = new Promise((resolve) => {
      source.onmessage = (event) => {
        changes.push([event.lastEventId, JSON.parse(event.data).user.name]);
        if (changes.length === 2) resolve();
      };
    });
    for (const name of ["Ann", "Bob"]) {
      await called("POST", "/v1/users", {name, email: `${name}@example.com`});
    }
    await came;
    source.close();
    return changes;
  },
  failedEvents: () => new Promise((resolve) => {
    const source = new EventSource("/v1/users:watch?afterSequence=99");
    source.onerror = () => resolve(source.readyState);
  }),
  chat: async () => {
    const {id} = await called("POST", "/v1/users", {name: "Cy", email: "cy@example.com"});
    const says = (text) => JSON.stringify({room: "lobby", userId: id, text});
    const [listener, heard] = await opened(`${users}/v1/rooms:chat`);
    listener.send(says(""));
    const spoken = await exchanged(`${users}/v1/rooms:chat`, [says("hello"), ""]);
    await first(heard);
    listener.close();
    await heard.closed;
    const texts = ({messages}) => messages.map((text) => JSON.parse(text).text);
    return {spoken: texts(spoken), heard: texts(heard), code: spoken.code, clean: spoken.wasClean};
  },
  example: async () => {
    await called("POST", "/v1/users?userId=ada", {name: "Ada", email: "ada@example.com"});
    const logged = [];
    await new Promise((resolve) => {
      const log = (text) => {
        logged.push(text);
        if (logged.length === 1) document.querySelector("button").click(); else resolve();
      };
      new Function("token", "console", EXAMPLE.replace("wss:", "ws:"))("abc", {log});
    });
    return logged;
  },
  told: () => exchanged(`${streams}/v1/a/told?count=2`, []),
  token: () => exchanged(
    `${streams}/v1/a/echo`, ['{"how":"authorization"}', ""], ["transcoder.json", "bearer.abc.def"]
  ),
  onlyToken: () => exchanged(`${streams}/v1/a/echo`, [""], ["bearer.abc.def"]),
  binary: () => exchanged(
    `${streams}/v1/a/echo`, [new Uint8Array(ASK), ""], ["transcoder.protobuf"]
  ),
  error: () => exchanged(`${streams}/v1/a/told?count=2&failAt=1`, []),
  timeout: () => exchanged(`${streams}/v1/a/told?count=2&pause=20&$timeout=0.1`, []),
  stranger: () => exchanged(`${strangers}/v1/a/told?count=1`, []),
};

(async () => {
  const seen = {};
  for (const [name, fact] of Object.entries(facts)) {
    try { seen[name] = await fact(); } catch (error) { seen[name] = `${error}`; }
  }
  await fetch("/seen", {method: "POST", body: JSON.stringify(seen)});
})();
</script><button></button><iframe src="http://STREAMS/resuming"></iframe>"""

RESUMING = """<!doctype html><title>resuming</title><script>
const watched = (query) => new Promise((resolve) => {
  const logged = [];
  class Watch extends EventSource {
    constructor(url) {
      if (url !== "/v1/users:watch") throw new Error(url);
      super(`/v1/a/told?count=2${query}`);
      const over = () => setTimeout(() => {
        resolve({logged, closed: this.readyState === EventSource.CLOSED});
        this.close();
      });
      this.addEventListener("end", over);
      this.addEventListener("error", (event) => event.data && over());
    }
  }
  const log = (value) => logged.push(value);
  new Function("EventSource", "console", EVENTS)(Watch, {log});
});
const source = new EventSource("/v1/a/told?count=2"), ids = [];
source.onmessage = (event) => {
  ids.push(event.lastEventId);
  if (ids.length < 4) return;
  source.close();
  Promise.all([watched(""), watched("&failAt=1")]).then(([ended, failed]) => {
    fetch("/seen", {method: "POST", body: JSON.stringify({ids, ended, failed})});
  });
};
</script>"""
RESUME = {"streams.v1.Streams.Tell": EventStream(id="number", resume="after", retry=0.1)}
EVENTS, EXAMPLE = page("streams.md").blocks("js")
ASK = Ask(how="x-nothing").SerializeToString()


class Pages:
    """Routes of a page, and of what it reports; once for each page."""

    def __init__(self, path: str, text: str) -> None:
        self.seen: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.names: dict[str, str] = {}
        self.routes = [Route(path, self._show), Route("/seen", self._take, methods=["POST"])]
        self._text = text

    async def _show(self, request: Request) -> Response:
        text = self._text
        for name, value in self.names.items():
            text = text.replace(name, value)
        return HTMLResponse(text)

    async def _take(self, request: Request) -> Response:
        self.seen.set_result(await request.json())
        return Response(status_code=204)


async def visited() -> dict[str, Any]:
    """Return what the pages saw of each fact."""
    ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    main, frame = Pages("/", PAGE), Pages("/resuming", RESUMING)
    app = create_app("sqlite://")
    app.router.routes += main.routes
    server = Server(app, settle=0, stream_grace=0.1, on_ready=ready.set_result)
    running = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
    origin = f"http://{(await ready).http.target}"
    options: dict[str, Any] = {"origins": [origin], "events": RESUME, "routes": frame.routes}
    async with serving(Telling, **options) as door, serving() as strangers:
        main.names = {
            "STREAMS": door.target,
            "STRANGERS": strangers.target,
            "ASK": str(list(ASK)),
            "EXAMPLE": json.dumps(EXAMPLE),
        }
        frame.names = {"EVENTS": json.dumps(EVENTS)}
        async with asyncio.timeout(50), tab() as shown:
            await shown.page.goto(f"{origin}/")
            found = {**await main.seen, **await frame.seen}
    server.stop()
    await running
    return found


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What a page saw of each fact."""
    return asyncio.run(visited())


def test_an_event_source(seen: dict[str, Any]) -> None:
    """An EventSource gets a watch's changes as they happen, each with its id."""
    assert seen["events"] == [["1", "Ann"], ["2", "Bob"]]


def test_an_event_source_that_resumes(seen: dict[str, Any]) -> None:
    """An EventSource that connects again goes on after the last event that it saw."""
    # The test service begins with the message that `after` names.
    assert seen["ids"] == ["0", "1", "1", "2"]


def test_an_event_source_that_is_refused(seen: dict[str, Any]) -> None:
    """An EventSource whose watch is refused by a status gives up, and does not connect again."""
    closed = 2
    assert seen["failedEvents"] == closed


def test_a_chat(seen: dict[str, Any]) -> None:
    """Two WebSockets talk, and one that says that it has no more to say is closed well."""
    assert seen["chat"] == {"spoken": ["hello"], "heard": ["hello"], "code": 1000, "clean": True}


def test_the_example(seen: dict[str, Any]) -> None:
    """The example of docs/streams.md talks, and ends."""
    assert seen["example"] == ["hello", "the end"]


def test_the_example_of_events(seen: dict[str, Any]) -> None:
    """The EventSource of docs/streams.md logs each message, and is closed at the stream's end."""
    logged = [{"text": "a"}, {"number": "1", "text": "a"}]

    assert seen["ended"] == {"logged": logged, "closed": True}


def test_an_error_in_the_example_of_events(seen: dict[str, Any]) -> None:
    """It logs the error that a stream ends with."""
    logged = seen["failed"]["logged"]

    assert logged[0] == {"text": "a"}
    assert logged[1]["message"] == "no message 1"
    assert len(logged) == 2


def test_a_stream_of_replies(seen: dict[str, Any]) -> None:
    """A WebSocket gets the stream of a method that takes one request, from a listed origin."""
    told = seen["told"]

    assert told["messages"] == ['{"text":"a"}', '{"number":"1","text":"a"}']
    assert (told["code"], told["reason"], told["wasClean"]) == (1000, "", True)


def test_a_token(seen: dict[str, Any]) -> None:
    """A page hands over its token as a subprotocol, beside the one that is selected."""
    token = seen["token"]

    assert (token["messages"], token["protocol"]) == (
        ['{"text":"Bearer abc.def"}'],
        "transcoder.json",
    )


def test_a_token_without_a_subprotocol(seen: dict[str, Any]) -> None:
    """A browser does not connect when its token is all that it offers."""
    assert (seen["onlyToken"]["code"], seen["onlyToken"]["messages"]) == (1006, [])


def test_binary_frames(seen: dict[str, Any]) -> None:
    """A page sends and receives serialized messages by the subprotocol for it."""
    binary = seen["binary"]

    assert [Told.FromString(bytes(data)) for data in binary["messages"]] == [Told()]
    assert (binary["protocol"], binary["code"]) == ("transcoder.protobuf", 1000)


def test_an_error(seen: dict[str, Any]) -> None:
    """A page learns a call's status from the last message and from the close."""
    error = seen["error"]

    assert json.loads(error["messages"][-1])["error"]["message"] == "no message 1"
    assert (error["code"], error["reason"]) == (4011, "OUT_OF_RANGE: no message 1")


def test_a_deadline(seen: dict[str, Any]) -> None:
    """A page sets a deadline in the query."""
    assert seen["timeout"]["code"] == 4004


def test_a_page_of_another_origin(seen: dict[str, Any]) -> None:
    """A page of an origin that is not listed does not connect."""
    stranger = seen["stranger"]

    assert (stranger["code"], stranger["messages"]) == (1006, [])
