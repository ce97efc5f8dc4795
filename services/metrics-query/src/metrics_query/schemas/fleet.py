"""`GET /telemetry/overview` and `GET /telemetry/skills/{agent_id}`: what Shoal adds to the contract."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from metrics_query.domain.fleet import NO_TOTALS, AgentTotals, Overview
from metrics_query.domain.measures import money, number
from metrics_query.domain.moments import from_minute
from metrics_query.domain.periods import Period
from metrics_query.domain.series import LatencySource, Totals
from metrics_query.domain.skills import SkillBucket, Skills
from metrics_query.schemas.metrics import CountPoint, MoneyPoint, Number

FleetPeriod = Literal["24h", "7d", "30d"]


class TotalsView(Struct, frozen=True):
    """Sums over the period; messages are the sum of the points."""

    total_messages: int
    total_errors: int
    avg_latency_ms: Number
    error_rate: Number
    total_revenue: str
    latency_source: LatencySource
    total_tokens: int

    @classmethod
    def from_domain(cls, totals: Totals) -> "TotalsView":
        """Show sums."""
        return cls(
            totals.messages,
            totals.errors,
            totals.avg_latency_ms,
            totals.error_rate,
            totals.total_revenue,
            totals.latency_source,
            totals.tokens,
        )


class AgentSummary(Struct, frozen=True):
    """One agent of the fleet; `active` within five minutes of its last sample, whose minute `last_sample` is."""

    agent_id: str
    name: str
    active: bool
    last_sample: datetime | None
    summary: TotalsView

    @classmethod
    def from_domain(cls, shown: AgentTotals) -> "AgentSummary":
        """Show an agent."""
        agent = shown.agent
        return cls(agent.agent_id, agent.name, shown.is_active, agent.last_minute, TotalsView.from_domain(shown.totals))


class FleetSeries(Struct, frozen=True):
    """The fleet's points, oldest first; nothing heard is 0."""

    messages: list[CountPoint]
    errors: list[CountPoint]
    revenue: list[MoneyPoint]
    tokens: list[CountPoint]


class OverviewView(Struct, frozen=True):
    """What all agents of the account did together; every sample received before `as_of` is part of it."""

    period: str
    resolution: str
    as_of: datetime
    total: int
    active: int
    summary: TotalsView
    data: FleetSeries
    agents: list[AgentSummary]

    @classmethod
    def from_domain(cls, overview: Overview) -> "OverviewView":
        """Show an overview."""
        known = min(overview.points, default=overview.window.end)
        points = [
            (from_minute(start), overview.points.get(start, NO_TOTALS)) for start in overview.window.starts(since=known)
        ]
        return cls(
            period=overview.period,
            resolution=overview.resolution,
            as_of=overview.as_of,
            total=len(overview.agents),
            active=sum(shown.is_active for shown in overview.agents),
            summary=TotalsView.from_domain(overview.totals),
            data=FleetSeries(
                messages=[CountPoint(start, each.messages) for start, each in points],
                errors=[CountPoint(start, each.errors) for start, each in points],
                revenue=[MoneyPoint(start, each.total_revenue) for start, each in points],
                tokens=[CountPoint(start, each.tokens) for start, each in points],
            ),
            agents=[AgentSummary.from_domain(shown) for shown in overview.agents],
        )


class SkillView(Struct, frozen=True):
    """What one skill did; without a response time `avg_latency_ms` is 0."""

    skill: str
    calls: int
    revenue: str
    avg_latency_ms: Number
    errors: int

    @classmethod
    def from_domain(cls, name: str, bucket: SkillBucket) -> "SkillView":
        """Show a skill."""
        mean = number(bucket.latency / bucket.n / 1000) if bucket.n else 0
        return cls(name, bucket.calls, money(bucket.revenue), mean, bucket.errors)


class SkillsView(Struct, frozen=True):
    """An agent's skills, the most called first."""

    agent_id: str
    period: str
    skills: list[SkillView]

    @classmethod
    def from_domain(cls, agent_id: str, period: Period, skills: Skills) -> "SkillsView":
        """Show skills."""
        ordered = sorted(skills.items(), key=lambda item: (-item[1].calls, item[0]))
        return cls(agent_id, period.value, [SkillView.from_domain(name, bucket) for name, bucket in ordered])
