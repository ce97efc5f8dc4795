"""What can be refused here."""

from shoal.errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError, UnauthorizedError


class AccountNotFoundError(NotFoundError):
    """There is no such account."""


class EmailTakenError(ConflictError):
    """Email already exists"""  # noqa: D415 - the contract's words

    code = "email_taken"


class FirstAccountError(BadRequestError):
    """The first account cannot be deleted."""

    code = "first_account"


class FirstAccountRequiredError(ForbiddenError):
    """Only admins of the first account may do this."""


class LastAdminError(ConflictError):
    """An account keeps at least one admin."""

    code = "last_admin"


class OwnDeletionError(BadRequestError):
    """Cannot delete your own account"""  # noqa: D415 - the contract's words

    code = "own_account"


class OwnDemotionError(BadRequestError):
    """Cannot demote your own account"""  # noqa: D415 - the contract's words

    code = "own_account"


class SetupDoneError(ConflictError):
    """Setup already completed"""  # noqa: D415 - the contract's words

    code = "setup_completed"


class UserNotFoundError(NotFoundError):
    """There is no such user in this account."""


class UsernameTakenError(ConflictError):
    """Username already exists"""  # noqa: D415 - the contract's words

    code = "username_taken"


class WrongPasswordError(UnauthorizedError):
    """Current password is incorrect"""  # noqa: D415 - the contract's words

    code = "wrong_password"
