"""The gateway's word for who comes in, signed for one service and one address, and kept for some requests."""

import time

from msgspec import structs

from gateway.authentication import Known
from shoal.identity import HEADER, LIFETIME_S, Issuer

USED_FOR_S = LIFETIME_S * 2 / 3
"""What is left then is ample for the request to arrive."""
MAX_PER_CALLER = 256


class Identities:
    """Signs principals."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def header(self, known: Known, *, audience: str, source: str) -> tuple[bytes, bytes]:
        """Write the header that tells a service who asks, from where."""
        kept = known.identities.get((audience, source))
        now = time.monotonic()
        if kept is not None and kept[0] > now:
            return kept[1]
        principal = structs.replace(known.principal, source=source)
        header = (HEADER, self._issuer.issue(principal, audience=audience).encode())
        if len(known.identities) >= MAX_PER_CALLER:
            known.identities.clear()
        known.identities[audience, source] = (now + USED_FOR_S, header)
        return header
