"""What can be wrong with an agent."""

from shoal.errors import ConflictError


class AgentTakenError(ConflictError):
    """The account has, or had, an agent of this id."""

    code = "agent_exists"
