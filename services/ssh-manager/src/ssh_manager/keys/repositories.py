"""Rows of `ssh_key` and `rotation`."""

from datetime import timedelta

import asyncssh

from shoal.crypto import Envelope
from shoal.database import Transaction
from shoal.resealing import SealedColumn
from ssh_manager.keys.domain import KeyPair, Role, Rotation, Step, StoredKey
from ssh_manager.ports import Actor

SEALED = SealedColumn("ssh_key", "sealed", "ssh_manager/ssh_key/{instance_id}/{version}/sealed")
"""Private halves, in their places."""


class KeyRepository:
    """Keys; private halves go in sealed and come out only to sign in."""

    def __init__(self, tx: Transaction, envelope: Envelope) -> None:
        self._tx = tx
        self._envelope = envelope

    async def insert(self, instance_id: int, version: int, *, account_id: str, role: Role, pair: KeyPair) -> bool:
        """Store a key pair; whether there was none of this role and version."""
        return bool(
            await self._tx.execute(
                """
                insert into ssh_key (instance_id, version, account_id, role, public_key, fingerprint, sealed)
                values ($1, $2, $3, $4, $5, $6, $7)
                    on conflict do nothing
                """,
                *(instance_id, version, account_id, role, pair.public_key, pair.fingerprint),
                self._envelope.seal(pair.private, place=_place(instance_id, version)),
            )
        )

    async def of_instance(self, instance_id: int) -> list[StoredKey]:
        """Read an instance's keys, the newest first."""
        return await self._tx.all(
            StoredKey,
            """
            select instance_id, version, account_id, role, public_key, fingerprint, is_applied, created_at
              from ssh_key
             where instance_id = $1
             order by version desc
            """,
            instance_id,
        )

    async def find(self, instance_id: int, role: Role) -> StoredKey | None:
        """Read the newest key of a role."""
        return next((key for key in await self.of_instance(instance_id) if key.role is role), None)

    async def private_key(self, key: StoredKey) -> asyncssh.SSHKey:
        """Open a key's private half.

        Raises:
            EnvelopeError: It was moved or changed, or our key-encryption key is another one.
        """
        sealed: bytes = await self._tx.value(
            "select sealed from ssh_key where instance_id = $1 and version = $2", key.instance_id, key.version
        )
        return asyncssh.import_private_key(self._envelope.open(sealed, place=_place(key.instance_id, key.version)))

    async def set_role(self, instance_id: int, version: int, role: Role) -> None:
        """Say what a key is for from now on."""
        await self._tx.execute(
            "update ssh_key set role = $3 where instance_id = $1 and version = $2", instance_id, version, role
        )

    async def mark_applied(self, instance_id: int, version: int) -> None:
        """Note that an instance keeps a key over restarts."""
        await self._tx.execute(
            "update ssh_key set is_applied = true where instance_id = $1 and version = $2", instance_id, version
        )

    async def delete(self, instance_id: int, version: int) -> None:
        """Destroy a key."""
        await self._tx.execute("delete from ssh_key where instance_id = $1 and version = $2", instance_id, version)

    async def delete_all(self, instance_id: int) -> None:
        """Destroy every key of an instance."""
        await self._tx.execute("delete from ssh_key where instance_id = $1", instance_id)

    async def older_than(self, age: timedelta) -> list[int]:
        """List the instances whose current key is older."""
        return await self._tx.all(
            int,
            """
            select instance_id
              from ssh_key
             where role = 'current' and created_at < now() - $1::interval
             order by created_at
            """,
            age,
        )


class RotationRepository:
    """Rotations. A step is taken only from the step before it, so two processes cannot take it twice."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, instance_id: int, *, old: int, new: int, by: Actor, intent_id: int) -> Rotation:
        """Begin a rotation; a second one of the same instance violates `rotation_open_key`."""
        made = await self._tx.all(
            Rotation,
            """
            insert into rotation (instance_id, old_version, new_version, username, source_ip, intent_id)
            values ($1, $2, $3, $4, $5, $6)
            returning id, instance_id, old_version, new_version, step, username, source_ip, intent_id, problem,
                      started_at, updated_at
            """,
            *(instance_id, old, new, by.username, by.source, intent_id),
        )
        return made[0]

    async def find(self, rotation_id: int) -> Rotation | None:
        """Read one; None once its instance is gone."""
        return await self._tx.find(
            Rotation,
            """
            select id, instance_id, old_version, new_version, step, username, source_ip, intent_id, problem,
                   started_at, updated_at
              from rotation
             where id = $1
            """,
            rotation_id,
        )

    async def open(self) -> list[Rotation]:
        """List those that are not over, the oldest first."""
        return await self._tx.all(
            Rotation,
            """
            select id, instance_id, old_version, new_version, step, username, source_ip, intent_id, problem,
                   started_at, updated_at
              from rotation
             where step not in ('done', 'failed')
             order by id
            """,
        )

    async def advance(self, rotation: Rotation, step: Step, problem: str = "") -> bool:
        """Take a step; whether the rotation stood where we saw it."""
        return bool(
            await self._tx.execute(
                "update rotation set step = $3, problem = $4, updated_at = now() where id = $1 and step = $2",
                *(rotation.id, rotation.step, step, problem or rotation.problem),
            )
        )

    async def delete_all(self, instance_id: int) -> None:
        """Forget the rotations of an instance that is gone."""
        await self._tx.execute("delete from rotation where instance_id = $1", instance_id)


def _place(instance_id: int, version: int) -> str:
    return SEALED.place.format(instance_id=instance_id, version=version)
