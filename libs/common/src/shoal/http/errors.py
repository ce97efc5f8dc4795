"""The one place where an exception becomes a response.

The body is the same everywhere and satisfies every contract: `ErrorBody`, or `ProblemBody` for who accepts that.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import (
    ClientException as LitestarClientError,
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.params import ParameterKwarg
from litestar.typing import FieldDefinition

from shoal import errors
from shoal.errors import AppError, FieldProblem
from shoal.http.asgi import Scope, Send
from shoal.http.bodies import ErrorBody, ErrorView, ProblemBody
from shoal.http.choices import choices
from shoal.http.families import Family, family_of
from shoal.wording import problem_of, readable

_HUNG_UP = "client disconnected prematurely"
"""What Litestar says of a body that was cut off."""
_BODY, _NO_BODY, _IN_BODY = "data", "'data'", "body"
"""What it calls the body, says where there is none, and calls the place of a field in it."""
_OF_ANOTHER_KIND = re.compile(r"Expected `(object|array|object \| array)(?: \| null)?`, got `\w+`")
_OF_NO_PARAMETER = re.compile(r"Missing required \w+ parameter '([^']+)'")
_NO_CHOICE = "Invalid enum value"
_LACKING = "The request lacks a body, or has another shape than this route takes: send JSON."
_CUT_OFF = {"Input data was truncated": "The body is not JSON: it ends too early."}
PROBLEM = "application/problem+json"
REQUEST_ID = "shoal.request_id"
_encode = msgspec.json.Encoder().encode
_BY_STATUS: Mapping[int, type[AppError]] = {
    401: errors.UnauthorizedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    405: errors.MethodNotAllowedError,
    415: errors.UnsupportedMediaTypeError,
    429: errors.RateLimitedError,
    503: errors.UnavailableError,
}
_STANDARD = frozenset(HTTPStatus)


class Refusal(msgspec.Struct, frozen=True):
    """A response to send: status, headers and body."""

    status: int
    headers: dict[str, str]
    body: bytes


def refusal(error: AppError, *, family: Family, request_id: str, accept: str = "") -> Refusal:
    """Write a refusal in a family's spelling."""
    status = family.validation_status if error.status is None else error.status
    code = family.spell(error.code)
    message = readable(error.message)  # services hand on what msgspec says of what they read by themselves
    details = tuple(FieldProblem(problem.field, readable(problem.message)) for problem in error.details)
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, errors.MethodNotAllowedError) and error.allowed:
        headers["allow"] = error.allowed
    if PROBLEM in accept:
        headers["content-type"] = PROBLEM
        title = HTTPStatus(status).phrase if status in _STANDARD else code
        problem = ProblemBody("about:blank", title, status, message, code, details, request_id)
        return Refusal(status, headers, _encode(problem))
    told = ErrorView(code, message, status, details)
    return Refusal(status, headers, _encode(ErrorBody(message, told, request_id)))


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a request whose handling raised."""
    told = to_app_error(error, request.scope.get("route_handler"))
    if type(told) is AppError:
        structlog.get_logger().error("request_failed", error=repr(error), exc_info=error)
    written = refusal(
        told,
        family=family_of(request.scope["path"]),
        request_id=request_id_of(cast(Mapping[str, Any], request.scope)),
        accept=request.headers.get("accept", ""),
    )
    return Response(
        written.body,
        status_code=written.status,
        headers=written.headers,
        media_type=written.headers["content-type"],
    )


async def send_refusal(scope: Scope, send: Send, error: AppError, *headers: tuple[bytes, bytes]) -> None:
    """Refuse a request, or a socket that was not accepted yet, without any application's help."""
    accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
    family = family_of(scope["path"])
    written = refusal(error, family=family, request_id=request_id_of(scope), accept=accept)
    told = [(name.encode(), value.encode()) for name, value in written.headers.items()]
    told += [(b"content-length", b"%d" % len(written.body)), *headers]
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    await send({"type": f"{kind}.start", "status": written.status, "headers": told})
    await send({"type": f"{kind}.body", "body": written.body, "more_body": False})


def request_id_of(scope: Mapping[str, Any]) -> str:
    """Give the id by which the door named this request."""
    return str(scope.get(REQUEST_ID, ""))


def to_app_error(error: Exception, handler: BaseRouteHandler | None = None) -> AppError:
    """Translate what a framework raised; a fault of ours becomes a plain `AppError`, which tells no cause.

    Args:
        error: What was raised.
        handler: Whose parameters were at fault, if any were.
    """
    match error:
        case AppError():
            return error
        case ValidationException():
            problems = _problems(error, handler)
            return unfit(*problems) if problems else errors.UnfitBodyError(_LACKING)
        case NotFoundException():
            return errors.PathUnknownError()
        case MethodNotAllowedException():
            return errors.MethodNotAllowedError(allowed=_methods(error))
        case msgspec.DecodeError() | UnicodeDecodeError() | RecursionError():
            return errors.UnfitBodyError()
        case InternalServerException() if error.detail == _HUNG_UP:
            return errors.CallerGoneError()
        case RequestEntityTooLarge():
            return errors.TooLargeError(_limit(handler))
        case LitestarClientError() if error.status_code == HTTPStatus.BAD_REQUEST:
            is_of_body = isinstance(error.__cause__, SerializationException)
            told = _CUT_OFF.get(error.detail, error.detail) or None
            return errors.UnfitBodyError(told) if is_of_body else errors.ValidationError(told)
        case HTTPException() if error.status_code in _BY_STATUS:
            return _BY_STATUS[error.status_code](error.detail or None)
    return AppError("Something went wrong on our side.")


def unfit(*problems: FieldProblem) -> errors.ValidationError:
    """Refuse a request for fields that do not hold; the one without a name is the body itself."""
    told = [
        problem if problem.field else FieldProblem("", _OF_ANOTHER_KIND.sub(_kind_of_body, problem.message))
        for problem in problems
    ]
    return errors.ValidationError("; ".join(problem.sentence for problem in told), details=told)


def _methods(error: MethodNotAllowedException) -> list[str]:
    """Read which methods a path answers; a socket, which the framework counts as one, is none."""
    named = (error.headers or {}).get("allow", "").split(", ")
    return [method for method in [*named, *(["HEAD"] if "GET" in named else [])] if method.isupper()]


def _limit(handler: BaseRouteHandler | None) -> str | None:
    """Say how many bytes a route takes, if it is known by now which it is."""
    limit = handler.resolve_request_max_body_size() if isinstance(handler, HTTPRouteHandler) else None
    return None if limit is None else f"The body is larger than the {limit} bytes that this route takes."


def _kind_of_body(found: re.Match[str]) -> str:
    return f"The body must be a JSON {found[1].replace('|', 'or')}."


def _problems(error: ValidationException, handler: BaseRouteHandler | None) -> list[FieldProblem]:
    if missing := _OF_NO_PARAMETER.match(error.detail):
        return [FieldProblem(field=missing[1], message="This parameter is needed.")]
    extra = error.extra if isinstance(error.extra, list) else []
    return [_problem(item, handler) for item in extra if isinstance(item, dict) and item.get("message") != _NO_BODY]


def _problem(item: Mapping[str, Any], handler: BaseRouteHandler | None) -> FieldProblem:
    """Name what is wrong as the caller does, who knows no `data`: so the framework calls the body."""
    key, message = str(item.get("key", "")), str(item.get("message", ""))
    problem = problem_of("" if key == _BODY else key, message)
    if problem.field != key:  # the body itself, or a field that it lacks or should not have
        return problem
    parameters = {} if handler is None else handler.parsed_fn_signature.parameters
    field = key if item.get("source") == _IN_BODY else _sent_name(parameters, key)
    if message.startswith(_NO_CHOICE) and (named := _choices(parameters, key)):
        return FieldProblem(field, f"{problem.message}: one of {', '.join(named)}")
    return FieldProblem(field, problem.message)


def _sent_name(parameters: Mapping[str, FieldDefinition], key: str) -> str:
    """Give a parameter the name by which it is sent: that of the header, mostly."""
    told = parameters[key].kwarg_definition if key in parameters else None
    return (told.header or told.query or told.cookie or key) if isinstance(told, ParameterKwarg) else key


def _choices(parameters: Mapping[str, FieldDefinition], key: str) -> list[str]:
    if key in parameters:
        return choices(parameters[key].annotation, "")
    return choices(parameters[_BODY].annotation, key) if _BODY in parameters else []
