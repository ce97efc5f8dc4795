"""Refusals of sockets."""

from shoal.errors import AppError, NotFoundError, UnauthorizedError, ValidationError


class UpgradeRequiredError(AppError):
    """This path speaks WebSocket only."""

    code = "upgrade_required"
    status = 426


class CredentialUnknownError(UnauthorizedError):
    """The token is not valid."""

    code = "invalid_token"


class NoSessionNamedError(ValidationError):
    """Say in which session."""

    code = "session_required"


class NothingToCancelError(NotFoundError):
    """Name a run or a session to cancel."""

    code = "nothing_to_cancel"


class TooManyTopicsError(ValidationError):
    """A socket holds a hundred subscriptions at most."""

    code = "too_many_topics"
