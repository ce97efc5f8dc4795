"""What comes in and what goes out, in the contract's words."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from agent_runtime.cron.domain.firings import MAX_NAME, MAX_PAYLOAD, Firing, Job, JobStatus, Missed
from agent_runtime.cron.domain.schedules import MAX_TEXT

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, pattern=r"\S")]
Line = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Zone = Annotated[str, Meta(min_length=1, max_length=64)]
Payload = Annotated[str, Meta(max_length=MAX_PAYLOAD)]
AgentId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,64}\Z")]
SessionKey = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_:.-]{0,128}\Z")]


class CreateJob(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/cron`."""

    name: Name
    schedule: Line
    enabled: bool = True
    payload: Payload | None = None
    """What the agent is told: words, or a JSON object whose `prompt` or `message` are words."""
    timezone: Zone = "UTC"
    missed: Missed = Missed.SKIP
    """What happens to ticks that nobody was there for: none fires (`skip`), or one for all (`once`)."""
    agent_id: AgentId = ""
    session_key: SessionKey = ""

    def to_job(self, account_id: str) -> Job:
        """Make the job that is asked for."""
        return Job(
            id="",
            account_id=account_id,
            name=self.name.strip(),
            schedule=self.schedule.strip(),
            timezone=self.timezone,
            missed=self.missed,
            is_enabled=self.enabled,
            payload=self.payload,
            agent_id=self.agent_id,
            session_key=self.session_key,
            status=JobStatus.IDLE,
            last_run=None,
            next_run=None,
            last_error="",
        )


class ChangeJob(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `PUT /api/cron/{id}`: what it does not hold stays.

    The last five are taken so that a job can be sent back as it was read; they change nothing.
    """

    name: Name | UnsetType = UNSET
    schedule: Line | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    payload: Payload | UnsetType | None = UNSET
    timezone: Zone | UnsetType = UNSET
    missed: Missed | UnsetType = UNSET
    agent_id: AgentId | UnsetType = UNSET
    session_key: SessionKey | UnsetType = UNSET
    id: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    last_run: str | UnsetType | None = UNSET
    next_run: str | UnsetType | None = UNSET
    last_error: str | UnsetType = UNSET

    @property
    def changes(self) -> dict[str, Any]:
        """The fields of a job that were given."""
        named = {"name": "name", "schedule": "schedule", "enabled": "is_enabled", "payload": "payload"}
        named |= {field: field for field in ("timezone", "missed", "agent_id", "session_key")}
        given = {ours: getattr(self, theirs) for theirs, ours in named.items()}
        return {field: value for field, value in given.items() if value is not UNSET}


class JobView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The contract's `CronJob`."""

    id: str
    name: str
    schedule: str
    enabled: bool
    status: JobStatus
    timezone: str
    missed: Missed
    agent_id: str
    session_key: str
    """The session in which the job speaks."""
    last_run: datetime | None = None
    next_run: datetime | None = None
    payload: str | None = None
    last_error: str = ""

    @classmethod
    def from_domain(cls, job: Job) -> "JobView":
        """Show a job."""
        return cls(
            id=job.id,
            name=job.name,
            schedule=job.schedule,
            enabled=job.is_enabled,
            status=job.status,
            timezone=job.timezone,
            missed=job.missed,
            agent_id=job.agent_id,
            session_key=job.session,
            last_run=job.last_run,
            next_run=job.next_run,
            payload=job.payload,
            last_error=job.last_error,
        )


class FiringView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One time that a job fired."""

    id: str
    kind: str
    status: str
    due_at: datetime
    claimed_at: datetime
    ended_at: datetime | None = None
    run_id: str = ""
    error: str = ""

    @classmethod
    def from_domain(cls, firing: Firing) -> "FiringView":
        """Show a firing."""
        return cls(
            id=firing.id,
            kind=firing.kind,
            status=firing.status,
            due_at=firing.due_at,
            claimed_at=firing.claimed_at,
            ended_at=firing.ended_at,
            run_id=firing.run_id,
            error=firing.error,
        )


class FiredView(Struct, frozen=True):
    """Answer of `POST /api/cron/{id}/run`."""

    firing_id: str
    success: bool = True


class JobDeleted(Struct, frozen=True):
    """Answer of `DELETE /api/cron/{id}`."""

    success: bool = True
