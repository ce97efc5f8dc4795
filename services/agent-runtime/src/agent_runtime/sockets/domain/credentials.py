"""What sockets are signed in with."""

from msgspec import Struct

from shoal.config import Secret
from shoal.identity import Principal


class Credential(Struct, frozen=True, kw_only=True):
    """Who signed in, and by what.

    Args:
        principal: Who.
        secret: A credential that came in a frame, kept to ask its owner again; None when the gateway vouched.
    """

    principal: Principal
    secret: Secret | None = None
