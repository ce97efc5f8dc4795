"""The two cookies: a browser's login, and the web chat's token.

Both are out of reach of scripts. Over TLS their names begin with `__Host-`, so no other host of the domain can set
them.
"""

from collections.abc import Mapping
from datetime import timedelta

from litestar.datastructures import Cookie

from gateway.logins.domain import Kind, OpenedLogin

_NAMES: Mapping[Kind, str] = {Kind.SESSION: "shoal_session", Kind.TOKEN: "shoal_token"}


class CookieJar:
    """Writes and names cookies."""

    def __init__(self, *, is_secure: bool) -> None:
        self._is_secure = is_secure
        self.names = {kind: f"__Host-{name}" if is_secure else name for kind, name in _NAMES.items()}

    def keep(self, opened: OpenedLogin) -> Cookie:
        """Write the cookie that holds a login."""
        return self._write(opened.login.kind, opened.secret, opened.lasts)

    def forget(self) -> list[Cookie]:
        """Write both cookies away."""
        return [self._write(kind, "", timedelta(0)) for kind in Kind]

    def forget_token(self) -> Cookie:
        """Write the token's cookie away."""
        return self._write(Kind.TOKEN, "", timedelta(0))

    def refresh(self, secret: str, lasts: timedelta) -> bytes:
        """Write the cookie of a token that came without one, as a header's value."""
        return self._write(Kind.TOKEN, secret, lasts).to_header(header="").strip().encode("latin-1")

    def _write(self, kind: Kind, secret: str, lasts: timedelta) -> Cookie:
        return Cookie(
            key=self.names[kind],
            value=secret,
            max_age=int(lasts.total_seconds()),
            path="/",
            httponly=True,
            secure=self._is_secure,
            samesite="lax" if kind is Kind.SESSION else "strict",
        )
