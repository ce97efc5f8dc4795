"""All connections: which there should be, by lease in one process only."""

import asyncio
import contextlib
from datetime import timedelta

import asyncssh
import structlog
from msgspec import Struct

from shoal.database import DatabaseUnavailableError
from shoal.leases import Leases
from shoal.tasks import end
from ssh_manager.errors import NotConnectedError
from ssh_manager.links.domain import Health, Snapshot, State
from ssh_manager.links.errors import LinksUnavailableError
from ssh_manager.links.usecases.holding import hold
from ssh_manager.links.usecases.link import Link, Tools
from ssh_manager.ports import AuditType, EventType, Fleet, Instance, OnConnected, OnLost

LEASE = "links"
LOOK_S = 15.0
"""How often it is looked which instances run, without any cause."""
AGAIN_S = 0.5
RECONNECT_S = 30.0


class _Kept(Struct, frozen=True):
    link: Link
    task: "asyncio.Task[None]"


class Links:
    """Keep a connection to every running instance, wherever the lease is."""

    name = "links"

    def __init__(
        self,
        *,
        leases: Leases,
        fleet: Fleet,
        tools: Tools,
        ttl: timedelta,
        on_connected: list[OnConnected],
        on_lost: list[OnLost],
    ) -> None:
        self._leases = leases
        self._ttl = ttl
        self._fleet = fleet
        self._tools = tools
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._kept: dict[int, _Kept] = {}
        self._health: dict[int, Health] = {}
        self._is_at_work = False
        self._changed = asyncio.Event()
        self._connected = asyncio.Condition()
        self.on_connected(self._tell_waiting)

    def problem(self) -> str | None:
        """Say nothing: an instance that is away does not make the service unable to answer."""
        return None

    def connection(self, instance_id: int) -> asyncssh.SSHClientConnection:
        """Give the connection to an instance; it may end at any moment and is nobody's to close.

        Raises:
            NotConnectedError: There is none now.
        """
        kept = self._kept.get(instance_id)
        if kept is None or kept.link.connection is None:
            raise NotConnectedError
        return kept.link.connection

    async def until_connected(self, instance_id: int, *, within: timedelta) -> None:
        """Wait for a connection that is being made.

        Raises:
            NotConnectedError: There is none in that time, or none is being made.
        """

        def is_decided() -> bool:
            kept = self._kept.get(instance_id)
            return kept is not None and (kept.link.connection is not None or kept.link.state is State.FAILED)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()), self._connected:
                await self._connected.wait_for(is_decided)
        self.connection(instance_id)

    def on_connected(self, callback: OnConnected) -> None:
        """Ask to be told of every new connection, before anybody is answered that it stands."""
        self._on_connected.append(callback)

    def on_lost(self, callback: OnLost) -> None:
        """Ask to be told when a connection has ended, for whatever reason."""
        self._on_lost.append(callback)

    def snapshot(self, instance_id: int) -> Snapshot:
        """Tell what a connection is now."""
        kept = self._kept.get(instance_id)
        if kept is not None:
            return kept.link.snapshot
        return Snapshot(instance_id=instance_id, health=self._health.get(instance_id, Health()))

    def states(self) -> list[State]:
        """List what each connection is now."""
        return [kept.link.snapshot.state for kept in self._kept.values()]

    async def reconnect(self, instance_id: int) -> None:
        """Replace an instance's connection.

        Raises:
            NotConnectedError: That cannot be done; says why.
            LinksUnavailableError: This process does not hold the connections.
        """
        if not self._is_at_work:
            raise LinksUnavailableError
        kept = self._kept.get(instance_id)
        if kept is None:
            raise NotConnectedError("The instance is not running")
        try:
            async with asyncio.timeout(RECONNECT_S):
                await kept.link.reconnect()
        except TimeoutError:
            raise NotConnectedError("SSH connection failed: connection timeout") from None

    def retry(self, instance_id: int) -> None:
        """Ask for the next attempt to connect now rather than after the pause."""
        if (kept := self._kept.get(instance_id)) is not None and kept.link.connection is None:
            kept.link.retry()

    def look(self, _: int = 0) -> None:
        """Look now which instances run."""
        self._changed.set()

    async def run(self) -> None:
        """Keep the connections wherever the lease is."""
        await hold(self._leases, LEASE, self._work, ttl=self._ttl)

    async def _tell_waiting(self, _: Instance, __: asyncssh.SSHClientConnection) -> None:
        async with self._connected:
            self._connected.notify_all()

    async def _work(self) -> None:
        try:
            await self._take_over()
            self._is_at_work = True
            while True:
                self._changed.clear()
                try:
                    await self._look()
                    pause_s = LOOK_S
                except DatabaseUnavailableError:
                    pause_s = AGAIN_S
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), pause_s)
        finally:
            self._is_at_work = False
            for kept in self._kept.values():
                kept.link.ending = ""  # whoever takes over tells it
            await self._drop(list(self._kept))

    async def _take_over(self) -> None:
        """Go on from what the process before us left, and tell how its connections ended: with it."""
        seen = await self._tools.history.last_seen()
        self._health = {instance_id: link.health for instance_id, link in seen.items()}
        for instance_id, link in seen.items():
            if link.state in {State.DISCONNECTED, State.FAILED}:
                continue
            self._tools.history.moved(instance_id, link.state, State.DISCONNECTED)
            instance = await self._fleet.find(instance_id)
            if link.state is State.CONNECTED and instance is not None:
                details = "The SSH manager was restarted"
                self._tools.history.record(instance, EventType.DISCONNECTION, details)
                self._tools.audit.note(AuditType.DISCONNECTION, instance, details=details)

    async def _look(self) -> None:
        wanted = {instance.id: instance for instance in await self._fleet.running()}
        moved = [
            one
            for one, kept in self._kept.items()
            if one not in wanted or kept.task.done() or _way(kept.link.instance) != _way(wanted[one])
        ]
        for one in moved:
            if one in wanted:
                self._kept[one].link.ending = "The way to the instance changed"
        await self._drop(moved)
        for one, instance in wanted.items():
            kept = self._kept.get(one)
            if kept is None:
                link = Link(instance, self._tools, self._health.get(one, Health()))
                self._kept[one] = _Kept(link, asyncio.create_task(link.run(), name=f"link {instance.name}"))
            elif kept.link.instance != instance:
                is_news = kept.link.instance.version != instance.version
                kept.link.instance = instance
                if is_news:
                    self.retry(one)

    async def _drop(self, instance_ids: list[int]) -> None:
        dropped = [self._kept[one] for one in instance_ids]
        await end([kept.task for kept in dropped])
        for one, kept in zip(instance_ids, dropped, strict=True):
            self._health[one] = kept.link.snapshot.health
            del self._kept[one]
            error = None if kept.task.cancelled() else kept.task.exception()
            if error is not None:
                structlog.get_logger().error("link_broke", instance=kept.link.instance.name, error=repr(error))


def _way(instance: Instance) -> tuple[str, int, str, str]:
    return instance.ssh_host, instance.ssh_port, instance.ssh_user, instance.host_public_key
