"""The one place where an exception becomes a response.

The body is the same everywhere and satisfies every contract: `{"detail", "error": {"code", "message", "status",
"details": [{"field", "message"}]}, "request_id"}`. `Accept: application/problem+json` gets RFC 9457 instead.
"""

import re
from collections.abc import Mapping, Sequence
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
    ValidationException,
)
from litestar.handlers.base import BaseRouteHandler

from shoal import errors
from shoal.errors import AppError, FieldProblem, readable
from shoal.http.asgi import Scope, Send
from shoal.http.choices import choices
from shoal.http.families import Family, family_of

_HUNG_UP = "client disconnected prematurely"
"""What Litestar says of a body that was cut off."""
_BODY, _NO_BODY = "data", "'data'"
"""What it calls the body, and says where there is none."""
_OF_ANOTHER_KIND = re.compile(r"Expected `(object|array)(?: \| null)?`, got `\w+`")
_OF_A_FIELD = re.compile(r"Object (missing required|contains unknown) field `([^`]+)`")
_NO_CHOICE = "Invalid enum value"
_CUT_OFF = {"Input data was truncated": "The body is not JSON: it ends too early."}
PROBLEM = "application/problem+json"
REQUEST_ID = "shoal.request_id"
_encode = msgspec.json.Encoder().encode
_BY_STATUS: Mapping[int, type[AppError]] = {
    401: errors.UnauthorizedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    405: errors.MethodNotAllowedError,
    413: errors.TooLargeError,
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
    details = [{"field": problem.field, "message": problem.message} for problem in error.details]
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, errors.MethodNotAllowedError) and error.allowed:
        headers["allow"] = error.allowed
    if PROBLEM in accept:
        headers["content-type"] = PROBLEM
        problem = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase if status in _STANDARD else code,
            "status": status,
            "detail": error.message,
        }
        return Refusal(status, headers, _encode(problem | {"code": code, "errors": details, "request_id": request_id}))
    told = {"code": code, "message": error.message, "status": status, "details": details}
    return Refusal(status, headers, _encode({"detail": error.message, "error": told, "request_id": request_id}))


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
            return errors.ValidationError(_sentence(problems), details=problems)
        case NotFoundException():
            return errors.PathUnknownError()
        case MethodNotAllowedException():
            return errors.MethodNotAllowedError(allowed=_methods(error))
        case msgspec.DecodeError() | UnicodeDecodeError() | RecursionError():
            return errors.ValidationError("The body is not JSON of the shape that this route takes.")
        case InternalServerException() if error.detail == _HUNG_UP:
            return errors.CallerGoneError()
        case LitestarClientError() if error.status_code == HTTPStatus.BAD_REQUEST:
            return errors.ValidationError(_CUT_OFF.get(error.detail, error.detail) or None)
        case HTTPException() if error.status_code in _BY_STATUS:
            return _BY_STATUS[error.status_code](error.detail or None)
    return AppError("Something went wrong on our side.")


def _methods(error: MethodNotAllowedException) -> list[str]:
    """Read which methods a path answers; a socket, which the framework counts as one, is none."""
    named = (error.headers or {}).get("allow", "").split(", ")
    return [method for method in [*named, *(["HEAD"] if "GET" in named else [])] if method.isupper()]


def _sentence(problems: Sequence[FieldProblem]) -> str:
    if not problems:
        return "The request lacks a body, or has another shape than this route takes: send JSON."
    return "; ".join(
        f"{problem.field}: {problem.message}" if problem.field else problem.message for problem in problems
    )


def _problems(error: ValidationException, handler: BaseRouteHandler | None) -> list[FieldProblem]:
    extra = error.extra if isinstance(error.extra, list) else []
    return [_problem(item, handler) for item in extra if isinstance(item, dict) and item.get("message") != _NO_BODY]


def _problem(item: Mapping[str, Any], handler: BaseRouteHandler | None) -> FieldProblem:
    """Name what is wrong as the caller does, who knows no `data`: so the framework calls the body."""
    key, message = str(item.get("key", "")), str(item.get("message", ""))
    if found := _OF_A_FIELD.fullmatch(message):
        is_missing = found[1] == "missing required"
        return FieldProblem(
            field=found[2] if key == _BODY else f"{key}.{found[2]}",
            message="This field is needed." if is_missing else "There is no such field here.",
        )
    if key == _BODY:
        return FieldProblem(field="", message=_OF_ANOTHER_KIND.sub(r"The body must be a JSON \1.", message))
    if message.startswith(_NO_CHOICE) and (named := _choices(handler, key)):
        message = f"{message}: one of {', '.join(named)}"
    return FieldProblem(field=key, message=readable(message))


def _choices(handler: BaseRouteHandler | None, key: str) -> list[str]:
    parameters = {} if handler is None else handler.parsed_fn_signature.parameters
    if key in parameters:
        return choices(parameters[key].annotation, "")
    return choices(parameters[_BODY].annotation, key) if _BODY in parameters else []
