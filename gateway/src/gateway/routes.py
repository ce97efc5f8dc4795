"""What the gateway routes: one frozen table. Read it and you know the product.

A path is exact (`/telemetry`), a tree (`/pairing/**`: the path itself and everything below it), or holds
patterns (`{id}`: any one segment; `ssh-*`: a segment that starts so). The most specific row decides: more
segments before the tree, then fixed words before patterns. Below a word that has rows of its own nothing
falls back to a shorter tree: `/api/v1/unknown` is nothing, not a part of `/api/**`. `/internal`, `/metrics`,
`/healthz` and `/readyz` have no row and so no way in.
"""

import re
from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

KIB = 1024
MIB = 1024 * KIB

_UNSAFE = re.compile(
    rb"//"
    rb"|[^\x21-\x7e]|\\"  # controls, blanks, bytes outside ASCII, backslashes
    rb"|%(?![0-9A-Fa-f]{2})|%(?:[01][0-9A-Fa-f]|7[Ff]|2[Ff]|5[Cc])"  # broken escapes; escaped controls, slashes
    rb"|/(?:\.|%2[Ee]){1,2}(?=[/;]|$)"  # dot segments
)

_ESCAPED_SLASH = re.compile(rb"%2[Ff]")


class Access(StrEnum):
    """Who may enter by a route; what they may do there, the service behind it decides."""

    PUBLIC = "public"
    """Anyone; a credential is optional, or part of the request itself."""
    AUTHENTICATED = "authenticated"
    """Any principal: a user, or an agent with a key or a telemetry token of its own."""
    USER = "user"
    """A user, by login or by API key."""
    SESSION = "session"
    """A user who is signed in; API keys are refused."""


class Route(Struct, frozen=True, kw_only=True):
    """One row: what is at a path, and how it is reached.

    `timeout` is what a service may take to begin its answer, in seconds; a `streaming` answer may then go on
    for ever, any other has the proxy's total. `body_limit` bounds a request's body, and a WebSocket message
    either way, in bytes. What is `foreign` is what an instance serves: nobody's credential is read there, no cookie
    passes either way, and browsers show it in a sandbox, with no more rights here than any other site's page.
    The web chat's token opens rows of the `web_chat` and no others.
    Where a row `has_names`, others chose what stands below it, and an escaped slash is part of such a name.
    How refusals are spelled is a matter of the path alone (`shoal.http.families`).
    """

    path: str
    service: str
    access: Access
    timeout: float = 30.0
    body_limit: int = MIB
    streaming: bool = False
    websocket: bool = False
    foreign: bool = False
    web_chat: bool = False
    has_names: bool = False


def _rows(
    service: str, access: Access, *paths: str, timeout: float = 30.0, body_limit: int = MIB,
    streaming: bool = False, websocket: bool = False, foreign: bool = False, web_chat: bool = False,
    has_names: bool = False,
) -> tuple[Route, ...]:  # fmt: skip
    return tuple(
        Route(
            path=path,
            service=service,
            access=access,
            timeout=timeout,
            body_limit=body_limit,
            streaming=streaming,
            websocket=websocket,
            foreign=foreign,
            web_chat=web_chat,
            has_names=has_names,
        )
        for path in paths
    )


_I = "/api/v1/instances/{id}"

ROUTES: tuple[Route, ...] = (
    # dashboards and agents
    *_rows("pairing", Access.PUBLIC, "/pairing/confirm"),
    *_rows("pairing", Access.USER, "/pairing/**"),
    # agents and agents
    *_rows("pairing", Access.AUTHENTICATED, "/v1/agents/**", "/v1/connections/**"),
    *_rows("pairing", Access.AUTHENTICATED, "/v1/pairings/**", "/v1/blocked/**"),
    # telemetry
    *_rows("telemetry-ingest", Access.PUBLIC, "/telemetry", body_limit=64 * KIB, websocket=True),
    *_rows("telemetry-ingest", Access.AUTHENTICATED, "/telemetry/ingest", body_limit=4 * MIB),
    *_rows("metrics-query", Access.USER, "/telemetry/**"),
    # the runtime of agents; a chat message is answered when the agent has answered
    *_rows("agent-runtime", Access.USER, "/api/**",
           timeout=180.0, body_limit=4 * MIB, streaming=True, web_chat=True),
    *_rows("agent-runtime", Access.USER, "/api/memory/**", "/api/delegation/rules/**", web_chat=True, has_names=True),
    *_rows("agent-runtime", Access.PUBLIC, "/ws", "/ws/canvas", "/ws/chat/{session}", websocket=True, web_chat=True),
    # instances
    *_rows("instance-orchestrator", Access.USER, "/api/v1/instances/**", body_limit=2 * MIB, streaming=True),
    *_rows("instance-orchestrator", Access.USER, "/api/v1/settings", "/api/v1/users/{id}/instances"),
    # the ways into instances
    *_rows("ssh-manager", Access.USER, "/api/v1/ssh-*/**", timeout=60.0),
    *_rows("ssh-manager", Access.USER, f"{_I}/ssh-*/**", f"{_I}/tunnels/**", f"{_I}/rotate-ssh-key",
           timeout=120.0),
    *_rows("ssh-manager", Access.USER, f"{_I}/desktop/**", f"{_I}/control/**",
           timeout=60.0, body_limit=64 * MIB, streaming=True, websocket=True, has_names=True),
    *_rows("ssh-manager", Access.USER, f"{_I}/terminal*/**", body_limit=64 * KIB, streaming=True,
           websocket=True),
    # what instances serve: whoever has a ticket may see it, and it may do nothing
    *_rows("ssh-manager", Access.PUBLIC, f"{_I}/desktop/~*/**", f"{_I}/control/~*/**",
           timeout=60.0, body_limit=64 * MIB, streaming=True, websocket=True, foreign=True, has_names=True),
    # the gateway itself: its controllers say who may do what
    *_rows("gateway", Access.PUBLIC, "/api/v1/auth/**"),
    *_rows("gateway", Access.USER, "/api/v1/users/**", "/api/v1/accounts/**", "/api/v1/api-keys/**"),
    *_rows("gateway", Access.USER, "/v1/api-keys/**"),
    *_rows("gateway", Access.PUBLIC, "/api/auth/**", "/api/health", web_chat=True),
    *_rows("gateway", Access.PUBLIC, "/", "/health", "/openapi.json", "/docs/**"),
)  # fmt: skip


class RouteTable:
    """Finds the row of a path.

    Rows are filed under their leading fixed words, at most three; what follows (patterns, more words, the
    end) is tried as regular expressions, most specific first, and for most paths there is only one.
    """

    _DEPTH = 3

    def __init__(self, routes: Iterable[Route]) -> None:
        self._tails: dict[bytes, list[tuple[re.Pattern[bytes], Route]]] = {}
        for route in sorted(routes, key=_specificity):
            words, tail = _split(route.path, self._DEPTH)
            self._tails.setdefault(words, []).append((re.compile(tail), route))

    def match(self, raw_path: bytes) -> Route | None:
        """Find the row of a path as it stood in the request line, undecoded and without its query."""
        segments = raw_path.split(b"/", self._DEPTH + 1)
        for depth in range(min(self._DEPTH, len(segments) - 1), 0, -1):
            words = b"/".join(segments[: depth + 1])
            tails = self._tails.get(words)
            if tails is not None:
                for pattern, route in tails:
                    if pattern.fullmatch(raw_path, len(words)):
                        return route
                return None
        return None


def _specificity(route: Route) -> tuple[int, int, bool]:
    """Sort key: longer before shorter, fixed words before patterns, exact paths before trees."""
    segments = route.path.removesuffix("/**").split("/")
    patterns = sum("{" in segment or "*" in segment for segment in segments)
    return (-len(segments), patterns, route.path.endswith("/**"))


def _split(path: str, depth: int) -> tuple[bytes, bytes]:
    """Part a path into its leading fixed words and a regular expression for what follows."""
    fixed = path.removesuffix("/**")
    tree = b"(?:/.*)?" if fixed != path else b""
    segments = fixed.split("/")
    words = 1
    while words < len(segments) and words <= depth and "{" not in segments[words] and "*" not in segments[words]:
        words += 1
    tail = b"".join(b"/" + _segment(segment) for segment in segments[words:])
    return "/".join(segments[:words]).encode(), tail + tree


def _segment(segment: str) -> bytes:
    if segment.startswith("{"):
        return rb"[^/]+"
    word = re.escape(segment.removesuffix("*").encode())
    return word + rb"[^/]*" if segment.endswith("*") else word


match = RouteTable(ROUTES).match


def safe_path(raw_path: bytes) -> bool:
    """Tell whether every reader of this path will read the same path.

    Refused are dot segments, empty segments, escaped slashes, backslashes and controls, broken escapes, and
    anything that does not begin with a slash (absolute and authority form). Always asked of the undecoded
    path.
    """
    return raw_path[:1] == b"/" and _UNSAFE.search(raw_path) is None


def find(raw_path: bytes) -> Route | None:
    """Find the row of a path that every reader reads alike; None for any other.

    An escaped slash is a slash to some readers and a letter to others. It may stand where both come to the same row,
    and that one has names below it.
    """
    if safe_path(raw_path):
        return match(raw_path)
    plain = _ESCAPED_SLASH.sub(b"/", raw_path)
    route = match(plain) if plain != raw_path and safe_path(plain) else None
    return route if route is not None and route.has_names and match(raw_path) is route else None
