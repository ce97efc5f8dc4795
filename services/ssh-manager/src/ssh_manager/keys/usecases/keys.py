"""Keys: made with their instance, opened to sign in, destroyed with it."""

from shoal.crypto import Envelope, EnvelopeError
from shoal.database import Database, Transaction
from shoal.outbox import Outbox
from shoal_events import SshKeyCreated
from ssh_manager.errors import KeyTamperedError, NoSshKeyError
from ssh_manager.keys.domain import Fingerprint, Role, StoredKey, belongs_together, new_key_pair, seen_fingerprint
from ssh_manager.keys.repositories import KeyRepository, RotationRepository
from ssh_manager.ports import SYSTEM, Actor, Audit, AuditType, Events, EventType, Identity, Instance

FIRST = 1
SIGNING = (Role.CURRENT, Role.PREVIOUS)


class Keys:
    """Make, open and destroy keys."""

    def __init__(self, *, database: Database, outbox: Outbox, envelope: Envelope, audit: Audit, events: Events) -> None:
        self._database = database
        self._outbox = outbox
        self._envelope = envelope
        self._audit = audit
        self._events = events

    async def make(self, tx: Transaction, instance: Instance) -> None:
        """Make an instance's key unless it has one, and tell its public half."""
        keys = KeyRepository(tx, self._envelope)
        if await keys.of_instance(instance.id):
            return
        pair = new_key_pair(instance.id, FIRST)
        if await keys.insert(instance.id, FIRST, account_id=instance.account_id, role=Role.CURRENT, pair=pair):
            await self._outbox.append(
                tx,
                SshKeyCreated(
                    instance_id=str(instance.id),
                    account_id=instance.account_id,
                    public_key=pair.public_key,
                    fingerprint=pair.fingerprint,
                    version=FIRST,
                ),
            )

    async def forget(self, tx: Transaction, instance_id: int) -> None:
        """Destroy the keys of an instance that is gone."""
        await KeyRepository(tx, self._envelope).delete_all(instance_id)
        await RotationRepository(tx).delete_all(instance_id)

    async def applied(self, tx: Transaction, instance_id: int, version: int) -> None:
        """Note that an instance keeps a key over restarts."""
        await KeyRepository(tx, self._envelope).mark_applied(instance_id, version)

    async def fingerprint(self, instance: Instance) -> Fingerprint:
        """Compute what an instance's public key hashes to.

        Raises:
            NoSshKeyError: It has none.
            PublicKeyUnreadableError: What is stored is no public key.
        """
        async with self._database.reading() as database:
            found = await KeyRepository(database, self._envelope).find(instance.id, Role.CURRENT)
        if found is None:
            raise NoSshKeyError
        return seen_fingerprint(found)

    async def identities(self, instance: Instance, *, by: Actor = SYSTEM) -> list[Identity]:
        """Read the keys that may sign in to an instance, the likeliest first: while one is replaced there are two.

        Raises:
            NoSshKeyError: There is none.
            KeyTamperedError: The current one's halves or its fingerprint do not belong together; that is an event and
                an audit entry too.
            AuditUnavailableError: It could not be written down.
        """
        async with self._database.reading() as database:
            repository = KeyRepository(database, self._envelope)
            stored = [key for key in await repository.of_instance(instance.id) if key.role in SIGNING]
            found = [identity for key in stored if (identity := await self._open(repository, key)) is not None]
        if not any(key.role is Role.CURRENT for key in stored):
            raise NoSshKeyError
        current = next(key for key in stored if key.role is Role.CURRENT)
        if all(identity.version != current.version for identity in found):
            await self._tell_tampered(instance, by)
            raise KeyTamperedError
        return sorted(found, key=lambda identity: identity.version != current.version)

    async def identity(self, instance: Instance, version: int) -> Identity | None:
        """Read one key, whatever it is for; None when it is not as it was stored."""
        async with self._database.reading() as database:
            repository = KeyRepository(database, self._envelope)
            for key in await repository.of_instance(instance.id):
                if key.version == version:
                    return await self._open(repository, key)
        return None

    async def _open(self, repository: KeyRepository, key: StoredKey) -> Identity | None:
        try:
            private_key = await repository.private_key(key)
        except EnvelopeError:
            return None
        if not belongs_together(key, private_key):
            return None
        return Identity(key.version, key.public_key, key.fingerprint, private_key)

    async def _tell_tampered(self, instance: Instance, by: Actor) -> None:
        details = "The stored SSH key does not have the stored fingerprint"
        self._events.record(instance, EventType.FINGERPRINT_MISMATCH, details)
        await self._audit.record(AuditType.FINGERPRINT_MISMATCH, instance, by=by, details=details)
