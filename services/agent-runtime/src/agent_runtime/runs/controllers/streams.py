"""Runs as server-sent events."""

from collections.abc import AsyncIterator

import msgspec

from agent_runtime.runs.domain.runs import RunEvent, Token

HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
BEAT = b": ping\n\n"
RETRY = b"retry: 1000\n\n"


async def to_stream(run_id: str, items: AsyncIterator[RunEvent | Token | None]) -> AsyncIterator[bytes]:
    """Write what happens in a run: events with their number as id, tokens without, a comment as heartbeat."""
    yield RETRY
    async for item in items:
        yield _written(run_id, item)


def _written(run_id: str, item: RunEvent | Token | None) -> bytes:
    if item is None:
        return BEAT
    if isinstance(item, Token):
        payload = {"run_id": run_id, "type": "token", "content": item.text, "offset": item.offset}
        return b"event: token\ndata: " + msgspec.json.encode(payload) + b"\n\n"
    event = {"run_id": run_id, "seq": item.seq, "type": item.type, **item.data}
    head = f"id: {item.seq}\nevent: {item.type}\ndata: ".encode()
    return head + msgspec.json.encode(event) + b"\n\n"
