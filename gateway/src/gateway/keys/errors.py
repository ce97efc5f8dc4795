"""What can be refused here."""

from shoal.errors import ConflictError, ForbiddenError, NotFoundError


class KeyLimitReachedError(ForbiddenError):
    """The account's plan allows no more API keys; revoke one first."""

    code = "key_limit_reached"


class KeyNotFoundError(NotFoundError):
    """There is no such API key."""


class SelfRevokeError(ConflictError):
    """A key cannot revoke itself; use another one, or sign in."""

    code = "self_revoke"
