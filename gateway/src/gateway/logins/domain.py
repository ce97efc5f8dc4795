"""What a login is."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from gateway.accounts.domain import User
from shoal.identity import Via


class Kind(StrEnum):
    """What a login is for; decides how long it lasts."""

    SESSION = "session"
    """A signed-in browser: ends when unused for hours, or after a day."""
    TOKEN = "token"  # noqa: S105 - a kind of login, not one
    """The web chat's bearer token, good for its routes alone: ends when unused for weeks, or with signing out."""


PREFIXES = {Kind.SESSION: "shoal_", Kind.TOKEN: "clawft_"}
"""How the secret of each kind begins."""


VIA = {Kind.SESSION: Via.SESSION, Kind.TOKEN: Via.WEB_CHAT}
"""What somebody came by, who came with a secret of each kind."""


class EndReason(StrEnum):
    """Why a login ended."""

    SIGNED_OUT = "signed_out"
    EXPIRED = "expired"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a reason
    USER_DELETED = "user_deleted"


class Terms(Struct, frozen=True):
    """How long a kind of login lasts."""

    idle: timedelta
    total: timedelta | None


class Login(Struct, frozen=True, kw_only=True):
    """A user's signed-in state."""

    id: str
    kind: Kind
    source: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


class EndedLogin(Struct, frozen=True):
    """A login that just ended."""

    id: str
    user_id: str
    account_id: str
    end_reason: EndReason


class OpenedLogin(Struct, frozen=True):
    """A new login with the one copy of its secret."""

    login: Login
    secret: str
    user: User
    lasts: timedelta
    """How long a cookie that holds it is worth keeping."""


class OpenedLink(Struct, frozen=True):
    """A new sign-in link's code, the one copy of it."""

    code: str
    expires_at: datetime
