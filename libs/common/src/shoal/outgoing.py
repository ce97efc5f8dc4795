"""Requests to addresses that users name: providers, registries, pages. Never to this machine or its networks.

The check stands where the connection is made: the name is resolved once, every address found is judged, and one of
those is connected to. So a name that changes its mind between look-up and connection (DNS rebinding), a redirect, a
decimal or octal spelling of an address and IPv4 inside IPv6 all meet the same judgement, while TLS still proves the
name that was asked for. What an operator hosts is let through by `SHOAL_OUTGOING_ALLOWED`.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import httpcore2
import httpx2
from msgspec import Struct

from shoal.errors import BadRequestError

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[Address]]]

PORTS = frozenset({80, 443})
RESOLVE_S = 5.0
_MAX_PORT = 65535
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_TEREDO = IPv6Network("2001::/32")
_OF_CLOUDS = (
    IPv4Network("168.63.129.16/32"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("3fff::/20"),
)
"""Inner services of clouds and what is set aside, which interpreters differ about."""
_MAX_CONNECTIONS, _MAX_IDLE, _IDLE_S = 100, 20, 5.0


class OutgoingRefusedError(BadRequestError):
    """This address may not be called from here."""

    code = "address_not_allowed"


class AnswerTooLargeError(Exception):
    """An answer from outside is longer than the caller takes, or is packed though plain text was asked for."""


class Allowance(Struct, frozen=True):
    """One thing that an operator lets through: a name or a network, on one port or all."""

    host: str = ""
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Allowance":
        """Read `127.0.0.1:11434`, `10.0.0.0/8`, `[fd00::1]:8000` or `models.lan:8000`.

        Raises:
            ValueError: It reads otherwise.
        """
        host, port = _split_port(text.strip().lower())
        if port is not None and not 0 < port <= _MAX_PORT:
            raise ValueError(f"{text!r} has no port between 1 and {_MAX_PORT}")
        try:
            return cls(network=ipaddress.ip_network(host), port=port)
        except ValueError:
            if not host or not all(part.replace("-", "").replace("_", "").isalnum() for part in host.split(".")):
                raise ValueError(f"{text!r} is no host, address or network, with or without a port") from None
            return cls(host=host, port=port)

    def could_cover(self, host: str, port: int) -> bool:
        """Tell whether a connection under this name might be let through, whatever its address is."""
        return self.port in {None, port} and (self.network is not None or host.lower().rstrip(".") == self.host)

    def covers(self, host: str, address: Address, port: int) -> bool:
        """Tell whether a connection to this address, found under this name, is let through."""
        if self.port not in {None, port}:
            return False
        if self.network is None:
            return host.lower().rstrip(".") == self.host
        return address in self.network


class Outgoing:
    """Makes clients that cannot be sent inwards.

    Args:
        allowed: What is let through beside public addresses: `Allowance`s separated by commas.
        resolve: Finds the addresses of a name; the system's resolver by default.

    Raises:
        ValueError: `allowed` cannot be read.
    """

    def __init__(self, allowed: str = "", *, resolve: Resolve | None = None) -> None:
        self._allowed = tuple(Allowance.parse(part) for part in allowed.split(",") if part.strip())
        self._resolve = resolve or _resolve

    async def check(self, url: str) -> None:
        """Refuse an address that could never be called; one whose name is unknown just now is judged when it is called.

        Raises:
            OutgoingRefusedError: Not http(s), with a user name in it, on no port of the web, or it leads inwards.
        """
        host, port = _target(url)
        if port not in PORTS and not any(allowance.could_cover(host, port) for allowance in self._allowed):
            raise _refusal(host, port)
        try:
            async with asyncio.timeout(RESOLVE_S):
                await self.addresses(host, port)
        except OSError:  # a timeout is one too
            return

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Find where a name may be connected to.

        Raises:
            OutgoingRefusedError: One of its addresses leads inwards, or the port is not one of the web's.
            OSError: The name has no address.
        """
        found = await self._resolve(host, port)
        if not found:
            raise OSError(f"no address for {host}")
        for address in found:
            if not self._may_call(host, address, port):
                raise _refusal(host, port)
        return found

    def client(self, *, timeout: float | httpx2.Timeout = 10, **settings: Any) -> httpx2.AsyncClient:
        """Make a client for such addresses; the caller closes it.

        Redirects are not followed unless asked for, and each hop is judged. What it raises: httpx2's own errors, and
        `OutgoingRefusedError` from any request.
        """
        return httpx2.AsyncClient(transport=self.transport(), timeout=timeout, trust_env=False, **settings)

    def transport(self) -> httpx2.AsyncBaseTransport:
        """Make the transport of such a client, for whoever needs nothing else of one; the caller closes it."""
        return _Transport(self, self._tls)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Whom TLS trusts: read once, since that takes longer than most calls."""
        return httpx2.create_ssl_context()

    def _may_call(self, host: str, address: Address, port: int) -> bool:
        if any(allowance.covers(host, address, port) for allowance in self._allowed):
            return True
        return port in PORTS and is_public(address)


async def read(
    client: httpx2.AsyncClient,
    url: str,
    *,
    max_bytes: int,
    deadline_s: float,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
) -> httpx2.Response:
    """Get something whole, however slowly and at whatever length it comes; with a body, by posting that as JSON.

    Raises:
        AnswerTooLargeError: It is longer than `max_bytes`, or compressed.
        TimeoutError: It was not all there within `deadline_s` seconds.
        OutgoingRefusedError: The address may not be called.
        httpx2.HTTPError: It could not be had.
    """
    wanted = {"accept-encoding": "identity", **(headers or {})}
    method, sent = ("GET", {}) if body is None else ("POST", {"json": body})
    async with asyncio.timeout(deadline_s), client.stream(method, url, headers=wanted, **sent) as answer:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise AnswerTooLargeError(f"{answer.url.host} packed its answer")
        content = bytearray()
        async for piece in answer.aiter_raw():
            content += piece
            if len(content) > max_bytes:
                raise AnswerTooLargeError(f"more than {max_bytes} bytes from {answer.url.host}")
    return httpx2.Response(answer.status_code, headers=answer.headers, content=bytes(content), request=answer.request)


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the internet's, and no envelope around one that is not."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address.sixtofour is not None:
            return is_public(address.sixtofour)
        if address not in _GLOBAL_V6 or address in _TEREDO:
            return False
    if any(address in network for network in _OF_CLOUDS):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


class _Transport(httpx2.AsyncHTTPTransport):
    """httpx2's own transport on a pool whose connections are made by our rule."""

    def __init__(self, outgoing: Outgoing, tls: ssl.SSLContext) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=_MAX_IDLE,
            keepalive_expiry=_IDLE_S,
            network_backend=_Network(outgoing),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request if its form is one that may be sent; where to is judged when it is connected."""
        _target(request.url)
        return await super().handle_async_request(request)


class _Network(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were judged, and to no name."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of a name that answers."""
        try:
            async with asyncio.timeout(timeout or RESOLVE_S):
                addresses = await self._outgoing.addresses(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host} was not found in time") from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        last: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last = error
        raise last or httpcore2.ConnectError(f"no address for {host}")

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore2 asks between tries."""
        await asyncio.sleep(seconds)


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except UnicodeError as error:  # a label that is empty or too long
        raise OSError(f"{host} is no name that could be looked up") from error
    texts = dict.fromkeys(str(place[0]).partition("%")[0] for *_, place in found)
    return [ipaddress.ip_address(text) for text in texts]


def _refusal(host: str, port: int) -> OutgoingRefusedError:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return OutgoingRefusedError(
        f"{place} may not be called from here; the operator lets it through by SHOAL_OUTGOING_ALLOWED."
    )


def _target(url: httpx2.URL | str) -> tuple[str, int]:
    """Read host and port of an address of the web."""
    try:
        parts = httpx2.URL(url)
        host, port = parts.raw_host.decode("ascii"), parts.port
    except (httpx2.InvalidURL, ValueError):
        raise OutgoingRefusedError("This is no http or https address.") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise OutgoingRefusedError("This is no http or https address.")
    if parts.userinfo:
        raise OutgoingRefusedError("An address may not hold a user name or password.")
    return host, port or (443 if parts.scheme == "https" else 80)


def _split_port(text: str) -> tuple[str, int | None]:
    """Part a host or network from the port behind it."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    return host, int(port) if port else None
