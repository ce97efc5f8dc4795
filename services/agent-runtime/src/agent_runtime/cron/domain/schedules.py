"""Schedules: which moments a line of cron names, in a time zone whose clock is put forward and back.

Five fields (minute hour day month weekday), or six with seconds before them, or seven with the year behind; or a name
such as `@daily`. A field is `*`, a number, a range `a-b`, either with a step `/n`, or a list of these; months and
weekdays have names too, and 0 and 7 are both Sunday. Where both day and weekday name less than every day, either one
will do.

A schedule names times of the wall clock. When the clock is put back, a schedule for certain hours fires at the first
of the two moments, one for every hour at both. When it is put forward, a schedule for certain hours that would have
fired in the missing time fires once at its end, one for every hour does not.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterBadDateError
from msgspec import Struct

from agent_runtime.cron.errors import InvalidScheduleError

MAX_TEXT = 256
_OF_THE_MACHINE = frozenset({"localtime", "posixrules"})
"""Zones that are another on the next machine: replicas would fire at different times."""
_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(\*|[0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?(?:/([0-9]{1,4}))?")
_UNKNOWN = re.compile(r"L(-[0-9]+|W)?|W|([0-9]{1,2}|[A-Z]{3})[LW]|[0-9A-Z]+#[0-9]*", re.IGNORECASE)
"""What other dialects write for a month's last day, the weekday next to one, and the nth weekday."""


class Field(Struct, frozen=True, eq=False):
    """What one field may hold: the numbers `first` to `last`, and names that stand for numbers."""

    name: str
    first: int
    last: int
    names: Mapping[str, int] = {}


_SECOND, _MINUTE, _HOUR = Field("second", 0, 59), Field("minute", 0, 59), Field("hour", 0, 23)
_DAY = Field("day", 1, 31)
_MONTH = Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)})
_WEEKDAY = Field("weekday", 0, 7, {name: number for number, name in enumerate(_WEEKDAYS)})
_YEAR = Field("year", 1970, 2099)
_FIELDS = (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY, _YEAR)


class Schedule(Struct, frozen=True):
    """Moments named by a line of cron, in a time zone.

    Args:
        line: The seven fields in croniter's spelling, each value written out.
        zone: The time zone's name.
        is_hourly: Whether every hour is named, so that the schedule follows time rather than the wall clock.
    """

    line: str
    zone: str
    is_hourly: bool

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> "Schedule":
        """Read a schedule.

        Raises:
            InvalidScheduleError: It is none, there is no such time zone, or it names no moment at all.
        """
        _zone(zone)
        if len(text) > MAX_TEXT:
            raise InvalidScheduleError("schedule", f"at most {MAX_TEXT} characters")
        parts = _named(text.strip()).split()
        if len(parts) not in {5, 6, 7}:
            raise InvalidScheduleError(
                "schedule", "write 5 fields, or 6 with seconds before, or 7 with the year behind"
            )
        seconds, years = (parts[0] if len(parts) > 5 else "0"), (parts[6] if len(parts) > 6 else "*")  # noqa: PLR2004
        middle = parts if len(parts) == 5 else parts[1:6]  # noqa: PLR2004
        values = [_values(part, field) for part, field in zip([seconds, *middle, years], _FIELDS, strict=True)]
        line = " ".join(_spell(value, field) for value, field in zip(values, _FIELDS, strict=True))
        return cls(line, zone, is_hourly=len(values[2]) == len(range(_HOUR.first, _HOUR.last + 1)))

    def next_after(self, moment: datetime) -> datetime | None:
        """Find the first moment after one, as UTC; None when there is none within fifty years."""
        zone = _zone(self.zone)
        again: datetime | None = None
        for wall in self._walls(_earliest_wall(moment, zone)):
            instants = _instants(wall, zone, is_hourly=self.is_hourly)
            if instants and instants[0] > moment:  # first instants never go back, so nothing earlier can follow
                return instants[0] if again is None else min(again, instants[0])
            if again is None and len(instants) > 1 and instants[1] > moment:
                again = instants[1]
        return again

    def _walls(self, start: datetime) -> "_Walls":
        return _Walls(self.line, start)


class _Walls:
    """The wall-clock times that a line names after one, in order."""

    def __init__(self, line: str, start: datetime) -> None:
        self._times = croniter(line, start, ret_type=datetime, second_at_beginning=True)

    def __iter__(self) -> "_Walls":
        return self

    def __next__(self) -> datetime:
        try:
            found: datetime = self._times.get_next()
        except (CroniterBadDateError, OverflowError, ValueError):
            raise StopIteration from None
        return found


def _earliest_wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """Give a wall-clock time after which every later moment of a schedule is found."""
    local = moment.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    first, second = _utc(wall, zone, fold=0), _utc(wall, zone, fold=1)
    return wall - max(second - first, timedelta(0))  # in the doubled time what was passed comes again


def _instants(wall: datetime, zone: ZoneInfo, *, is_hourly: bool) -> list[datetime]:
    """List the moments at which the wall clock shows a time, as far as a schedule counts them."""
    first, second = _utc(wall, zone, fold=0), _utc(wall, zone, fold=1)
    if first < second:
        return [first, second] if is_hourly else [first]
    if first > second:  # the clock never shows it
        return [] if is_hourly else [_jump(second, first, zone)]
    return [first]


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Find the moment between two at which the clock is put forward."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _utc(wall: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _zone(name: str) -> ZoneInfo:
    try:
        zone = None if name in _OF_THE_MACHINE else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        zone = None
    if zone is None:
        raise InvalidScheduleError("timezone", f"there is no {name[:64]!r}")
    return zone


def _named(text: str) -> str:
    """Give the fields that a name stands for; what is no name is fields already."""
    if not text.startswith("@"):
        return text
    fields = _ALIASES.get(text.lower())
    if fields is None:
        raise InvalidScheduleError("schedule", f"{text[:32]!r} is none of {', '.join(_ALIASES)}")
    return fields


def _values(text: str, field: Field) -> list[int]:
    """Read every value that a field names, in order."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part.replace("?", "*") if field in {_DAY, _WEEKDAY} else part)
        if _UNKNOWN.fullmatch(part):
            raise _refusal(field, f"{part[:32]!r} cannot be read: L, W and # are not supported")
        if match is None:
            raise _refusal(field, f"{part[:32]!r} is neither *, a number nor a range")
        first, last = _bounds(match[1], match[2], field, has_step=match[3] is not None)
        step = int(match[3]) if match[3] else 1
        if step < 1:
            raise _refusal(field, "a step is at least 1")
        found.update(range(first, last + 1, step))
    return sorted({0 if field is _WEEKDAY and value == 7 else value for value in found})  # noqa: PLR2004 - Sunday


def _bounds(first: str, last: str | None, field: Field, *, has_step: bool) -> tuple[int, int]:
    if first == "*":
        if last is not None:
            raise _refusal(field, "* begins no range")
        return field.first, 6 if field is _WEEKDAY else field.last
    low = _number(first, field)
    high = low if last is None else _number(last, field)
    if has_step and last is None:
        high = field.last
    if high < low:
        raise _refusal(field, f"the range {first}-{last} goes backwards")
    return low, high


def _number(text: str, field: Field) -> int:
    value = field.names.get(text.lower())
    if value is None:
        value = int(text) if text.isdecimal() and text.isascii() and len(text) <= 4 else -1  # noqa: PLR2004
    if not field.first <= value <= field.last:
        raise _refusal(field, f"{text[:32]!r} is not {field.first} to {field.last}")
    return value


def _refusal(field: Field, problem: str) -> InvalidScheduleError:
    return InvalidScheduleError("schedule", f"{field.name}: {problem}")


def _spell(values: list[int], field: Field) -> str:
    """Write a field's values out; all of them as a star, by which a day or a weekday restricts nothing."""
    count = 7 if field is _WEEKDAY else field.last - field.first + 1
    return "*" if len(values) == count else ",".join(map(str, values))
