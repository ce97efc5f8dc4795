"""Local instances, when the orchestrator dies at the worst moment: another one finishes what was begun."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest
from orchestrator_door import INSTANCES, Door
from test_local import folder, pid_of, processes_in

from instance_orchestrator.clients.local import processes
from instance_orchestrator.clients.local.folders import Folder
from shoal.testing.suite import eventually
from shoal_events import InstanceCreated, InstanceDeleted


class Killer:
    """Ends the orchestrator's work at the n-th call of a function: what was done by then is done, and nothing else."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.has_struck = asyncio.Event()

    def strike(self, where: object, name: str, *, at: int = 1, is_after: bool) -> None:
        act, calls = getattr(where, name), iter(range(1, 10_000))

        def acted(*arguments: object, **named: object) -> object:
            number = next(calls)
            if self.has_struck.is_set() or (number == at and not is_after):
                self.has_struck.set()
                raise asyncio.CancelledError
            done = act(*arguments, **named)
            if number == at:
                self.has_struck.set()
                raise asyncio.CancelledError
            return done

        self._patch.setattr(where, name, acted)

    async def replace(self, door: Door) -> Door:
        """Wait until it struck; another orchestrator starts."""
        await asyncio.wait_for(self.has_struck.wait(), 20)
        await door.suite.stop(door.service)
        self._patch.undo()
        await door.sql("delete from lease")
        return Door(door.suite, await door.suite.start("instance-orchestrator", **door.settings), door.settings)


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    return Killer(monkeypatch)


@pytest.mark.parametrize(
    ("where", "name", "at", "is_after"),
    [
        *((Folder, "_put", number, False) for number in (1, 3, 5)),
        (processes, "spawn", 1, False),
        (processes, "spawn", 1, True),
        (Folder, "keep_started", 1, False),
        (Folder, "keep_started", 1, True),
    ],
)
async def test_a_crash_while_creating_converges_to_one_process(
    door: Door, state: Path, killer: Killer, where: object, name: str, at: int, *, is_after: bool
) -> None:
    killer.strike(where, name, at=at, is_after=is_after)
    await door.create()
    again = await killer.replace(door)
    await again.until_status(1, "running", within_s=30)
    await eventually(lambda: processes_in(state) == [pid_of(state)], lambda: processes_in(state), within_s=15)
    assert len(await again.suite.events(InstanceCreated)) == 1
    assert len(await again.sql("select from port_pair")) == 1


@pytest.mark.parametrize("is_after", [False, True])
async def test_a_crash_while_deleting_leaves_nothing(
    door: Door, state: Path, killer: Killer, *, is_after: bool
) -> None:
    await door.create()
    await door.until_status(1, "running")
    killer.strike(Folder, "forget_ready", is_after=is_after)
    await door.admin.delete(f"{INSTANCES}/1")
    again = await killer.replace(door)
    await eventually(lambda: not folder(state).exists(), within_s=30)

    async def is_free() -> bool:
        return not await again.sql("select from port_pair")

    await eventually(is_free, within_s=10)
    assert processes_in(state) == []
    assert len(await again.suite.events(InstanceDeleted)) == 1


@pytest.mark.parametrize("name", ["forget_ready", "keep_started"])
async def test_a_crash_while_restarting_converges_to_one_process(
    door: Door, state: Path, killer: Killer, name: str
) -> None:
    await door.create()
    await door.until_status(1, "running")
    before = pid_of(state)
    killer.strike(Folder, name, is_after=False)
    await door.admin.put(f"{INSTANCES}/1/config", json={"config": '{"new": true}'})
    again = await killer.replace(door)
    await again.until_status(1, "running", within_s=30)
    await eventually(lambda: len(processes_in(state)) == 1, lambda: processes_in(state), within_s=15)
    assert pid_of(state) != before
    assert (folder(state) / "clawdbot.json").read_text() == '{"new": true}'


async def test_an_instance_that_keeps_dying_is_tried_again_ever_more_slowly(door: Door, state: Path) -> None:
    await door.create()
    await door.until_status(1, "running")
    for _ in range(2):
        pid = pid_of(state)
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda pid=pid: pid_of(state) != pid, within_s=15)
        await door.until_status(1, "running")
    os.kill(pid_of(state), signal.SIGKILL)
    shown = await door.until_status(1, "error")
    assert "ended by itself" in shown["status_message"]
    await door.until_status(1, "running")
    assert psutil.pid_exists(pid_of(state))
