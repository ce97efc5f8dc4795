"""Refusals that more than one subject makes."""

from shoal.errors import AppError, FieldProblem, NotFoundError, ValidationError


class FieldRefusedError(ValidationError):
    """A field is not what it may be.

    Args:
        field: Its name in the body.
        problem: What is wrong with it, or what it may be.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}", details=[FieldProblem(field, problem)])


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
