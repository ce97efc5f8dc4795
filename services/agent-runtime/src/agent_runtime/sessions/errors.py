"""What can be wrong with a session."""

from shoal.errors import ConflictError


class SessionTakenError(ConflictError):
    """The account has a session of this key."""

    code = "session_exists"
