"""The backend `local`: each instance is a `shoal-agent instance` with a folder of its own.

The processes do not die with us. Each is known by its pid and start time in `process.json`, so that a new orchestrator
adopts it; one that is left alone, because its suite is gone for longer than `alone_grace`, ends by itself.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncGenerator
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import structlog
from msgspec import Struct

from instance_orchestrator.clients.backend import BackendUnavailableError, Hint, PortsTakenError
from instance_orchestrator.clients.local import processes
from instance_orchestrator.clients.local.cgroups import Cgroups, find_part
from instance_orchestrator.clients.local.folders import SSH_USER, Folder, Started, folders
from instance_orchestrator.clients.local.logs import read_log
from instance_orchestrator.domain.instances import Endpoint, Phase
from instance_orchestrator.domain.plans import InstanceRef, Observed, Plan

LOOK_S, CALM_S = 0.1, 1.0
"""How often processes are looked at: while one is starting, and while none is."""
HEARTBEAT_S = 2.0
STEADY_S = 60.0
"""A process that ran so long before it ended by itself is started again at once."""
MAX_RETRY_S = 30.0
START_S = 30.0
"""A process that serves nothing for so long is started anew."""
LOOPBACK = "127.0.0.1"


class LocalSettings(Struct, frozen=True, kw_only=True):
    """How instances run on this machine."""

    root: Path
    host: str
    interval_s: float
    alone_grace_s: float
    orphan_grace_s: float


class _State(StrEnum):
    """What a change of is worth a hint."""

    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"
    WAITING = "waiting"
    """Ended by itself, and not to be started again yet."""


class LocalBackend:
    """Runs instances as processes."""

    name = "local"

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._root = settings.root.resolve()
        self._seen: dict[int, _State] = {}
        self._started = asyncio.Event()

    def problem(self) -> str | None:
        """This machine is always there."""
        return None

    def busy_ports(self, first: int, last: int) -> list[int]:
        """List ports that somebody listens on."""
        return [port for port in range(first, last + 1) if not _is_free(self._settings.host, port)]

    async def converge(self, plan: Plan) -> Observed:
        """Write the folder, and start, stop or restart the process where it must be."""
        folder = Folder(self._root, plan.instance)
        try:
            self._beat()
            if plan.source is not None:
                await asyncio.to_thread(folder.take_home_of, Folder(self._root, plan.source))
            folder.write(
                plan,
                host=self._settings.host,
                interval_s=self._settings.interval_s,
                alone_grace_s=self._settings.alone_grace_s,
                cgroup=self._cgroups.make(plan.instance),
            )
            return await self._run(plan, folder) if plan.is_running else await self._stop(folder)
        except OSError as error:
            raise BackendUnavailableError(str(error)) from error

    async def remove(self, instance: InstanceRef) -> bool:
        """End the process and delete the folder."""
        folder = Folder(self._root, instance)
        await self._stop(folder)
        return self._cgroups.remove(instance) and await asyncio.to_thread(folder.delete)

    async def sweep(self, known: frozenset[int]) -> None:
        """Remove folders that belong to no instance and have not been touched for a while."""
        for instance in folders(self._root):
            folder = Folder(self._root, instance)
            if instance.id in known:
                continue
            with contextlib.suppress(OSError):
                if time.time() - folder.path.stat().st_mtime >= self._settings.orphan_grace_s:
                    structlog.get_logger().warning("orphan_removed", instance=instance.name)
                    await self.remove(instance)

    async def watch(self, hint: Hint) -> None:
        """Look at processes for ever; hint when one ended, became ready or may be tried again."""
        beaten = 0.0
        while True:
            if time.monotonic() - beaten > HEARTBEAT_S:
                beaten = time.monotonic()
                with contextlib.suppress(OSError):
                    self._beat()
            states = {instance.id: self._state(Folder(self._root, instance)) for instance in folders(self._root)}
            for one in states.keys() | self._seen.keys():
                if states.get(one) is not self._seen.get(one):
                    hint(one)
            is_calm = _State.STARTING not in states.values()
            self._seen = states
            self._started.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._started.wait() if is_calm else asyncio.sleep(LOOK_S), CALM_S)

    def logs(self, instance: InstanceRef, *, tail: int, is_following: bool) -> AsyncGenerator[list[str], None]:
        """Read the log file."""
        return read_log(Folder(self._root, instance).log, tail=tail, is_following=is_following)

    async def close(self) -> None:
        """Hold nothing: the processes go on."""

    @cached_property
    def _cgroups(self) -> Cgroups:
        """Looked for once, when the first instance is to run."""
        return Cgroups(find_part(), self._root)

    async def _run(self, plan: Plan, folder: Folder) -> Observed:
        started = folder.started()
        if started is None or not processes.is_alive(started.pid, started.started):
            if (stray := folder.holder()) is not None:
                await processes.stop_holder(stray)  # we died between starting it and noting that
            return self._start(plan, folder, started)
        is_stuck = folder.ready() is None and time.time() - started.started > START_S
        if started.run_hash != plan.run_hash or is_stuck:
            await processes.stop(started.pid, started.started)
            return self._start(plan, folder, None)
        ready = folder.ready()
        if ready is None or ready.pid != started.pid:
            return Observed(Phase.STARTING)
        return Observed(Phase.RUNNING, Endpoint(LOOPBACK, ready.ssh_port, SSH_USER))

    def _start(self, plan: Plan, folder: Folder, ended: Started | None) -> Observed:
        """Start the process, unless it ended by itself a moment ago: then after a pause that grows."""
        crashes = 0
        if ended is not None and ended.run_hash == plan.run_hash:
            now = time.time()
            if ended.retry_at > now:
                return Observed(Phase.FAILED, problem="the process ended by itself; it is started again in a moment")
            if not ended.retry_at and now - ended.started < STEADY_S:
                pause = min(2.0**ended.crashes, MAX_RETRY_S) - 1
                ended = Started(ended.pid, ended.started, ended.run_hash, ended.crashes + 1, now + pause)
                folder.keep_started(ended)
                if pause:
                    return Observed(Phase.FAILED, problem="the process ended by itself; it is started again soon")
            crashes = ended.crashes
        if not all(_is_free(self._settings.host, port) for port in (plan.ports.chrome, plan.ports.terminal)):
            raise PortsTakenError
        folder.forget_ready()
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", **plan.environment, "HOME": str(folder.home)}
        pid, since = processes.spawn(folder.path, folder.log, environment)
        folder.keep_started(Started(pid, since, plan.run_hash, crashes))
        self._started.set()
        structlog.get_logger().info("instance_started", instance=plan.instance.name, pid=pid)
        return Observed(Phase.STARTING)

    async def _stop(self, folder: Folder) -> Observed:
        started = folder.started()
        if started is not None:
            await processes.stop(started.pid, started.started)
        if (stray := folder.holder()) is not None:
            await processes.stop_holder(stray)
        await asyncio.to_thread(processes.end_strays, folder.home)
        folder.forget_ready()
        return Observed(Phase.STOPPED)

    def _state(self, folder: Folder) -> "_State":
        started = folder.started()
        if started is None:
            return _State.ENDED
        if processes.is_alive(started.pid, started.started):
            ready = folder.ready()
            return _State.READY if ready is not None and ready.pid == started.pid else _State.STARTING
        return _State.WAITING if started.retry_at > time.time() else _State.ENDED

    def _beat(self) -> None:
        """Let the processes know that somebody looks after them."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._root / "heartbeat").touch()


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
