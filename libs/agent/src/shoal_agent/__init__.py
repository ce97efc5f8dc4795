"""The reference agent of Shoal: pairs once, then streams telemetry for ever and loses none of it.

from shoal_agent import Agent, pair

await pair("/var/lib/my-agent", "https://shoal.example", token)  # once

async with Agent.open("/var/lib/my-agent") as agent:
agent.record_message(latency_ms=850, skill="image-generation", revenue="0.02")
await agent.run()
"""

from shoal_agent.agent import Agent, pair
from shoal_agent.errors import AgentError
from shoal_agent.journal import Journal
from shoal_agent.pairing import Pairing
from shoal_agent.stream import StreamState, StreamStatus, TelemetryStream

__all__ = [
    "Agent",
    "AgentError",
    "Journal",
    "Pairing",
    "StreamState",
    "StreamStatus",
    "TelemetryStream",
    "pair",
]
