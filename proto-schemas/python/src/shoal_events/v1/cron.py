# Generated from shoal/events/v1/cron.proto by `python -m generate`; do not edit.
"""Cron: the messages of `shoal/events/v1/cron.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive, Timestamp


class CronFired(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A job fired: the clock asked for a turn, or somebody did.

    Each tick fires once, whichever replica sees it first.
    """

    event_type: ClassVar[str] = "cron.fired.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.cron.fired.v1"
    entity: ClassVar[str] = "job_id"

    job_id: NonEmpty
    """The job."""

    account_id: NonEmpty
    """The account that it belongs to."""

    firing_id: NonEmpty
    """This firing."""

    kind: NonEmpty
    """Why it fired: `tick` or `manual`."""

    due_at: Timestamp
    """The tick, or the moment of the request."""

    version: Positive
    """Version of the job's row; a copy takes an event only if its version is newer."""


class CronFinished(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a firing asked for is over."""

    event_type: ClassVar[str] = "cron.finished.v1"
    source: ClassVar[str] = "/shoal/agent-runtime"
    producer: ClassVar[str] = "agent-runtime"
    subject_prefix: ClassVar[str] = "shoal.events.cron.finished.v1"
    entity: ClassVar[str] = "job_id"

    job_id: NonEmpty
    """The job."""

    account_id: NonEmpty
    """The account that it belongs to."""

    firing_id: NonEmpty
    """The firing."""

    status: NonEmpty
    """How it ended: `completed` or `failed`."""

    version: Positive
    """Version of the job's row; a copy takes an event only if its version is newer."""

    run_id: str | None = None
    """The run that answered; missing when none could be started."""

    error: str | None = None
    """Why it failed, for people; missing unless it did."""
