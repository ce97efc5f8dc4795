"""A few agents with made-up work: signs in as admin (who is made at the first start), pairs them, streams for ever."""

import asyncio
import os
import random
from pathlib import Path

import httpx

from shoal_agent import Agent, pair

URL = os.environ.get("SHOAL_URL", "http://127.0.0.1:8080")
FAILING = 0.05
SKILLS = ("search", "write", "translate", "code", "draw")


async def main() -> None:
    """Pair and stream."""
    password = os.environ.get("SHOAL_ADMIN_PASSWORD")
    if not password:
        raise SystemExit("SHOAL_ADMIN_PASSWORD is not set: the password of the user admin")
    tokens = await open_pairings(password, int(os.environ.get("SHOAL_DEMO_AGENTS", "5")))
    async with asyncio.TaskGroup() as agents:
        for number, token in enumerate(tokens, 1):
            agents.create_task(work(number, token))


async def open_pairings(password: str, count: int) -> list[str]:
    """Sign in and open a pairing for each agent."""
    async with httpx.AsyncClient(base_url=URL, timeout=30) as client:
        credentials = {"username": "admin", "password": password}
        required = (await client.get("/api/v1/auth/setup-required")).json()["setup_required"]
        (await client.post(f"/api/v1/auth/{'setup' if required else 'login'}", json=credentials)).raise_for_status()
        opened = [await client.post("/pairing/init", json={"name": f"Demo {n}"}) for n in range(1, count + 1)]
        return [str(one.raise_for_status().json()["token"]) for one in opened]


async def work(number: int, token: str) -> None:
    """Be one agent."""
    state = Path(f"/tmp/demo-{number}")  # noqa: S108 - forgotten with the container
    await pair(state, URL, token, is_direct=True)
    async with Agent.open(state, interval_s=5) as agent, asyncio.TaskGroup() as tasks:
        tasks.create_task(agent.run())
        while True:
            await asyncio.sleep(random.expovariate(0.5))
            skill = random.choice(SKILLS)  # noqa: S311 - nobody guards anything with it
            if random.random() < FAILING:  # noqa: S311
                agent.record_error("skill_failure", "Model timeout", skill=skill)
            else:
                spent = f"{random.uniform(0.001, 0.05):.4f}"  # noqa: S311
                agent.record_message(latency_ms=int(random.lognormvariate(6.5, 0.6)), skill=skill, revenue=spent)


if __name__ == "__main__":
    asyncio.run(main())
