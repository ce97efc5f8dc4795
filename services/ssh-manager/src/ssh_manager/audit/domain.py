"""Entries of the audit log and the chain that they form; addresses and ranges of addresses."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from ssh_manager.audit.errors import InvalidAddressError, InvalidQueryError
from ssh_manager.ports import Actor, AuditType, Instance

MAX_DETAILS = 1000
MAX_ENTRIES = 200
"""Allowed addresses of one instance."""
MAX_SHOWN = 1000
"""Entries of one page."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_LOST_PLUS = re.compile(r" (?=\d\d:?\d\d$)")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Draft(Struct, frozen=True, kw_only=True):
    """What is to be written down of an instance: by whom, from where, in one line."""

    account_id: str
    instance_id: int
    instance_name: str
    event_type: AuditType
    username: str
    source_ip: str
    details: str
    duration_ms: int = 0
    is_intent: bool = False
    intent_id: int | None = None
    """The entry that said beforehand what this is the outcome of."""

    @classmethod
    def of(cls, kind: AuditType, instance: Instance, *, by: Actor, details: str, duration_ms: int = 0) -> "Draft":
        """Write what happened to an instance, as one line that can be stored and read anywhere."""
        return cls(
            account_id=instance.account_id,
            instance_id=instance.id,
            instance_name=instance.name,
            event_type=kind,
            username=by.username,
            source_ip=by.source,
            details=_UNPRINTABLE.sub(" ", details)[:MAX_DETAILS],
            duration_ms=duration_ms,
        )


class Entry(Draft, frozen=True, kw_only=True):
    """One entry of an account's chain: what was written down, numbered, with the hash over it and all before it."""

    id: int
    created_at: datetime
    hash: bytes = b""


class Head(Struct, frozen=True, kw_only=True):
    """Where an account's chain ends, and where it begins since the last purge."""

    account_id: str
    last_id: int = 0
    last_hash: bytes = b""
    purged_id: int = 0
    purged_hash: bytes = b""
    mac: bytes = b""


class LockedHead(Struct, frozen=True):
    """A head that nobody else changes meanwhile, and the time by which what follows it is written."""

    head: Head
    now: datetime


class Cut(Struct, frozen=True):
    """A place in a chain: behind this entry."""

    id: int
    hash: bytes


class Verdict(Struct, frozen=True, kw_only=True):
    """What was found in one account's chain."""

    account_id: str
    first_id: int
    last_id: int
    last_hash: str
    bad_id: int | None = None
    """The first entry that is not as it was written, or is missing."""
    problem: str = ""


class Seal:
    """Makes the hashes of a chain under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of_entry(self, entry: Entry, previous: bytes) -> bytes:
        """Hash an entry together with the hash of the one before it."""
        fields = [getattr(entry, name) for name in Entry.__struct_fields__ if name != "hash"]
        return self._digest(previous + msgspec.json.encode(fields))

    def of_head(self, head: Head) -> bytes:
        """Hash where a chain ends and begins."""
        return self._digest(
            msgspec.json.encode(
                [head.account_id, head.last_id, head.last_hash.hex(), head.purged_id, head.purged_hash.hex()]
            )
        )

    def is_genuine(self, head: Head) -> bool:
        """Tell whether a head is one that we wrote, or one that nothing was written under yet."""
        is_new = head == Head(account_id=head.account_id)
        return is_new or hmac.compare_digest(head.mac, self.of_head(head))

    def signed(self, head: Head) -> Head:
        """Give a head with its own hash in it."""
        return msgspec.structs.replace(head, mac=self.of_head(head))

    def continued(self, head: Head, drafts: Sequence[Draft], at: datetime) -> tuple[list[Entry], Head]:
        """Continue a chain: what follows its head, each entry with its hash, and the new head."""
        entries, previous = [], head.last_hash
        for number, draft in enumerate(drafts, start=head.last_id + 1):
            entry = Entry(**msgspec.structs.asdict(draft), id=number, created_at=at)
            previous = self.of_entry(entry, previous)
            entries.append(msgspec.structs.replace(entry, hash=previous))
        last_id = head.last_id + len(entries)
        return entries, self.signed(msgspec.structs.replace(head, last_id=last_id, last_hash=previous))

    def _digest(self, content: bytes) -> bytes:
        return hmac.new(self._key, content, hashlib.sha256).digest()


class Query(Struct, frozen=True, kw_only=True):
    """Which entries are asked for; None: of whichever."""

    instance_id: int | None = None
    instance_name: str | None = None
    event_type: str | None = None
    username: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50
    offset: int = 0


class Page(Struct, frozen=True, kw_only=True):
    """Entries that a query found, and how many there are without limit and offset."""

    entries: list[Entry]
    total: int
    limit: int
    offset: int


class Purged(Struct, frozen=True):
    """What a purge deleted, and how many days it kept."""

    count: int
    days: int


def moment_of(text: str | None, field: str) -> datetime | None:
    """Read a moment as RFC 3339; a `+` that a query string made a blank is a `+`.

    Raises:
        InvalidQueryError: It is none.
    """
    if text is None or not text:
        return None
    try:
        moment = datetime.fromisoformat(_LOST_PLUS.sub("+", text))
    except ValueError as error:
        raise InvalidQueryError(f"{field}: write a moment as 2026-02-21T10:30:00Z") from error
    if moment.tzinfo is None:
        raise InvalidQueryError(f"{field}: name the time zone, as in 2026-02-21T10:30:00Z")
    return moment


def networks_of(text: str) -> list[Network]:
    """Read addresses and ranges, separated by commas; bits behind the prefix do not count.

    Raises:
        InvalidAddressError: An entry is neither, or there are too many.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if text.strip() and not entries:  # nothing but commas must not open an instance to all
        raise InvalidAddressError(text)
    if len(entries) > MAX_ENTRIES:
        raise InvalidAddressError(f"{entries[MAX_ENTRIES]} and more: {MAX_ENTRIES} entries are the most")
    return [_network(entry) for entry in entries]


def normalized(text: str) -> str:
    """Write addresses and ranges in one form: `10.0.0.5/8` is `10.0.0.0/8`, a single address has no prefix.

    Raises:
        InvalidAddressError: As for `networks_of`.
    """
    return ",".join(
        str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
        for network in networks_of(text)
    )


def is_allowed(source: str, networks: list[Network]) -> bool:
    """Tell whether an address is among those allowed; none named allows all, and what is no address never is."""
    if not networks:
        return True
    try:
        address = ipaddress.ip_address(source.strip("[]"))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address.version == network.version and address in network for network in networks)


def _network(entry: str) -> Network:
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError as error:
        raise InvalidAddressError(entry) from error
    if isinstance(network, ipaddress.IPv6Network):
        if network.network_address.scope_id is not None:
            raise InvalidAddressError(entry)
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:  # noqa: PLR2004 - ::ffff:0:0/96
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network
