"""What can be refused here."""

from shoal.errors import BadRequestError, NotFoundError


class InvalidTokenError(BadRequestError):
    """This pairing token is unknown or was already used; open a new pairing."""

    code = "invalid_token"


class TokenExpiredError(BadRequestError):
    """This pairing token has expired; open a new pairing."""

    code = "token_expired"


class PairingNotFoundError(NotFoundError):
    """There is no such pairing in this account."""


class CredentialUnknownError(NotFoundError):
    """No pairing has this credential."""


class NotConfirmedError(BadRequestError):
    """No agent has confirmed this pairing yet."""

    code = "not_confirmed"
