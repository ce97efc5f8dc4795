"""Refusals of terminals."""

from shoal.errors import AppError, BadRequestError, ConflictError, ForbiddenError, NotFoundError, RateLimitedError


class UpgradeRequiredError(AppError):
    """A terminal is reached by WebSocket."""

    code = "upgrade_required"
    status = 426


class TerminalNotFoundError(NotFoundError):
    """Terminal not found"""  # noqa: D415 - as its siblings

    code = "terminal_not_found"


class TerminalForbiddenError(ForbiddenError):
    """This terminal belongs to somebody else"""  # noqa: D415 - as its siblings

    code = "terminal_forbidden"


class TerminalClosedError(ConflictError):
    """This terminal is closed"""  # noqa: D415 - as its siblings

    code = "terminal_closed"


class TooManyTerminalsError(RateLimitedError):
    """This instance has as many terminals as it can have: close one"""  # noqa: D415 - as its siblings

    code = "too_many_terminals"


class UnknownShellError(BadRequestError):
    """shell is one of bash, sh and zsh"""  # noqa: D415 - as its siblings

    code = "unknown_shell"


class ShellFailedError(AppError):
    """The instance did not open a terminal"""  # noqa: D415 - as its siblings

    code = "shell_failed"
    status = 502
