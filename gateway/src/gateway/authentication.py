"""Credentials to principals: asked of their owners once, then known for some seconds.

Own kinds are looked up in the database, agents' at pairing. An owner that cannot be reached is 503, never "invalid".
What is known is forgotten the moment that a revocation is heard; while revocations are not being heard it is known
for two seconds only.
"""

import asyncio
import time
from collections.abc import Callable
from hashlib import sha256

from gateway.credentials import Resolved
from gateway.keys.usecases.keys import Keys
from gateway.logins.usecases.logins import Logins
from shoal.identity import Principal
from shoal.peers import Peers

LONGEST_CREDENTIAL = 256
MAX_KNOWN = 50_000
UNHEARD_TTL_S = 2.0
AGENT_KEY_TTL_S = 4.0
"""No event tells of agent keys' revocation."""


class Known:
    """Somebody whose credential was looked at."""

    __slots__ = ("good_until", "identities", "is_user", "principal", "subject", "via")

    def __init__(self, principal: Principal, good_until: float) -> None:
        self.principal = principal
        self.good_until = good_until
        self.via = principal.via
        self.subject = principal.subject
        self.is_user = principal.is_user
        self.identities: dict[tuple[str, str], tuple[float, tuple[bytes, bytes]]] = {}
        """Signed identities by audience and address, each with the moment until which it is used."""


class Authentication:
    """Knows who comes with which credential."""

    def __init__(self, *, logins: Logins, keys: Keys, peers: Peers, ttl_s: float) -> None:
        self._logins = logins
        self._keys = keys
        self._peers = peers
        self._ttl_s = ttl_s
        self._known: dict[bytes, Known] = {}
        self._fingerprints: dict[str, bytes] = {}
        """Of what is known, by credential id."""
        self._asking: dict[bytes, asyncio.Task[Known | None]] = {}
        self._revocations = 0
        self.is_hearing = False
        """Whether revocations arrive."""
        self.nobody = Known(Principal(), float("inf"))

    def recall(self, secret: bytes) -> Known | None:
        """Tell who came with a credential if that is known already."""
        known = self._known.get(sha256(secret).digest())
        return known if known is not None and known.good_until > time.monotonic() else None

    async def recognise(self, secret: bytes) -> Known | None:
        """Find out who came with a credential; None when it is no good. Many at once ask once.

        Raises:
            UnavailableError: Whoever owns this kind of credential cannot be asked right now.
        """
        if len(secret) > LONGEST_CREDENTIAL or not secret.isascii():
            return None
        fingerprint = sha256(secret).digest()
        asking = self._asking.get(fingerprint)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(fingerprint, secret.decode()))
            self._asking[fingerprint] = asking
            asking.add_done_callback(lambda done: self._answered(fingerprint, done))
        return await asyncio.shield(asking)

    async def resolve_own(self, secret: str) -> Principal | None:
        """Tell another service who came with one of our credentials, by asking the database."""
        resolved = None if len(secret) > LONGEST_CREDENTIAL else await self._resolve_own(secret)
        return None if resolved is None else resolved.principal

    def forget_credential(self, credential_id: str) -> None:
        """Forget who came with a login, a key or a pairing's token; an answer that is on its way counts as older."""
        self._revocations += 1
        known = self._known.pop(self._fingerprints.pop(credential_id, b""), None)
        if known is not None:
            known.good_until = 0

    def forget(self, applies: Callable[[Principal], bool]) -> None:
        """Forget everybody to whom something applies; answers that are on their way count as older."""
        self._revocations += 1
        gone = [key for key, known in self._known.items() if applies(known.principal)]
        for key in gone:
            self._known.pop(key).good_until = 0

    async def _ask(self, fingerprint: bytes, secret: str) -> Known | None:
        revocations = self._revocations
        resolved = await self._resolve_own(secret) or await self._resolve_agent(secret)
        if resolved is None:
            return None
        ttl_s = self._ttl_s if self.is_hearing else UNHEARD_TTL_S
        known = Known(resolved.principal, time.monotonic() + min(ttl_s, resolved.good_for_s))
        if revocations == self._revocations:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
                self._fingerprints.clear()
            self._known[fingerprint] = known
            self._fingerprints[resolved.principal.credential_id] = fingerprint
        return known

    async def _resolve_own(self, secret: str) -> Resolved | None:
        if secret.startswith(("shoal_", "clawft_")):
            return await self._logins.resolve(secret)
        if secret.startswith(("agd_", "cn_")):
            return await self._keys.resolve(secret)
        return None

    async def _resolve_agent(self, secret: str) -> Resolved | None:
        if not secret.startswith(("telem_", "ada_", "agt_")):
            return None
        principal = await self._peers.find("pairing", "/internal/principal", {"credential": secret}, Principal)
        if principal is None:
            return None
        return Resolved(principal, self._ttl_s if secret.startswith("telem_") else AGENT_KEY_TTL_S)

    def _answered(self, fingerprint: bytes, done: "asyncio.Task[Known | None]") -> None:
        self._asking.pop(fingerprint, None)
        if not done.cancelled():
            done.exception()  # those who asked were told; that nobody waited any more is no news
