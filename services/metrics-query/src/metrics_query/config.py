"""What this service is told, in the order of the chart's values."""

from datetime import timedelta

from shoal.config import ServiceConfig


class Config(ServiceConfig, frozen=True, kw_only=True):
    """Settings of metrics-query."""

    minutes_kept: timedelta = timedelta(days=31)
    """How long minute rows are kept; samples older than a day less are refused."""
    hours_kept: timedelta = timedelta(days=396)
    """How long hours are kept; days are kept for ever."""
    rollup_every: timedelta = timedelta(seconds=5)
    """How often changed hours are looked for."""
    rollup_after: timedelta = timedelta(minutes=1)
    """How long changes of an hour are gathered before it is rolled up; questions do not wait for that."""
    batches_at_once: int = 64
    """How many waiting batches are counted in one transaction."""
    retention_interval: timedelta = timedelta(hours=1)
    """How often days are opened and what is too old is deleted."""
