"""A receiver of OTLP over HTTP: keeps every span that services export."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator

from msgspec import Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shoal_embedded.ports import LOOPBACK

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


class Span(Struct, frozen=True):
    """One exported span."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str


class SpanReceiver:
    """What was exported so far, and where to export to."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self._take(gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body)
                writer.write(ANSWER)
                await writer.drain()

    def trace(self, trace_id: str) -> list[Span]:
        """Give the spans of one trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def _take(self, body: bytes) -> None:
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [
                    Span(
                        names.get("service.name", ""),
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                    )
                    for span in scope.spans
                ]


@contextlib.asynccontextmanager
async def span_receiver() -> AsyncIterator[SpanReceiver]:
    """Receive spans while the block runs."""
    receiver = SpanReceiver()
    server = await asyncio.start_server(receiver.serve, LOOPBACK, 0)
    receiver.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()
