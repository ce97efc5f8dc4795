"""How answers leave the edge: a head goes out together with the first part of its body.

uvicorn writes them apart, each a system call, a packet and a wake-up of the reader, and looks at every header by two
regular expressions. At a gateway's rates that is a sixth of its time.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from shoal.http.asgi import Message

IS_HEAD = "shoal.is_head"
"""Marks the scope of what was asked for by HEAD; the application sees GET."""
_BODYLESS = frozenset({204, 304})


class AnsweringCycle(RequestResponseCycle):
    """One request and its answer on a connection of the edge.

    The proxy and this service's own application are the only ones who answer here. Both send lower-case names; what
    they send of others came out of a parser.
    """

    _head: bytes = b""
    """Written, and kept until the first part of the body comes, be it an empty one."""

    async def send(self, message: Any) -> None:
        """Send one ASGI message.

        Raises:
            RuntimeError: The head has a line that is no header, or the body is not as long as its head says.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            self._begin(message)
        elif not self.response_complete:
            self._continue(message)
        else:
            raise RuntimeError("The answer is complete already.")

    def _begin(self, message: Message) -> None:
        """Write the head."""
        status: int = message["status"]
        self.response_started = True
        self.waiting_for_100_continue = False
        lines = [STATUS_LINE[status]]
        count = 2
        for name, value in message.get("headers", ()):
            if name == b"content-length":
                if self.chunked_encoding is None:
                    self.expected_content_length = int(value)
                    self.chunked_encoding = False
            elif name == b"transfer-encoding":
                self.chunked_encoding = value.lower() == b"chunked"
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive = False
                continue
            lines += (name, b": ", value, b"\r\n")
            count += 1
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
            count += 1
        if self.chunked_encoding is None and status not in _BODYLESS and self.scope["method"] != "HEAD":
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
            count += 1
        lines.append(b"\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != count or head.count(b"\r") != count or b"\0" in head:
            raise RuntimeError("A header has a line end inside.")
        self._head = head

    def _continue(self, message: Message) -> None:
        """Write a part of the body, behind the head if that is still here."""
        body: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            body = b""
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if is_last:
                body += b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("The body is longer than its head says.")
        if self._head:
            body = self._head + body
            self._head = b""
        if body:
            self.transport.write(body)
        if is_last:
            self._end()

    def _end(self) -> None:
        if self.expected_content_length:
            raise RuntimeError("The body is shorter than its head says.")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
