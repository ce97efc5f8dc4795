"""Where a request comes from: the address that no trusted proxy vouches for further."""

import ipaddress
from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_REMEMBERED = 10_000
_SHARED = ipaddress.ip_network("100.64.0.0/10")
"""What clouds give to nodes and pods where private networks run out (RFC 6598)."""
MAX_HOPS = 32


class Addresses:
    """Reads callers' addresses.

    `X-Forwarded-For` is believed only when the connection itself comes from a trusted network, and only from right to
    left: the first address that is not a trusted proxy's is the caller's. `Forwarded` and `X-Real-IP` are never read.

    Args:
        trusted: Networks (CIDR) of proxies.
        inner: Networks (CIDR), beside private ones, of probes, scrapers and other services.
    """

    def __init__(self, trusted: Iterable[str], inner: Iterable[str] = ()) -> None:
        self._trusted = _networks(trusted)
        self._inner = [_SHARED, *_networks(inner)]
        self._peers: dict[str, bool] = {}

    def is_inner(self, peer: str) -> bool:
        """Tell whether an address is of the machine, of a private network, or of one that is named as inner."""
        address = _parse(peer.encode("latin-1", "replace"))
        if address is None:
            return False
        return address.is_private or address.is_loopback or any(address in network for network in self._inner)

    def source(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Tell the caller's address."""
        if not self._trusted or not self._is_trusted(peer):
            return peer
        hops = b",".join(value for name, value in headers if name == b"x-forwarded-for").split(b",")
        source = peer
        for hop in reversed(hops[-MAX_HOPS:]):
            address = _parse(hop)
            if address is None:
                break
            source = str(address)
            if not self._is_trusted(source):
                break
        return source

    def _is_trusted(self, text: str) -> bool:
        known = self._peers.get(text)
        if known is None:
            address = _parse(text.encode("latin-1", "replace"))
            known = address is not None and any(address in network for network in self._trusted)
            if len(self._peers) >= MAX_REMEMBERED:
                self._peers.clear()
            self._peers[text] = known
        return known


def _networks(told: Iterable[str]) -> Sequence[Network]:
    return [ipaddress.ip_network(network, strict=False) for network in told]


def _parse(hop: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read one hop: an address, with or without a port."""
    text = hop.strip().decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
