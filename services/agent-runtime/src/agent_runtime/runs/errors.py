"""What can be wrong with a run."""

from shoal.errors import (
    AppError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TimedOutError,
    UnavailableError,
)


class SessionBusyError(ConflictError):
    """The session is busy with another message."""

    code = "session_busy"


class AgentStoppedError(ConflictError):
    """The agent is stopped; start it first."""

    code = "agent_stopped"


class IdempotencyKeyReusedError(ConflictError):
    """This Idempotency-Key came with another message before."""

    code = "idempotency_key_reused"


class NothingToDecideError(ConflictError):
    """No tool call of this run waits for a decision."""

    code = "nothing_to_decide"


class ToolNotFoundError(NotFoundError):
    """There is no such tool."""

    code = "tool_not_found"


class ServerNotFoundError(NotFoundError):
    """There is no such MCP server."""

    code = "mcp_server_not_found"


class StdioNotAllowedError(ForbiddenError):
    """MCP servers that are programs may not be started here; the operator allows them."""

    code = "stdio_not_allowed"


class TooManyServersError(ConflictError):
    """There are as many MCP servers as there may be."""

    code = "too_many_mcp_servers"


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


class RunTooLongError(TimedOutError):
    """The run took longer than runs may."""

    code = "run_too_long"


class TooManyStepsError(AppError):
    """The agent called tools more often than one turn may."""

    code = "too_many_steps"
    status = 502


class RunFailedError(AppError):
    """The agent could not answer."""

    code = "run_failed"
    status = 502


class RunCancelledError(ConflictError):
    """The run was cancelled before the agent had answered."""

    code = "run_cancelled"


class RunInterruptedError(UnavailableError):
    """The process that answered ended before the agent did; send the message again."""

    code = "run_interrupted"


class ToolError(Exception):
    """A tool could not do what it was asked; the message is for the model."""
