"""What can be refused here."""

from shoal.errors import ConflictError, NotFoundError, ValidationError


class EntryNotFoundError(NotFoundError):
    """The account remembers nothing under this key."""

    code = "memory_not_found"


class InvalidEntryError(ValidationError):
    """Nothing can be remembered like this."""


class MemoryFullError(ConflictError):
    """The account remembers as much as it may; forget something first."""

    code = "memory_full"
