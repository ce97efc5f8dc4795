"""A provider of models for tests: strict, scripted, over real HTTP, in both wire formats, and faulty when asked."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Step:
    """One answer: text in pieces, then tool calls; or a fault."""

    pieces: tuple[str, ...] = ()
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0
    hangs: bool = False
    """Say the pieces, then nothing more, for ever."""
    lingers: bool = False
    """Say all, then keep the answer open, for ever."""
    is_cut: bool = False
    """Say the pieces, then close the connection."""
    is_garbled: bool = False
    """Say `garbage`."""
    garbage: str = "{this is no JSON"


def say(*pieces: str, **how: Any) -> Step:
    return Step(pieces=pieces, **how)


def call(name: str, **arguments: Any) -> Step:
    return Step(calls=((name, arguments),))


def fail(status: int, **headers: str) -> Step:
    return Step(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


class ProviderDouble:
    """Answers as scripted, in order; whatever it is asked beyond that it refuses with 500."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.is_free = False
        self.open_streams = 0
        self.connections = 0
        self._script: list[Step] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["ProviderDouble"]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            self._server.close()

    @property
    def openai_base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def anthropic_base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *steps: Step) -> None:
        self._script = list(steps)
        self.asked.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))))
        is_anthropic = path.startswith("/v1/messages")
        if is_anthropic:
            problem = check_messages(headers, body)
        else:
            problem = check_completions(path, headers, body, is_free=self.is_free)
        self.asked.append({"path": path, "headers": headers, "body": body})
        step = self._script.pop(0) if self._script else fail(500)
        if problem or method != "POST":
            step = Step(status=400, pieces=(problem or "POST only",))
        if step.status != 200:
            told = json.dumps(
                {"error": {"type": "error", "message": "".join(step.pieces) or f"scripted {step.status}"}}
            )
            lines = [f"HTTP/1.1 {step.status} X", "content-type: application/json", f"content-length: {len(told)}"]
            lines += [f"{name}: {value}" for name, value in step.headers.items()]
            writer.write(("\r\n".join([*lines, "", ""]) + told).encode())
            await writer.drain()
            return True
        self.open_streams += 1
        try:
            return await self._stream(reader, writer, step, is_anthropic=is_anthropic)
        finally:
            self.open_streams -= 1

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, step: Step, *, is_anthropic: bool
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        events = list(messages_events(step) if is_anthropic else completions_events(step))
        last = (
            len(events) if not (step.hangs or step.is_cut or step.is_garbled) else 1 + len(step.pieces) + is_anthropic
        )
        for event in events[:last]:
            piece = event.encode()
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await asyncio.sleep(step.pause_s)
        if step.is_garbled:
            piece = f"data: {step.garbage}\n\n".encode()
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n0\r\n\r\n")
            await writer.drain()
            return False
        if step.hangs or step.lingers:
            await reader.read()  # until the caller goes away
            return False
        if step.is_cut:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def completions_events(step: Step) -> list[str]:
    """Write an answer as chat completions stream it."""

    def chunk(delta: dict[str, Any], finish: str | None = None, **rest: Any) -> str:
        payload = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "double", **rest}
        payload["choices"] = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return f"data: {json.dumps(payload)}\n\n"

    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": piece}) for piece in step.pieces]
    for index, (name, arguments) in enumerate(step.calls):
        text = json.dumps(arguments)
        begin = {"index": index, "id": f"c_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        events.append(chunk({"tool_calls": [begin]}))
        for part in (text[:5], text[5:]):
            events.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]}))
    events.append(chunk({}, "tool_calls" if step.calls else "stop"))
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    payload = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "double",
        "choices": [],
        "usage": usage,
    }
    return [*events, f"data: {json.dumps(payload)}\n\n", "data: [DONE]\n\n"]


def messages_events(step: Step) -> list[str]:
    """Write an answer as messages stream it."""

    def event(kind: str, **rest: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **rest})}\n\n"

    usage = {"input_tokens": 11, "output_tokens": 1}
    begun = {"id": "m1", "type": "message", "role": "assistant", "content": [], "model": "double", "stop_reason": None,
             "stop_sequence": None, "usage": usage}  # fmt: skip
    events = [event("message_start", message=begun)]
    index = 0
    if step.pieces:
        events.append(event("content_block_start", index=0, content_block={"type": "text", "text": ""}))
        deltas = [{"type": "text_delta", "text": piece} for piece in step.pieces]
        events += [event("content_block_delta", index=0, delta=delta) for delta in deltas]
        events.append(event("content_block_stop", index=0))
        index = 1
    for name, arguments in step.calls:
        block = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
        events.append(event("content_block_start", index=index, content_block=block))
        for part in (json.dumps(arguments)[:5], json.dumps(arguments)[5:]):
            delta = {"type": "input_json_delta", "partial_json": part}
            events.append(event("content_block_delta", index=index, delta=delta))
        events.append(event("content_block_stop", index=index))
        index += 1
    stop = {"stop_reason": "tool_use" if step.calls else "end_turn", "stop_sequence": None}
    events.append(event("message_delta", delta=stop, usage={"output_tokens": 7}))
    return [*events, event("message_stop")]


def check_completions(path: str, headers: dict[str, str], body: dict[str, Any], *, is_free: bool) -> str:
    """Say what is wrong with a request for chat completions, if anything."""
    if path != "/v1/chat/completions":
        return f"no such path {path}"
    if not headers.get("authorization", "Bearer " if is_free else "").startswith("Bearer "):
        return "no key"
    if not body.get("stream"):
        return "this double streams only"
    open_calls: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return f"no call {message['tool_call_id']}"
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            return f"calls without a result: {open_calls}"
        elif message["role"] == "assistant":
            open_calls = {told["id"] for told in message.get("tool_calls") or ()}
            if not open_calls and not message.get("content"):
                return "an empty message"
    return f"calls without a result: {open_calls}" if open_calls else ""


def check_messages(headers: dict[str, str], body: dict[str, Any]) -> str:
    """Say what is wrong with a request for messages, if anything."""
    has_key = "x-api-key" in headers or headers.get("authorization", "").startswith("Bearer ")
    if not has_key or "anthropic-version" not in headers:
        return "no key or no version"
    if not body.get("stream") or not body.get("max_tokens"):
        return "streams only, and max_tokens is wanted"
    roles = [message["role"] for message in body["messages"]]
    if roles[0] != "user" or any(one == other for one, other in itertools.pairwise(roles)):
        return f"roles do not alternate: {roles}"
    open_calls: set[str] = set()
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else [{"type": "text"}]
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if message["role"] == "user" and results != open_calls:
            return f"results {results} for calls {open_calls}"
        open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
    return ""
