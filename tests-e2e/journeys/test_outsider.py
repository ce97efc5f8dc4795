"""Somebody outside reads every fact with nothing of ours but the descriptors, and can say nothing."""

import asyncio
import sys
from pathlib import Path

from stack import Stack

CONSUME = Path(__file__).parents[1] / "outsider" / "consume.py"
FACTS = (
    "account.created.v1", "user.created.v1", "pairing.opened.v1", "pairing.confirmed.v1", "pairing.renamed.v1",
    "pairing.token_reissued.v1", "pairing.deleted.v1", "agent.online.v1", "agent.offline.v1", "api_key.revoked.v1",
    "login.ended.v1", "user.updated.v1", "user.deleted.v1", "account.deleted.v1",
)  # fmt: skip


async def test_an_outsider_reads_every_fact_and_cannot_publish_one(stack: Stack) -> None:
    await make_every_fact(stack)
    assert stack.suite.nats is not None
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CONSUME), "--url", stack.suite.nats.url_for("consumer"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, complaints = await process.communicate()
    assert process.returncode == 0, (output + complaints).decode()
    for fact in FACTS:
        assert fact in output.decode(), f"{fact} was not read: {output.decode()}"


async def make_every_fact(stack: Stack) -> None:
    """Do everything that is told as a fact."""
    guest = await stack.open_account("outsider-guest")
    agent = await guest.pair()
    (await guest.client.patch(f"/pairing/{agent.pairing_id}", json={"name": "Renamed"})).raise_for_status()
    async with agent.connect():
        pass
    (await guest.client.post(f"/pairing/{agent.pairing_id}/telemetry-token")).raise_for_status()
    await guest.unpair(agent)
    key = (await guest.client.post("/api/v1/api-keys", json={"name": "short-lived"})).json()
    (await guest.client.delete(f"/api/v1/api-keys/{key['id']}")).raise_for_status()
    user = {"username": "outsider-second", "password": "correct horse battery"}
    made = (await guest.client.post("/api/v1/users", json=user)).json()
    (await guest.client.put(f"/api/v1/users/{made['id']}/role", json={"role": "admin"})).raise_for_status()
    (await guest.client.delete(f"/api/v1/users/{made['id']}")).raise_for_status()
    account_id = (await guest.get("/api/v1/auth/me"))["account"]["id"]
    (await guest.client.post("/api/v1/auth/logout")).raise_for_status()
    (await stack.admin.client.delete(f"/api/v1/accounts/{account_id}")).raise_for_status()
