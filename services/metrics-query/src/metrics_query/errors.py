"""What can be refused here."""

from shoal.errors import NotFoundError, ValidationError


class AgentNotFoundError(NotFoundError):
    """There is no such agent in this account."""

    code = "agent_not_found"


class UnknownMetricError(ValidationError):
    """One of the metrics is unknown."""
