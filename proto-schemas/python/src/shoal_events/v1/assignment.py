# Generated from shoal/events/v1/assignment.proto by `python -m generate`; do not edit.
"""Assignment: the messages of `shoal/events/v1/assignment.proto`."""

from typing import ClassVar

from shoal_events.message import Event
from shoal_events.types import NonEmpty, Positive


class AssignmentChanged(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An admin said anew which instances a user may use. The list is whole: what it does not name is withdrawn."""

    event_type: ClassVar[str] = "assignment.changed.v1"
    source: ClassVar[str] = "/shoal/instance-orchestrator"
    producer: ClassVar[str] = "instance-orchestrator"
    subject_prefix: ClassVar[str] = "shoal.events.assignment.changed.v1"
    entity: ClassVar[str] = "user_id"

    user_id: NonEmpty
    """The user."""

    account_id: NonEmpty
    """The account that user and instances belong to."""

    instance_ids: tuple[str, ...] = ()
    """Every instance that the user may use, each as the decimal digits of its public id."""

    version: Positive
    """Version of the user's assignment; a copy takes an event only if its version is newer."""
