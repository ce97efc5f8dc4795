"""Tests and reconnections that people ask for."""

import asyncssh

from shoal.identity import Principal
from ssh_manager.dialing import DialError, Dialing, HostKeyMismatchError, prove, reason_of
from ssh_manager.errors import AddressRestrictedError, KeyTamperedError, NoSshKeyError, NotConnectedError
from ssh_manager.links.domain import Tested
from ssh_manager.links.usecases.attempts import Attempt, Attempts
from ssh_manager.links.usecases.history import History
from ssh_manager.links.usecases.links import Links
from ssh_manager.ports import AuditType, EventType, Identity, Instance, Tunnels

PROOF_S = 10.0
SUCCEEDED = "SSH connection re-established successfully"


class LinkRequests:
    """Answer those who test and reconnect."""

    def __init__(
        self, *, attempts: Attempts, links: Links, dialing: Dialing, tunnels: Tunnels, history: History
    ) -> None:
        self._attempts = attempts
        self._links = links
        self._dialing = dialing
        self._tunnels = tunnels
        self._history = history

    async def test(self, instance: Instance, principal: Principal) -> Tested:
        """Sign in on a connection of its own, and run a command; the standing connection is left alone.

        Raises:
            NoSshKeyError: There is no key to sign in with.
            AuditUnavailableError: It could not be written down.
        """
        try:
            identities = await self._attempts.identities(instance, principal)
        except (AddressRestrictedError, KeyTamperedError) as error:
            return Tested(problem=error.message)
        begun = "SSH connection test begun"
        attempt = await self._attempts.begin(AuditType.CONNECTION, instance, principal, details=begun)
        kind, tested = await self._try(instance, identities, attempt)
        await attempt.end(kind, f"SSH connection test: {tested.problem or 'succeeded'}")
        return tested

    async def reconnect(self, instance: Instance, principal: Principal) -> str | None:
        """Replace the standing connection and everything that goes through it; returns what went wrong.

        Raises:
            AuditUnavailableError: It could not be written down.
            LinksUnavailableError: This process does not hold the connections.
        """
        try:
            await self._attempts.identities(instance, principal)
        except (AddressRestrictedError, KeyTamperedError, NoSshKeyError) as error:
            return error.message
        kind, begun = AuditType.RECONNECTION, "SSH reconnection begun"
        attempt = await self._attempts.begin(kind, instance, principal, details=begun)
        try:
            await self._links.reconnect(instance.id)
        except NotConnectedError as error:
            await attempt.end(kind, f"SSH reconnection failed: {error.message}")
            return error.message
        await attempt.end(kind, SUCCEEDED)
        return None

    async def _try(self, instance: Instance, identities: list[Identity], attempt: Attempt) -> tuple[AuditType, Tested]:
        if not instance.is_running:
            return AuditType.CONNECTION_FAILED, Tested(problem="SSH connection failed: the instance is not running")
        is_signed_in = False
        try:
            async with await self._dialing.dial(instance, identities) as connection:
                is_signed_in = True
                await prove(connection, within_s=PROOF_S)
            return AuditType.CONNECTION, Tested(
                latency_ms=attempt.took_ms,
                has_run_command=True,
                tunnels=tuple(await self._tunnels.check(instance.id)),
            )
        except HostKeyMismatchError as error:
            self._history.record(instance, EventType.FINGERPRINT_MISMATCH, str(error))
            return AuditType.FINGERPRINT_MISMATCH, Tested(latency_ms=attempt.took_ms, problem=str(error))
        except (DialError, OSError, TimeoutError, asyncssh.Error) as error:
            problem = f"Test command failed: {reason_of(error)}" if is_signed_in else reason_of(error)
            return AuditType.CONNECTION_FAILED, Tested(latency_ms=attempt.took_ms, problem=problem)
