from __future__ import annotations

import socket
from pathlib import Path

import pytest

from loopback import needs_ipv6
from transcoder.errors import ConfigError
from transcoder.listeners import Address, Claim

LOCAL = Address("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("localhost:0", Address("localhost", 0)),
        (":8080", Address("", 8080)),
        ("[::1]:0", Address("::1", 0)),
        ("unix:/run/app.sock", Address(path="/run/app.sock")),
        ("unix:app.sock", Address(path="app.sock")),
    ],
)
def test_address_is_written_back_as_it_was_read(text: str, address: Address) -> None:
    """An address parses, and its text parses to the same address."""
    parsed = Address.parse(text)

    assert parsed == address
    assert str(parsed) == text


@pytest.mark.parametrize(
    "text",
    [
        "8080",  # a port alone: ":8080" is meant
        "::1:8080",  # which colon ends the host?
        "[]:80",
        "host:",
        "host:port",
        "host:65536",
        "host:٣",  # a digit to Python, not to anybody's resolver
        "http://host:80",
        "unix:",
        "",
    ],
)
def test_text_that_is_no_address_is_refused(text: str) -> None:
    """A text of another form is a ConfigError that shows it."""
    with pytest.raises(ConfigError, match="is no address") as caught:
        Address.parse(text)

    assert repr(text) in str(caught.value)


def test_all_interfaces_are_dialled_at_localhost() -> None:
    """A client dials localhost where a server listens on all interfaces."""
    assert Address.parse(":8080").target == "localhost:8080"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", ""])
def test_port_zero_becomes_the_real_port(host: str) -> None:
    """The claim of port 0 tells which port the system chose."""
    with Claim.take("http", Address(host, 0)) as claim:
        assert claim.address == Address(host, claim.held[0].getsockname()[1])
        assert claim.address.port != 0


@needs_ipv6
def test_localhost_is_one_port_of_both_families() -> None:
    """A claim of localhost holds the same port of 127.0.0.1 and of ::1."""
    with Claim.take("http", Address("localhost", 0)) as claim:
        port = claim.address.port

        assert claim.endpoints == (f"127.0.0.1:{port}", f"[::1]:{port}")


@needs_ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_localhost_is_in_use_where_one_address_is(host: str) -> None:
    """A claim of localhost wants both addresses, and holds neither when one is in use."""
    with Claim.take("http", Address(host, 0)) as other:
        with pytest.raises(ConfigError, match="is in use"):
            Claim.take("http", Address("localhost", other.address.port))

        free = Address("::1" if host == "127.0.0.1" else "127.0.0.1", other.address.port)
        Claim.take("http", free).close()


def test_claimed_port_refuses_clients() -> None:
    """Nobody connects to a claimed port before it is opened."""
    with Claim.take("http", LOCAL) as claim, socket.socket() as client:
        refused = client.connect_ex(("127.0.0.1", claim.address.port))

    assert refused != 0


@pytest.mark.parametrize("reuse_port", [False, True])
@pytest.mark.parametrize("first_reuse_port", [False, True])
@pytest.mark.parametrize("listens", [False, True])
def test_claimed_port_is_refused_to_others(
    *, listens: bool, first_reuse_port: bool, reuse_port: bool
) -> None:
    """A port is claimed once, whether or not its claim listens or shares with its workers."""
    with Claim.take("grpc", LOCAL, reuse_port=first_reuse_port) as first:
        if listens:
            first.held[0].listen()

        with pytest.raises(ConfigError) as caught:
            Claim.take("grpc", first.address, reuse_port=reuse_port)

    assert str(caught.value) == f"grpc: {first.address} is in use"


def test_specific_address_is_in_use_under_a_claim_of_all_interfaces() -> None:
    """The claim of all interfaces holds the port of each."""
    with (
        Claim.take("http", Address("", 0)) as first,
        pytest.raises(ConfigError, match="in use"),
    ):
        Claim.take("http", Address("127.0.0.1", first.address.port))


def test_claimed_port_is_free_after_close() -> None:
    """A port can be claimed again at once, also with connections of before in TIME_WAIT."""
    with Claim.take("http", LOCAL) as first, socket.socket() as client:
        (listener,) = first.to_listen()
        listener.listen()
        client.connect(("127.0.0.1", first.address.port))
        listener.settimeout(5)
        listener.accept()[0].close()
        listener.close()

    with Claim.take("http", first.address) as second:
        assert second.address == first.address


def test_workers_listen_beside_a_shared_claim() -> None:
    """Sockets with SO_REUSEPORT, as gRPC makes them, listen on a port that is claimed for them."""
    with Claim.take("grpc", LOCAL, reuse_port=True) as claim:
        for worker in (socket.socket(), socket.socket()):
            with worker:
                worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                worker.bind(("127.0.0.1", claim.address.port))
                worker.listen()


def test_unknown_host_is_told() -> None:
    """A host that has no address here is a ConfigError in one line."""
    with pytest.raises(ConfigError) as caught:
        Claim.take("http", Address("no-such-host.invalid", 0))

    assert str(caught.value) == (
        "http: no-such-host.invalid:0 does not resolve to an address of this machine"
    )


def test_address_of_another_machine_is_told() -> None:
    """An address that is not of this machine is a ConfigError with the system's reason."""
    with pytest.raises(ConfigError, match=r"http: 192\.0\.2\.1:0 cannot be bound: .*address"):
        Claim.take("http", Address("192.0.2.1", 0))


def test_unix_socket_is_removed_with_its_claim(tmp_path: Path) -> None:
    """The file of a Unix socket goes when the claim does."""
    path = tmp_path / "socket"

    with Claim.take("http", Address(path=str(path))):
        assert path.is_socket()

    assert not path.exists()


def test_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    """A socket file at which nobody answers is no obstacle."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    with Claim.take("http", Address(path=str(path))), socket.socket(socket.AF_UNIX) as client:
        assert client.connect_ex(str(path)) == 0


def test_unix_socket_that_answers_is_in_use(tmp_path: Path) -> None:
    """A socket file at which somebody answers is left alone."""
    address = Address(path=str(tmp_path / "socket"))

    with (
        Claim.take("http", address),
        pytest.raises(ConfigError, match=r"^grpc: unix:.*/socket is in use$"),
    ):
        Claim.take("grpc", address)

    assert not (tmp_path / "socket").exists()


def test_file_that_is_no_socket_is_kept(tmp_path: Path) -> None:
    """A file of another kind is never removed."""
    path = tmp_path / "notes"
    path.write_text("mine")

    with pytest.raises(ConfigError, match="exists and is no socket"):
        Claim.take("http", Address(path=str(path)))

    assert path.read_text() == "mine"


def test_successors_unix_socket_is_kept(tmp_path: Path) -> None:
    """A claim removes its own socket file, not the one that took its place."""
    path = tmp_path / "socket"
    with Claim.take("http", Address(path=str(path))):
        path.rename(tmp_path / "elsewhere")
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(path))

    assert path.is_socket()
