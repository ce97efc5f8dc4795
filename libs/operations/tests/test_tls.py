"""A NATS whose certificate a private authority signed: who is told of the authority gets in, and nobody else."""

import asyncio
import ipaddress
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from shoal.cli import app
from shoal.config import ConfigError, ServiceConfig, load
from shoal.messaging import EVENTS, Bus, trust
from shoal.testing.suite import eventually, free_port

Key = ec.EllipticCurvePrivateKey


def signed(name: str, key: Key, issuer: str, issuer_key: Key, *, is_authority: bool) -> bytes:
    """Sign a certificate for 127.0.0.1, good for an hour."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """The certificate of an authority, beside that of a server and its key."""
    own, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "ca.crt").write_bytes(signed("authority", own, "authority", own, is_authority=True))
    (tmp_path / "tls.crt").write_bytes(signed("nats", server, "authority", own, is_authority=False))
    (tmp_path / "tls.key").write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return tmp_path / "ca.crt"


@pytest.fixture
async def url(authority: Path, tmp_path: Path) -> AsyncIterator[str]:
    """A server that asks for TLS."""
    port = free_port()
    told = {
        "host": "127.0.0.1",
        "port": port,
        "jetstream": {"store_dir": str(tmp_path / "jetstream")},
        "tls": {"cert_file": str(authority.with_name("tls.crt")), "key_file": str(authority.with_name("tls.key"))},
    }
    (tmp_path / "nats.json").write_text(json.dumps(told))
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("nats-server"),
        "--config",
        str(tmp_path / "nats.json"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"tls://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def test_services_trust_the_authority_that_they_are_told_of(url: str, authority: Path) -> None:
    bus, stranger = Bus(url, name="toy", tls=trust(authority)), Bus(url, name="stranger")
    running = [asyncio.ensure_future(one.run()) for one in (bus, stranger)]
    try:
        await eventually(lambda: bus.problem() is None)
        await bus.publish("shoal.events.a.b.v1.1", b"{}", message_id="m", stream=EVENTS)
        assert stranger.problem() == "not connected"
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await bus.close()
        await stranger.close()


async def test_operators_trust_the_same_authority(
    url: str, authority: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    told = await asyncio.to_thread(CliRunner().invoke, app, ["dead"], env={"SHOAL_NATS_URL": url})
    assert told.exit_code == 1
    assert "certificate verify failed" in told.output
    given = {"SHOAL_NATS_URL": url, "SHOAL_NATS_CA": str(authority)}
    bus = Bus(url, name="toy", tls=trust(authority))
    running = asyncio.ensure_future(bus.run())
    await eventually(lambda: bus.problem() is None)
    told = await asyncio.to_thread(CliRunner().invoke, app, ["dead"], env=given)
    running.cancel()
    await bus.close()
    assert told.exit_code == 0, told.output


def test_a_file_without_a_certificate_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("none")
    with pytest.raises(ConfigError) as told:
        load(ServiceConfig, "TOY", {"SHOAL_NATS_CA": str(tmp_path / "ca.crt")})
    assert f"SHOAL_NATS_CA: {tmp_path}/ca.crt holds no certificate as PEM" in told.value.problems
