"""Refusals before any application is asked, written in the family's spelling."""

from shoal.errors import AppError
from shoal.http.asgi import Headers, Message, Receive, Scope, Send
from shoal.http.errors import REQUEST_ID, refusal
from shoal.http.families import family_of


class Refusals:
    """Writes refusals as headers and body."""

    def write(self, scope: Scope, error: AppError) -> tuple[Headers, bytes]:
        """Write a refusal: headers and body."""
        _, headers, body = self.of(scope, error)
        return headers, body

    def of(self, scope: Scope, error: AppError) -> tuple[int, Headers, bytes]:
        """Write a refusal: status, headers and body."""
        accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        written = refusal(
            error,
            family=family_of(scope.get("path", "")),
            request_id=scope.get(REQUEST_ID, ""),
            accept=accept.decode("latin-1"),
        )
        headers = [(name.encode(), value.encode()) for name, value in written.headers.items()]
        return written.status, headers, written.body

    async def send(
        self, scope: Scope, receive: Receive, send: Send, error: AppError, *, added: Headers | None = None
    ) -> int:
        """Refuse a request or a socket; returns the status."""
        status, headers, body = self.of(scope, error)
        headers += [(b"content-length", b"%d" % len(body)), *(added or [])]
        kind = "http.response"
        if scope["type"] == "websocket":
            await receive()  # websocket.connect
            kind = "websocket.http.response"
        start: Message = {"type": f"{kind}.start", "status": status, "headers": headers}
        end: Message = {"type": f"{kind}.body", "body": body, "more_body": False}
        await send(start)
        await send(end)
        return status
