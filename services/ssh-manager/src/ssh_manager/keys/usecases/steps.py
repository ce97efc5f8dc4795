"""The steps of a rotation.

Each leaves its mark in the row `rotation` before the next one begins, and can be taken again. Up to `verified` a step
that fails rolls the rotation back; from `switched` on it only goes forward, and waits where it cannot. A key that signs
in is stored at every moment: the new one is stored before anything happens, the old one is destroyed last.
"""

import asyncio
import contextlib

import asyncssh
import structlog

from shoal.crypto import Envelope
from shoal.database import Database, DatabaseUnavailableError
from shoal.outbox import Outbox
from shoal_events import SshKeyRotated
from ssh_manager.dialing import DialError, Dialing, prove
from ssh_manager.errors import NotConnectedError
from ssh_manager.keys.clients import authorize, withdraw
from ssh_manager.keys.domain import Role, Rotation, Step, StoredKey
from ssh_manager.keys.errors import RotationFailedError
from ssh_manager.keys.repositories import KeyRepository, RotationRepository
from ssh_manager.keys.usecases.keys import Keys
from ssh_manager.ports import Actor, Audit, AuditType, Events, EventType, Fleet, Instance, Links

PROOF_S = 10.0
SSH_ERRORS = (OSError, TimeoutError, asyncssh.Error)


class _NotYetError(Exception):
    """The next step cannot be taken now; says why."""


class Progress:
    """What those who wait for a rotation, and those who carry it out, know of each other in this process."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        """Set when there may be a step to take."""
        self.moved = asyncio.Condition()
        """Notified when one was tried."""
        self.unrecorded: set[int] = set()
        """Rotations at whose decisive step the database failed."""


class RotationSteps:
    """Take the steps of rotations."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        envelope: Envelope,
        dialing: Dialing,
        keys: Keys,
        fleet: Fleet,
        links: Links,
        audit: Audit,
        events: Events,
        progress: Progress,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._envelope = envelope
        self._dialing = dialing
        self._keys = keys
        self._fleet = fleet
        self._links = links
        self._audit = audit
        self._events = events
        self._progress = progress

    async def advance(self, rotation: Rotation) -> bool:
        """Take the next step of a rotation; whether it could be taken."""
        instance = await self._fleet.find(rotation.instance_id)
        if instance is None:
            return False
        try:
            await self._step(rotation, instance)
        except (_NotYetError, NotConnectedError) as error:
            structlog.get_logger().info("rotation_waits", instance=instance.name, step=rotation.step, reason=str(error))
            return False
        except RotationFailedError as error:
            await self._turn_back(rotation, instance, str(error))
        except DatabaseUnavailableError:
            if rotation.step is Step.VERIFIED:
                self._progress.unrecorded.add(rotation.id)
            raise
        finally:
            async with self._progress.moved:
                self._progress.moved.notify_all()
        return True

    async def _step(self, rotation: Rotation, instance: Instance) -> None:
        match rotation.step:
            case Step.PREPARED:
                await self._append(rotation, instance)
            case Step.APPENDED:
                await self._verify(rotation, instance)
            case Step.VERIFIED:
                await self._switch(rotation, instance)
            case Step.SWITCHED:
                await self._announce(rotation, instance)
            case Step.ANNOUNCED:
                await self._await_applied(rotation)
            case Step.APPLIED:
                await self._withdraw_old(rotation, instance)
            case Step.REMOVED:
                await self._destroy(rotation, rotation.old_version, Step.DONE)
            case Step.ROLLING_BACK:
                await self._withdraw_new(rotation, instance)

    async def _append(self, rotation: Rotation, instance: Instance) -> None:
        connection, new = self._links.connection(instance.id), await self._key(rotation, rotation.new_version)
        try:
            await authorize(connection, new.public_key)
        except SSH_ERRORS as error:
            structlog.get_logger().warning("authorize_failed", instance=instance.name, error=repr(error))
            raise RotationFailedError("failed to append new key to authorized_keys") from error
        await self._mark(rotation, Step.APPENDED)

    async def _verify(self, rotation: Rotation, instance: Instance) -> None:
        await self._prove(instance, rotation.new_version)
        await self._mark(rotation, Step.VERIFIED)

    async def _switch(self, rotation: Rotation, instance: Instance) -> None:
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
        self._progress.unrecorded.discard(rotation.id)

    async def _announce(self, rotation: Rotation, instance: Instance) -> None:
        with contextlib.suppress(NotConnectedError):  # then it connects by itself, with either key
            await self._links.reconnect(instance.id)
        new = await self._key(rotation, rotation.new_version)
        await self._tell(rotation, instance, f"SSH key rotated: {new.fingerprint}")
        await self._mark(rotation, Step.ANNOUNCED)

    async def _await_applied(self, rotation: Rotation) -> None:
        if not (await self._key(rotation, rotation.new_version)).is_applied:
            raise _NotYetError("the instance was not given the new key yet")
        await self._mark(rotation, Step.APPLIED)

    async def _withdraw_old(self, rotation: Rotation, instance: Instance) -> None:
        """Take the old key away over a connection that the new one opened: it is there for certain."""
        old = await self._key(rotation, rotation.old_version)
        await self._over_new(rotation, instance, old)
        await self._mark(rotation, Step.REMOVED)

    async def _over_new(self, rotation: Rotation, instance: Instance, old: StoredKey) -> None:
        new = await self._keys.identity(instance, rotation.new_version)
        if new is None:
            raise _NotYetError("the new key is not as it was stored")
        try:
            async with await self._dialing.dial(instance, [new]) as connection:
                await withdraw(connection, old.public_key)
        except (DialError, *SSH_ERRORS) as error:
            raise _NotYetError(str(error)) from error

    async def _withdraw_new(self, rotation: Rotation, instance: Instance) -> None:
        connection, new = self._links.connection(instance.id), await self._key(rotation, rotation.new_version)
        try:
            await withdraw(connection, new.public_key)
        except SSH_ERRORS as error:
            raise _NotYetError(str(error)) from error
        await self._destroy(rotation, rotation.new_version, Step.FAILED)

    async def _prove(self, instance: Instance, version: int) -> None:
        """Sign in with a key on a connection of its own, against the pinned host key."""
        identity = await self._keys.identity(instance, version)
        if identity is None:
            raise RotationFailedError("the new key is not as it was stored")
        try:
            async with await self._dialing.dial(instance, [identity]) as connection:
                await prove(connection, within_s=PROOF_S)
        except (DialError, *SSH_ERRORS) as error:
            raise RotationFailedError(f"the new key does not sign in: {error}") from error

    async def _turn_back(self, rotation: Rotation, instance: Instance, problem: str) -> None:
        await self._tell(rotation, instance, f"SSH key rotation failed: {problem}")
        async with self._database.transaction() as tx:
            await RotationRepository(tx).advance(rotation, Step.ROLLING_BACK, problem)

    async def _destroy(self, rotation: Rotation, version: int, step: Step) -> None:
        async with self._database.transaction() as tx:
            if await RotationRepository(tx).advance(rotation, step):
                await KeyRepository(tx, self._envelope).delete(rotation.instance_id, version)

    async def _tell(self, rotation: Rotation, instance: Instance, details: str) -> None:
        took = rotation.updated_at - rotation.started_at
        await self._audit.outcome(
            rotation.intent_id,
            AuditType.KEY_ROTATION,
            instance,
            by=Actor(rotation.username, rotation.source_ip),
            details=details,
            duration_ms=round(took.total_seconds() * 1000),
        )
        self._events.record(instance, EventType.KEY_ROTATION, details)

    async def _mark(self, rotation: Rotation, step: Step) -> None:
        async with self._database.transaction() as tx:
            await RotationRepository(tx).advance(rotation, step)

    async def _key(self, rotation: Rotation, version: int) -> StoredKey:
        async with self._database.reading() as database:
            for key in await KeyRepository(database, self._envelope).of_instance(rotation.instance_id):
                if key.version == version:
                    return key
        raise RotationFailedError("the instance is gone")
