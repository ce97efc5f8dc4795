"""Refusals of this service."""

from typing import ClassVar

from shoal.errors import AppError, BadRequestError, UnauthorizedError


class CredentialUnknownError(UnauthorizedError):
    """The token is not valid."""

    code = "invalid_token"


class NotASenderError(UnauthorizedError):
    """Send a telemetry token or an API key."""

    code = "auth_required"


class UpgradeRequiredError(AppError):
    """This path speaks WebSocket."""

    code = "upgrade_required"
    status: ClassVar[int | None] = 426


class TruncatedBodyError(BadRequestError):
    """The body is not complete gzip."""

    code = "invalid_encoding"
