"""`GET /telemetry/prometheus`: a fleet in Prometheus' text format.

Everything is a gauge: increments are recovered, and a late sample may correct them downwards, which a Prometheus
counter would take for a restart.
"""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from metrics_query.domain.fleet import AgentState
from metrics_query.domain.gauges import Present
from metrics_query.domain.measures import MICROS

MEDIA_TYPE = "text/plain; version=0.0.4"
"""To which the framework adds the charset."""
MEGABYTE = 10**6

_SAID: tuple[tuple[str, str, Callable[[Present], float | None]], ...] = (
    ("shoal_agent_last_sample_timestamp_seconds", "Minute of the last sample", lambda p: p.minute.timestamp()),
    ("shoal_agent_messages_1h", "Messages in the last hour, as the agent says", lambda p: p.messages_1h),
    ("shoal_agent_messages_24h", "Messages in the last day, as the agent says", lambda p: p.messages_24h),
    ("shoal_agent_uptime_seconds", "Time since the agent started", lambda p: p.uptime_s),
    ("shoal_agent_active_sessions", "Open sessions, mean of the last minute", lambda p: _scaled(p.sessions, 1)),
    ("shoal_agent_memory_bytes", "Memory in use, mean of the last minute", lambda p: _scaled(p.memory, MEGABYTE)),
    (
        "shoal_agent_cpu_ratio",
        "cpu_percent as the agent sends it, by 100, mean of the last minute; of all cores where shoal-agent sends it",
        lambda p: _scaled(p.cpu, 0.01),
    ),
)
_DID: tuple[tuple[str, str, Callable[[AgentState], float]], ...] = (
    ("shoal_agent_day_messages", "Messages in the last 24 hours, recovered", lambda s: s.day.messages),
    ("shoal_agent_day_errors", "Errors in the last 24 hours", lambda s: s.day.errors),
    ("shoal_agent_day_revenue_usdc", "Revenue in the last 24 hours", lambda s: s.day.revenue / MICROS),
    ("shoal_agent_day_tokens", "Tokens that models took in the last 24 hours", lambda s: s.day.tokens),
    (
        "shoal_agent_day_response_seconds",
        "Mean response time in 24 hours",
        lambda s: s.day.avg_latency_ms / 1000,
    ),
)


def expose(agents: Sequence[AgentState]) -> bytes:
    """Write a fleet; an agent that said nothing lately has its last day only."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fleet(agents))
    return generate_latest(registry)


class _Fleet:
    def __init__(self, agents: Sequence[AgentState]) -> None:
        self._agents = agents

    def collect(self) -> Iterator[Metric]:
        info = InfoMetricFamily("shoal_agent", "An agent of the account", labels=("agent_id",))
        for state in self._agents:
            info.add_metric((state.agent.agent_id,), {"name": state.agent.name, "pairing_id": state.agent.pairing_id})
        yield info
        for name, about, said in _SAID:
            family = GaugeMetricFamily(name, about, labels=("agent_id",))
            for state in self._agents:
                value = None if state.present is None else said(state.present)
                if value is not None:
                    family.add_metric((state.agent.agent_id,), value)
            yield family
        for name, about, did in _DID:
            family = GaugeMetricFamily(name, about, labels=("agent_id",))
            for state in self._agents:
                family.add_metric((state.agent.agent_id,), did(state))
            yield family


def _scaled(thousandths: float | None, factor: float) -> float | None:
    return None if thousandths is None else thousandths / 1000 * factor
