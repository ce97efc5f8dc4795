"""Outgoing: nothing that a user names leads inwards, whatever it is called and whenever it changes."""

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, strategies

from shoal.outgoing import Allowance, AnswerTooLargeError, Outgoing, OutgoingRefusedError, is_public, read

INWARDS = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0177.0.0.1/",
    "http://0x7f000001/",
    "http://0.0.0.0/",
    "http://localhost/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[fd00::1]/",
    "http://[fe80::1]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://192.88.99.1/",
    "http://[3fff::1]/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://user@8.8.8.8/",
    "http://8.8.8.8:22/",
    "https://8.8.8.8:6443/",
    "file:///etc/passwd",
    "gopher://8.8.8.8/",
    "ftp://8.8.8.8/",
    "//8.8.8.8/",
    "8.8.8.8",
    "",
    "http://",
    "http://8.8.8.8:99999/",
    "http://8.8.8.8:0/",
    "http://[::1",
]


@pytest.mark.parametrize("url", INWARDS)
async def test_what_leads_inwards_is_refused_by_check_and_by_client(url: str) -> None:
    outgoing = Outgoing()
    with pytest.raises(OutgoingRefusedError):
        await outgoing.check(url)
    if url.startswith("http"):
        async with outgoing.client() as client:
            with pytest.raises((OutgoingRefusedError, httpx2.InvalidURL)):
                await client.get(url)


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "https://1.1.1.1:443/v1", "http://[2606:4700::1111]/"])
async def test_public_addresses_may_be_called(url: str) -> None:
    await Outgoing().check(url)


async def test_a_name_that_is_unknown_now_may_be_written_down() -> None:
    async def unknown(host: str, port: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        raise OSError("no such name")

    outgoing = Outgoing(resolve=unknown)
    await outgoing.check("https://models.example/v1")
    with pytest.raises(OutgoingRefusedError, match="9999 may not be called"):
        await outgoing.check("https://models.example:9999/v1")
    for allowed in ("10.0.0.0/8", "10.0.0.0/8:9999", "models.example:9999", "models.example"):
        await Outgoing(allowed, resolve=unknown).check("https://Models.example:9999/v1")
    with pytest.raises(OutgoingRefusedError):
        await Outgoing("other.example, models.example:1", resolve=unknown).check("https://models.example:9999/")
    async with outgoing.client() as client:
        for name in ("models.example", "1.2.3.4.5"):
            with pytest.raises(httpx2.ConnectError):
                await client.get(f"https://{name}/v1")


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
async def test_what_could_be_no_name_is_one_that_is_not_found(host: str) -> None:
    with pytest.raises(OSError, match="no name"):
        await Outgoing().addresses(host, 80)
    await Outgoing().check(f"http://{host}/")


async def test_a_name_with_one_inward_address_among_public_ones_is_refused() -> None:
    outgoing = Outgoing(resolve=answers(["8.8.8.8", "10.0.0.1"]))
    with pytest.raises(OutgoingRefusedError):
        await outgoing.check("https://mixed.example/")


async def test_a_name_that_turns_inwards_after_the_check_is_not_connected_to() -> None:
    async with server() as (_, seen):
        outgoing = Outgoing(resolve=answers(["8.8.8.8"], ["127.0.0.1"]))
        await outgoing.check("http://turning.example/")
        async with outgoing.client() as client:
            with pytest.raises(OutgoingRefusedError):
                await client.get("http://turning.example/")
        assert not seen


async def test_the_address_judged_is_the_address_connected_to() -> None:
    async with server() as (port, seen):
        asked = answers(["127.0.0.1"], ["10.0.0.1"])
        async with Outgoing(f"model.lan:{port}", resolve=asked).client() as client:
            answer = await client.get(f"http://model.lan:{port}/x")
        assert answer.text == "hello"
        assert seen == [f"model.lan:{port}"]


async def test_tls_proves_the_name_and_not_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = certified_for("model.lan", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    async with server(tls=context) as (port, _):
        outgoing = Outgoing(f"model.lan:{port}, other.lan:{port}", resolve=answers(["127.0.0.1"]))
        async with outgoing.client() as client:
            assert (await client.get(f"https://model.lan:{port}/")).text == "hello"
            with pytest.raises(httpx2.ConnectError, match="certificate verify failed"):
                await client.get(f"https://other.lan:{port}/")


async def test_a_redirect_inwards_is_refused() -> None:
    async with server(redirect="http://127.0.0.1:1/") as (port, _):
        client = Outgoing(f"127.0.0.1:{port}").client(follow_redirects=True)
        async with client:
            with pytest.raises(OutgoingRefusedError):
                await client.get(f"http://127.0.0.1:{port}/")


async def test_what_an_operator_allows_is_let_through_on_that_port_only() -> None:
    async with server() as (port, _):
        outgoing = Outgoing(f"127.0.0.1:{port}")
        async with outgoing.client() as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).text == "hello"
        with pytest.raises(OutgoingRefusedError):
            await outgoing.check(f"http://127.0.0.1:{port + 1}/")


async def test_an_allowed_network_lets_its_addresses_through_on_every_port() -> None:
    outgoing = Outgoing("10.0.0.0/8, [fd00::1]:8000")
    await outgoing.check("http://10.1.2.3:11434/v1")
    await outgoing.check("http://[fd00::1]:8000/")
    with pytest.raises(OutgoingRefusedError):
        await outgoing.check("http://[fd00::1]:8001/")


@pytest.mark.parametrize("text", ["http://x", "a b", "127.0.0.1:port", "127.0.0.1:99999", "x:0", "a/b", "/8", ""])
def test_an_allowance_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Allowance.parse(text)


async def test_reading_stops_at_the_most_bytes_and_at_the_deadline() -> None:
    async with server(body=b"x" * 5000) as (port, _), Outgoing(f"127.0.0.1:{port}").client() as client:
        url = f"http://127.0.0.1:{port}/"
        assert len((await read(client, url, max_bytes=5000, deadline_s=5)).content) == 5000
        with pytest.raises(AnswerTooLargeError):
            await read(client, url, max_bytes=4999, deadline_s=5)
    async with server(hangs=True) as (port, _), Outgoing(f"127.0.0.1:{port}").client() as client:
        with pytest.raises(TimeoutError):
            await read(client, f"http://127.0.0.1:{port}/", max_bytes=10, deadline_s=0.1)


async def test_reading_goes_where_it_is_led_and_reads_nothing_of_what_leads_there() -> None:
    async with server(body=b"there") as (there, _), endless_redirect(f"http://127.0.0.1:{there}/") as here:
        outgoing = Outgoing("127.0.0.1")
        async with outgoing.client(follow_redirects=True) as client:
            assert (await read(client, here, max_bytes=5, deadline_s=2)).content == b"there"
        async with outgoing.client(follow_redirects=True, max_redirects=0) as client:
            with pytest.raises(httpx2.TooManyRedirects):
                await read(client, here, max_bytes=5, deadline_s=2)
        async with outgoing.client() as client, asyncio.timeout(2):
            with pytest.raises(AnswerTooLargeError):
                await read(client, here, max_bytes=5, deadline_s=2)


@given(strategies.ip_addresses(v=4))
def test_no_envelope_makes_an_address_public(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    envelopes = [
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80),
    ]
    assert {is_public(envelope) for envelope in envelopes} == {is_public(address)}
    assert not (is_public(address) and (address.is_private or address.is_loopback or address.is_link_local))


def answers(*found: list[str]):
    """Make a resolver that finds something else each time; the last for ever."""
    left = list(found)

    async def resolve(host: str, port: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        now = left.pop(0) if len(left) > 1 else left[0]
        return [ipaddress.ip_address(text) for text in now]

    return resolve


@contextlib.asynccontextmanager
async def server(
    *, body: bytes = b"hello", redirect: str = "", hangs: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[str]]]:
    """Serve one answer on loopback; tells the port and the Host of every request."""
    seen: list[str] = []
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            seen.append(next(line.partition(": ")[2] for line in head.splitlines() if line.startswith("host: ")))
            if hangs:
                await reader.read()
            status = f"302 Found\r\nlocation: {redirect}" if redirect else "200 OK"
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode())
            writer.write(body)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1], seen
    finally:
        listening.close()
        await asyncio.gather(*(task for task in serving if task is not None))


@contextlib.asynccontextmanager
async def endless_redirect(to: str) -> AsyncIterator[str]:
    """Serve a redirect whose own page does not end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 302 Found\r\nlocation: {to}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
            while not writer.is_closing():
                writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
                await writer.drain()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


def certified_for(name: str, folder: Path) -> ssl.SSLContext:
    """Make a certificate for a name, which signs itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
