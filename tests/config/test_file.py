from __future__ import annotations

from pathlib import Path

import pytest

from transcoder.config.file import Mistake, load, mistakes, read_models
from transcoder.errors import ConfigError

GOOD = """\
upstreams:
  a: {target: "localhost:1"}
services:
  - module: some_pb2
    upstream: a
"""

KINDS = "one of target, endpoints, discovery, url, graphql is expected"
BALANCING = "'round_robin', 'weighted' or 'least_request'"
TARGET = "HOST:PORT is expected, or a URI of gRPC"
WEIGHT = "a whole number from 1 to 65535"
OWN_TLS = "listeners may have it in a tls of their own"
ADDRESS = "write HOST:PORT, [IPv6]:PORT, :PORT for all interfaces, or unix:/path"
BOUNDS = "seconds above 0 are expected, the larger last"


HTTP = "upstreams: {a: {url: 'http://localhost:1'}}\n"


def ten(number: int) -> str:
    """Return the items of a list: ten times the list of the number before."""
    return ", ".join([f"*a{number - 1}" if number > 1 else "x"] * 10)


def wrong(text: str) -> list[str]:
    """Return what is wrong with a text."""
    config, found = read_models(text, "g.yaml")
    assert config is None
    return [str(each) for each in found]


def test_defaults() -> None:
    """What a file does not say is as the library has it."""
    config, found = read_models(GOOD, "g.yaml")

    assert found == []
    assert config is not None
    assert (config.listen.http, config.listen.grpc, config.profile) == (":8080", ":50051", "google")
    assert config.policies.jwt is None
    assert config.upstreams["a"].told() == {"target": "localhost:1"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1: the file is empty"),
        ("- a", "1:1: a mapping is expected"),
        ("a: 1\na: 2", "2:1: a: is there twice"),
        ("? [a]\n: 1", "1:3: a key is a text"),
        ("a: !!python/object:os.system {}", "1:1: a: no such key"),
        ("a: " + "[" * 1_000_000, "1:67: it is nested too deep"),
        ("- 1\n" * 200_000, "32768:3: over 32768 values"),
        ("a: &a [*a]", "1:1: it is nested too deep, each alias counted as what it is"),
        (
            GOOD.replace("localhost:1", "localhost:grpc"),
            f"2:7: upstreams.a.target: 'localhost:grpc' is no target: {TARGET}",
        ),
        (
            GOOD.replace("localhost:1", ""),
            f"2:7: upstreams.a.target: '' is no target: {TARGET}",
        ),
        (
            GOOD.replace(
                "    upstream: a", "    versions:\n      - {name: v, upstream: a, weight: 101}"
            ),
            "6:32: services[0].versions[0].weight: a whole number from 1 to 100 is expected",
        ),
        ("a: 1\nb: x\0", "2:5: no YAML: special characters are not allowed"),
        (
            "a0: [1, 2]\n" + "".join(f"a{n}: &a{n} [{ten(n)}]\n" for n in range(1, 9)),
            "6:1: over 32768 values, each alias counted as what it is",
        ),
        (
            GOOD.replace('target: "localhost:1"', ""),
            f"2:3: upstreams.a: {KINDS}",
        ),
        (
            GOOD.replace("target", "sdl: a, graphql"),
            "5:5: services[0].upstream: upstream 'a' has graphql: one with target is expected",
        ),
        (
            GOOD.replace("{target", "{breaker: {}, graphql"),
            "2:3: upstreams.a: breaker is no option of an upstream with graphql",
        ),
        (GOOD.replace("target", "tls"), "2:7: upstreams.a.tls: a mapping is expected"),
        (
            "upstreams: {a: {}}\n",
            f"1:13: upstreams.a: {KINDS}",
        ),
        (
            GOOD.replace("}", ', url: "http://b:1"}'),
            f"2:3: upstreams.a: {KINDS}",
        ),
        (
            "upstreams: {a: {url: 'http://b:1', max_message: 1}}",
            "1:13: upstreams.a: max_message is no option of an upstream with url",
        ),
        (
            GOOD.replace("}", ", host: keep}"),
            "2:3: upstreams.a: host is no option of an upstream with target",
        ),
        ("upstreams: {a: {target: 'b:1'}}", "1:1: services or routes are expected"),
        (
            GOOD + 'listeners: [{http: ":8443"}, {http: ":8443"}]',
            "6:31: listeners[1].http: :8443 is the address of listeners[0]",
        ),
        (
            GOOD + 'listeners: [{http: ":8080"}]',
            "6:14: listeners[0].http: :8080 is the address of listen.http",
        ),
        (
            GOOD + "listen: {http: ':6381', grpc: ':6381'}",
            "6:25: listen.grpc: :6381 is the address of listen.http",
        ),
        (
            GOOD + "listen: {http: 'localhost:6381', admin: '127.0.0.1:6381'}",
            (
                "6:34: listen.admin: 127.0.0.1:6381 is taken by localhost:6381, the address of "
                "listen.http"
            ),
        ),
        (
            GOOD + "listen: {http: ':50051'}",
            "6:1: listen.grpc: :50051 is the address of listen.http",
        ),
        (
            GOOD + "listen: {http: 'unix:/run/g', grpc: 'unix:/run/g'}",
            "6:31: listen.grpc: unix:/run/g is the address of listen.http",
        ),
        (
            GOOD + "listeners: [{http: '127.0.0.1:50051'}]",
            (
                "6:14: listeners[0].http: 127.0.0.1:50051 is taken by :50051, the address of "
                "listen.grpc"
            ),
        ),
        (
            GOOD + 'listeners: [{http: "8443"}]',
            f"6:14: listeners[0].http: '8443' is no address: {ADDRESS}",
        ),
        (
            GOOD + 'listeners: [{http: ":8443", hosts: [a.example, "a b"]}]',
            "6:48: listeners[0].hosts[1]: host 'a b': NAME or *.NAME is expected, or with :PORT",
        ),
        (
            GOOD + 'listeners: [{http: ":8443", hosts: ["a.example:9443"]}]',
            "6:37: listeners[0].hosts[0]: host 'a.example:9443': connections come to port 8443",
        ),
        (
            HTTP
            + "listen: {hosts: ['*.a.example']}\n"
            + "routes: [{path: /a, upstream: a, hosts: [b.a.example, b.example]}]",
            "3:55: routes[0].hosts[1]: b.example: served are *.a.example",
        ),
        (
            GOOD + "    hosts: [a.example:9]\nlisten: {hosts: [a.example:8]}",
            "6:13: services[0].hosts[0]: a.example:9: served are a.example:8",
        ),
        (
            GOOD + "tls: {certificate: a, key: b, client_ca: c, client_certificates: optional}",
            f"6:45: tls.client_certificates: the gRPC port knows 'required' only: {OWN_TLS}",
        ),
        (
            GOOD + "tls: {certificate: a, key: b, min_version: '1.3'}",
            f"6:31: tls.min_version: the gRPC port knows '1.2' only: {OWN_TLS}",
        ),
        (
            GOOD + "strip: [x-a, x-b-*, x a]",
            "6:21: strip[2]: 'x a': a header is expected, as x-user-id, or several, as x-user-*",
        ),
        (HTTP + "routes: []", "1:1: services or routes are expected"),
        (
            HTTP + "routes: [{path: legacy, upstream: a}]",
            "2:11: routes[0].path: 'legacy', column 1: expected '/' at the start",
        ),
        (
            HTTP + "routes:\n- path: /old/**\n  upstream: a\n  strip_prefix: /ol",
            "3:3: routes[0].path: strip_prefix '/ol': the path /old/** does not begin with it",
        ),
        (
            HTTP + "routes:\n- path: /old/**\n  upstream: a\n  methods: [get]",
            "5:13: routes[0].methods[0]: a method as HTTP spells it is expected, as GET",
        ),
        (
            HTTP + "routes: [{path: /old/**, upstream: b}]",
            "2:26: routes[0].upstream: no upstream is named 'b'",
        ),
        (
            GOOD + "routes: [{path: /old/**, upstream: a}]",
            "6:26: routes[0].upstream: upstream 'a' has target: one with url is expected",
        ),
        (
            GOOD.replace('target: "', 'url: "http://'),
            "5:5: services[0].upstream: upstream 'a' has url: one with target is expected",
        ),
        (
            GOOD.replace("target", "taget"),
            "2:7: upstreams.a.taget: no such key; did you mean target?",
        ),
        (GOOD + "listen: {htp: ':1'}", "6:10: listen.htp: no such key; did you mean http?"),
        (
            GOOD + "listen: {hosts: [a/b]}",
            "6:18: listen.hosts[0]: host 'a/b': NAME or *.NAME is expected, or with :PORT",
        ),
        (GOOD.replace('"localhost:1"', "1"), "2:7: upstreams.a.target: a text is expected"),
        (GOOD + "unbound: 'yes'", "6:1: unbound: true or false is expected"),
        (
            GOOD + "profile: grpc",
            "6:1: profile: 'google', 'grpc-gateway', 'envoy' or 'strict' is expected",
        ),
        (
            GOOD.replace("upstream: a", "upstream: b"),
            "5:5: services[0].upstream: no upstream is named 'b'",
        ),
        (
            GOOD.replace("    upstream: a\n", ""),
            "4:5: services[0]: one of upstream and versions is expected",
        ),
        (
            GOOD.replace("    upstream: a", "    image: b\n    upstream: a"),
            "4:5: services[0]: one of descriptor_set, image, module, reflection is expected",
        ),
        ("upstreams: {}\nservices: []", "1:1: services or routes are expected"),
        ("upstreams: {}\nservices: 1", "2:1: services: a list is expected"),
        (
            GOOD.replace(
                "    upstream: a",
                "    versions: [{name: v1, upstream: a, weight: 100}]\n"
                "    matches:\n      - {header: x-a, exact: b, to: v2}",
            ),
            "7:33: services[0].matches[0].to: x-a: no version is named 'v2': there are v1",
        ),
        (
            GOOD + "policies:\n  jwt: {issuers: [{name: a}]}",
            "7:19: policies.jwt.issuers[0].audiences: is required",
        ),
    ],
)
def test_mistakes(text: str, told: str) -> None:
    """What is wrong is told with its line and column, and the key."""
    assert f"g.yaml:{told}" in wrong(text)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{}", f"2:3: upstreams.a: {KINDS}"),
        (
            "{target: 'b:1', endpoints: ['c:1']}",
            f"2:3: upstreams.a: {KINDS}",
        ),
        (
            "{url: 'http://b:1', endpoints: ['c:1'], discovery: {dns: 'd:1'}}",
            f"2:3: upstreams.a: {KINDS}",
        ),
        (
            "{url: 'http://b:1', balancing: weighted}",
            "2:3: upstreams.a: balancing is no option of an upstream with url",
        ),
        (
            "{url: 'http://b:1', endpoints: ['c:1'], max_message: 1}",
            "2:3: upstreams.a: max_message is no option of an upstream with url",
        ),
        (
            "{graphql: 'http://b:1', endpoints: ['c:1']}",
            f"2:3: upstreams.a: {KINDS}",
        ),
        (
            "{target: 'b:1', balancing: weighted}",
            "2:3: upstreams.a: balancing is no option of an upstream with target",
        ),
        (
            "{endpoints: ['b:1'], balancing: random}",
            f"2:27: upstreams.a.balancing: {BALANCING} is expected",
        ),
        (
            "{endpoints: ['b:1', 'b']}",
            "2:26: upstreams.a.endpoints[1]: 'b' is no address: HOST:PORT is expected",
        ),
        (
            "{endpoints: [{address: 'b:1', weight: 0}]}",
            f"2:19: upstreams.a.endpoints[0]: b:1: weight 0: {WEIGHT} is expected",
        ),
        (
            "{endpoints: [{address: 'b:1', weight: -1}]}",
            f"2:19: upstreams.a.endpoints[0]: b:1: weight -1: {WEIGHT} is expected",
        ),
        (
            "{endpoints: [{address: 'b:1', weight: .nan}]}",
            "2:36: upstreams.a.endpoints[0].weight: a whole number is expected",
        ),
        ("{endpoints: [{weight: 1}]}", "2:19: upstreams.a.endpoints[0].address: is required"),
        ("{endpoints: ['b:1', 'b:1']}", "2:3: upstreams.a: endpoints: b:1 is there twice"),
        (
            "{discovery: {}}",
            "2:7: upstreams.a.discovery: one of file, dns and srv is expected",
        ),
        (
            "{discovery: {file: b, dns: 'b:1'}}",
            "2:7: upstreams.a.discovery: one of file, dns and srv is expected",
        ),
        (
            "{discovery: {file: b, nameserver: '1.1.1.1'}}",
            "2:7: upstreams.a.discovery: nameserver and refresh are of dns and srv",
        ),
        (
            "{discovery: {dns: b}}",
            "2:7: upstreams.a.discovery: 'b' is no address: HOST:PORT is expected",
        ),
        (
            "{discovery: {srv: b, nameserver: c}}",
            "2:7: upstreams.a.discovery: 'c' is no address: HOST:PORT is expected",
        ),
        (
            "{discovery: {srv: b, refresh: {minimum: 9, maximum: 1}}}",
            f"2:27: upstreams.a.discovery.refresh: refresh: minimum 9 and maximum 1: {BOUNDS}",
        ),
        (
            "{endpoints: ['b:1'], outliers: {maximum_percent: 0}}",
            "2:38: upstreams.a.outliers.maximum_percent: 1 or more is expected",
        ),
    ],
)
def test_endpoints(said: str, told: str) -> None:
    """So is what is wrong with the endpoints of a backend."""
    text = GOOD.replace('{target: "localhost:1"}', said)

    assert wrong(text) == [f"g.yaml:{told}"]


@pytest.mark.parametrize(
    "target",
    ["localhost:1", "users", "[::1]:1", "dns:users", "dns:///users:grpc", "unix:a", "unix:///a"],
)
def test_targets(target: str) -> None:
    """All that gRPC may find something at is a target."""
    assert read_models(GOOD.replace("localhost:1", target), "g.yaml")[1] == []


@pytest.mark.parametrize(
    "listen",
    [
        "{http: ':0', grpc: ':0', admin: '127.0.0.1:0'}",  # the system chooses
        "{http: 'unix:/run/a', grpc: 'unix:/run/b'}",
        "{http: '127.0.0.1:80', grpc: '127.0.0.2:80', admin: '[::1]:80'}",
        "{http: '0.0.0.0:80', grpc: '[::1]:80'}",  # the one is IPv4 alone
    ],
)
def test_addresses(listen: str) -> None:
    """Ports that differ, or that the system chooses, go together."""
    config, found = read_models(f"{GOOD}listen: {listen}", "g.yaml")
    assert config is not None, found


def test_all_at_once() -> None:
    """All mistakes are told, in the order of the file."""
    text = (
        GOOD.replace("localhost:1", "a").replace("}", ", taget: b, tsl: {}}")
        + "listen: {htp: ':1'}\n"
    )

    assert [each.split(": ")[0] for each in wrong(text)] == [
        "g.yaml:2:20",
        "g.yaml:2:30",
        "g.yaml:6:10",
    ]


def test_load(tmp_path: Path) -> None:
    """To load a wrong file raises one line, which tells how many mistakes there are."""
    path = tmp_path / "g.yaml"
    path.write_text(GOOD + "a: 1\nb: 2\n")
    with pytest.raises(ConfigError) as raised:
        load(path)

    assert str(raised.value) == f"{path}:6:1: a: no such key (and 1 more)"
    assert mistakes(path)[1] == Mistake(str(path), 7, 1, "b: no such key")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: b: c", "1:5: no YAML: mapping values are not allowed "),
        ("a: &x 1\nb: *y", "2:4: no YAML: found undefined alias"),
        ("a: 1\n---\nb: 2", "2:1: no YAML: but found another document"),
    ],
)
def test_no_yaml(text: str, told: str) -> None:
    """What is no YAML is told with its place, in the words of the parser that there is."""
    (line,) = wrong(text)

    assert line.startswith(f"g.yaml:{told}")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2020-01-01 25:00:00", "20: upstreams.a.target: '2020-01-01 25:00:00' is no target: "),
        ('!!int "x"', "28: no YAML: 'x' is read as an int, and is none"),
        ('!!int ""', "28: no YAML: '' is read as an int, and is none"),
        ("0b_", "28: no YAML: '0b_' is read as an int, and is none"),
        ('!!float "x"', "28: no YAML: 'x' is read as a float, and is none"),
        ('!!bool "x"', "28: no YAML: 'x' is read as a bool, and is none"),
        ("9" * 5000, f"28: no YAML: '{'9' * 64}' and more is read as an int, and is too long"),
        (
            f"1{':0' * 5000}.0",
            f"28: no YAML: '1{':0' * 31}:' and more is read as a float, and is too long",
        ),
        ("!!map x", "28: no YAML: expected a mapping node, but found scalar"),
        ("!!binary aaaa", "28: no YAML: 'tag:yaml.org,2002:binary' is no tag that is known here"),
        ("!mine x", "28: no YAML: '!mine' is no tag that is known here"),
    ],
)
def test_scalars(value: str, told: str) -> None:
    """A scalar that is not what it says is told with its place."""
    (line,) = wrong(f"upstreams: {{a: {{   target: {value}}}}}\nservices: []")

    assert line.startswith(f"g.yaml:1:{told}")


@pytest.mark.parametrize("value", ["2001-01-01", "2001-99-99", '!!timestamp "x"', "=", "<<"])
def test_texts(value: str) -> None:
    """What YAML has further kinds for is a text."""
    config, _ = read_models(GOOD.replace('"localhost:1"', value), "g.yaml")

    assert config is not None
    assert config.upstreams["a"].target == value.rsplit(maxsplit=1)[-1].strip('"')


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "No such file or directory"),
        (b"a: \xc3\xa4\nb: \xc3\xa4\xff", r"g\.yaml:2:5: it is not UTF-8"),
        (b" " * (2 << 20), "over 1048576 bytes"),
    ],
)
def test_unreadable(tmp_path: Path, data: bytes | None, told: str) -> None:
    """So is a file that is none."""
    path = tmp_path / "g.yaml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=told):
        load(path)
