"""What goes in and out by HTTP."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ssh_manager.audit.domain import Entry, Page, Purged
from ssh_manager.ports import Instance


class EntryView(Struct, frozen=True):
    """One entry of the audit log."""

    id: int
    instance_id: int
    instance_name: str
    event_type: str
    username: str
    source_ip: str
    details: str
    duration_ms: int
    created_at: datetime

    @classmethod
    def from_domain(cls, entry: Entry) -> "EntryView":
        """Show an entry."""
        return cls(
            id=entry.id,
            instance_id=entry.instance_id,
            instance_name=entry.instance_name,
            event_type=entry.event_type.value,
            username=entry.username,
            source_ip=entry.source_ip,
            details=entry.details,
            duration_ms=entry.duration_ms,
            created_at=entry.created_at,
        )


class EntriesView(Struct, frozen=True):
    """A page of the audit log."""

    entries: list[EntryView]
    total: int
    limit: int
    offset: int

    @classmethod
    def from_domain(cls, page: Page) -> "EntriesView":
        """Show a page."""
        return cls([EntryView.from_domain(entry) for entry in page.entries], page.total, page.limit, page.offset)


class PurgedView(Struct, frozen=True):
    """What a purge did."""

    deleted: int
    retention_days: int

    @classmethod
    def from_domain(cls, purged: Purged) -> "PurgedView":
        """Show what was deleted."""
        return cls(purged.count, purged.days)


class AllowAddresses(Struct, frozen=True):
    """From where callers may reach an instance."""

    allowed_ips: Annotated[str, Meta(max_length=10_000)]


class AddressesView(Struct, frozen=True):
    """From where callers may reach an instance."""

    instance_id: int
    allowed_ips: str
    normalized_list: str

    @classmethod
    def from_domain(cls, instance: Instance, entries: str) -> "AddressesView":
        """Show entries, which are kept in one form."""
        return cls(instance.id, entries, entries)
