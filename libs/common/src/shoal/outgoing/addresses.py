"""Addresses of the web: which are the internet's, which an operator lets through, and what is none at all."""

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import httpx2
from msgspec import Struct

from shoal.errors import BadRequestError

Address = IPv4Address | IPv6Address

PORTS = frozenset({80, 443})
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


class OutgoingRefusedError(BadRequestError):
    """This address may not be called from here."""

    code = "address_not_allowed"


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


def literal(host: str) -> Address | None:
    """Read a host that is an address in its proper spelling; None for any other."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def target(url: httpx2.URL | str) -> tuple[str, int]:
    """Read host and port of an address of the web.

    Raises:
        OutgoingRefusedError: It is none, or has a user name or password in it.
    """
    try:
        parts = httpx2.URL(url)
        host, port = parts.raw_host.decode("ascii"), parts.port
    except (httpx2.InvalidURL, ValueError):
        raise OutgoingRefusedError("This is no http or https address.") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise OutgoingRefusedError("This is no http or https address.")
    if parts.userinfo:
        raise OutgoingRefusedError("An address may not hold a user name or password.")
    return host, (443 if parts.scheme == "https" else 80) if port is None else port


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
