"""Refusals that more than one subject makes."""

from shoal.errors import AppError, BadRequestError, FieldProblem, NotFoundError, TimedOutError, ValidationError


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


class ModelUnknownError(BadRequestError):
    """No provider is configured for this model."""

    code = "model_unknown"


class ModelKeyMissingError(BadRequestError):
    """The model's provider answers nobody without a key, and there is none; admins set it by PUT /api/config."""

    code = "key_missing"


class ModelUnavailableError(AppError):
    """The model's provider did not answer as it should."""

    code = "model_unavailable"
    status = 502


class ModelRefusedError(AppError):
    """The model's provider refused the request."""

    code = "model_refused"
    status = 502


class ModelBrokeOffError(AppError):
    """The model's provider broke off in the middle of its answer."""

    code = "model_broke_off"
    status = 502


class ModelSilentError(TimedOutError):
    """The model's provider was silent for too long."""

    code = "model_silent"


class ToolError(Exception):
    """A tool could not do what it was asked; the message is for the model."""
