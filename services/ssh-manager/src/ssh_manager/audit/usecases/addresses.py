"""From where callers may reach instances."""

from shoal.database import Database, Transaction
from shoal.identity import Principal
from ssh_manager.audit.domain import is_allowed, networks_of, normalized
from ssh_manager.audit.repositories import AddressRepository
from ssh_manager.errors import AddressRestrictedError
from ssh_manager.ports import Actor, Audit, AuditType, Events, EventType, Instance


class AllowedAddresses:
    """Read and replace the lists, and check callers against them."""

    def __init__(self, *, database: Database, audit: Audit, events: Events) -> None:
        self._database = database
        self._audit = audit
        self._events = events

    async def get(self, instance: Instance) -> str:
        """Read an instance's entries as they were given."""
        async with self._database.reading() as database:
            return await AddressRepository(database).find(instance.id)

    async def replace(self, instance: Instance, entries: str, *, by: Principal) -> str:
        """Replace an instance's entries; returns them in one form.

        Raises:
            InvalidAddressError: One is neither an address nor a range.
            AuditUnavailableError: It could not be written down.
        """
        kept, kind, actor = normalized(entries), AuditType.ALLOWED_IPS_CHANGED, Actor.of(by)
        begun = "Change of allowed addresses begun"
        intent = await self._audit.intent(kind, instance, by=actor, details=begun)
        async with self._database.transaction() as tx:
            addresses = AddressRepository(tx)
            before = await addresses.find(instance.id)
            await addresses.put(instance.id, instance.account_id, kept)
        details = f"Allowed addresses: {kept or 'all'}; before: {before or 'all'}"
        await self._audit.outcome(intent, kind, instance, by=actor, details=details)
        return kept

    async def check(self, principal: Principal, instance: Instance) -> None:
        """Check the caller's address; a refusal is an event and an audit entry too.

        Raises:
            AddressRestrictedError: It is not among those allowed.
            AuditUnavailableError: The refusal cannot be written down.
        """
        if is_allowed(principal.source, networks_of(await self.get(instance))):
            return
        refused = AddressRestrictedError(principal.source)
        self._events.record(instance, EventType.IP_RESTRICTED, refused.message)
        await self._audit.record(AuditType.IP_RESTRICTED, instance, by=Actor.of(principal), details=refused.message)
        raise refused

    async def forget(self, tx: Transaction, instance_id: int) -> None:
        """Forget the entries of an instance that is gone."""
        await AddressRepository(tx).delete(instance_id)
