"""docs/deployment.md says what the code does, and its configurations work."""

from __future__ import annotations

import configparser
import contextlib
import http.client
import inspect
import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import jsonschema
import pytest
import trustme
import yaml
from click.testing import CliRunner
from starlette.testclient import TestClient
from websockets.sync.client import connect

import deployments
from command import serve_options
from nginx import fronting
from pages import ROOT, page
from streams import Ask, Told
from transcoder import Gateway, Server, StreamLimits, Timeouts
from transcoder.cli import main
from transcoder.cli.serve import serve
from transcoder.doors import AGE_AT_SEVERAL
from transcoder.route import LIVENESS, READINESS
from transcoder.supervisor import OVERTIME

if TYPE_CHECKING:
    from tests.conftest import Served, Start

PAGE = page("deployment.md")
DEFAULTS = {
    name: parameter.default for name, parameter in inspect.signature(Server).parameters.items()
}
PORTS = {
    name: int(inspect.signature(Server.run).parameters[name].default.removeprefix(":"))
    for name in ("http", "grpc")
}
TIME_TO_STOP = DEFAULTS["settle"] + 2 * DEFAULTS["grace"] + OVERTIME
YAML = {text.splitlines()[0]: yaml.safe_load(text) for text in PAGE.blocks("yaml")}
COMPOSE = YAML["# compose.yaml"]["services"]["hello"]
(UNIT,) = PAGE.blocks("ini")
(NGINX,) = PAGE.blocks("nginx")
LONGEST = max(Timeouts().maximum, StreamLimits().idle or 0)


class Unit(configparser.ConfigParser):
    def optionxform(self, optionstr: str) -> str:
        """Return a name as it is written: those of systemd have capitals."""
        return optionstr


def unit() -> Unit:
    """Return the unit of systemd."""
    parser = Unit(interpolation=None)
    parser.read_string(UNIT)
    return parser


def environment() -> dict[str, str]:
    """Return what the unit says by the environment."""
    return dict(pair.split("=", 1) for pair in unit()["Service"]["Environment"].split())


def test_python() -> None:
    """The blocks of Python make a server and a gateway."""
    server, health, gateway = (PAGE.run(block) for block in PAGE.blocks("python"))

    assert isinstance(server["server"], Server)
    assert isinstance(gateway["app"], Gateway)
    with TestClient(health["app"]) as web:
        assert [each["name"] for each in web.get(READINESS).json()["checks"]] == ["database"]


def test_drain() -> None:
    """The drain is told with its options and their defaults, in order."""
    rows = [row[1:] for row in PAGE.rows("## How does it stop?")]

    assert [name.strip("`") for name, _ in rows] == ["settle", "grace", "stream_grace", "grace"]
    assert [float(seconds) for _, seconds in rows] == [DEFAULTS[n.strip("`")] for n, _ in rows]
    assert f": {TIME_TO_STOP:g} seconds." in PAGE.section("## How does it stop?")


def test_connection_age() -> None:
    """How long a client stays with a worker is the code's."""
    assert f"anew after {AGE_AT_SEVERAL:g} seconds" in PAGE.text


def test_no_tls() -> None:
    """A server has no certificates unless it is given some: the page says so."""
    assert "Both ports are in the clear" in PAGE.text
    assert {DEFAULTS[name] for name in ("tls", "http_tls", "grpc_tls")} == {None}


@pytest.mark.parametrize(
    ("told", "schema"),
    [
        (YAML["# compose.yaml"], deployments.COMPOSE),
        (YAML["# deployment.yaml"], deployments.DEPLOYMENT),
        (YAML["# envoy.yaml"], deployments.ENVOY),
        ({name: dict(section) for name, section in unit().items() if section}, deployments.UNIT),
    ],
    ids=["compose", "Kubernetes", "Envoy", "systemd"],
)
def test_names(told: Any, schema: Any) -> None:
    """What a configuration says is what its reader takes, under these names."""
    jsonschema.validate(told, schema)


@pytest.mark.parametrize(
    "told", [environment(), COMPOSE["environment"]], ids=["systemd", "compose"]
)
def test_variables(monkeypatch: pytest.MonkeyPatch, told: dict[str, str]) -> None:
    """Each variable is one of the command's, which has what the page says by it."""
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    options = {str(option.envvar): str(option.name) for option in serve.params if option.envvar}

    params = serve_options("hello:app")

    assert {name: str(params[options[name]]) for name in told} == told


def test_selector() -> None:
    """Kubernetes finds the pods of the deployment by the labels that they have."""
    spec = YAML["# deployment.yaml"]["spec"]

    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]


def test_ports() -> None:
    """Docker publishes the ports that the image's command listens on."""
    published = [each.split(":") for each in COMPOSE["ports"]]

    assert [int(inside) for _, inside in published] == list(PORTS.values())


def test_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pod and an image that `transcoder new` describes run as the same user, not as root."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["new", "hello"])
    (user,) = re.findall(r"^USER (\d+):\1$", Path("hello/Dockerfile").read_text(), re.MULTILINE)
    (container,) = YAML["# deployment.yaml"]["spec"]["template"]["spec"]["containers"]

    assert done.exit_code == 0
    assert container["securityContext"]["runAsUser"] == int(user)
    assert (Path("hello") / COMPOSE["build"] / "Dockerfile").is_file()


def test_time_to_stop() -> None:
    """Whoever stops the server gives it the time that a drain may take."""
    pod = YAML["# deployment.yaml"]["spec"]["template"]["spec"]

    assert int(unit()["Service"]["TimeoutStopSec"]) == TIME_TO_STOP
    assert COMPOSE["stop_grace_period"] == f"{TIME_TO_STOP:g}s"
    assert pod["terminationGracePeriodSeconds"] == TIME_TO_STOP


def test_probes() -> None:
    """The probes are of our ports and our path, and a pod is not ready before settle is over."""
    (container,) = YAML["# deployment.yaml"]["spec"]["template"]["spec"]["containers"]
    ready, start, alive = (
        container[f"{name}Probe"] for name in ("readiness", "startup", "liveness")
    )

    assert {each["name"]: each["containerPort"] for each in container["ports"]} == PORTS
    assert ready["httpGet"] == {"path": READINESS, "port": "http"}
    assert start["httpGet"] == alive["httpGet"] == {"path": LIVENESS, "port": "http"}
    assert ready["periodSeconds"] * ready["failureThreshold"] <= DEFAULTS["settle"]


def clusters() -> dict[str, Any]:
    """Return Envoy's clusters, by name."""
    return {each["name"]: each for each in YAML["# envoy.yaml"]["static_resources"]["clusters"]}


def test_envoy() -> None:
    """Envoy leaves time limits to the gateway, asks for its health, and speaks HTTP/2 for gRPC."""
    (listener,) = YAML["# envoy.yaml"]["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    routes = [each["route"] for each in host["routes"]]
    told = clusters()

    assert routes == [{"cluster": name, "timeout": "0s"} for name in ("grpc", "rest")]
    assert float(manager["stream_idle_timeout"].rstrip("s")) > LONGEST
    assert told["rest"]["health_checks"][0]["http_health_check"] == {"path": READINESS}
    assert told["grpc"]["health_checks"][0]["grpc_health_check"] == {}
    assert "http2_protocol_options" in json.dumps(told["grpc"]["typed_extension_protocol_options"])
    assert {f":{port}" for port in PORTS.values()} == {
        f":{port}" for port in re.findall(r"127\.0\.0\.1, port_value: (\d+)", PAGE.text)
    }


def test_limits_of_nginx() -> None:
    """Nginx takes what the gateway takes, and waits for as long."""
    body_limit = inspect.signature(Gateway).parameters["body_limit"].default
    timeouts = [float(found) for found in re.findall(r"_read_timeout (\d+)s;", NGINX)]

    assert f"client_max_body_size {body_limit >> 20}m;" in NGINX
    assert len(timeouts) == 2
    assert min(timeouts) > LONGEST


def test_serving(tmp_path: Path) -> None:
    """The unit's command serves from the folder of the application, and ends well when told to."""
    (tmp_path / "hello.py").write_text("from transcoder import Gateway\napp = Gateway()\n")
    name, *words = shlex.split(unit()["Service"]["ExecStart"])
    assert Path(name).name == "transcoder"
    told = {**os.environ, **environment(), "PYTHONPATH": str(ROOT / "src")}
    told |= {"TRANSCODER_HTTP": "127.0.0.1:0", "TRANSCODER_GRPC": "127.0.0.1:0"}
    with subprocess.Popen(
        [Path(sys.executable).with_name("transcoder"), *words],
        cwd=tmp_path,
        env={**told, "TRANSCODER_SETTLE": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        found = re.search(r"REST on (\S+),", process.stdout.readline())
        assert found
        with contextlib.closing(http.client.HTTPConnection(found[1], timeout=20)) as client:
            client.request("GET", READINESS)
            assert client.getresponse().status == 200
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGTERM)

        assert (len(workers), process.wait(20)) == (2, 0)


def test_command() -> None:
    """The command of the page says on the line what the unit says by its environment."""
    (shown,) = PAGE.blocks("sh")
    _, *words = shlex.split(unit()["Service"]["ExecStart"])

    wanted = ["transcoder", *words, "--workers", environment()["TRANSCODER_WORKERS"]]
    assert shlex.split(shown) == wanted
    assert serve_options(*wanted[2:])["workers"] == 2


@pytest.fixture(scope="module")
def served(start_shared: Start) -> Served:
    """A server that trusts a proxy of this machine."""
    return start_shared("proxied:create")


@pytest.fixture(scope="module")
def front(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Return the port of nginx in front of it, and the authority to trust."""
    folder = tmp_path_factory.mktemp("nginx")
    authority = trustme.CA()
    own = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    own.private_key_pem.write_to_path(folder / "hello.key")
    for pem in own.cert_chain_pems:
        pem.write_to_path(folder / "hello.pem", append=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site = NGINX.replace("/etc/ssl/", f"{folder}/").replace("listen 443", f"listen {port}")
    site = site.replace("127.0.0.1:8080", served.http_target)
    site = site.replace("127.0.0.1:50051", served.grpc_target)
    with fronting(site.replace("greeter.v1.Greeter", "streams.v1.Streams"), port, folder):
        yield port, folder / "ca.pem"


@pytest.fixture
def client(front: tuple[int, Path]) -> Iterator[http.client.HTTPSConnection]:
    """A client of nginx whose address is no proxy's."""
    port, authority = front
    trusted = ssl.create_default_context(cafile=str(authority))
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, context=trusted, timeout=20, source_address=("127.0.0.2", 0)
    )
    yield connection
    connection.close()


def test_through_nginx(client: http.client.HTTPSConnection) -> None:
    """The path arrives as it was written, and the client is who it is, not who it says."""
    client.request("GET", "/v1/a%2Fb/single", headers={"X-Forwarded-For": "6.6.6.6"})
    answer = client.getresponse()

    assert json.loads(answer.read()) == {"text": "a/b 127.0.0.2, 127.0.0.1 https"}


def test_stream_through_nginx(client: http.client.HTTPSConnection) -> None:
    """A message arrives when it is said, not when the stream ends."""
    headers = {"Accept": "application/x-ndjson"}
    client.request("GET", "/v1/a/told?count=1000000&pause=0.3", headers=headers)

    # nginx's buffer would be full in a minute.
    assert json.loads(client.getresponse().readline()) == {"text": "a"}


def test_grpc_through_nginx(front: tuple[int, Path]) -> None:
    """GRPC goes through the same port."""
    port, authority = front
    trusted = grpc.ssl_channel_credentials(authority.read_bytes())
    with grpc.secure_channel(f"localhost:{port}", trusted) as channel:
        single = channel.unary_unary(
            "/streams.v1.Streams/Single",
            request_serializer=Ask.SerializeToString,
            response_deserializer=Told.FromString,
        )
        assert single(Ask(topic="a"), timeout=20).text == "a 127.0.0.1 https"


def test_websocket_through_nginx(front: tuple[int, Path]) -> None:
    """So does a WebSocket."""
    port, authority = front
    trusted = ssl.create_default_context(cafile=str(authority))
    with connect(f"wss://localhost:{port}/v1/a/echo", ssl=trusted, open_timeout=20) as talk:
        talk.send('{"topic": "other"}')

        assert json.loads(talk.recv(20)) == {"text": "a"}
