"""Carrying rotations out, and beginning those that the age of keys asks for."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from shoal.errors import AppError, UnavailableError
from shoal.tasks import end
from ssh_manager.keys.domain import Rotation
from ssh_manager.keys.errors import RotationFailedError
from ssh_manager.keys.usecases.rotations import Rotations
from ssh_manager.keys.usecases.steps import Progress, RotationSteps
from ssh_manager.ports import SYSTEM

LOOK_S, CALM_S = 1.0, 30.0
"""How often it is looked for steps to take: while a rotation is open, and while none is known to be."""
WITHIN = timedelta(seconds=30)


class RotationWorker:
    """Takes the steps of every open rotation, one at a time for each instance."""

    name = "rotations"

    def __init__(self, rotations: Rotations, steps: RotationSteps, progress: Progress) -> None:
        self._rotations = rotations
        self._steps = steps
        self._wanted = progress.wanted
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def problem(self) -> str | None:
        """A rotation that waits does not make the service unable to answer."""
        return None

    async def run(self) -> None:
        """Work for ever."""
        try:
            while True:
                self._wanted.clear()
                is_busy = await self._look()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wanted.wait(), LOOK_S if is_busy else CALM_S)
        finally:
            await end(self._tasks.values())
            self._tasks.clear()

    async def _look(self) -> bool:
        try:
            found = await self._rotations.open()
        except UnavailableError:
            return True
        self._tasks = {one: task for one, task in self._tasks.items() if not task.done()}
        for rotation in found:
            if rotation.id not in self._tasks:
                self._tasks[rotation.id] = asyncio.create_task(self._carry_on(rotation))
        return bool(found)

    async def _carry_on(self, found: Rotation) -> None:
        """Take steps until one cannot be taken."""
        rotation: Rotation | None = found
        try:
            while rotation is not None and not rotation.step.is_over and await self._steps.advance(rotation):
                rotation = await self._rotations.find(rotation.id)
        except UnavailableError as error:
            structlog.get_logger().info("rotation_waits", rotation=found.id, reason=error.message)
        except Exception as error:  # noqa: BLE001 - the next look tries again
            structlog.get_logger().error("rotation_broke", rotation=found.id, error=repr(error), exc_info=error)


def rotate_old(rotations: Rotations, *, age: timedelta) -> Callable[[], Awaitable[None]]:
    """Make the turn that replaces keys of that age, one after the other."""

    async def act() -> None:
        for instance in await rotations.due(age):
            try:
                begun = await rotations.begin(instance, by=SYSTEM)
                await rotations.settled(begun, within=WITHIN)
            except (AppError, RotationFailedError) as error:
                structlog.get_logger().warning("scheduled_rotation_failed", instance=instance.name, reason=str(error))

    return act
