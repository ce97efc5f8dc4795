"""An instance among the fleet: its agent pairs itself and streams."""

import json
from pathlib import Path

from orchestrator_door import Door, Open

from shoal.testing.suite import eventually
from shoal_events import AgentOffline, AgentOnline, PairingConfirmed, PairingDeleted


async def test_an_instance_pairs_itself_streams_and_leaves_the_fleet_when_deleted(open_door: Open, state: Path) -> None:
    idle = await open_door(is_idle=True)
    suite = idle.suite
    await suite.stop(idle.service)
    await idle.sql("delete from lease")
    for name in ("gateway", "pairing", "telemetry-ingest", "instance-orchestrator"):
        suite.announce(name)
    public = f"http://{json.loads(suite.environment()['SHOAL_SERVICES'])['gateway']}"
    for name in ("pairing", "telemetry-ingest", "gateway"):
        await suite.start(name, SHOAL_PUBLIC_URL=public)
    service = await suite.start("instance-orchestrator", **idle.settings, SHOAL_PUBLIC_URL=public)
    door = Door(suite, service, idle.settings)
    body = await door.create()
    (confirmed,) = await suite.events(PairingConfirmed, within_s=20)
    assert (confirmed.agent_id, confirmed.account_id, confirmed.handle) == (body["agent_id"], "acct_1", "bot-alpha")
    (online,) = await suite.events(AgentOnline, within_s=20)
    assert online.agent_id == body["agent_id"]
    token = state / "instances" / "1-bot-alpha" / "pairing_token"
    await eventually(lambda: not token.read_text())  # spent, and no longer kept
    (row,) = await door.sql("select is_paired, pairing_token from instance")
    assert (row["is_paired"], row["pairing_token"]) == (True, None)
    await door.until_status(1, "running")
    await door.admin.delete("/api/v1/instances/1")
    await suite.events(AgentOffline, within_s=20)
    (ended,) = await suite.events(PairingDeleted)
    assert ended.pairing_id == confirmed.pairing_id
