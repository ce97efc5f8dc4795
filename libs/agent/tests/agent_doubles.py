"""The server's end of both calls of an agent, over real sockets.

`Ingest` is strict: whatever an agent does wrong is kept as a violation, and fails the test at its end.
"""

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from shoal_agent.pairing import Pairing

TOKEN = "telem_canary_5f0c"
AGENT = "agent_abc123"

FIELDS = {
    "metrics": {"type", "seq", "agent_id", "timestamp", "data"},
    "skills": {"type", "seq", "agent_id", "timestamp", "data"},
    "status": {"type", "seq", "agent_id", "timestamp", "status"},
    "error": {"type", "seq", "agent_id", "timestamp", "data"},
}
METRICS = {
    "messages_1h": int,
    "messages_24h": int,
    "active_sessions": int,
    "avg_response_ms": (int, float),
    "memory_mb": int,
    "cpu_percent": (int, float),
    "uptime_s": int,
    "messages_total": int,
    "errors_total": int,
    "revenue_total": str,
    "errors_1h": int,
    "revenue_1h": str,
    "tokens_total": int,
}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@dataclass
class Behaviour:
    """What goes wrong on the server's side."""

    loses_acks: bool = False
    loses_pongs: bool = False
    auth_error: tuple[str, str, int] | None = None
    close_after: tuple[int, int] | None = None  # (frames, code), once
    refuses: Callable[[dict], str | None] = lambda _: None
    messages_per_second: int = 100


@dataclass
class Ingest:
    """One server, which may be stopped and started again on the same port."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    frames: dict[tuple[str, int], str] = field(default_factory=dict)
    resent: int = 0
    sockets: int = 0
    batches: int = 0
    pings: int = 0
    violations: list[str] = field(default_factory=list)
    port: int = 0
    _server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/telemetry"

    @property
    def seqs(self) -> list[int]:
        return sorted(seq for _, seq in self.frames)

    @property
    def epochs(self) -> set[str]:
        return {epoch for epoch, _ in self.frames}

    def of_type(self, kind: str) -> list[dict]:
        ordered = sorted(self.frames.items(), key=lambda item: item[0][1])
        return [frame for _, raw in ordered if (frame := json.loads(raw))["type"] == kind]

    async def start(self) -> None:
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, compression=None, max_size=65_536, ping_interval=None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self, code: int = 1012) -> None:
        """End in order."""
        if self._server is not None:
            self._server.close(code=code)
            await self._server.wait_closed()

    async def die(self) -> None:
        """End without a word, as a killed process does."""
        if self._server is not None:
            for connection in self._server.connections:
                connection.transport.abort()
            await self.stop()

    async def _serve(self, socket: ServerConnection) -> None:
        self.sockets += 1
        try:
            epoch = await self._sign_in(socket)
            if epoch is not None:
                await _Exchange(self, socket, epoch).serve()
        except ConnectionClosed:
            pass

    async def _sign_in(self, socket: ServerConnection) -> str | None:
        first = json.loads(await asyncio.wait_for(socket.recv(), 5))
        self.expect(set(first) == {"type", "token", "epoch", "client"}, f"auth frame {sorted(first)}")
        self.expect(first["type"] == "auth" and first["token"] == TOKEN, "credential")
        self.expect(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", first["epoch"]) is not None, "epoch")
        if self.behaviour.auth_error:
            code, message, close = self.behaviour.auth_error
            await send(socket, type="auth_error", code=code, message=message)
            await socket.close(close, "sign-in refused")
            return None
        limits = {
            "messages_per_second": self.behaviour.messages_per_second,
            "max_frame_bytes": 65_536,
            "idle_s": 300,
        }
        await send(socket, type="auth_success", user_id="user_x", account_id="acc", agents=[AGENT], limits=limits)
        return str(first["epoch"])

    def expect(self, condition: bool, what: str) -> None:  # noqa: FBT001
        if not condition:
            self.violations.append(what)


class _Exchange:
    def __init__(self, ingest: Ingest, socket: ServerConnection, epoch: str) -> None:
        self.ingest, self.socket, self.epoch = ingest, socket, epoch
        self.last_seq = 0
        self.recent: deque[float] = deque()

    async def serve(self) -> None:
        async for message in self.socket:
            expect = self.ingest.expect
            expect(isinstance(message, str), "binary frame")
            frame = json.loads(message)
            if frame["type"] == "ping":
                self._count_items(1)
                self.ingest.pings += 1
                if not self.ingest.behaviour.loses_pongs:
                    await send(self.socket, type="pong", timestamp=datetime.now(UTC).isoformat())
                continue
            items = [frame]
            if frame["type"] == "batch":
                expect(set(frame) == {"type", "items"} and 1 < len(frame["items"]) <= 1000, "batch")
                self.ingest.batches += 1
                items = frame["items"]
            self._count_items(len(items))
            for index, item in enumerate(items):
                await self._take(item, index)
            if not self.ingest.behaviour.loses_acks:
                await send(self.socket, type="ack", seq=self.last_seq)
            await self._close_if_told()

    async def _take(self, frame: dict, index: int) -> None:
        check_frame(frame, self.ingest.expect)
        seq, key = frame["seq"], (self.epoch, frame["seq"])
        self.ingest.expect(seq > self.last_seq, f"seq {seq} after {self.last_seq}")
        self.last_seq = max(seq, self.last_seq)
        if (code := self.ingest.behaviour.refuses(frame)) is not None:
            ref = {"seq": seq, "index": index}
            await send(self.socket, type="protocol_error", code=code, message="refused", ref=ref)
            return
        raw = json.dumps(frame)
        if key in self.ingest.frames:
            self.ingest.resent += 1
            self.ingest.expect(self.ingest.frames[key] == raw, f"seq {seq} resent with other content")
        self.ingest.frames[key] = raw

    async def _close_if_told(self) -> None:
        told = self.ingest.behaviour.close_after
        if told is not None and len(self.ingest.frames) >= told[0]:
            self.ingest.behaviour.close_after = None
            await self.socket.close(told[1], "as told")

    def _count_items(self, items: int) -> None:
        now = time.monotonic()
        self.recent.extend([now] * items)
        while self.recent[0] < now - 1:
            self.recent.popleft()
        limit = self.ingest.behaviour.messages_per_second
        # Two messages sent 10 ms apart may be read together.
        self.ingest.expect(len(self.recent) <= limit * 1.1, f"{len(self.recent)} items within a second")


def check_frame(frame: dict, expect: Callable[[bool, str], None]) -> None:
    kind = frame.get("type")
    expect(set(frame) == FIELDS.get(kind, set()), f"fields of {kind}: {sorted(frame)}")
    expect(frame.get("agent_id") == AGENT, "agent id")
    expect(TIMESTAMP.fullmatch(frame.get("timestamp", "")) is not None, "timestamp")
    expect(isinstance(frame.get("seq"), int) and 1 <= frame["seq"] < 2**32, "seq")
    body = frame.get("data", {})
    if kind == "metrics":
        expect(set(body) - {"response_ms"} == set(METRICS), f"metrics {sorted(body)}")
        expect(all(isinstance(body[name], kinds) for name, kinds in METRICS.items()), "types of metrics")
    elif kind == "skills":
        expect(all(set(s) == {"calls_1h", "revenue_1h", "avg_latency_ms"} for s in body.values()), "skills")
    elif kind == "error":
        expect(set(body) - {"skill"} == {"error_type", "message"}, "error")
    elif kind == "status":
        expect(frame.get("status") in {"online", "busy", "offline"}, "status")


async def send(socket: ServerConnection, **frame: object) -> None:
    await socket.send(json.dumps(frame))


def pairing_with(ingest: Ingest, pairing_id: str = "pair_1", agent_id: str = AGENT) -> Pairing:
    return Pairing(
        gateway_url="http://127.0.0.1:1",
        pairing_id=pairing_id,
        agent_id=agent_id,
        handle="sol",
        websocket_url=ingest.url,
        telemetry_token=TOKEN,
        created_at="2026-01-30T12:00:00Z",
    )


class Gateway(ThreadingHTTPServer):
    """Answers `POST /pairing/confirm` once as told, and keeps what was asked."""

    daemon_threads = True
    answer: tuple[int, dict[str, str], bytes] = (500, {}, b"")

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def confirms(self, ingest_url: str, agent_id: str = AGENT, **changes: object) -> None:
        body = {
            "pairing_id": "pair_1",
            "status": "active",
            "agent": {"id": agent_id, "handle": "sol"},
            "websocket_url": ingest_url,
            "telemetry_token": TOKEN,
            "created_at": "2026-01-30T12:00:00Z",
        }
        self.answer = (200, {}, json.dumps(body | changes).encode())

    def refuses(self, status: int, code: str, message: str, details: list | None = None) -> None:
        error = {"code": code, "message": message, "status": status, "details": details or []}
        body = {"detail": message, "error": error, "request_id": "req_7"}
        self.answer = (status, {}, json.dumps(body).encode())


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append({"path": self.path, **body})
        status, headers, content = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


async def eventually(condition: Callable[[], object], seconds: float = 5) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        await asyncio.sleep(0.01)
