"""Schedules, against a second implementation that tries every moment."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings, strategies as st

from agent_runtime.cron.domain.firings import Due, Job, JobStatus, Missed, check_pace, due_ticks
from agent_runtime.cron.domain.schedules import Schedule
from agent_runtime.cron.errors import InvalidScheduleError
from shoal.errors import FieldProblem

# moments around which clocks are put forward or back, at midnight, by half an hour, or never
ZONES = {
    "UTC": ["2026-02-28T23:00", "2024-02-29T12:00"],
    "Europe/Berlin": ["2026-03-29T00:30", "2026-10-25T00:05", "2026-10-24T23:00"],
    "America/New_York": ["2026-03-08T06:00", "2026-11-01T05:10", "2026-11-01T05:50", "2026-11-01T06:20"],
    "America/Havana": ["2026-03-08T04:30", "2026-11-01T04:15"],
    "Australia/Lord_Howe": ["2026-04-04T14:40", "2026-10-03T15:10"],
    "Asia/Kolkata": ["2026-12-31T18:00"],
}
NAMES = {"sun": 0, "mon": 1, "jan": 1, "dec": 12}


class Brute:
    """Cron by trying every second or minute: shares nothing with the other but the words of its description."""

    def __init__(self, line: str, zone: str) -> None:
        parts = line.split()
        self.has_seconds = len(parts) > 5
        second, self.zone = (parts.pop(0) if self.has_seconds else "0"), ZoneInfo(zone)
        minute, hour, day, month, weekday = parts[:5]
        self.second, self.minute, self.hour = self.read(second, 0, 59), self.read(minute, 0, 59), self.read(hour, 0, 23)
        self.day, self.month = self.read(day, 1, 31), self.read(month, 1, 12)
        self.weekday = {value % 7 for value in self.read(weekday, 0, 7 if "*" not in weekday else 6)}
        self.step = timedelta(seconds=1) if self.has_seconds else timedelta(minutes=1)

    def read(self, text: str, first: int, last: int) -> set[int]:
        found: set[int] = set()
        for part in text.split(","):
            span, _, step = part.partition("/")
            low, dash, high = span.partition("-")
            start = first if low == "*" else NAMES.get(low, int(low) if low.isdigit() else -1)
            end = (
                NAMES.get(high, int(high) if high.isdigit() else -1) if dash else last if step or low == "*" else start
            )
            found |= {value for value in range(start, end + 1) if (value - start) % int(step or 1) == 0}
        return found

    def names(self, wall: datetime) -> bool:
        on_day, on_weekday = wall.day in self.day, wall.isoweekday() % 7 in self.weekday
        restricts_day, restricts_weekday = len(self.day) < 31, len(self.weekday) < 7
        is_day = (on_day or on_weekday) if restricts_day and restricts_weekday else (on_day and on_weekday)
        in_time = wall.second in self.second and wall.minute in self.minute and wall.hour in self.hour
        return is_day and in_time and wall.month in self.month

    def fires(self, moment: datetime) -> bool:
        local = moment.astimezone(self.zone)
        wall = local.replace(tzinfo=None, fold=0)
        is_certain = len(self.hour) < 24
        before = (moment - timedelta(seconds=1)).astimezone(self.zone)
        missing = (local.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
        if missing > timedelta(0) and is_certain:
            skipped = wall - missing
            while skipped < wall:
                if self.names(skipped):
                    return True
                skipped += self.step
        return self.names(wall) and not (local.fold and is_certain)

    def next_after(self, moment: datetime, *, within: timedelta) -> datetime | None:
        tick = moment.replace(microsecond=0) if self.has_seconds else moment.replace(second=0, microsecond=0)
        while tick <= moment + within:
            tick += self.step
            if self.fires(tick):
                return tick
        return None


def fields(first: int, last: int) -> st.SearchStrategy[str]:
    number = st.integers(first, last)
    span = st.tuples(number, number).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    step = st.sampled_from([2, 3, 5, 10, 15])
    part = st.one_of(
        number.map(str),
        span,
        st.builds("{}/{}".format, span, step),
        st.builds("*/{}".format, step),
        st.builds("{}/{}".format, number, step),
    )
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


LINES = st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 7)).map(" ".join)
NEAR_LINES = st.tuples(fields(0, 59), fields(0, 4), st.just("* * *")).map(" ".join)
MOMENTS = st.sampled_from([(zone, f"{moment}+00:00") for zone, moments in ZONES.items() for moment in moments])
OFFSETS = st.integers(-5400, 5400).map(lambda seconds: timedelta(seconds=seconds))


@settings(max_examples=150)
@given(st.one_of(LINES, NEAR_LINES), MOMENTS, OFFSETS)
@example("30 2 * * *", ("Europe/Berlin", "2026-03-29T00:30+00:00"), timedelta(0))
@example("30 * * * *", ("Europe/Berlin", "2026-10-25T00:05+00:00"), timedelta(0))
@example("59 * * * *", ("America/Havana", "2026-11-01T04:15+00:00"), timedelta(0))
@example("0 0 * * *", ("America/Havana", "2026-03-08T04:30+00:00"), timedelta(0))
def test_next_run_is_the_first_moment_that_trying_each_one_finds(
    line: str, place: tuple[str, str], offset: timedelta
) -> None:
    zone, moment = place[0], datetime.fromisoformat(place[1]) + offset
    found = Schedule.parse(line, zone).next_after(moment)
    tried = Brute(line, zone).next_after(moment, within=timedelta(hours=50))
    if tried is None:
        assert found is None or found > moment + timedelta(hours=50)
    else:
        assert found == tried


@settings(max_examples=40)
@given(fields(0, 59), NEAR_LINES, MOMENTS, OFFSETS)
def test_seconds_are_found_too(second: str, line: str, place: tuple[str, str], offset: timedelta) -> None:
    zone, moment = place[0], datetime.fromisoformat(place[1]) + offset
    found = Schedule.parse(f"{second} {line}", zone).next_after(moment)
    tried = Brute(f"{second} {line}", zone).next_after(moment, within=timedelta(hours=2))
    assert tried == (found if found is not None and found <= moment + timedelta(hours=2) else tried)
    assert (tried is None) == (found is None or found > moment + timedelta(hours=2, seconds=1))


@settings(max_examples=60)
@given(LINES, MOMENTS)
def test_ticks_come_in_order_each_once(line: str, place: tuple[str, str]) -> None:
    schedule, tick = Schedule.parse(line, place[0]), datetime.fromisoformat(place[1])
    for _ in range(10):
        following = schedule.next_after(tick)
        if following is None:
            return
        assert following > tick
        assert schedule.next_after(following - timedelta(seconds=1)) == following
        tick = following


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        ("0 * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
        ("@daily", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T18:30:00Z"),
        ("0 9 * * MON-FRI", "Europe/Berlin", "2026-01-02T08:00:00Z", "2026-01-05T08:00:00Z"),
        ("0 0 29 FEB ?", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 13 * 5", "UTC", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00Z"),
        ("0 0 * * 7", "UTC", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("*/10 * * * * *", "UTC", "2026-01-01T00:00:05Z", "2026-01-01T00:00:10Z"),
        ("0 0 12 1 1 * 2030", "UTC", "2026-01-01T00:00:00Z", "2030-01-01T12:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
    ],
)
def test_schedule_is_due_next_where_calendar_and_time_zone_say(line: str, zone: str, after: str, expected: str) -> None:
    found = Schedule.parse(line, zone).next_after(datetime.fromisoformat(after))
    assert found == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "* * * *",
        "* * * * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "a * * * *",
        "*-5 * * * *",
        "1--2 * * * *",
        "1,,2 * * * *",
        "H * * * *",
        "R * * * *",
        "@reboot",
        "0 0 L * *",
        "٣ * * * *",
        "-1 * * * *",
        "1e3 * * * *",
        "0 0 * * MON#2",
        "0 0 0 1 1 * 9999",
        "9" * 300,
    ],
)
def test_what_is_no_schedule_is_refused(line: str) -> None:
    with pytest.raises(InvalidScheduleError):
        Schedule.parse(line)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0 0 L * *", "day: 'L' cannot be read: L, W and # are not supported"),
        ("0 0 15W * *", "day: '15W' cannot be read: L, W and # are not supported"),
        ("0 0 * * MON#2", "weekday: 'MON#2' cannot be read: L, W and # are not supported"),
        ("0 0 * * friL", "weekday: 'friL' cannot be read: L, W and # are not supported"),
        ("0 0 * Foo *", "month: 'Foo' is not 1 to 12"),
        (
            "@Dayly",
            "'@Dayly' is none of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly",
        ),
    ],
)
def test_a_refused_schedule_is_told_in_the_callers_spelling(line: str, problem: str) -> None:
    with pytest.raises(InvalidScheduleError) as refused:
        Schedule.parse(line)
    assert refused.value.details == (FieldProblem("schedule", problem),)
    assert refused.value.message == f"schedule: {problem}"


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "/etc/localtime", "America", "x" * 300, "\x00"])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidScheduleError):
        Schedule.parse("* * * * *", zone)


def test_a_schedule_that_never_fires_or_too_often_is_refused() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for line in ("0 0 31 2 *", "0 0 0 1 1 * 2020", "* * * * * *", "0,1 0 0 * * *", "*/5 * * * * *"):
        with pytest.raises(InvalidScheduleError):
            check_pace(Schedule.parse(line), now=now, least=timedelta(seconds=10))
    check_pace(Schedule.parse("*/10 * * * * *"), now=now, least=timedelta(seconds=10))
    check_pace(Schedule.parse("0 0 0 1 1 * 2030"), now=now, least=timedelta(seconds=10))


def job(line: str, *, missed: Missed, next_run: str, payload: str | None = None) -> Job:
    return Job(
        id="cron_1",
        account_id="acct_1",
        name="tidy",
        schedule=line,
        timezone="UTC",
        missed=missed,
        is_enabled=True,
        payload=payload,
        agent_id="",
        session_key="",
        status=JobStatus.IDLE,
        last_run=None,
        next_run=datetime.fromisoformat(next_run),
        last_error="",
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_ticks_within_the_grace_all_fire_and_older_ones_once_or_not_at_all() -> None:
    grace, now = timedelta(minutes=1), at("2026-01-01T10:00:30Z")
    skipping = job("*/20 * * * * *", missed=Missed.SKIP, next_run="2026-01-01T09:00:00Z")
    on_time = [at("2026-01-01T09:59:40Z"), at("2026-01-01T10:00:00Z"), at("2026-01-01T10:00:20Z")]
    assert due_ticks(skipping, now=now, grace=grace) == Due(on_time, at("2026-01-01T10:00:40Z"))
    once = job("*/20 * * * * *", missed=Missed.ONCE, next_run="2026-01-01T09:00:00Z")
    assert due_ticks(once, now=now, grace=grace).ticks == [at("2026-01-01T09:00:00Z"), *on_time]
    daily = job("0 3 * * *", missed=Missed.SKIP, next_run="2025-06-01T03:00:00Z")
    assert due_ticks(daily, now=now, grace=grace) == Due([], at("2026-01-02T03:00:00Z"))
    early = job("0 3 * * *", missed=Missed.ONCE, next_run="2026-01-02T03:00:00Z")
    assert due_ticks(early, now=now, grace=grace) == Due([], at("2026-01-02T03:00:00Z"))


@pytest.mark.parametrize(
    ("payload", "prompt"),
    [
        (None, "The scheduled job 'tidy' is due."),
        (" ", "The scheduled job 'tidy' is due."),
        ("Tidy up.", "Tidy up."),
        ("[1]", "[1]"),
        ('{"prompt": "Tidy up."}', "Tidy up."),
        ('{"message": "Tidy up."}', "Tidy up."),
        ('{"compress":true}', "The scheduled job 'tidy' is due. Its settings: {\"compress\":true}"),
        ('{"prompt": 1}', "The scheduled job 'tidy' is due. Its settings: {\"prompt\": 1}"),
    ],
)
def test_the_payload_says_what_the_agent_is_told(payload: str | None, prompt: str) -> None:
    assert job("* * * * *", missed=Missed.SKIP, next_run="2026-01-01T00:00:00Z", payload=payload).prompt == prompt
