"""The ledger of an hour: every series' gains, and the state from which the next hour goes on."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from metrics_query.domain.increments import HOUR, MINUTE, Step, Track, Update, follow
from metrics_query.domain.minutes import Minute, Reading, SkillMinute, SkillReading

NO_TRACK = Track()
MINUTES = HOUR // MINUTE
"""Minutes in an hour."""


class Ledger(Struct, frozen=True, omit_defaults=True):
    """One agent's hour. `calls` and `earned` are by skill, for the skills that were told of in this hour."""

    messages: Track = NO_TRACK
    errors: Track = NO_TRACK
    revenue: Track = NO_TRACK
    tokens: Track = NO_TRACK
    calls: dict[str, Track] = {}
    earned: dict[str, Track] = {}


NO_LEDGER = Ledger()


def keep(
    hour: int,
    minutes: Mapping[int, Minute],
    skills: Mapping[str, Mapping[int, SkillMinute]],
    *,
    before: Ledger,
    is_next: bool,
) -> Ledger:
    """Write the ledger of an hour.

    Args:
        hour: Hours since 1970.
        minutes: The agent's minute rows of that hour.
        skills: The same of its skills, by name.
        before: The latest ledger before this hour.
        is_next: Whether that is the one of the hour directly before.
    """

    def recover(updates: Iterable[Update], track: Track) -> Track:
        told = [update for update in updates if update.rolling is not None or update.total is not None]
        return follow(hour, told, track, is_next=is_next)

    readings = [row.reading for _, row in sorted(minutes.items()) if row.reading is not None]
    calls, earned = {}, {}
    for name, rows in skills.items():
        told = _skill_readings(rows)
        calls[name] = recover((Update(r.at_s, r.calls_1h) for r in told), before.calls.get(name, NO_TRACK))
        earned[name] = recover((Update(r.at_s, r.revenue_1h) for r in told), before.earned.get(name, NO_TRACK))
    errors = recover(map(_errors, readings), before.errors)
    revenue = recover(map(_revenue, readings), before.revenue)
    if not any(reading.tells_errors for reading in readings):
        errors = _errors_by_frames(hour, minutes, before.errors)
    if not any(reading.tells_revenue for reading in readings):
        revenue = _revenue_by_skills(hour, earned, before.revenue)
    messages = recover(map(_messages, readings), before.messages)
    tokens = recover(map(_tokens, readings), before.tokens)
    return Ledger(messages=messages, errors=errors, revenue=revenue, tokens=tokens, calls=calls, earned=earned)


def attributed(hour: int, own: Track, after: Track) -> dict[int, int]:
    """Add up by minute what the updates of an hour and of the next one gave to the minutes of the first."""
    minutes: dict[int, int] = {}
    for increments in (own.increments(hour), after.increments(hour + 1)):
        for minute, increment in increments:
            if minute // MINUTES == hour:
                minutes[minute] = minutes.get(minute, 0) + increment
    return minutes


def _messages(reading: Reading) -> Update:
    return Update(reading.at_s, reading.messages_1h, reading.messages_total, reading.uptime_s)


def _errors(reading: Reading) -> Update:
    return Update(reading.at_s, reading.errors_1h, reading.errors_total, reading.uptime_s)


def _revenue(reading: Reading) -> Update:
    return Update(reading.at_s, reading.revenue_1h, reading.revenue_total, reading.uptime_s)


def _tokens(reading: Reading) -> Update:
    return Update(reading.at_s, None, reading.tokens_total, reading.uptime_s)


def _skill_readings(rows: Mapping[int, SkillMinute]) -> list[SkillReading]:
    return [row.reading for _, row in sorted(rows.items()) if row.reading is not None]


def _errors_by_frames(hour: int, minutes: Mapping[int, Minute], before: Track) -> Track:
    errors = {minute: row.errors for minute, row in minutes.items() if row.errors}
    if not errors:
        return before.without_steps()
    return Track(_by_minute(hour, errors), last=(hour + 1) * HOUR, floor=before.floor, uptime=before.uptime)


def _revenue_by_skills(hour: int, earned: Mapping[str, Track], before: Track) -> Track:
    told = [track.last for track in earned.values() if track.last is not None]
    if not told:
        return before.without_steps()
    revenue: dict[int, int] = {}
    for track in earned.values():
        for minute, increment in track.increments(hour):
            revenue[minute] = revenue.get(minute, 0) + increment
    last = max(*told, before.last or 0)
    return Track(_by_minute(hour, revenue), last=last, floor=before.floor, uptime=before.uptime)


def _by_minute(hour: int, gains: Mapping[int, int]) -> tuple[Step, ...]:
    return tuple(Step((minute + 1) * MINUTE - hour * HOUR, MINUTE, gain) for minute, gain in sorted(gains.items()))
