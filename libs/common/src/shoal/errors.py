"""Refusals: what a caller did, as classes that know their code, status and wording.

Two trees that never mix. `AppError` is the caller's doing or the world's, and is answered with its own code. Everything
else is a fault of ours and is answered 500 without detail. `shoal.http.errors` turns both into responses, once.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from msgspec import Struct


class FieldProblem(Struct, frozen=True):
    """One field of a request that does not hold, and why; the field without a name is the body itself."""

    field: str
    message: str

    @property
    def sentence(self) -> str:
        """Both in one line."""
        return f"{self.field}: {self.message}" if self.field else self.message


class AppError(Exception):
    """A refusal with a canonical lower_snake code, a status and a sentence for the caller.

    The sentence is the first line of the subclass's docstring unless the constructor is given another.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int | None] = 500
    """None stands for the validation status of the route's family."""

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[FieldProblem] = (),
        retry_after_s: float | None = None,
    ) -> None:
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        self.details = tuple(details)
        self.retry_after_s = retry_after_s
        super().__init__(self.message)


class ValidationError(AppError):
    """The request does not have the shape that this route takes."""

    code = "validation_error"
    status = None


class UnfitBodyError(ValidationError):
    """The body is not JSON of the shape that this route takes."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)
        self.details = (FieldProblem("", self.message),)


class BadRequestError(AppError):
    """The request cannot be carried out as it stands."""

    code = "bad_request"
    status = 400


class UnauthorizedError(AppError):
    """Sign in (POST /api/v1/auth/login, or a link of `shoal user link`), or send a valid credential as bearer."""

    code = "unauthorized"
    status = 401


class ForbiddenError(AppError):
    """You may not do this."""

    code = "forbidden"
    status = 403


class NotFoundError(AppError):
    """There is nothing here by that name."""

    code = "not_found"
    status = 404


class PathUnknownError(NotFoundError):
    """There is nothing at this path; /docs lists the paths that there are."""


class MethodNotAllowedError(AppError):
    """This path does not answer that method."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, message: str | None = None, *, allowed: Iterable[str] = ()) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(message or (f"This path answers {self.allowed} alone." if self.allowed else None))


class CallerGoneError(AppError):
    """The caller hung up before the request was complete."""

    code = "caller_gone"
    status = 499


class ConflictError(AppError):
    """The present state does not allow this."""

    code = "conflict"
    status = 409


class TooLargeError(AppError):
    """The request is larger than this route takes."""

    code = "payload_too_large"
    status = 413


class UnsupportedMediaTypeError(AppError):
    """Send the body as application/json."""

    code = "unsupported_media_type"
    status = 415


class RateLimitedError(AppError):
    """Too many requests; try again later."""

    code = "rate_limited"
    status = 429


class UnavailableError(AppError):
    """Something that this needs cannot be reached right now; try again."""

    code = "unavailable"
    status = 503


class StoppingError(UnavailableError):
    """The service is restarting; try again."""

    code = "shutting_down"

    def __init__(self) -> None:
        super().__init__(retry_after_s=1)


class TimedOutError(AppError):
    """Something that this needs did not answer in time; try again."""

    code = "timeout"
    status = 504
