"""`GET /telemetry/metrics/{agent_id}`: the contract's answer, with additive fields."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, Struct, UnsetType

from metrics_query.domain.buckets import Bucket
from metrics_query.domain.gauges import Gauge
from metrics_query.domain.measures import money, number
from metrics_query.domain.moments import from_minute
from metrics_query.domain.series import LatencySource, Metric
from metrics_query.errors import UnknownMetricError
from metrics_query.usecases.history import Answer
from shoal.errors import FieldProblem

Number = float
"""A JSON number; written without a fraction when it is whole."""


class CountPoint(Struct, frozen=True):
    """How many in this time; nothing heard is 0 once the agent is known."""

    timestamp: datetime
    value: int


class MoneyPoint(Struct, frozen=True):
    """How much in this time, a decimal string."""

    timestamp: datetime
    value: str


class GaugePoint(Struct, frozen=True):
    """The mean of the readings in this time, with the lowest and the highest; left out when there was none."""

    timestamp: datetime
    value: Number
    min: Number
    max: Number


class LatencyPoint(Struct, frozen=True):
    """Percentiles of response times in milliseconds, within 1.08 %; left out when there was none."""

    timestamp: datetime
    p50: Number
    p95: Number
    p99: Number


class Series(Struct, frozen=True):
    """The points of each metric asked for, oldest first."""

    messages: list[CountPoint] | UnsetType = UNSET
    latency: list[LatencyPoint] | UnsetType = UNSET
    errors: list[CountPoint] | UnsetType = UNSET
    revenue: list[MoneyPoint] | UnsetType = UNSET
    sessions: list[GaugePoint] | UnsetType = UNSET
    memory: list[GaugePoint] | UnsetType = UNSET
    cpu: list[GaugePoint] | UnsetType = UNSET
    tokens: list[CountPoint] | UnsetType = UNSET


class SummaryView(Struct, frozen=True):
    """What the whole time comes to.

    `total_messages` of 24 hours is what the agent itself counted where it said so in the last three minutes
    (`messages_source` is `reported`), otherwise the sum of the points (`recovered`). `latency_source` tells what
    response times stand on: single `responses`, the agent's `averages`, both (`mixed`), or `none`.
    """

    total_messages: int
    avg_latency_ms: Number
    error_rate: Number
    total_revenue: str
    messages_source: str
    latency_source: LatencySource
    total_tokens: int


class MetricsView(Struct, frozen=True):
    """The metrics of one agent."""

    agent_id: str
    period: str
    resolution: str
    data: Series
    summary: SummaryView


Point = CountPoint | MoneyPoint | GaugePoint | LatencyPoint


def metrics_from(text: str | None) -> Sequence[Metric]:
    """Read a comma-separated list; all metrics without one.

    Raises:
        UnknownMetricError: One of the names is no metric.
    """
    names = {name.strip() for name in (text or "").split(",") if name.strip()}
    unknown = names - set(Metric)
    if unknown:
        known = ", ".join(Metric)
        raise UnknownMetricError(
            f"Unknown metric: {', '.join(sorted(unknown))}.",
            details=[FieldProblem("metrics", f"names out of {known}, separated by commas")],
        )
    return [metric for metric in Metric if not names or metric in names]


async def render(answer: Answer) -> AsyncIterator[bytes]:
    """Write an answer as JSON, piece by piece."""
    head = {"agent_id": answer.agent_id, "period": answer.period, "resolution": answer.resolution}
    yield msgspec.json.encode(head)[:-1] + b',"data":{'
    for number_of, metric in enumerate(answer.metrics):
        yield (b"," if number_of else b"") + msgspec.json.encode(metric.value) + b":["
        is_first = True
        async for piece in answer.points(metric):
            made = [_POINTS[metric](from_minute(start), bucket) for start, bucket in piece]
            shown = msgspec.json.encode([point for point in made if point is not None])[1:-1]
            if shown:
                yield shown if is_first else b"," + shown
                is_first = False
        yield b"]"
    yield b'},"summary":' + msgspec.json.encode(_summary(answer)) + b"}"


def _summary(answer: Answer) -> SummaryView:
    reported, totals = answer.reported_messages, answer.totals
    return SummaryView(
        total_messages=totals.messages if reported is None else reported,
        avg_latency_ms=totals.avg_latency_ms,
        error_rate=totals.error_rate,
        total_revenue=totals.total_revenue,
        messages_source="recovered" if reported is None else "reported",
        latency_source=totals.latency_source,
        total_tokens=totals.tokens,
    )


def _gauge(timestamp: datetime, gauge: Gauge) -> GaugePoint | None:
    if gauge.low is None or gauge.high is None:
        return None
    mean = gauge.total / gauge.n / 1000
    return GaugePoint(timestamp, number(mean), number(gauge.low / 1000), number(gauge.high / 1000))


def _latency(timestamp: datetime, bucket: Bucket) -> LatencyPoint | None:
    shares = [bucket.latency.quantile(share) for share in (0.5, 0.95, 0.99)]
    told = [number(share) for share in shares if share is not None]
    return LatencyPoint(timestamp, *told) if told else None


_POINTS: Mapping[Metric, Callable[[datetime, Bucket], Point | None]] = {
    Metric.MESSAGES: lambda timestamp, bucket: CountPoint(timestamp, bucket.messages),
    Metric.LATENCY: _latency,
    Metric.ERRORS: lambda timestamp, bucket: CountPoint(timestamp, bucket.errors),
    Metric.REVENUE: lambda timestamp, bucket: MoneyPoint(timestamp, money(bucket.revenue)),
    Metric.SESSIONS: lambda timestamp, bucket: _gauge(timestamp, bucket.sessions),
    Metric.MEMORY: lambda timestamp, bucket: _gauge(timestamp, bucket.memory),
    Metric.CPU: lambda timestamp, bucket: _gauge(timestamp, bucket.cpu),
    Metric.TOKENS: lambda timestamp, bucket: CountPoint(timestamp, bucket.tokens),
}
