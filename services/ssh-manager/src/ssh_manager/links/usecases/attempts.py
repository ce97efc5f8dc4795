"""What somebody asks of a connection: refused where it must be, written down before it is done and after."""

from shoal.clock import Clock
from shoal.identity import Principal
from ssh_manager.ports import Actor, AllowedAddresses, Audit, AuditType, Identity, Instance, KeyRing


class Attempt:
    """Something that was asked for, and is under way."""

    def __init__(self, audit: Audit, clock: Clock, intent: int, instance: Instance, by: Actor) -> None:
        self._audit = audit
        self._clock = clock
        self._intent = intent
        self._instance = instance
        self._by = by
        self._started = clock.monotonic()

    @property
    def took_ms(self) -> int:
        """How long it has been under way."""
        return round((self._clock.monotonic() - self._started) * 1000)

    async def end(self, kind: AuditType, details: str) -> None:
        """Write down what came of it.

        Raises:
            AuditUnavailableError: That cannot be written.
        """
        await self._audit.outcome(
            self._intent, kind, self._instance, by=self._by, details=details, duration_ms=self.took_ms
        )


class Attempts:
    """Lets people attempt things, from where they may and with a key that is as it was stored."""

    def __init__(self, *, keys: KeyRing, addresses: AllowedAddresses, audit: Audit, clock: Clock) -> None:
        self._keys = keys
        self._addresses = addresses
        self._audit = audit
        self._clock = clock

    async def identities(self, instance: Instance, principal: Principal) -> list[Identity]:
        """Read the keys that somebody's attempt may use.

        Raises:
            AddressRestrictedError: Not from where they come.
            NoSshKeyError, KeyTamperedError: There is none, or not as it was stored.
            AuditUnavailableError: A refusal cannot be written down.
        """
        await self._addresses.check(principal, instance)
        return await self._keys.identities(instance, by=Actor.of(principal))

    async def begin(self, kind: AuditType, instance: Instance, principal: Principal, *, details: str) -> Attempt:
        """Write down what is about to be attempted.

        Raises:
            AuditUnavailableError: It cannot be written; then nothing may be done.
        """
        by = Actor.of(principal)
        intent = await self._audit.intent(kind, instance, by=by, details=details)
        return Attempt(self._audit, self._clock, intent, instance, by)
