"""What can be refused here."""

from shoal.errors import AppError, ConflictError


class RotationFailedError(Exception):
    """A key was not replaced; says why in words for people."""


class AdmissionError(Exception):
    """An instance does not let a key in, or does so still; says why."""


class AdmissionInterruptedError(AdmissionError):
    """The instance went away meanwhile, which says nothing of the key."""


class RotationOpenError(ConflictError):
    """A rotation of this instance's key is already under way"""  # noqa: D415 - as its siblings

    code = "rotation_open"


class RotationNotRecordedError(AppError):
    """The new key signs in, but that could not be stored yet; the rotation goes on by itself."""

    code = "rotation_not_recorded"
