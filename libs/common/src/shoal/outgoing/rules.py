"""Where requests may go, and clients that keep to it."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any

import httpx2

from shoal.outgoing.addresses import PORTS, Address, Allowance, OutgoingRefusedError, is_public, literal, target
from shoal.outgoing.transport import Transport

Resolve = Callable[[str, int], Awaitable[list[Address]]]

RESOLVE_S = 5.0


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
        host, port = target(url)
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
        written = literal(host)
        found = await self._resolve(host, port) if written is None else [written]
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
        return Transport(self.addresses, self._tls)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Whom TLS trusts: read once, since that takes longer than most calls."""
        return httpx2.create_ssl_context()

    def _may_call(self, host: str, address: Address, port: int) -> bool:
        if any(allowance.covers(host, address, port) for allowance in self._allowed):
            return True
        return port in PORTS and is_public(address)


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
