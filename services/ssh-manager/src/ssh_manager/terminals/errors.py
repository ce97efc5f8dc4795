"""Refusals of terminals."""

from shoal.errors import AppError, BadRequestError, ConflictError, ForbiddenError, NotFoundError, RateLimitedError


class UpgradeRequiredError(AppError):
    """A terminal is reached by WebSocket."""

    code = "upgrade_required"
    status = 426


class SessionNotFoundError(NotFoundError):
    """Terminal session not found"""  # noqa: D415 - as its siblings

    code = "session_not_found"


class SessionForbiddenError(ForbiddenError):
    """This terminal belongs to somebody else"""  # noqa: D415 - as its siblings

    code = "session_forbidden"


class SessionClosedError(ConflictError):
    """This terminal is closed"""  # noqa: D415 - as its siblings

    code = "session_closed"


class TooManySessionsError(RateLimitedError):
    """This instance has as many terminals as it can have: close one"""  # noqa: D415 - as its siblings

    code = "too_many_sessions"


class UnknownShellError(BadRequestError):
    """shell is one of bash, sh and zsh"""  # noqa: D415 - as its siblings

    code = "unknown_shell"


class ShellFailedError(AppError):
    """The instance did not open a terminal"""  # noqa: D415 - as its siblings

    code = "shell_failed"
    status = 502
