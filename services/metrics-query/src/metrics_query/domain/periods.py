"""Which time a question is about, how it is cut into points, and which table is cheapest to read."""

from enum import StrEnum

from msgspec import Struct

HOUR, DAY = 60, 1440


class Grain(StrEnum):
    """How finely rows are kept."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


class Period(StrEnum):
    """How far back a question goes."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def minutes(self) -> int:
        """How long it is, in minutes."""
        return {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}[self.value]


class Resolution(StrEnum):
    """How finely an answer is cut."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    HOUR = "1h"
    DAY = "1d"
    AUTO = "auto"

    @property
    def minutes(self) -> int:
        """How long a point is, in minutes; `auto` is resolved first."""
        return {"1m": 1, "5m": 5, "1h": HOUR, "1d": DAY}[self.value]


AUTO = {
    Period.HOUR: Resolution.MINUTE,
    Period.DAY: Resolution.HOUR,
    Period.WEEK: Resolution.HOUR,
    Period.MONTH: Resolution.DAY,
}


class Window(Struct, frozen=True):
    """Minutes since 1970 from `start` up to and without `end`, cut at multiples of `step`.

    The last point is the one that is still filling. Where a point is longer than the period, or as long, only
    what lies within the period counts into it.
    """

    start: int
    end: int
    step: int
    grain: Grain

    def within(self, start: int, end: int) -> "Window":
        """Leave out what lies before a minute, and from another on; both lie between two points or outside."""
        return Window(max(self.start, start), min(self.end, end), self.step, self.grain)

    def start_of(self, minute: int) -> int:
        """Tell the start of the point that a minute belongs to."""
        return minute - minute % self.step

    def starts(self, *, since: int) -> range:
        """List the starts of all points that end after a minute."""
        if since >= self.end:
            return range(0)
        return range(self.start_of(max(self.start, since)), self.end, self.step)


def resolve(period: Period, resolution: Resolution) -> Resolution:
    """Turn `auto` into what it stands for."""
    return AUTO[period] if resolution is Resolution.AUTO else resolution


def window(period: Period, resolution: Resolution, *, now: int) -> Window:
    """Cut a period, which ends with the minute `now`, into points."""
    step = resolve(period, resolution).minutes
    unit = step if step < period.minutes else AUTO[period].minutes
    end = (now // unit + 1) * unit
    grain = Grain.DAY if unit >= DAY else Grain.HOUR if unit >= HOUR else Grain.MINUTE
    return Window(end - period.minutes, end, step, grain)
