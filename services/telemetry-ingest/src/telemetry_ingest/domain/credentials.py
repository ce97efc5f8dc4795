"""What sockets are signed in with."""

from msgspec import Struct

from shoal.config import Secret
from shoal.identity import Principal, Via


class Credential(Struct, frozen=True, kw_only=True):
    """Who signed in, and by what.

    Args:
        principal: Who.
        token_hash: Fingerprint of a telemetry token that came in a frame.
        secret: A user's credential that came in a frame, kept to ask its owner again.
    """

    principal: Principal
    token_hash: bytes | None = None
    secret: Secret | None = None

    @property
    def is_agent(self) -> bool:
        """Whether this is an agent's own credential."""
        return self.principal.via is Via.TELEMETRY_TOKEN

    @property
    def is_good(self) -> bool:
        """Whether it may open a socket at all."""
        return self.is_agent or (self.principal.is_user and self.principal.via is not Via.WEB_CHAT)
