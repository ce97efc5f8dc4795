"""Jobs, their firings, and which ticks fire."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from msgspec import Struct

from agent_runtime.cron.domain.schedules import Schedule
from agent_runtime.cron.errors import InvalidScheduleError

MAX_NAME, MAX_PAYLOAD = 128, 16 * 1024
MAX_JOBS = 100
MAX_UNFINISHED = 20
"""How many firings of a job may be under way; further ticks are skipped, and say so."""
_LOOKED_AT = 30


class Missed(StrEnum):
    """What happens to ticks that nobody was there for."""

    SKIP = "skip"
    ONCE = "once"


class JobStatus(StrEnum):
    """The contract's status of a job: what its last firing does or did."""

    IDLE = "idle"
    RUNNING = "running"
    FAILED = "failed"


class FiringStatus(StrEnum):
    """Where a firing stands: claimed and to be started, running, or over; skipped where too many were under way."""

    CLAIMED = "claimed"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class FiringKind(StrEnum):
    """Why a job fires: by its schedule, or because somebody asked."""

    TICK = "tick"
    MANUAL = "manual"


class Job(Struct, frozen=True, kw_only=True):
    """A turn that the clock asks for.

    Args:
        payload: What the agent is told: words, or a JSON object whose `prompt` or `message` are words.
        agent_id: Whom to tell; empty: the account's first agent.
        session_key: In which session; empty: one of the job's own.
    """

    id: str
    account_id: str
    name: str
    schedule: str
    timezone: str
    missed: Missed
    is_enabled: bool
    payload: str | None
    agent_id: str
    session_key: str
    status: JobStatus
    last_run: datetime | None
    next_run: datetime | None
    last_error: str

    @property
    def session(self) -> str:
        """The session in which the job speaks."""
        return self.session_key or self.id

    @property
    def prompt(self) -> str:
        """What the agent is told: the payload's words, else that the job is due."""
        due = f"The scheduled job {self.name!r} is due."
        if not self.payload or not self.payload.strip():
            return due
        try:
            told = msgspec.json.decode(self.payload)
        except msgspec.DecodeError:
            return self.payload
        if not isinstance(told, dict):
            return self.payload
        words = told.get("prompt", told.get("message"))
        return words if isinstance(words, str) and words.strip() else f"{due} Its settings: {self.payload}"

    def after(self, moment: datetime) -> datetime | None:
        """Tell when the job is due next; never while it is disabled."""
        return Schedule.parse(self.schedule, self.timezone).next_after(moment) if self.is_enabled else None


class Firing(Struct, frozen=True, kw_only=True):
    """One time that a job fired: the tick or the request for it, what its agent is told, and what became of it."""

    id: str
    job_id: str
    account_id: str
    kind: FiringKind
    due_at: datetime
    prompt: str
    agent_id: str
    session: str
    status: FiringStatus
    run_id: str
    error: str
    claimed_at: datetime
    ended_at: datetime | None


class Due(Struct, frozen=True):
    """What is to be done about a job whose time has come."""

    ticks: list[datetime]
    next_run: datetime | None


def due_ticks(job: Job, *, now: datetime, grace: timedelta) -> Due:
    """Tell which ticks of a job fire now, and when it is due next.

    Every tick within the grace fires. Of older ones, which nobody was there for, none fires (`skip`) or one for all
    of them does (`once`), under the time of the first.
    """
    if job.next_run is None or job.next_run > now:
        return Due([], job.next_run)
    schedule = Schedule.parse(job.schedule, job.timezone)
    ticks: list[datetime] = []
    tick: datetime | None = job.next_run
    if job.next_run < now - grace:
        ticks = [job.next_run] if job.missed is Missed.ONCE else []
        tick = schedule.next_after(now - grace)
    while tick is not None and tick <= now:
        ticks.append(tick)
        tick = schedule.next_after(tick)
    return Due(ticks, tick)


def check_pace(schedule: Schedule, *, now: datetime, least: timedelta) -> None:
    """Refuse a schedule that never fires, or fires more often than it may.

    Raises:
        InvalidScheduleError: It is such a one.
    """
    tick = schedule.next_after(now)
    if tick is None:
        raise InvalidScheduleError("schedule", "it names no moment in the next fifty years")
    for _ in range(_LOOKED_AT):
        following = schedule.next_after(tick)
        if following is None:
            return
        if following - tick < least:
            raise InvalidScheduleError("schedule", f"at most every {least.total_seconds():g} s")
        tick = following
