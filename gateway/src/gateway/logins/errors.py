"""What can be refused here."""

from shoal.errors import BadRequestError, NotFoundError, RateLimitedError, UnauthorizedError


class CredentialsMissingError(BadRequestError):
    """Username and password are required"""  # noqa: D415 - the contract's words

    code = "credentials_missing"


class LinkInvalidError(BadRequestError):
    """This link was used already, or is too old; `shoal user link` prints a new one."""

    code = "invalid_link"


class LoginFailedError(UnauthorizedError):
    """Invalid username or password"""  # noqa: D415 - the contract's words

    code = "invalid_credentials"


class LoginNotFoundError(NotFoundError):
    """You have no such login."""


class TooManyAttemptsError(RateLimitedError):
    """Too many attempts to sign in failed; try again later."""

    code = "too_many_attempts"
