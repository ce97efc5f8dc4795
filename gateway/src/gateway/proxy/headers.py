"""Which headers cross the gateway, in which direction, and how a message is framed behind it.

Hop-by-hop headers end here, with everything named in `Connection`. So do, inbound, all headers by which
somebody says who or where they are: behind the gateway only its own signed word counts. A name
spelled with underscores is the same name. Nothing about framing is copied: it is read once and written anew.
"""

from enum import Enum
from typing import NamedTuple

from gateway.proxy.errors import InvalidRequestError, InvalidUpstreamResponseError
from shoal.http.asgi import Headers, Scope

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    )
)
_IDENTITY = frozenset(
    (
        b"authorization",
        b"cookie",
        b"forwarded",
        b"x-real-ip",
        b"x-client-ip",
        b"true-client-ip",
    )
)
_IDENTITY_PREFIXES = (b"x-shoal-", b"x-forwarded", b"proxy-")
_GIVEN_ANEW = frozenset((b"host", b"x-request-id", b"traceparent", b"tracestate", b"baggage"))
_KEPT_BEHIND = frozenset((b"server", b"set-cookie"))
"""Nobody needs to know what a service is made of, and none sets cookies: a bot's page must not replace a login."""
_INDISPENSABLE = frozenset((b"host", b"content-length", b"content-type", b"authorization", b"cookie"))
_BODYLESS = frozenset((101, 204, 304))
_USUAL = (b"keep-alive", b"close", b"Keep-Alive", b"Upgrade")
"""Values of Connection that name no header."""
_MAX_DIGITS = 18
_REQUEST_LINE = 6
"""Parts of a head before its headers: method, target, version and Host with the blanks between them."""
_HEADER = 4
"""Parts of a header: name, colon, value, line end."""


class Verdict(Enum):
    """What becomes of a header."""

    KEEP = 0
    DROP = 1
    CONNECTION = 2
    LENGTH = 3
    ENCODING = 4
    TYPE = 5


_KEEP, _DROP, _CONNECTION, _LENGTH, _ENCODING, _TYPE = Verdict


class _Verdicts(dict[bytes, Verdict]):
    """A verdict per header name, thought about once: a bounded memory, since callers choose the names."""

    _ROOM = 1024

    def __missing__(self, name: bytes) -> Verdict:
        spelled = name.lower()
        verdict = self.judge(spelled.replace(b"_", b"-"), spelled)
        if len(self) < self._ROOM:
            self[name] = verdict
        return verdict

    def judge(self, name: bytes, spelled: bytes) -> Verdict:
        if name == spelled:
            if name == b"connection":
                return _CONNECTION
            if name == b"content-length":
                return _LENGTH
            if name == b"transfer-encoding":
                return _ENCODING
        elif name == b"content-length":
            return _DROP
        return _DROP if name in _HOP_BY_HOP or name.startswith(_IDENTITY_PREFIXES) else _KEEP


class _RequestVerdicts(_Verdicts):
    def judge(self, name: bytes, spelled: bytes) -> Verdict:
        if name in _IDENTITY or name in _GIVEN_ANEW or name.startswith(b"sec-websocket-"):
            return _DROP
        return super().judge(name, spelled)


class _ResponseVerdicts(_Verdicts):
    def judge(self, name: bytes, spelled: bytes) -> Verdict:
        if name in _KEPT_BEHIND or name.startswith(b"sec-websocket-"):
            return _DROP
        return _TYPE if name == b"content-type" else super().judge(name, spelled)


class RequestHead(NamedTuple):
    """The head of a request, ready to be sent, and the length of the body behind it: None if it is chunked."""

    content: bytes
    length: int | None


class HeaderRules:
    """Applies the rules above to requests and responses."""

    def __init__(self) -> None:
        self._requests = _RequestVerdicts()
        self._responses = _ResponseVerdicts()

    def request(self, scope: Scope, authority: bytes, added: Headers) -> RequestHead:
        """Write the head of a request.

        Args:
            scope: The caller's request; its raw path and query go on untouched.
            authority: The upstream's host and port; no service ever sees the Host that a caller chose.
            added: The gateway's own headers, lower case.

        Raises:
            InvalidRequestError: Both length and encoding are given, or either twice or in a form that readers could
                understand differently, or `Connection` names a header that is not the connection's.
        """
        verdicts = self._requests
        content = _begun(scope, authority)
        framing: list[tuple[Verdict, bytes]] = []
        connection: list[bytes] = []
        for name, value in scope["headers"]:
            verdict = verdicts[name]
            if verdict is _KEEP:
                content += (name, b": ", value, b"\r\n")
            elif verdict is _CONNECTION:
                connection.append(value)
            elif verdict is not _DROP:
                framing.append((verdict, value))
        if connection:
            content = _without(content, connection)
        for name, value in added:
            content += (name, b": ", value, b"\r\n")
        length: int | None = 0
        if framing:
            length = _length(framing)
            content.append(b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %d\r\n" % length)
        content.append(b"\r\n")
        return RequestHead(b"".join(content), length)

    def response(self, status: int, received: Headers, added: Headers) -> tuple[Headers, bool]:
        """Choose the headers of an answer.

        Args:
            status: Of the answer; one without a body has no length either.
            received: What the upstream sent, lower case, in its order.
            added: The gateway's own; they replace the upstream's of the same name.

        Returns:
            The headers, and whether the answer is a stream of events.
        """
        verdicts = self._responses
        headers: Headers = []
        named: frozenset[bytes] | None = None
        replaced = {name for name, _ in added} if added else ()
        events = False
        for header in received:
            name, value = header
            verdict = verdicts[name]
            if verdict is _KEEP or verdict is _TYPE:
                if name not in replaced:
                    headers.append(header)
                if verdict is _TYPE:
                    events = value.startswith(b"text/event-stream")
            elif verdict is _LENGTH:
                if status not in _BODYLESS:
                    headers.append(header)
            elif verdict is _CONNECTION and value not in _USUAL:
                named = (_named(value) - _INDISPENSABLE) | (named or frozenset())
            elif verdict is _ENCODING and value.lower() != b"chunked":
                raise InvalidUpstreamResponseError
        if named:
            headers = [header for header in headers if header[0] not in named]
        headers += added
        return headers, events


def _begun(scope: Scope, authority: bytes) -> list[bytes]:
    """Write a head up to its headers: `_REQUEST_LINE` parts.

    Services are asked for GET where the caller wants the head alone: what HEAD answers is what GET would.
    """
    method: str = scope.get("method", "GET")
    target = scope["raw_path"]
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    asked = b"GET" if method == "HEAD" else method.encode()
    return [asked, b" ", target, b" HTTP/1.1\r\nhost: ", authority, b"\r\n"]


def _length(framing: list[tuple[Verdict, bytes]]) -> int | None:
    """The length that a body's headers state, None for a chunked one."""
    if len(framing) > 1:
        raise InvalidRequestError
    verdict, value = framing[0]
    if verdict is _ENCODING and value.lower() == b"chunked":
        return None
    if verdict is _LENGTH and value.isdigit() and len(value) <= _MAX_DIGITS:
        return int(value)
    raise InvalidRequestError


def _named(value: bytes) -> frozenset[bytes]:
    """The header names in a Connection header."""
    return frozenset(token.strip().lower() for token in value.split(b","))


def _without(content: list[bytes], connection: list[bytes]) -> list[bytes]:
    """Drop from a head what its Connection headers name; a caller must not name what every reader needs."""
    if len(connection) == 1 and connection[0] in _USUAL:
        return content
    named = frozenset[bytes]().union(*map(_named, connection))
    if any(name in _INDISPENSABLE or name.startswith(_IDENTITY_PREFIXES) for name in named):
        raise InvalidRequestError
    kept = content[:_REQUEST_LINE]
    for at in range(_REQUEST_LINE, len(content), _HEADER):
        if content[at].lower() not in named:
            kept += content[at : at + _HEADER]
    return kept
