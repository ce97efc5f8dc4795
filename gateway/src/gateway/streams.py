"""What stays open: sockets and streamed answers, cut off when the credential that opened them is revoked.

The service behind a socket is told of the revocation too and closes it in its contract's own words; what is still open
after `GRACE_S` is cut here. Many revocations at once cost one look at what is open.
"""

import asyncio
from collections.abc import Callable, Sequence

from gateway.proxy import HttpProxy, WebSocketProxy
from shoal.http.asgi import Scope
from shoal.http.auth import PRINCIPAL
from shoal.identity import Principal

GRACE_S = 3.0
LOOK_EVERY_S = 0.25

Rule = Callable[[Principal], bool]


class Streams:
    """Everything that is being forwarded by this process.

    Args:
        proxies: Gives the proxies, once there are any.
    """

    def __init__(self, proxies: Callable[[], Sequence[HttpProxy | WebSocketProxy]]) -> None:
        self._proxies = proxies
        self._ended: list[tuple[float, str | Rule]] = []
        self._timer: asyncio.TimerHandle | None = None

    def principals(self) -> set[Principal]:
        """Tell who has something open."""
        return {scope[PRINCIPAL] for proxy in self._proxies() for scope in proxy.scopes()}

    def cut(self, ended: str | Rule) -> None:
        """Cut off, in a moment, whatever a credential (by its id) opened, or those to whom a rule applies."""
        loop = asyncio.get_running_loop()
        self._ended.append((loop.time() + GRACE_S, ended))
        if self._timer is None:
            self._timer = loop.call_later(GRACE_S, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = [ended for at, ended in self._ended if at <= now]
        self._ended = [(at, ended) for at, ended in self._ended if at > now]
        self._timer = loop.call_later(LOOK_EVERY_S, self._look) if self._ended else None
        credentials = {ended for ended in due if isinstance(ended, str)}
        rules = [ended for ended in due if not isinstance(ended, str)]

        def applies(scope: Scope) -> bool:
            principal: Principal = scope[PRINCIPAL]
            return principal.credential_id in credentials or any(rule(principal) for rule in rules)

        for proxy in self._proxies():
            proxy.cut(applies)
