"""A turn can be followed as a trace: who was invoked, by which model, with which tools."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from runtime_door import Door
from runtime_talk import Talk

from shoal.testing.suite import eventually

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """An OTLP collector: keeps the spans that it is sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
        told = gzip.decompress(body) if "content-encoding: gzip" in head else body
        for resource in ExportTraceServiceRequest.FromString(told).resource_spans:
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


async def test_turn_is_one_trace_that_its_pipeline_run_names(
    open_door: Callable[..., Awaitable[Door]], collector: Collector
) -> None:
    door = await open_door(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    talk = await Talk.begin(door)
    await talk.post("/tool list_directory {}", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})

    def found() -> dict[str, Span]:
        return {span.name: span for span in collector.spans if span.trace_id.hex() == TRACE}

    await eventually(lambda: {"invoke_agent", "chat rules", "execute_tool list_directory"} <= found().keys(), found)
    spans = found()
    agent, chat, tool = spans["invoke_agent"], spans["chat rules"], spans["execute_tool list_directory"]
    assert {chat.parent_span_id, tool.parent_span_id} == {agent.span_id}
    assert attributes(agent)["gen_ai.conversation.id"] == talk.key
    assert attributes(chat)["gen_ai.provider.name"] == "offline"
    assert attributes(chat)["gen_ai.usage.output_tokens"] > 0
    assert attributes(tool)["gen_ai.tool.name"] == "list_directory"
    (row,) = await door.sql("select trace_id from pipeline_turn where account_id = $1", talk.account_id)
    assert row[0] == TRACE


def attributes(span: Span) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}
