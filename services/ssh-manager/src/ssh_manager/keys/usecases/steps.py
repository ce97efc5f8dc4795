"""The steps of a rotation.

Each leaves its mark in the row `rotation` before the next one begins, and can be taken again. Up to `verified` a step
that fails rolls the rotation back, unless the instance just went away; from `switched` on it only goes forward, and
waits where it cannot. A key that signs in is stored at every moment: the new one is stored before anything happens, the
old one is destroyed last.
"""

import asyncio

import structlog

from shoal.database import DatabaseUnavailableError
from ssh_manager.errors import NotConnectedError
from ssh_manager.keys.domain import Rotation, Step
from ssh_manager.keys.errors import AdmissionError, AdmissionInterruptedError, RotationFailedError
from ssh_manager.keys.usecases.admission import Admission
from ssh_manager.keys.usecases.rows import RotationRows
from ssh_manager.ports import Actor, Audit, AuditType, Events, EventType, Fleet, Instance


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
        rows: RotationRows,
        admission: Admission,
        fleet: Fleet,
        audit: Audit,
        events: Events,
        progress: Progress,
    ) -> None:
        self._rows = rows
        self._admission = admission
        self._fleet = fleet
        self._audit = audit
        self._events = events
        self._progress = progress
        self._interrupted: set[int] = set()

    async def advance(self, rotation: Rotation) -> bool:
        """Take the next step of a rotation; whether it could be taken."""
        instance = await self._fleet.find(rotation.instance_id)
        if instance is None:
            return False
        try:
            await self._step(rotation, instance)
        except (_NotYetError, AdmissionError, NotConnectedError) as error:
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
                await self._rows.destroy(rotation, rotation.old_version, Step.DONE)
            case Step.ROLLING_BACK:
                await self._withdraw_new(rotation, instance)

    async def _append(self, rotation: Rotation, instance: Instance) -> None:
        try:
            await self._admission.let_in(instance, await self._rows.key(rotation, rotation.new_version))
        except AdmissionError as error:
            self._wait_out(rotation, error)
            structlog.get_logger().warning("authorize_failed", instance=instance.name, error=str(error))
            raise RotationFailedError("failed to append new key to authorized_keys") from error
        await self._rows.mark(rotation, Step.APPENDED)

    async def _verify(self, rotation: Rotation, instance: Instance) -> None:
        try:
            await self._admission.prove(instance, rotation.new_version)
        except AdmissionError as error:
            self._wait_out(rotation, error)
            raise RotationFailedError(f"the new key does not sign in: {error}") from error
        await self._rows.mark(rotation, Step.VERIFIED)

    def _wait_out(self, rotation: Rotation, error: AdmissionError) -> None:
        """Have a step taken again during which the instance went away; once, for one that does so again is at fault."""
        if isinstance(error, AdmissionInterruptedError) and rotation.id not in self._interrupted:
            self._interrupted.add(rotation.id)
            raise _NotYetError(str(error)) from error

    async def _switch(self, rotation: Rotation, instance: Instance) -> None:
        await self._rows.switch(rotation, instance)
        self._progress.unrecorded.discard(rotation.id)

    async def _announce(self, rotation: Rotation, instance: Instance) -> None:
        await self._admission.connect_anew(instance)
        new = await self._rows.key(rotation, rotation.new_version)
        await self._tell(rotation, instance, f"SSH key rotated: {new.fingerprint}")
        await self._rows.mark(rotation, Step.ANNOUNCED)

    async def _await_applied(self, rotation: Rotation) -> None:
        if not (await self._rows.key(rotation, rotation.new_version)).is_applied:
            raise _NotYetError("the instance was not given the new key yet")
        await self._rows.mark(rotation, Step.APPLIED)

    async def _withdraw_old(self, rotation: Rotation, instance: Instance) -> None:
        old = await self._rows.key(rotation, rotation.old_version)
        await self._admission.shut_out_as(rotation.new_version, instance, old)
        await self._rows.mark(rotation, Step.REMOVED)

    async def _withdraw_new(self, rotation: Rotation, instance: Instance) -> None:
        await self._admission.shut_out(instance, await self._rows.key(rotation, rotation.new_version))
        await self._rows.destroy(rotation, rotation.new_version, Step.FAILED)

    async def _turn_back(self, rotation: Rotation, instance: Instance, problem: str) -> None:
        await self._tell(rotation, instance, f"SSH key rotation failed: {problem}")
        await self._rows.mark(rotation, Step.ROLLING_BACK, problem)

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
