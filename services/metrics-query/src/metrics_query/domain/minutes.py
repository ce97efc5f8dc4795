"""Minute rows: a pure fold of samples that does not depend on their order.

A sample belongs to the minute of its own timestamp. Counts, sums and bounds are added; of the gauges that
only make sense whole (what was handled in the hour before, counters, uptime) the minute keeps those of its
last sample, ordered by (timestamp, epoch, seq). Since every sample is counted once, folding any split of
the same samples in any order and merging the parts gives the same rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from metrics_query.domain.gauges import NO_READINGS, Gauge
from metrics_query.domain.latencies import NO_RESPONSES, Latency
from metrics_query.domain.measures import bounded, count, micros, thousandths
from metrics_query.domain.moments import to_minute
from shoal_events import Sample, SampleMetrics, SampleSkill

MAX_SKILL_NAME = 128
R = TypeVar("R", "Reading", "SkillReading")
SkillMinutes = dict[tuple[int, str], "SkillMinute"]


class Stamp(Struct, frozen=True, order=True, gc=False):
    """Orders the samples of an agent."""

    at: datetime
    epoch: str
    seq: int


class Reading(Struct, frozen=True, gc=False):
    """What an agent says of itself as a whole in one sample. Money in millionths, uptime in seconds."""

    stamp: Stamp
    messages_1h: int | None = None
    messages_24h: int | None = None
    errors_1h: int | None = None
    revenue_1h: int | None = None
    messages_total: int | None = None
    errors_total: int | None = None
    revenue_total: int | None = None
    tokens_total: int | None = None
    uptime_s: int | None = None

    @classmethod
    def of(cls, stamp: Stamp, metrics: SampleMetrics) -> "Reading | None":
        """Read a frame; None when it says nothing of messages, errors, revenue or tokens."""
        reading = cls(
            stamp,
            count(metrics.messages_1h),
            count(metrics.messages_24h),
            count(metrics.errors_1h),
            micros(metrics.revenue_1h),
            count(metrics.messages_total),
            count(metrics.errors_total),
            micros(metrics.revenue_total),
            count(metrics.tokens_total),
            count(metrics.uptime_s),
        )
        return reading if reading.tells_anything else None

    @property
    def at_s(self) -> int:
        """When it was taken, in seconds since 1970."""
        return int(self.stamp.at.timestamp())

    @property
    def tells_anything(self) -> bool:
        """Whether it says how many messages, errors, tokens there were, or how much was earned."""
        told = (self.messages_1h, self.messages_24h, self.messages_total, self.tokens_total)
        return told != (None,) * 4 or self.tells_errors or self.tells_revenue

    @property
    def tells_errors(self) -> bool:
        """Whether it says how many errors there were."""
        return self.errors_1h is not None or self.errors_total is not None

    @property
    def tells_revenue(self) -> bool:
        """Whether it says how much was earned."""
        return self.revenue_1h is not None or self.revenue_total is not None


class SkillReading(Struct, frozen=True, gc=False):
    """What an agent says of one skill in one sample."""

    stamp: Stamp
    calls_1h: int | None = None
    revenue_1h: int | None = None

    @property
    def at_s(self) -> int:
        """When it was taken, in seconds since 1970."""
        return int(self.stamp.at.timestamp())


class Minute(Struct, frozen=True, kw_only=True, gc=False):
    """What one agent told in one minute.

    `measured` holds single response times (`response_ms`); `averaged` holds means over a window of the
    agent's choice (`avg_response_ms`), one for each frame that brought no single ones.
    """

    frames: int = 0
    errors: int = 0
    reading: Reading | None = None
    sessions: Gauge = NO_READINGS
    memory: Gauge = NO_READINGS
    cpu: Gauge = NO_READINGS
    measured: Latency = NO_RESPONSES
    averaged: Latency = NO_RESPONSES

    @classmethod
    def of(cls, frames: Iterable[tuple[Stamp, SampleMetrics]], *, errors: int = 0) -> "Minute":
        """Fold the frames of one minute."""
        told = list(frames)
        metrics = [frame for _, frame in told]
        readings = [reading for stamp, frame in told if (reading := Reading.of(stamp, frame)) is not None]
        return cls(
            frames=len(told),
            errors=errors,
            reading=max(readings, key=_stamp, default=None),
            sessions=_gauge([frame.active_sessions for frame in metrics]),
            memory=_gauge([frame.memory_mb for frame in metrics]),
            cpu=_gauge([frame.cpu_percent for frame in metrics]),
            measured=Latency.of([value for frame in metrics for value in frame.response_ms]),
            averaged=Latency.of(
                [frame.avg_response_ms for frame in metrics if frame.avg_response_ms and not frame.response_ms]
            ),
        )

    def merge(self, other: "Minute") -> "Minute":
        """Count the samples of both, which must have none in common."""
        return Minute(
            frames=self.frames + other.frames,
            errors=self.errors + other.errors,
            reading=_later(self.reading, other.reading),
            sessions=self.sessions.merge(other.sessions),
            memory=self.memory.merge(other.memory),
            cpu=self.cpu.merge(other.cpu),
            measured=self.measured.merge(other.measured),
            averaged=self.averaged.merge(other.averaged),
        )


class SkillMinute(Struct, frozen=True, kw_only=True, gc=False):
    """What one agent told of one skill in one minute; `latency` sums `n` means, in microseconds."""

    reading: SkillReading | None = None
    errors: int = 0
    n: int = 0
    latency: int = 0

    def merge(self, other: "SkillMinute") -> "SkillMinute":
        """Count the samples of both, which must have none in common."""
        return SkillMinute(
            reading=_later(self.reading, other.reading),
            errors=self.errors + other.errors,
            n=self.n + other.n,
            latency=bounded(self.latency + other.latency),
        )


class Folded(Struct, frozen=True):
    """Minute rows by minute, and skill rows by minute and skill."""

    minutes: dict[int, Minute]
    skills: SkillMinutes


def fold(samples: Iterable[tuple[str, Sample]]) -> Folded:
    """Fold the samples of one agent, each with its epoch and none twice."""
    frames: dict[int, list[tuple[Stamp, SampleMetrics]]] = {}
    errors: dict[int, int] = {}
    skills: SkillMinutes = {}
    for epoch, sample in samples:
        minute, stamp = to_minute(sample.at), Stamp(sample.at, epoch, sample.seq)
        if sample.metrics is not None:
            frames.setdefault(minute, []).append((stamp, sample.metrics))
        if sample.error is not None:
            errors[minute] = errors.get(minute, 0) + 1
            if sample.error.skill is not None:
                _count(skills, minute, sample.error.skill, SkillMinute(errors=1))
        for name, told in sample.skills.items():
            _count(skills, minute, name, _skill_minute(stamp, told))
    counted = frames.keys() | errors.keys()
    minutes = {minute: Minute.of(frames.get(minute, ()), errors=errors.get(minute, 0)) for minute in counted}
    return Folded(minutes, skills)


def skills_by_name(skills: Mapping[tuple[int, str], SkillMinute]) -> dict[str, dict[int, SkillMinute]]:
    """Group skill rows by skill, then minute."""
    grouped: dict[str, dict[int, SkillMinute]] = {}
    for (minute, name), row in skills.items():
        grouped.setdefault(name, {})[minute] = row
    return grouped


def _count(skills: SkillMinutes, minute: int, name: str, row: SkillMinute) -> None:
    if len(name) > MAX_SKILL_NAME or "\x00" in name:
        return
    known = skills.get((minute, name))
    skills[minute, name] = row if known is None else known.merge(row)


def _skill_minute(stamp: Stamp, told: SampleSkill) -> SkillMinute:
    reading = SkillReading(stamp, count(told.calls_1h), micros(told.revenue_1h))
    latency = Latency.of((told.avg_latency_ms,)) if told.avg_latency_ms else NO_RESPONSES
    return SkillMinute(reading=reading, n=latency.n, latency=latency.total)


def _gauge(values: Sequence[float | None]) -> Gauge:
    return Gauge.of([read for value in values if (read := thousandths(value)) is not None])


def _stamp(reading: Reading) -> Stamp:
    return reading.stamp


def _later(one: R | None, other: R | None) -> R | None:
    if one is None or other is None:
        return one or other
    return one if one.stamp > other.stamp else other
