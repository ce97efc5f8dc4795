"""Where pages are, who may see them, and what crosses between a page and the browser that shows it."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from shoal.identity import Principal, Role, Via
from ssh_manager.entrance import REVOKED, Close
from ssh_manager.pages.errors import NoPageError
from ssh_manager.ports import TunnelService

Header = tuple[bytes, bytes]

SERVICES: Final[Mapping[str, TunnelService]] = MappingProxyType(
    {"desktop": TunnelService.VNC, "control": TunnelService.GATEWAY}
)
_PLACE = re.compile(
    r"(?P<root>/api/v1/instances/(?P<instance>[^/]+)/(?P<kind>desktop|control))(?:/~(?P<ticket>[^/]*))?(?P<rest>/.*)?"
)


class Place(Struct, frozen=True):
    """A path of an instance's, as it stands in ours.

    Attributes:
        root: What our own path begins with, such as `/api/v1/instances/7/control`.
        rest: The instance's own path, undecoded, with its query.
        ticket: What the path lets in; None when it has no ticket.
        is_bare: Whether the slash is missing after which an instance's own paths begin: what a page names relative to
            itself would not be found.
    """

    root: str
    instance_id: str
    service: TunnelService
    rest: str
    ticket: str | None = None
    is_bare: bool = False

    @classmethod
    def of(cls, raw_path: bytes, query: bytes) -> "Place":
        """Read a path as it stood in the request line.

        Raises:
            NoPageError: No page could be there.
        """
        found = _PLACE.fullmatch(raw_path.decode("latin-1"))
        if found is None:
            raise NoPageError
        rest = (found["rest"] or "/") + (f"?{query.decode('latin-1')}" if query else "")
        return cls(found["root"], found["instance"], SERVICES[found["kind"]], rest, found["ticket"], not found["rest"])

    @property
    def prefix(self) -> str:
        """What the instance's own path is preceded by."""
        return self.root if self.ticket is None else f"{self.root}/~{self.ticket}"

    @property
    def without_ticket(self) -> str:
        """Where a signed-in user gets another ticket."""
        return self.root + self.rest

    def with_ticket(self, ticket: str) -> str:
        """Where whoever has this ticket sees the page."""
        return f"{self.root}/~{ticket}{self.rest}"


class Ticket(Struct, frozen=True, kw_only=True):
    """Whom a ticket was given to, and for what."""

    instance_id: int
    account_id: str
    user_id: str
    username: str
    role: Role
    via: Via
    credential_id: str

    @property
    def principal(self) -> Principal:
        """The user whom it was given to."""
        return Principal(
            via=self.via,
            account_id=self.account_id,
            user_id=self.user_id,
            username=self.username,
            role=self.role,
            credential_id=self.credential_id,
        )


class Grant(Struct, frozen=True):
    """The right to see an instance's pages: by a ticket, of which the fingerprint is known, or as the user who asks."""

    instance_id: int
    principal: Principal
    fingerprint: bytes | None = None


class Stay:
    """Something open; `ended` is set, with the reason, when it must not be any more."""

    __slots__ = ("ended", "grant", "reason")

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.reason = REVOKED
        self.ended = asyncio.Event()

    def end(self, reason: Close) -> None:
        """End it; the first reason counts."""
        if not self.ended.is_set():
            self.reason = reason
            self.ended.set()


_ENDS_HERE = frozenset(
    (
        *(b"connection", b"expect", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings", b"content-length"),
    )
)
_NOT_THE_PAGES = frozenset(
    (
        *(b"host", b"origin", b"referer", b"cookie", b"authorization", b"forwarded", b"x-real-ip", b"x-request-id"),
        *(b"traceparent", b"tracestate", b"baggage"),
    )
)
_NOT_THE_BROWSERS = frozenset(
    (
        *(b"set-cookie", b"clear-site-data", b"service-worker-allowed", b"strict-transport-security", b"alt-svc"),
        *(b"www-authenticate", b"content-security-policy-report-only", b"nel", b"report-to", b"reporting-endpoints"),
        *(b"cross-origin-resource-policy", b"x-request-id", b"accept-ch", b"critical-ch", b"refresh", b"server"),
    )
)
"""What would make a browser do something to our address, or tell somebody of it."""
_OURS = (b"x-shoal-", b"x-forwarded-", b"sec-fetch-", b"sec-websocket-", b"proxy-")

SHARED: Final[tuple[Header, ...]] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"*"),
)
"""A page in a sandbox is of another origin than its own parts; whoever fetches them has the ticket anyway."""


def to_page(headers: Iterable[Header], place: Place, host: str) -> list[Header]:
    """Choose what an instance's page is told of a request: nothing that says who asks, or from where.

    It is told where it stands, as its scripts can see anyway, so that one that names itself absolutely can do so.
    """
    kept = [
        (name, value)
        for name, value in ((name.lower(), value) for name, value in headers)
        if name not in _ENDS_HERE and name not in _NOT_THE_PAGES and not name.startswith(_OURS)
    ]
    return [(b"host", host.encode()), (b"x-forwarded-prefix", place.prefix.encode("latin-1")), *kept]


def to_browser(headers: Iterable[Header], place: Place, host: str) -> list[Header]:
    """Choose what a browser is told by an instance's page."""
    kept = []
    for given, value in headers:
        name = given.lower()
        if name in _NOT_THE_BROWSERS or name.startswith((*_OURS, b"access-control-")):
            continue
        if name == b"content-length" or name not in _ENDS_HERE:
            kept.append((name, _here(value, place, host) if name == b"location" else value))
    return [*kept, *SHARED]


def preflight(headers: Mapping[bytes, bytes]) -> list[Header]:
    """Answer a browser that asks whether a page in a sandbox may send a request to its own instance: it may."""
    return [
        SHARED[0],
        (b"access-control-allow-methods", headers.get(b"access-control-request-method", b"GET")),
        (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"*")),
        (b"access-control-max-age", b"600"),
    ]


def _here(location: bytes, place: Place, host: str) -> bytes:
    """Lead a redirection of an instance's to where that is in ours; one that leads elsewhere, or nowhere, stays."""
    text = location.decode("latin-1")
    try:
        parts = urlsplit(text)
    except ValueError:  # no address, such as `http://[`
        return location
    if parts.netloc not in {"", host, host.partition(":")[0]} or (not parts.netloc and not text.startswith("/")):
        return location
    path = parts.path or "/"
    if path.startswith(f"{place.prefix}/"):  # it heeds where it stands
        return location
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{place.prefix}{path}{query}{fragment}".encode("latin-1")
