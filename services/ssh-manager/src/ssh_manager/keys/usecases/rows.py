"""What is stored of rotations and of the keys that they replace; every change is one transaction."""

from datetime import timedelta

from shoal.crypto import Envelope
from shoal.database import Database, violation_as
from shoal.outbox import Outbox
from shoal_events import SshKeyRotated
from ssh_manager.keys.domain import Role, Rotation, Step, StoredKey, new_key_pair
from ssh_manager.keys.errors import RotationFailedError, RotationOpenError
from ssh_manager.keys.repositories import KeyRepository, RotationRepository
from ssh_manager.ports import Actor, Instance


class RotationRows:
    """Reads and changes the rows of rotations, and with them those of their keys."""

    def __init__(self, *, database: Database, outbox: Outbox, envelope: Envelope) -> None:
        self._database = database
        self._outbox = outbox
        self._envelope = envelope

    async def prepare(self, instance: Instance, *, by: Actor, intent: int) -> Rotation:
        """Store a rotation and its new key.

        Raises:
            RotationOpenError: There is one of this instance that is not over.
        """
        with violation_as(rotation_open_key=RotationOpenError):
            async with self._database.transaction() as tx:
                keys = KeyRepository(tx, self._envelope)
                stored = await keys.of_instance(instance.id)
                current = next(key for key in stored if key.role is Role.CURRENT)
                version = max(key.version for key in stored) + 1
                rotation = await RotationRepository(tx).insert(
                    instance.id, old=current.version, new=version, by=by, intent_id=intent
                )
                pair = new_key_pair(instance.id, version)
                await keys.insert(instance.id, version, account_id=instance.account_id, role=Role.PENDING, pair=pair)
        return rotation

    async def find(self, rotation_id: int) -> Rotation | None:
        """Read a rotation; None once its instance is gone."""
        async with self._database.reading() as database:
            return await RotationRepository(database).find(rotation_id)

    async def open(self) -> list[Rotation]:
        """List the rotations that are not over."""
        async with self._database.reading() as database:
            return await RotationRepository(database).open()

    async def older_than(self, age: timedelta) -> list[int]:
        """List the instances whose current key is older."""
        async with self._database.reading() as database:
            return await KeyRepository(database, self._envelope).older_than(age)

    async def key(self, rotation: Rotation, version: int) -> StoredKey:
        """Read one of a rotation's keys.

        Raises:
            RotationFailedError: It is gone with its instance.
        """
        async with self._database.reading() as database:
            for key in await KeyRepository(database, self._envelope).of_instance(rotation.instance_id):
                if key.version == version:
                    return key
        raise RotationFailedError("the instance is gone")

    async def mark(self, rotation: Rotation, step: Step, problem: str = "") -> None:
        """Note how far a rotation is."""
        async with self._database.transaction() as tx:
            await RotationRepository(tx).advance(rotation, step, problem)

    async def switch(self, rotation: Rotation, instance: Instance) -> None:
        """Make the new key the current one, and tell its public half."""
        async with self._database.transaction() as tx:
            keys = KeyRepository(tx, self._envelope)
            if not await RotationRepository(tx).advance(rotation, Step.SWITCHED):
                return
            await keys.set_role(instance.id, rotation.old_version, Role.PREVIOUS)
            await keys.set_role(instance.id, rotation.new_version, Role.CURRENT)
            new = next(key for key in await keys.of_instance(instance.id) if key.version == rotation.new_version)
            await self._outbox.append(
                tx,
                SshKeyRotated(
                    instance_id=str(instance.id),
                    account_id=instance.account_id,
                    public_key=new.public_key,
                    fingerprint=new.fingerprint,
                    version=new.version,
                ),
            )

    async def destroy(self, rotation: Rotation, version: int, step: Step) -> None:
        """Destroy one of a rotation's keys, which ends it."""
        async with self._database.transaction() as tx:
            if await RotationRepository(tx).advance(rotation, step):
                await KeyRepository(tx, self._envelope).delete(rotation.instance_id, version)
