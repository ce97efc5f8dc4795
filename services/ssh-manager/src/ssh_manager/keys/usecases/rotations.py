"""Rotations: asked for by people or by age; how each is carried out is told in `steps`."""

import asyncio
import contextlib
from datetime import timedelta

from shoal.database import DatabaseUnavailableError
from ssh_manager.keys.domain import Rotated, Rotation, Step
from ssh_manager.keys.errors import RotationFailedError, RotationNotRecordedError, RotationOpenError
from ssh_manager.keys.usecases.keys import Keys
from ssh_manager.keys.usecases.rows import RotationRows
from ssh_manager.keys.usecases.steps import Progress
from ssh_manager.ports import Actor, Audit, AuditType, Fleet, Instance, Links


class Rotations:
    """Begin rotations, and wait for them."""

    def __init__(
        self,
        *,
        rows: RotationRows,
        keys: Keys,
        fleet: Fleet,
        links: Links,
        audit: Audit,
        progress: Progress,
    ) -> None:
        self._rows = rows
        self._keys = keys
        self._fleet = fleet
        self._links = links
        self._audit = audit
        self._progress = progress

    async def begin(self, instance: Instance, *, by: Actor, patience: timedelta = timedelta(0)) -> Rotation:
        """Check the present key, and store a new one to replace it; waits for a connection that is being made.

        Raises:
            NoSshKeyError, KeyTamperedError: There is none, or not as it was stored.
            NotConnectedError: The instance is not connected.
            RotationOpenError: Its key is being replaced already.
            AuditUnavailableError: It could not be written down that this was asked for.
        """
        await self._keys.identities(instance, by=by)
        await self._links.until_connected(instance.id, within=patience if instance.is_coming else timedelta(0))
        if any(one.instance_id == instance.id for one in await self.open()):
            raise RotationOpenError
        begun = "SSH key rotation begun"
        intent = await self._audit.intent(AuditType.KEY_ROTATION, instance, by=by, details=begun)
        try:
            rotation = await self._rows.prepare(instance, by=by, intent=intent)
        except RotationOpenError as error:
            failed = f"SSH key rotation failed: {error.message}"
            await self._audit.outcome(intent, AuditType.KEY_ROTATION, instance, by=by, details=failed)
            raise
        self._progress.wanted.set()
        return rotation

    async def settled(self, rotation: Rotation, *, within: timedelta) -> Rotated:
        """Wait until a rotation is over, or was successful and only waits for the old key's end.

        Raises:
            RotationFailedError: The key was not replaced.
            RotationNotRecordedError: The database failed at the decisive step.
        """
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within.total_seconds()), self._progress.moved:
                    while not (await self._read(rotation)).step.is_settled:
                        await self._progress.moved.wait()
            now = await self._read(rotation)
            if now.step in {Step.ROLLING_BACK, Step.FAILED}:
                raise RotationFailedError(now.problem)
            if now.step in {Step.PREPARED, Step.APPENDED, Step.VERIFIED}:
                raise RotationFailedError("it takes longer than expected, and goes on")
            return Rotated((await self._rows.key(now, now.new_version)).fingerprint, now)
        except DatabaseUnavailableError as error:
            if rotation.id in self._progress.unrecorded:
                raise RotationNotRecordedError from error
            raise

    async def find(self, rotation_id: int) -> Rotation | None:
        """Read a rotation; None once its instance is gone."""
        return await self._rows.find(rotation_id)

    async def open(self) -> list[Rotation]:
        """List the rotations that are not over."""
        return await self._rows.open()

    async def due(self, age: timedelta) -> list[Instance]:
        """List the running instances whose key is older than it should be."""
        found = [await self._fleet.find(instance_id) for instance_id in await self._rows.older_than(age)]
        return [instance for instance in found if instance is not None and instance.is_running]

    async def _read(self, rotation: Rotation) -> Rotation:
        if (now := await self.find(rotation.id)) is None:
            raise RotationFailedError("the instance is gone")
        return now
