"""Talking with agents of an account of the test's own."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
from runtime_door import Door

from shoal.identity import Role
from shoal.testing.suite import eventually, user
from shoal_events import Sample, TelemetryBatch


class Talk:
    """An account with its first agent and one session."""

    def __init__(self, door: Door, account_id: str) -> None:
        self.door = door
        self.account_id = account_id
        self.client = door.service.client(user(account_id, f"user_{account_id}", role=Role.ADMIN))
        self.agent_id = ""
        self.key = ""

    @classmethod
    async def begin(cls, door: Door, **agent: Any) -> "Talk":
        """Begin a session; with an agent of this description, or the account's first one."""
        account_id = f"acct_{uuid4().hex[:12]}"
        await door.meet(account_id)
        talk = cls(door, account_id)
        agents = (await talk.client.get("/api/agents")).json()
        talk.agent_id = agents[0]["id"]
        if agent:
            created = await talk.client.post("/api/agents", json={"name": "tested", **agent})
            assert created.status_code == 201, created.text
            talk.agent_id = created.json()["id"]
        begun = await talk.client.post("/api/sessions", json={"agent_id": talk.agent_id})
        assert begun.status_code == 201, begun.text
        talk.key = begun.json()["key"]
        return talk

    async def post(self, content: str, *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        """Say something; returns the answer as it is."""
        return await self.client.post(
            f"/api/sessions/{self.key}/messages", json={"content": content, **body}, headers=headers
        )

    async def say(self, content: str, **body: Any) -> dict[str, Any]:
        """Say something; returns what the agent says."""
        answer = await self.post(content, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def run(self, content: str, **body: Any) -> str:
        """Have something answered; returns the run."""
        answer = await self.client.post(f"/api/sessions/{self.key}/runs", json={"content": content, **body})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    async def show(self, run_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/api/runs/{run_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, run_id: str, *statuses: str, within_s: float = 5) -> dict[str, Any]:
        """Wait until a run has one of these statuses; returns it."""
        seen: dict[str, Any] = {}

        async def holds() -> bool:
            seen.update(await self.show(run_id))
            return seen["status"] in statuses

        await eventually(holds, lambda: seen, within_s=within_s)
        return seen

    async def messages(self) -> list[dict[str, Any]]:
        return (await self.client.get(f"/api/sessions/{self.key}")).json()["messages"]

    async def tokens(self) -> int:
        """Tell what models took, as monitoring has it."""
        usage = (await self.client.get("/api/monitoring/token-usage")).json()
        return int(usage["total_input"] + usage["total_output"])

    async def samples(self) -> list[Sample]:
        """Read what the agent told as telemetry, in the order in which it was stored."""
        jetstream = (await self.door.suite.bus()).jetstream()
        samples: list[Sample] = []
        for sequence in range(1, (await jetstream.stream_info("TELEMETRY")).state.last_seq + 1):
            message = await jetstream.get_msg("TELEMETRY", sequence)
            for group in TelemetryBatch.from_json(message.data).groups:
                if (group.account_id, group.agent_id) == (self.account_id, self.agent_id):
                    samples += group.samples
        return samples

    async def events(self, run_id: str, *, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Follow a run; yields what each frame holds, with `id` where it has one."""
        headers = {"last-event-id": str(after)} if after else {}
        async with self.client.stream("GET", f"/api/runs/{run_id}/stream", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            frame: dict[str, Any] = {}
            async for line in answer.aiter_lines():
                if not line:
                    if "data" in frame:
                        yield frame
                    frame = {}
                    continue
                name, _, value = line.partition(": ")
                if name == "data":
                    frame["data"] = json.loads(value)
                elif name in {"id", "event"}:
                    frame[name] = value


def texts(events: list[dict[str, Any]]) -> str:
    """Join the stored text of a run."""
    return "".join(event["data"]["content"] for event in events if event.get("event") == "text")
