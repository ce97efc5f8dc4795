"""The agents of an account, and what they did one by one and together."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from metrics_query.domain.gauges import Present
from metrics_query.domain.periods import Period, Resolution, Window
from metrics_query.domain.series import Totals

NO_TOTALS = Totals()


class Agent(Struct, frozen=True):
    """An agent of an account; without a source it never sent a sample."""

    agent_id: str
    pairing_id: str
    name: str
    source: int | None
    first_minute: datetime | None
    last_minute: datetime | None


class AgentTotals(Struct, frozen=True):
    """What one agent did in the period, and whether it is active now."""

    agent: Agent
    totals: Totals
    is_active: bool


class Overview(Struct, frozen=True):
    """What a fleet did, as of its last roll-up."""

    period: Period
    resolution: Resolution
    window: Window
    as_of: datetime
    agents: Sequence[AgentTotals]
    points: Mapping[int, Totals]
    totals: Totals


class AgentState(Struct, frozen=True):
    """What an agent said last, if that was within the last minutes, and its last day."""

    agent: Agent
    present: Present | None
    day: Totals
