"""The figures of metrics-query once more: its documented rules, read literally, in one pass over all samples.

Written from the docstrings of `metrics_query.domain` and sharing no code with it: no merging, no ledgers kept, no
hours redone. Everything is known at once, every gain is remembered for ever, and nothing is fast. Rule numbers are
those of `metrics_query/domain/increments.py`.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

HOUR = 3600


@dataclass(frozen=True)
class Told:
    """One sample: who told it, when, and the frame's content by its type."""

    epoch: str
    seq: int
    at: datetime
    kind: str
    data: dict[str, Any]

    @property
    def order(self) -> tuple[datetime, str, int]:
        return self.at, self.epoch, self.seq

    @property
    def second(self) -> int:
        return math.floor(self.at.timestamp())

    @property
    def minute(self) -> int:
        return self.second // 60


@dataclass
class Histogram:
    """Response times by bucket, their sum in microseconds, and how many were measured one by one."""

    counts: Counter[int] = field(default_factory=Counter)
    total: int = 0
    low: int | None = None
    high: int | None = None
    measured: int = 0

    @classmethod
    def of(cls, values_ms: Iterable[float]) -> "Histogram":
        made = cls()
        for value in values_ms:
            inside = min(max(value, 2.0**-10), 2.0**30)
            us = round(inside * 1000)
            made.add(cls(Counter({math.ceil(32 * math.log2(inside)) - 1: 1}), us, us, us))
        return made

    @property
    def n(self) -> int:
        return self.counts.total()

    def add(self, other: "Histogram") -> None:
        self.counts += other.counts
        self.total += other.total
        self.measured += other.measured
        for name, choose in (("low", min), ("high", max)):
            both = [each for each in (getattr(self, name), getattr(other, name)) if each is not None]
            setattr(self, name, choose(both) if both else None)

    def weighed(self, weight: int) -> "Histogram":
        """Let it stand for so many: cumulative counts are scaled and rounded down."""
        upto, given, scaled = 0, 0, Counter[int]()
        for index in sorted(self.counts):
            upto += self.counts[index]
            scaled[index] = upto * weight // self.n - given
            given += scaled[index]
        return Histogram(+scaled, self.total * weight // self.n, self.low, self.high)

    def quantile(self, share: float) -> float:
        """Estimate by nearest rank, kept between the lowest and the highest value."""
        assert self.low is not None
        assert self.high is not None
        rank, upto, base = max(1, math.ceil(share * self.n)), 0, 2 ** (1 / 32)
        index = next(i for i in sorted(self.counts) if (upto := upto + self.counts[i]) >= rank)
        return min(max(2 * base ** (index + 1) / (base + 1), self.low / 1000), self.high / 1000)


@dataclass(frozen=True)
class Gain:
    """What a series gained: `amount`, told at second `end`, spread over `reach` seconds before it."""

    end: int
    reach: int
    amount: int

    def upto(self, moment: int) -> int:
        """How much of it lies at or before a moment (rule 6)."""
        return self.amount * min(max(moment - self.end + self.reach, 0), self.reach) // self.reach

    def by_minute(self) -> dict[int, int]:
        minutes = range((self.end - self.reach) // 60, (self.end - 1) // 60 + 1)
        given = {m: self.upto((m + 1) * 60) - self.upto(m * 60) for m in minutes}
        return {minute: amount for minute, amount in given.items() if amount}


@dataclass
class Series:
    """The state of one series between updates (rule 2)."""

    last: int | None = None
    total: int | None = None
    uptime: int | None = None
    floor: int | None = None
    gains: list[Gain] = field(default_factory=list)

    def update(self, t: int, v: int | None, c: int | None, u: int | None) -> int:
        """Take an update in; returns its gain (rules 3 to 6)."""
        edge = t - HOUR
        held = sum(
            g.amount - g.upto(edge) for g in self.gains if g.end > edge and (self.floor is None or g.end > self.floor)
        )
        young = u is not None and u < HOUR
        restarted = _below(u, self.uptime) or _below(c, self.total)
        since = None if self.last is None else self.last + (self.last % 60 == 59)
        reach = HOUR if since is None else max(1, min(HOUR, t - since))
        if c is not None and self.total is not None and not restarted:
            gain = c - self.total
        elif c is not None and (restarted or (young and self.last is None)):
            gain = min(c, v) if young and v is not None else c
            reach = reach if u is None else max(1, min(reach, u))
        elif v is not None:
            if restarted and 2 * v < held:
                self.floor, held = self.last, 0
            gain = max(0, v - held)
        else:
            gain = 0
        self.last, self.total, self.uptime = t, c, self.uptime if u is None else u
        if gain:
            self.gains.append(Gain(t, reach, gain))
        return gain

    def substitute(self, by_minute: dict[int, int], last: int) -> None:
        """Take what stands in for an hour without updates (rule 7)."""
        self.gains += [Gain((minute + 1) * 60, 60, amount) for minute, amount in sorted(by_minute.items()) if amount]
        self.last, self.total = last, None

    def by_minute(self) -> Counter[int]:
        counts: Counter[int] = Counter()
        for gain in self.gains:
            counts.update(gain.by_minute())
        return counts


class Figures:
    """What one agent did, minute by minute."""

    def __init__(self, told: Iterable[Told]) -> None:
        self._told = sorted({(one.epoch, one.seq): one for one in told}.values(), key=lambda one: one.order)
        self._readings = {one.minute: one for one in self._of("metrics") if _says_something(one.data)}
        self._skills: dict[str, dict[int, Told]] = defaultdict(dict)
        for one in self._of("skills"):
            for name in one.data:
                self._skills[name][one.minute] = one
        self._series = {name: Series() for name in ("messages", "errors", "revenue", "tokens")}
        self._message_gains: dict[int, int] = {}
        self._calls: dict[str, Series] = defaultdict(Series)
        self._earned: dict[str, Series] = defaultdict(Series)
        for hour in sorted({one.minute // 60 for one in self._told if one.kind != "status"}):
            self._pass_hour(hour)
        self.messages, self.errors, self.revenue, self.tokens = (each.by_minute() for each in self._series.values())
        self.latency = self._latencies()

    def calls(self) -> dict[str, int]:
        """All calls of each skill."""
        return {name: series.by_minute().total() for name, series in self._calls.items()}

    def gauge(self, name: str, scale: int = 1000) -> dict[int, list[int]]:
        """Every reading of a gauge, by minute, in thousandths."""
        readings: dict[int, list[int]] = defaultdict(list)
        for one in self._of("metrics"):
            if one.data.get(name) is not None:
                readings[one.minute].append(round(one.data[name] * scale))
        return readings

    def frames(self) -> Counter[int]:
        """Metrics frames by minute."""
        return Counter(one.minute for one in self._of("metrics"))

    def _of(self, kind: str) -> list[Told]:
        return [one for one in self._told if one.kind == kind]

    def _pass_hour(self, hour: int) -> None:
        minutes = [m for m in range(hour * 60, hour * 60 + 60) if m in self._readings]
        for name, readings in self._skills.items():
            for minute in (m for m in range(hour * 60, hour * 60 + 60) if m in readings):
                told, at = readings[minute].data[name], readings[minute].second
                if (calls := _count(told.get("calls_1h"))) is not None:
                    self._calls[name].update(at, calls, None, None)
                if (earned := _micros(told.get("revenue_1h"))) is not None:
                    self._earned[name].update(at, earned, None, None)
        for name, read in (("messages", _count), ("errors", _count), ("revenue", _micros), ("tokens", _count)):
            told_any = [self._tell(name, minute, read) for minute in minutes]
            if name == "errors" and not any(told_any):
                self._errors_by_frames(hour)
            if name == "revenue" and not any(told_any):
                self._revenue_by_skills(hour)

    def _tell(self, name: str, minute: int, read: Callable[[Any], int | None]) -> bool:
        one = self._readings[minute]
        rolling, total = read(one.data.get(f"{name}_1h")), read(one.data.get(f"{name}_total"))
        if rolling is None and total is None:
            return False
        gain = self._series[name].update(one.second, rolling, total, _count(one.data.get("uptime_s")))
        if name == "messages":
            self._message_gains[minute] = gain
        return True

    def _errors_by_frames(self, hour: int) -> None:
        frames = Counter(one.minute for one in self._of("error") if one.minute // 60 == hour)
        if frames:
            self._series["errors"].substitute(dict(frames), (hour + 1) * HOUR)

    def _revenue_by_skills(self, hour: int) -> None:
        heard = {n for n, readings in self._skills.items() if any(m // 60 == hour for m in readings)}
        last = [series.last for n, series in self._earned.items() if n in heard and series.last is not None]
        if not last:
            return
        amounts: Counter[int] = Counter()
        for name in heard:
            for gain in self._earned[name].gains:
                if gain.end // HOUR == hour:
                    amounts.update(gain.by_minute())
        revenue = self._series["revenue"]
        revenue.substitute(dict(amounts), max(*last, revenue.last or 0))

    def _latencies(self) -> dict[int, Histogram]:
        measured: dict[int, list[float]] = defaultdict(list)
        averaged: dict[int, list[float]] = defaultdict(list)
        for one in self._of("metrics"):
            if one.data.get("response_ms"):
                measured[one.minute] += one.data["response_ms"]
            elif one.data.get("avg_response_ms"):
                averaged[one.minute].append(one.data["avg_response_ms"])
        found = {}
        for minute in measured.keys() | averaged.keys():
            if any(other // 60 == minute // 60 for other in measured):
                found[minute] = Histogram.of(measured.get(minute, []))
                found[minute].measured = found[minute].n
            else:
                means = Histogram.of(averaged[minute])
                found[minute] = means.weighed(max(means.n, self._message_gains.get(minute, 0)))
        return found


def _says_something(data: dict[str, Any]) -> bool:
    names = (
        "messages_1h",
        "messages_24h",
        "messages_total",
        "errors_1h",
        "errors_total",
        "revenue_1h",
        "revenue_total",
        "tokens_total",
    )
    return any(data.get(name) is not None for name in names)


def _below(now: int | None, then: int | None) -> bool:
    return now is not None and then is not None and now < then


def _count(value: Any) -> int | None:
    return None if value is None else round(value)


def _micros(value: Any) -> int | None:
    return None if value is None else int(Decimal(value) * 10**6)
