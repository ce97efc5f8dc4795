"""One connection: made, checked, lost and made again, for as long as its instance should be connected."""

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from datetime import timedelta

import asyncssh
import msgspec
import structlog
from msgspec import Struct

from shoal.clock import Clock
from shoal.errors import AppError
from shoal.tasks import end
from ssh_manager.dialing import DialError, Dialing, HostKeyMismatchError, KeyRefusedError, prove, reason_of
from ssh_manager.errors import KeyTamperedError, NotConnectedError
from ssh_manager.links.domain import (
    MAX_REFUSED_PAUSE_S,
    TRANSITIONS,
    Health,
    Snapshot,
    State,
    is_worth_telling,
    pause_s,
)
from ssh_manager.links.usecases.history import History
from ssh_manager.ports import Audit, AuditType, EventType, Instance, KeyRing, OnConnected, OnLost

CLOSE_S = 0.5
CALLBACK_S = 10.0


class LinkSettings(Struct, frozen=True, kw_only=True):
    """How connections are kept.

    Args:
        max_pause: The longest pause between two attempts.
        give_up_after: How long an instance may be away before its connection counts as failed; 0: for ever.
        health_interval: How often a command proves that a connection works.
        health_timeout: How long that command may take.
    """

    max_pause: timedelta
    give_up_after: timedelta
    health_interval: timedelta
    health_timeout: timedelta


class Tools(Struct, frozen=True, kw_only=True):
    """What all connections share."""

    dialing: Dialing
    keys: KeyRing
    history: History
    audit: Audit
    clock: Clock
    settings: LinkSettings
    turns: asyncio.Semaphore
    """How many are connecting, or checked for the first time, at once."""
    on_connected: Sequence[OnConnected]
    on_lost: Sequence[OnLost]


class Link:
    """Keeps the connection to one instance. Only its own task changes what it is."""

    def __init__(self, instance: Instance, tools: Tools, health: Health) -> None:
        self.instance = instance
        self.connection: asyncssh.SSHClientConnection | None = None
        self.ending = "The instance stopped"
        """Why it ends, if it is ended from outside; empty: that is not to be told."""
        self.state = State.DISCONNECTED
        self._tools = tools
        self._health = health
        self._hurry = asyncio.Event()
        self._asked: list[asyncio.Future[None]] = []
        self._parting = ""

    @property
    def snapshot(self) -> Snapshot:
        """What it is now."""
        return Snapshot(instance_id=self.instance.id, state=self.state, health=self._health)

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        try:
            while True:
                client = await self._connect()
                await self._welcome()
                await self._hold(client.connection)
                await self._part(client.reason)
        finally:
            await self._end()

    def retry(self) -> None:
        """Make the next attempt at once."""
        self._hurry.set()

    async def reconnect(self) -> None:
        """Replace the connection; returns once the new one stands.

        Raises:
            NotConnectedError: The first attempt failed; says why.
        """
        asked = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self._hurry.set()
        if self.connection is not None:
            self._parting = "Closed to connect anew"
            self.connection.close()
            asyncio.get_running_loop().call_later(CLOSE_S, self.connection.abort)
        await asked

    async def _connect(self) -> "_Client":
        """Try until it works."""
        attempt, since = 0, self._tools.clock.monotonic()
        if self.state is not State.RECONNECTING:
            self._move(State.CONNECTING)
        while True:
            self._hurry.clear()
            attempt += 1
            client = _Client()
            try:
                async with self._tools.turns:
                    identities = await self._tools.keys.identities(self.instance)
                    client.connection = await self._tools.dialing.dial(self.instance, identities, client)
                self.connection = client.connection
                return client  # noqa: TRY300 - all of it is one attempt
            except (HostKeyMismatchError, KeyTamperedError) as error:
                self._note_impostor(error)
                await self._fail(str(error))
            except (DialError, AppError) as error:
                self._note_failure(attempt, str(error))
                if not self._has_run_out(since):
                    if await self._pause(attempt, is_refused=isinstance(error, KeyRefusedError)):
                        attempt = 0
                    continue
                await self._fail(str(error))
            attempt, since = 0, self._tools.clock.monotonic()

    async def _welcome(self) -> None:
        """Tell everybody that there is a connection, and only then those who asked for it."""
        health, is_again = self._health, self.state is State.RECONNECTING
        self._health = msgspec.structs.replace(
            health,
            connected_at=self._tools.clock.now(),
            is_healthy=True,
            reconnections=health.reconnections + is_again,
        )
        self._move(State.CONNECTED)
        self._tell(EventType.CONNECTION, AuditType.CONNECTION, "Connection established successfully")
        assert self.connection is not None  # noqa: S101 - it was just made
        for callback in self._tools.on_connected:
            await self._call(callback(self.instance, self.connection))
        self._answer(None)

    async def _hold(self, connection: asyncssh.SSHClientConnection) -> None:
        """Check the connection from time to time, until it is lost; at once if the instance never was checked.

        Not at once again: an instance that ends over a check would be connected to, and lost, without a pause.
        """
        gone = asyncio.ensure_future(connection.wait_closed())
        try:
            if self._health.checked_at is None:
                async with self._tools.turns:
                    await self._check(connection)
            while not gone.done():
                await asyncio.wait({gone}, timeout=self._tools.settings.health_interval.total_seconds())
                if not gone.done():
                    await self._check(connection)
        finally:
            await end([gone])

    async def _check(self, connection: asyncssh.SSHClientConnection) -> None:
        """Prove that commands run. An instance that has no room for one more is busy, not lost."""
        problem, is_lost = "", False
        try:
            await prove(connection, within_s=self._tools.settings.health_timeout.total_seconds())
        except asyncssh.ChannelOpenError as error:
            problem = error.reason or "no session could be opened"
        except (OSError, TimeoutError, asyncssh.Error) as error:
            problem, is_lost = reason_of(error), True
        self._count(is_healthy=not problem)
        if problem:
            self._tell(EventType.HEALTH_CHECK, AuditType.HEALTH_CHECK, f"Health check failed: {problem}")
        if is_lost:
            self._parting = f"Health check failed: {problem}"
            connection.abort()

    async def _part(self, reason: str) -> None:
        """Tell everybody that the connection is gone, and that it will be made again."""
        await self._lose(self._parting or f"Connection lost: {reason}")
        self._parting = ""
        self._move(State.RECONNECTING)
        self._tell(EventType.RECONNECTING, AuditType.RECONNECTION, "Connection lost, attempting reconnection")

    async def _lose(self, details: str) -> None:
        self.connection = None
        self._health = msgspec.structs.replace(self._health, is_healthy=False)
        if details:
            self._tell(EventType.DISCONNECTION, AuditType.DISCONNECTION, details)
        for callback in self._tools.on_lost:
            await self._call(callback(self.instance.id))

    async def _end(self) -> None:
        """Close the connection; whoever waits for one is told that there will be none."""
        self._answer(NotConnectedError(self.ending or "The SSH manager stops"))
        connection = self.connection
        try:
            if connection is not None:
                connection.close()
                await self._lose(self.ending)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(connection.wait_closed(), CLOSE_S)
        finally:
            if connection is not None:
                connection.abort()
            if self.ending:
                self._move(State.DISCONNECTED)

    async def _fail(self, problem: str) -> None:
        """Give up until somebody asks, or the instance is told of anew."""
        self._move(State.FAILED)
        self._answer(NotConnectedError(problem))
        await self._hurry.wait()
        self._move(State.CONNECTING)

    async def _pause(self, attempt: int, *, is_refused: bool) -> bool:
        """Wait before the next attempt; whether somebody cut that short."""
        max_s = MAX_REFUSED_PAUSE_S if is_refused else self._tools.settings.max_pause.total_seconds()
        try:
            await asyncio.wait_for(self._hurry.wait(), pause_s(attempt, max_s=max_s))
        except TimeoutError:
            return False
        return True

    def _has_run_out(self, since: float) -> bool:
        max_s = self._tools.settings.give_up_after.total_seconds()
        return max_s > 0 and self._tools.clock.monotonic() - since >= max_s

    def _note_failure(self, attempt: int, problem: str) -> None:
        self._answer(NotConnectedError(problem))
        if self.state is State.CONNECTING:
            self._move(State.RECONNECTING)
        if is_worth_telling(attempt):
            details = f"Attempt {attempt}: {problem}"
            self._tell(EventType.RECONNECTING, AuditType.CONNECTION_FAILED, details)

    def _note_impostor(self, error: Exception) -> None:
        if isinstance(error, HostKeyMismatchError):  # that of our own key is told where it is noticed
            self._tell(EventType.FINGERPRINT_MISMATCH, AuditType.FINGERPRINT_MISMATCH, str(error))
        self._tools.audit.note(AuditType.CONNECTION_FAILED, self.instance, details=str(error))

    def _count(self, *, is_healthy: bool) -> None:
        health = self._health
        self._health = msgspec.structs.replace(
            health,
            checked_at=self._tools.clock.now(),
            is_healthy=is_healthy,
            successful_checks=health.successful_checks + is_healthy,
            failed_checks=health.failed_checks + (not is_healthy),
        )
        self._tools.history.seen(self.snapshot)

    def _move(self, state: State) -> None:
        if state is self.state:
            return
        if state not in TRANSITIONS[self.state]:
            structlog.get_logger().error("impossible_transition", before=self.state, after=state)
        self._tools.history.moved(self.instance.id, self.state, state)
        self.state = state
        self._tools.history.seen(self.snapshot)

    def _tell(self, event: EventType, entry: AuditType, details: str) -> None:
        self._tools.history.record(self.instance, event, details)
        self._tools.audit.note(entry, self.instance, details=details)

    def _answer(self, problem: NotConnectedError | None) -> None:
        asked, self._asked = self._asked, []
        for future in asked:
            if not future.done():
                future.set_exception(problem) if problem else future.set_result(None)

    async def _call(self, callback: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(CALLBACK_S):
                await callback
        except Exception as error:  # noqa: BLE001 - what others make of it does not change what it is
            structlog.get_logger().error("link_callback_failed", error=repr(error), exc_info=error)


class _Client(asyncssh.SSHClient):
    """One connection, and why it was lost."""

    connection: asyncssh.SSHClientConnection
    reason = "closed by the instance"

    def connection_lost(self, exc: Exception | None) -> None:
        """Note why."""
        if exc is not None:
            self.reason = reason_of(exc)
