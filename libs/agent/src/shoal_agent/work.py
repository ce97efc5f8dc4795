"""What a program did lately, counted in memory of a fixed size."""

import threading
import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal

from msgspec import UNSET, Struct

from shoal_agent.frames import MetricsBody, SkillBody

_MINUTES_A_DAY = 24 * 60
_HOUR = 60
MAX_RESPONSES = 2000
MAX_SKILLS = 64


class _Minute(Struct):
    minute: int
    messages: int = 0
    errors: int = 0
    responses: int = 0
    response_ms: float = 0.0
    revenue: Decimal = Decimal(0)


class _Window:
    """Sums over the last minutes, one cell a minute, so at most a minute coarse."""

    def __init__(self, minutes: int) -> None:
        self._minutes: deque[_Minute] = deque(maxlen=minutes)

    def cell(self, minute: int) -> _Minute:
        if not self._minutes or self._minutes[-1].minute != minute:
            self._minutes.append(_Minute(minute))
        return self._minutes[-1]

    def total(self, minute: int, minutes: int) -> _Minute:
        total = _Minute(minute)
        for cell in self._minutes:
            if cell.minute > minute - minutes:
                total.messages += cell.messages
                total.errors += cell.errors
                total.responses += cell.responses
                total.response_ms += cell.response_ms
                total.revenue += cell.revenue
        return total


class Work:
    """Counts a program's messages, errors, revenue and tokens. Any thread may record.

    Totals, like `uptime_s`, start at zero with the program; a program that does not record reports zeros.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._started = now, now()
        self._lock = threading.Lock()
        self._day = _Window(_MINUTES_A_DAY)
        self._skills: dict[str, _Window] = {}
        self._responses: deque[float] = deque(maxlen=MAX_RESPONSES)
        self._messages = self._errors = self._tokens = 0
        self._revenue = Decimal(0)
        self.active_sessions = 0

    def record_message(self, latency_ms: float, skill: str | None = None, revenue: Decimal | str | int = 0) -> None:
        """Count a message that was answered.

        Args:
            latency_ms: How long the answer took.
            skill: The skill that answered. Beyond 64 names at a time a skill is counted in the totals alone.
            revenue: Money earned by it.

        Raises:
            ValueError: Latency or revenue is negative or no finite number.
        """
        earned = _earned(revenue)
        if not 0 <= latency_ms < float("inf"):
            raise ValueError("latency_ms is finite and not negative")
        with self._lock:
            minute = self._minute()
            windows = [self._day, *([self._skill(skill)] if skill else [])]
            for cell in (window.cell(minute) for window in windows if window is not None):
                cell.messages += 1
                cell.responses += 1
                cell.response_ms += latency_ms
                cell.revenue += earned
            self._responses.append(round(latency_ms, 3))
            self._messages += 1
            self._revenue += earned

    def record_error(self) -> None:
        """Count an error."""
        with self._lock:
            self._day.cell(self._minute()).errors += 1
            self._errors += 1

    def record_tokens(self, tokens: int) -> None:
        """Count tokens that a model took, read and written.

        Raises:
            ValueError: They are negative.
        """
        if tokens < 0:
            raise ValueError("tokens are not negative")
        with self._lock:
            self._tokens += tokens

    def metrics(self, *, memory_mb: int, cpu_percent: float) -> MetricsBody:
        """Return the work so far beside the given gauges, with the response times since the call before."""
        with self._lock:
            minute = self._minute()
            hour, day = self._day.total(minute, _HOUR), self._day.total(minute, _MINUTES_A_DAY)
            responses = tuple(self._responses)
            self._responses.clear()
            return MetricsBody(
                messages_1h=hour.messages,
                messages_24h=day.messages,
                active_sessions=self.active_sessions,
                avg_response_ms=_mean(hour),
                memory_mb=memory_mb,
                cpu_percent=cpu_percent,
                uptime_s=int(self._now() - self._started),
                messages_total=self._messages,
                errors_total=self._errors,
                revenue_total=_money(self._revenue),
                errors_1h=hour.errors,
                revenue_1h=_money(hour.revenue),
                tokens_total=self._tokens,
                response_ms=responses or UNSET,
            )

    def skills(self) -> dict[str, SkillBody]:
        """Return the last hour of each skill; one that was idle for it is zero once, then forgotten."""
        with self._lock:
            minute = self._minute()
            hours = {name: window.total(minute, _HOUR) for name, window in self._skills.items()}
            self._skills = {name: self._skills[name] for name, hour in hours.items() if hour.messages}
        return {
            name: SkillBody(calls_1h=hour.messages, revenue_1h=_money(hour.revenue), avg_latency_ms=_mean(hour))
            for name, hour in hours.items()
        }

    def _skill(self, name: str) -> _Window | None:
        name = name[:64]
        if name not in self._skills and len(self._skills) >= MAX_SKILLS:
            return None
        return self._skills.setdefault(name, _Window(_HOUR))

    def _minute(self) -> int:
        return int(self._now() // 60)


def _earned(revenue: Decimal | str | int) -> Decimal:
    try:
        earned = Decimal(revenue)
    except ArithmeticError as error:
        raise ValueError("revenue is a decimal number") from error
    if not (earned.is_finite() and earned >= 0):
        raise ValueError("revenue is finite and not negative")
    return earned


def _mean(minutes: _Minute) -> float:
    return round(minutes.response_ms / minutes.responses, 3) if minutes.responses else 0


def _money(amount: Decimal) -> str:
    return f"{amount:f}"
