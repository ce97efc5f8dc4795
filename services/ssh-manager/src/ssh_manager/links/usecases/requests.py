"""Tests and reconnections that people ask for."""

import asyncssh
from msgspec import Struct

from shoal.clock import Clock
from shoal.identity import Principal
from ssh_manager.dialing import DialError, Dialing, HostKeyMismatchError, prove
from ssh_manager.errors import AddressRestrictedError, KeyTamperedError, NoSshKeyError, NotConnectedError
from ssh_manager.links.usecases.history import History
from ssh_manager.links.usecases.links import Links
from ssh_manager.ports import (
    Actor,
    AllowedAddresses,
    Audit,
    AuditType,
    EventType,
    Identity,
    Instance,
    KeyRing,
    Tunnels,
    TunnelState,
)

PROOF_S = 10.0
SUCCEEDED = "SSH connection re-established successfully"


class Tested(Struct, frozen=True, kw_only=True):
    """What a test found."""

    latency_ms: int = 0
    has_run_command: bool = False
    tunnels: tuple[TunnelState, ...] = ()
    problem: str = ""


class LinkRequests:
    """Answer those who test and reconnect."""

    def __init__(
        self,
        *,
        links: Links,
        dialing: Dialing,
        keys: KeyRing,
        tunnels: Tunnels,
        addresses: AllowedAddresses,
        audit: Audit,
        history: History,
        clock: Clock,
    ) -> None:
        self._links = links
        self._dialing = dialing
        self._keys = keys
        self._tunnels = tunnels
        self._addresses = addresses
        self._audit = audit
        self._history = history
        self._clock = clock

    async def test(self, instance: Instance, principal: Principal) -> Tested:
        """Sign in on a connection of its own, and run a command; the standing connection is left alone.

        Raises:
            NoSshKeyError: There is no key to sign in with.
            AuditUnavailableError: It could not be written down.
        """
        by = Actor.of(principal)
        try:
            await self._addresses.check(principal, instance)
            identities = await self._keys.identities(instance, by=by)
        except (AddressRestrictedError, KeyTamperedError) as error:
            return Tested(problem=error.message)
        intent = await self._audit.intent(AuditType.CONNECTION, instance, by=by, details="SSH connection test begun")
        started = self._clock.monotonic()
        kind, tested = await self._try(instance, identities)
        details = f"SSH connection test: {tested.problem or 'succeeded'}"
        took_ms = round((self._clock.monotonic() - started) * 1000)
        await self._audit.outcome(intent, kind, instance, by=by, details=details, duration_ms=took_ms)
        return tested

    async def reconnect(self, instance: Instance, principal: Principal) -> str | None:
        """Replace the standing connection and everything that goes through it; returns what went wrong.

        Raises:
            AuditUnavailableError: It could not be written down.
            LinksUnavailableError: This process does not hold the connections.
        """
        by = Actor.of(principal)
        try:
            await self._addresses.check(principal, instance)
            await self._keys.identities(instance, by=by)
        except (AddressRestrictedError, KeyTamperedError, NoSshKeyError) as error:
            return error.message
        begun = "SSH reconnection begun"
        intent = await self._audit.intent(AuditType.RECONNECTION, instance, by=by, details=begun)
        started, problem = self._clock.monotonic(), None
        try:
            await self._links.reconnect(instance.id)
        except NotConnectedError as error:
            problem = error.message
        took_ms = round((self._clock.monotonic() - started) * 1000)
        details = f"SSH reconnection failed: {problem}" if problem else SUCCEEDED
        await self._audit.outcome(intent, AuditType.RECONNECTION, instance, by=by, details=details, duration_ms=took_ms)
        return problem

    async def _try(self, instance: Instance, identities: list[Identity]) -> tuple[AuditType, Tested]:
        if not instance.is_running:
            return AuditType.CONNECTION_FAILED, Tested(problem="SSH connection failed: the instance is not running")
        started, is_signed_in = self._clock.monotonic(), False
        try:
            async with await self._dialing.dial(instance, identities) as connection:
                is_signed_in = True
                await prove(connection, within_s=PROOF_S)
            return AuditType.CONNECTION, Tested(
                latency_ms=self._since(started),
                has_run_command=True,
                tunnels=tuple(await self._tunnels.check(instance.id)),
            )
        except HostKeyMismatchError as error:
            self._history.record(instance, EventType.FINGERPRINT_MISMATCH, str(error))
            return AuditType.FINGERPRINT_MISMATCH, Tested(latency_ms=self._since(started), problem=str(error))
        except (DialError, OSError, TimeoutError, asyncssh.Error) as error:
            problem = f"Test command failed: {str(error) or 'no answer in time'}" if is_signed_in else str(error)
            return AuditType.CONNECTION_FAILED, Tested(latency_ms=self._since(started), problem=problem)

    def _since(self, started: float) -> int:
        return round((self._clock.monotonic() - started) * 1000)
