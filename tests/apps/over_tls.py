"""Certificates of an authority of the tests, their files, connections, and a server over TLS."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.longrunning import operations_pb2_grpc
from grpc_reflection.v1alpha import reflection

CA = trustme.CA()
CLIENT = CA.issue_cert("developer@example.com")
HERE = CA.issue_cert("127.0.0.1", "localhost", "::1")
ROGUE = trustme.CA().issue_cert("developer@example.com")
EXPIRED = CA.issue_cert(
    "developer@example.com",
    not_before=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    not_after=dt.datetime(2021, 1, 1, tzinfo=dt.UTC),
)
SECURED = "https://"
"""Stands before the target of a server that speaks TLS."""


def issue(names: x509.ExtensionType, *common_names: str) -> trustme.LeafCert:
    """Return a client's certificate with names that trustme does not write.

    Args:
        names: the extension of its subject alternative names.
        common_names: of its subject.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.load_pem_x509_certificate(CA.cert_pem.bytes())
    signer: Any = serialization.load_pem_private_key(CA.private_key_pem.bytes(), None)
    now = dt.datetime.now(dt.UTC)
    subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in common_names]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return trustme.LeafCert(private, certificate.public_bytes(pem), chain_to_ca=[])


def raw_names(*names: tuple[int, bytes]) -> x509.UnrecognizedExtension:
    """Return the extension of subject alternative names of these tags and bytes, under 128 each."""
    entries = b"".join(bytes([tag, len(name)]) + name for tag, name in names)
    listed = bytes([0x30, len(entries)]) + entries
    return x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, listed)


def der(leaf: trustme.LeafCert) -> bytes:
    """Return a certificate without its chain, in DER."""
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def chain(leaf: trustme.LeafCert) -> bytes:
    """Return a certificate with its chain."""
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems)


def write(folder: Path, leaf: trustme.LeafCert, name: str = "server") -> dict[str, Any]:
    """Write a certificate and its key; return what `ServerTls` takes."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(chain(leaf))
    key.write_bytes(leaf.private_key_pem.bytes())
    return {"certificate": str(certificate), "key": str(key)}


def write_ca(folder: Path) -> str:
    """Write the authority's own certificate; return the file."""
    file = folder / "ca.pem"
    CA.cert_pem.write_to_path(file)
    return str(file)


def trust(client: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Return what a client needs that trusts the authority, and shows a certificate or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    if client is not None:
        client.configure_cert(context)
    return context


def credentials(client: trustme.LeafCert | None = None) -> grpc.ChannelCredentials:
    """Return the same for gRPC."""
    own = (client.private_key_pem.bytes(), chain(client)) if client else (None, None)
    return grpc.ssl_channel_credentials(CA.cert_pem.bytes(), *own)


def connect(
    target: str, room: int | None = None, context: ssl.SSLContext | None = None
) -> socket.socket:
    """Return a connection to HOST:PORT, within TLS where `https://` stands before that.

    Args:
        target: of a server.
        room: bytes that the system may hold for a client that does not read; None for its default.
        context: of the client; None for one that trusts the authority.
    """
    host, _, port = target.removeprefix(SECURED).rpartition(":")
    connection = socket.socket()
    connection.settimeout(10)
    if room is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.connect((host, int(port)))
    if target.startswith(SECURED):
        # An end that TLS was not told of is an error, as RFC 8446, section 6.1 has it.
        return (context or trust()).wrap_socket(
            connection, server_hostname=host, suppress_ragged_eofs=False
        )
    return connection


@contextmanager
def over_tls(*, mutual: bool = False) -> Iterator[str]:
    """Serve operations at 127.0.0.1 to clients that trust `CA`; the target is handed back.

    Args:
        mutual: only to those that show a certificate of `CA`.
    """
    server = grpc.server(futures.ThreadPoolExecutor(2))
    servicer = operations_pb2_grpc.OperationsServicer()
    operations_pb2_grpc.add_OperationsServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    names = ["google.longrunning.Operations", reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    pair = HERE.private_key_pem.bytes(), chain(HERE)
    credentials = grpc.ssl_server_credentials(
        [pair], CA.cert_pem.bytes() if mutual else None, mutual
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
