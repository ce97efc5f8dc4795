"""What needs a worker."""

from enum import StrEnum

from msgspec import Struct


class WorkKind(StrEnum):
    """Why a worker must look after something."""

    WAITING = "waiting"
    """Nobody has taken the session's next run for a while."""
    OWN = "own"
    """A run of this worker's."""
    UNWANTED = "unwanted"
    """A run of this worker's that is wanted ended."""
    ABANDONED = "abandoned"
    """The run's worker is dead."""
    EXPIRED = "expired"
    """Calls of the run have waited for people too long."""


class WorkItem(Struct, frozen=True):
    """Something that a worker must look after; `id` is the session where its next run waits, else the run."""

    kind: WorkKind
    id: str
