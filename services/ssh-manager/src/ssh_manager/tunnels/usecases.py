"""The tunnels of every connected instance: opened with its connection, looked through now and then, closed with it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import asyncssh
import structlog

from shoal.clock import Clock
from shoal.database import DatabaseUnavailableError
from shoal.identity import Principal
from ssh_manager.ports import Access, Audit, AuditType, Fleet, Instance, Links, TunnelService, TunnelState
from ssh_manager.tunnels.clients import Tunnel
from ssh_manager.tunnels.domain import LOST, REMOTE_PORTS

MAX_LOOKS = 32
"""At once."""


class Tunnels:
    """Open, look through, show and close tunnels.

    A tunnel keeps its place (local port, moment of opening, bytes) while its instance is away, and its local port
    beyond that if nobody else takes it; it is forgotten when the instance no longer runs.
    """

    def __init__(self, *, access: Access, fleet: Fleet, links: Links, audit: Audit, clock: Clock) -> None:
        self._access = access
        self._fleet = fleet
        self._audit = audit
        self._clock = clock
        self._bundles: dict[int, _Bundle] = {}
        self._looking = asyncio.Semaphore(MAX_LOOKS)
        self._beginning: set[asyncio.Task[Sequence[TunnelState]]] = set()
        links.on_connected(self.open_all)
        links.on_lost(self.close_all)

    def states(self, instance_id: int) -> Sequence[TunnelState]:
        """List an instance's tunnels."""
        bundle = self._bundles.get(instance_id)
        return [] if bundle is None else [kept.state for kept in bundle.kept.values()]

    async def list_for(self, instance_id: str, *, by: Principal) -> Sequence[TunnelState]:
        """List the tunnels of an instance that the caller may use.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `Access`.
        """
        instance = await self._access.instance(by, instance_id)
        return self.states(instance.id)

    async def open_all(self, instance: Instance, connection: asyncssh.SSHClientConnection) -> None:
        """Open every tunnel of an instance over its new connection; they are looked through at once."""
        bundle = self._bundles.setdefault(instance.id, _Bundle())
        bundle.instance, bundle.connection = instance, connection
        for service in TunnelService:
            kept = bundle.kept.setdefault(service, _Kept(service, self._clock.now()))
            await self._open(kept, connection)
        task = asyncio.ensure_future(self.check(instance.id))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def close_all(self, instance_id: int) -> None:
        """Close an instance's tunnels, whose connection was lost; forget them if it does not run any more."""
        bundle = self._bundles.get(instance_id)
        if bundle is None:
            return
        bundle.connection = None
        for kept in bundle.kept.values():
            self._tell(bundle, kept, error=LOST)
            kept.close()
        if not await self._still_runs(instance_id):
            self._bundles.pop(instance_id, None)

    async def check(self, instance_id: int) -> Sequence[TunnelState]:
        """Look through an instance's tunnels to the other end now; lists them."""
        bundle = self._bundles.get(instance_id)
        if bundle is not None and bundle.connection is not None:
            await asyncio.gather(*(self._look(bundle, kept, bundle.connection) for kept in bundle.kept.values()))
        return self.states(instance_id)

    async def check_all(self) -> None:
        """Look through every tunnel; forget those of instances that do not run any more."""
        running = {instance.id for instance in await self._fleet.running()}
        for instance_id in [one for one in self._bundles if one not in running]:
            if self._bundles[instance_id].connection is None:
                del self._bundles[instance_id]
        await asyncio.gather(*(self.check(instance_id) for instance_id in tuple(self._bundles)))

    def every_state(self) -> Sequence[TunnelState]:
        """List every tunnel of instances that run."""
        return [kept.state for bundle in self._bundles.values() for kept in bundle.kept.values()]

    def close(self) -> None:
        """Close everything."""
        for bundle in self._bundles.values():
            for kept in bundle.kept.values():
                kept.close()

    async def _look(self, bundle: "_Bundle", kept: "_Kept", connection: asyncssh.SSHClientConnection) -> None:
        """Look through one tunnel, after opening it again if it is closed."""
        error = ""
        async with self._looking:
            if kept.tunnel is None or not kept.tunnel.is_open:
                await self._open(kept, connection)
            try:
                if kept.tunnel is None:
                    raise OSError(kept.last_error)  # noqa: TRY301 - said as what the other end says
                await kept.tunnel.look()
            except OSError as refused:
                error = str(refused)
        if bundle.connection is not connection:
            return
        kept.last_check = self._clock.now()
        if not error:
            kept.last_successful_check = kept.last_check
        self._tell(bundle, kept, error=error)

    async def _open(self, kept: "_Kept", connection: asyncssh.SSHClientConnection) -> None:
        kept.close()
        tunnel = Tunnel(connection, REMOTE_PORTS[kept.service], count=kept.count)
        try:
            kept.local_port = await tunnel.open(kept.local_port)
        except OSError as error:
            kept.last_error = str(error)
            return
        kept.tunnel, kept.last_error, kept.created_at = tunnel, "", self._clock.now()

    def _tell(self, bundle: "_Bundle", kept: "_Kept", *, error: str) -> None:
        """Note how a tunnel is, and write down what changed."""
        kept.last_error = error
        if bundle.instance is None or kept.told == error:
            return
        kept.told = error
        way = f"{kept.service} tunnel, local port {kept.local_port} to {kept.remote_port}"
        details = f"{way}: {error}" if error else f"{way}: active"
        self._audit.note(AuditType.TUNNEL_STATUS, bundle.instance, details=details)
        structlog.get_logger().info(
            "tunnel_changed", instance=bundle.instance.name, tunnel=kept.service, problem=error or None
        )

    async def _still_runs(self, instance_id: int) -> bool:
        try:
            instance = await self._fleet.find(instance_id)
        except DatabaseUnavailableError:
            return True
        return instance is not None and instance.is_running


class _Kept:
    """What is kept of one tunnel, whether it is open or not."""

    def __init__(self, service: TunnelService, now: datetime) -> None:
        self.service = service
        self.remote_port = REMOTE_PORTS[service]
        self.tunnel: Tunnel | None = None
        self.local_port = 0
        self.created_at = now
        self.last_check: datetime | None = None
        self.last_successful_check: datetime | None = None
        self.last_error = ""
        self.told: str | None = None
        """The error that was written down last; None when nothing was."""
        self.carried = 0

    def count(self, carried: int) -> None:
        """Count bytes."""
        self.carried += carried

    def close(self) -> None:
        """Close it."""
        if self.tunnel is not None:
            self.tunnel.close()
            self.tunnel = None

    @property
    def state(self) -> TunnelState:
        """Show it."""
        return TunnelState(
            service=self.service,
            local_port=self.local_port,
            remote_port=self.remote_port,
            is_open=self.tunnel is not None and self.tunnel.is_open,
            created_at=self.created_at,
            last_check=self.last_check,
            last_successful_check=self.last_successful_check,
            last_error=self.last_error,
            bytes_transferred=self.carried,
        )


class _Bundle:
    """The tunnels of one instance."""

    def __init__(self) -> None:
        self.instance: Instance | None = None
        self.connection: asyncssh.SSHClientConnection | None = None
        self.kept: dict[TunnelService, _Kept] = {}
