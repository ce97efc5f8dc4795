"""What this service is told, in the order of the chart's values."""

from datetime import timedelta

from shoal.config import ServiceConfig


class Config(ServiceConfig, frozen=True, kw_only=True):
    """Settings of telemetry-ingest."""

    auth_timeout: timedelta = timedelta(seconds=10)
    """How long a socket may stay open without saying who it is."""
    idle_timeout: timedelta = timedelta(minutes=5)
    """How long a socket may be silent."""
    half_open_after: timedelta = timedelta(seconds=45)
    """How long a peer may leave TCP unanswered before its connection counts as lost."""
    messages_per_second: int = 100
    """How much one socket may send; an item of a batch counts like a message."""
    sockets_per_user: int = 5
    """How many sockets the credentials of one user may hold open."""
    beat: timedelta = timedelta(seconds=1.5)
    """How often this process proves that it lives."""
    silent_for: timedelta = timedelta(seconds=5)
    """After how long without a beat a process counts as dead."""
    revalidate_every: timedelta = timedelta(seconds=60)
    """How often the credential of an open socket is looked at again, beside hearing of its revocation."""
