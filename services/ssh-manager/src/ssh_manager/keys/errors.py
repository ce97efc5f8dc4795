"""What can be refused here."""

from shoal.errors import AppError


class RotationFailedError(Exception):
    """A key was not replaced; says why in words for people."""


class RotationNotRecordedError(AppError):
    """The new key signs in, but that could not be stored yet; the rotation goes on by itself."""

    code = "rotation_not_recorded"
