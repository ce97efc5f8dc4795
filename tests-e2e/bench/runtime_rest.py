"""How long each of the runtime's routes takes, through the gateway, for one caller and for eight."""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from stack import Account
from stack.figures import percentile

from bench.caller import Caller
from bench.rows import Row, Scale, bench_stack
from shoal.testing.suite import eventually

AT_ONCE, WARM, SAID, REMEMBERED = 8, 3, 20, 50
SHARE_S = 0.25
"""How long one route is asked, at each number of callers."""
RENDER = {"command": "render", "id": "t1", "element": {"type": "text", "content": "Hello"}}
GET = (
    "/api/agents",
    "/api/agents/{agent}",
    "/api/sessions",
    "/api/sessions/{session}",
    "/api/sessions/{session}/export",
    "/api/sessions/{session}/runs",
    "/api/runs/{run}",
    "/api/approvals",
    "/api/tools",
    "/api/tools/read_file/schema",
    "/api/mcp-servers",
    "/api/memory",
    "/api/memory/note-7",
    "/api/memory/search?q=the+seventh+note",
    "/api/skills",
    "/api/config",
    "/api/cron",
    "/api/cron/{job}",
    "/api/cron/{job}/firings",
    "/api/delegation/active",
    "/api/delegation/history",
    "/api/delegation/rules",
    "/api/canvas",
    "/api/canvas/{session}/state",
    "/api/channels",
    "/api/voice/status",
    "/api/voice/tts/config",
    "/api/monitoring/token-usage",
    "/api/monitoring/costs",
    "/api/monitoring/pipeline-runs",
    "/api/monitoring/budgets",
    "/api/monitoring/prices",
)
POST: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/api/sessions/{own}/messages", {"content": "Hello"}),
    ("/api/sessions/{own}/runs", {"content": "Hello"}),
    ("/api/sessions", {"agent_id": "{agent}"}),
    ("/api/agents/{agent}/start", {}),
    ("/api/memory", {"key": "note-{number}", "value": "What is to be kept."}),
    ("/api/canvas/{own}/commands", RENDER),
    ("/api/voice/status", {"state": "idle"}),
    ("/api/cron", {"name": "job {number}", "schedule": "0 0 1 1 *", "payload": "Hello", "enabled": False}),
)


class Scene(Struct, frozen=True):
    """What routes are asked about: what fills the braces of their paths and bodies."""

    words: dict[str, str]
    own: list[str]
    numbers: Iterator[int]

    def filled(self, text: str, caller: int) -> str:
        """Fill braces, for one of the callers."""
        for name, word in (self.words | {"own": self.own[caller]}).items():
            text = text.replace(f"{{{name}}}", word)
        return text.replace("{number}", str(next(self.numbers))) if "{number}" in text else text


async def run(scale: Scale) -> list[Row]:
    """Ask each route in turn, first one caller, then eight at once."""
    share_s = SHARE_S / 2 if scale.quick else SHARE_S
    async with bench_stack() as stack:
        key = await stack.admin.create_key()
        scene = await furnished(stack.admin)
        callers = [await Caller.open(stack.url, key=key) for _ in range(AT_ONCE)]
        asked = [("GET", path, "") for path in GET] + [("POST", path, json.dumps(body)) for path, body in POST]
        return [await measured(scene, callers, *question, share_s=share_s) for question in asked]


async def furnished(owner: Account) -> Scene:
    """Have something of everything that is asked about."""

    async def has_an_agent() -> bool:
        return bool(await owner.get("/api/agents"))

    await eventually(has_an_agent, within_s=20)
    agent = (await owner.get("/api/agents"))[0]["id"]
    session = await made(owner, "/api/sessions", agent_id=agent)
    for number in range(SAID):
        answer = await made(owner, f"/api/sessions/{session['key']}/messages", content=f"Say {number}")
    for number in range(REMEMBERED):
        await made(owner, "/api/memory", key=f"note-{number}", value=f"This is the note of number {number}.")
    job = await made(owner, "/api/cron", name="job", schedule="0 0 1 1 *", payload="Hello", enabled=False)
    await made(owner, f"/api/canvas/{session['key']}/commands", **RENDER)
    own = [(await made(owner, "/api/sessions", agent_id=agent))["key"] for _ in range(AT_ONCE)]
    words = {"agent": agent, "session": session["key"], "run": answer["run_id"], "job": job["id"]}
    return Scene(words, own, itertools.count(REMEMBERED))


async def made(owner: Account, path: str, **body: Any) -> Any:
    """Have something made."""
    answer = await owner.client.post(path, json=body, timeout=30)
    assert answer.is_success, f"{path}: {answer.text}"
    return answer.json()


async def measured(scene: Scene, callers: list[Caller], method: str, path: str, body: str, *, share_s: float) -> Row:
    """Ask one route for a while."""

    async def work(number: int, until: float) -> list[float]:
        times: list[float] = []
        while time.perf_counter() < until or not times:
            answer = await callers[number].ask(method, scene.filled(path, number), scene.filled(body, number).encode())
            times.append(answer.took_ms)
        return times

    for _ in range(WARM):
        await work(0, 0)
    alone = await work(0, time.perf_counter() + share_s)
    until = time.perf_counter() + share_s
    together = [took for times in await asyncio.gather(*(work(one, until) for one in range(AT_ONCE))) for took in times]
    return Row(f"runtime: {method} {path.partition('?')[0]}", f"1 caller: {told(alone)}", f"8: {told(together)}")


def told(times: list[float]) -> str:
    """Write percentiles of milliseconds."""
    return f"p50 {percentile(times, 0.5):.1f}, p99 {percentile(times, 0.99):.1f} ms"
