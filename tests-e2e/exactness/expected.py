"""What `GET /telemetry/metrics/{agent_id}` must answer, worked out from figures by minute."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exactness.reference import Figures, Histogram

PERIODS = {"1h": 60, "24h": 1440, "7d": 7 * 1440, "30d": 30 * 1440}
STEPS = {"1m": 1, "5m": 5, "1h": 60, "1d": 1440}
AUTO = {"1h": 1, "24h": 60, "7d": 60, "30d": 1440}


@dataclass(frozen=True)
class Window:
    """Minutes from `start` up to and without `end`, in points of `step`."""

    start: int
    end: int
    step: int

    @classmethod
    def of(cls, period: str, resolution: str, now: int) -> "Window":
        """Cut a period that ends with the minute `now`; the last point is still filling."""
        step, length = STEPS[resolution], PERIODS[period]
        unit = step if step < length else AUTO[period]
        end = (now // unit + 1) * unit
        return cls(end - length, end, step)

    def group(self, by_minute: Mapping[int, Any]) -> dict[int, list[Any]]:
        """Bring together what lies in one point."""
        points: dict[int, list[Any]] = {}
        for minute, value in sorted(by_minute.items()):
            if self.start <= minute < self.end:
                points.setdefault(minute // self.step * self.step, []).append(value)
        return points


def answer(figures: Figures, window: Window) -> dict[str, dict[str, Any]]:
    """Give every metric's points by timestamp; of what is counted, those that are not zero."""
    counted = {name: getattr(figures, name) for name in ("messages", "errors", "revenue", "tokens")}
    points: dict[str, dict[str, Any]] = {
        name: {stamp(start): total for start, part in window.group(counts).items() if (total := sum(part))}
        for name, counts in counted.items()
    }
    points["revenue"] = {at: _money(total) for at, total in points["revenue"].items()}
    points["latency"] = {stamp(start): _quantiles(part) for start, part in window.group(figures.latency).items()}
    gauges = {"sessions": "active_sessions", "memory": "memory_mb", "cpu": "cpu_percent"}
    for name, field in gauges.items():
        readings = window.group(figures.gauge(field))
        points[name] = {stamp(start): _gauge([v for part in parts for v in part]) for start, parts in readings.items()}
    return points


def summary(figures: Figures, window: Window) -> dict[str, Any]:
    """Give the sums of a window."""
    messages, errors, revenue, tokens = (
        sum(value for minute, value in counts.items() if window.start <= minute < window.end)
        for counts in (figures.messages, figures.errors, figures.revenue, figures.tokens)
    )
    told = [part for parts in window.group(figures.latency).values() for part in parts]
    n, total = sum(part.n for part in told), sum(part.total for part in told)
    rate = min(1.0, errors / messages) if messages else float(errors > 0)
    return {
        "total_messages": messages,
        "avg_latency_ms": round(total / n / 1000, 2) if n else 0,
        "error_rate": round(rate, 4),
        "total_revenue": _money(revenue),
        "total_tokens": tokens,
    }


def stamp(minute: int) -> str:
    """Write the start of a point."""
    return datetime.fromtimestamp(minute * 60, UTC).isoformat().replace("+00:00", "Z")


def points_of(said: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Read points as they were answered; zeros are left out."""
    read = {}
    for point in said:
        rest = {name: value for name, value in point.items() if name != "timestamp"}
        value = rest["value"] if rest.keys() == {"value"} else rest
        if value not in {0, "0.00"} if not isinstance(value, dict) else True:
            read[point["timestamp"]] = value
    return read


def _quantiles(parts: list[Histogram]) -> dict[str, float]:
    whole = Histogram()
    for part in parts:
        whole.add(part)
    return {f"p{share}": round(whole.quantile(share / 100), 2) for share in (50, 95, 99)}


def _gauge(readings: list[int]) -> dict[str, float]:
    shown = {"value": sum(readings) / len(readings), "min": min(readings), "max": max(readings)}
    return {name: round(value / 1000, 2) for name, value in shown.items()}


def _money(micros: int) -> str:
    whole, fraction = divmod(micros, 10**6)
    return f"{whole}.{f'{fraction:06d}'.rstrip('0'):0<2}"
