"""Refusals that more than one subject makes."""

from shoal.errors import AppError, NotFoundError


class AgentNotFoundError(NotFoundError):
    """The account has no such agent."""

    code = "agent_not_found"


class SessionNotFoundError(NotFoundError):
    """The account has no such session."""

    code = "session_not_found"


class RunNotFoundError(NotFoundError):
    """The account has no such run."""

    code = "run_not_found"


class BudgetExhaustedError(AppError):
    """The budget in money is used up."""

    code = "budget_exhausted"
    status = 402


class TokenBudgetExhaustedError(AppError):
    """The budget in tokens is used up for now."""

    code = "token_budget_exhausted"
    status = 429
