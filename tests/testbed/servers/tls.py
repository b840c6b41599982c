"""The bed's own certificate authority, and the one certificate that its HTTPS servers show."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bed import folder

NAMES = ["localhost", "*.blob.localhost", "*.dfs.localhost"]
DAYS = 3650


def authority() -> Path:
    """The authority's certificate, which clients are told to trust."""
    return made() / "ca.pem"


def server() -> tuple[Path, Path]:
    """The servers' certificate and its key."""
    return made() / "server.pem", made() / "server.key"


def made() -> Path:
    """The folder of all three, made once."""
    place = folder("tls")
    if not (place / "server.pem").exists():
        authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        issuer = name("offtake test bed")
        basic = x509.BasicConstraints(ca=True, path_length=0)
        root = certificate(issuer, authority_key.public_key(), issuer).add_extension(basic, critical=True)
        signed = root.sign(authority_key, hashes.SHA256())
        alternatives = [x509.DNSName(it) for it in NAMES] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        leaf = (
            certificate(name("localhost"), key.public_key(), issuer)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        write(place / "ca.pem", signed.public_bytes(serialization.Encoding.PEM))
        write(place / "server.key", pem(key))
        write(place / "server.pem", leaf.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return place


def name(common: str) -> x509.Name:
    """A name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name) -> x509.CertificateBuilder:
    """A certificate still to be extended and signed."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
    )


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as text."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def write(path: Path, data: bytes) -> None:
    """Writes a file that only its owner can read."""
    path.touch(0o600)
    path.write_bytes(data)
