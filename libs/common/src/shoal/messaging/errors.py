"""What can go wrong with a message."""

from shoal.errors import UnavailableError


class MessagingUnavailableError(UnavailableError):
    """The message system cannot be reached right now, or is full; try again."""

    code = "messaging_unavailable"


class RejectedMessageError(Exception):
    """The server will never take this message: too large, not ours to publish, or no subject at all."""
