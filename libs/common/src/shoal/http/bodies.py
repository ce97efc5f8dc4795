"""What refusals look like: as they are sent, and as OpenAPI documents describe them."""

from msgspec import Struct

from shoal.errors import FieldProblem


class ErrorView(Struct, frozen=True):
    """Why a request was refused, for programs: `code`; and for people: `message`."""

    code: str
    message: str
    status: int
    details: tuple[FieldProblem, ...]


class ErrorBody(Struct, frozen=True):
    """Every refusal; `detail` is the message of `error`."""

    detail: str
    error: ErrorView
    request_id: str


class ProblemBody(Struct, frozen=True):
    """The same as RFC 9457 has it, for who accepts `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldProblem, ...]
    request_id: str
