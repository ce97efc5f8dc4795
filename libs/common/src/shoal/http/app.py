"""The application that every service serves: its controllers inside, the same habits around them."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Litestar, Request, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler

from shoal.errors import UnfitBodyError, UnsupportedMediaTypeError, ValidationError
from shoal.http.auth import principal_of
from shoal.http.description import ClosedStructs, DescribedStructs, describe
from shoal.http.door import Door, Raw
from shoal.http.errors import respond
from shoal.http.health import DescriptionController, Health, HealthController
from shoal.identity import Principal
from shoal.resources import Resources

MAX_BODY_BYTES = 1024 * 1024
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json(?:\s*;.*)?$", re.IGNORECASE)
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_EMPTY = re.compile(rb"\s*")


def create_app(
    resources: Resources[Any],
    *,
    controllers: Sequence[ControllerRouterHandler],
    dependencies: Mapping[str, Callable[..., Any]],
    raw: Raw = lambda _: None,
) -> Door:
    """Make a service's application.

    Args:
        resources: The service's process-wide parts.
        controllers: Every controller by name: the list of doors.
        dependencies: What handlers may name as parameters: bound methods of the service's factory. No field of a body
            may have the name of one.
        raw: Finds what serves a path by itself: content that is not ours to parse, under paths with parameters, which
            Litestar's own ASGI routes cannot have.
    """

    @functools.cache
    def description() -> bytes:
        return openapi_json(app)

    app = Litestar(
        route_handlers=[_own(resources.health, description), *controllers],
        dependencies=_provided(
            {name: _in_turn(give) for name, give in dependencies.items()} | {"principal": _principal}
        ),
        exception_handlers={Exception: respond},
        before_request=_check,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=_openapi(resources.service),
        plugins=[ClosedStructs(), DescribedStructs()],
        state=State({"service": resources.service}),
        logging_config=None,
        debug=False,
    )
    return Door(
        app,
        verifier=resources.verifier,
        metrics=resources.metrics,
        tracing=resources.tracing,
        service=resources.service,
        log_requests=resources.config.log_requests,
        raw=raw,
    )


def openapi_json(app: Litestar) -> bytes:
    """Write an application's OpenAPI document, keys sorted, two spaces of indent."""
    document = msgspec.json.encode(describe(app), order="sorted")
    # JSON Schema's patterns are JavaScript's, where `$` means what `\Z` means to Python and `\Z` means nothing.
    return msgspec.json.format(document.replace(rb'\\Z"', b'$"'), indent=2) + b"\n"


def _own(health: Health, description: Callable[[], bytes]) -> Router:
    """Make the routes that every service has.

    What they ask for is given to them alone: Litestar takes a bad body field for a fault of ours if a dependency of the
    handler has the same name.
    """

    def give_health() -> Health:
        return health

    return Router(
        "/",
        route_handlers=[HealthController, DescriptionController],
        dependencies=_provided({"health": give_health, "description": lambda: description}),
    )


async def _check(request: Request[Any, Any, Any]) -> None:
    """Refuse queries and bodies that no handler should see."""
    _check_query(request.scope["query_string"])
    await _check_body(request)


def _check_query(query: bytes) -> None:
    """Refuse queries that are not UTF-8; decoded all the same, they would look for something else."""
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        raise ValidationError("The query is not UTF-8.") from None


async def _check_body(request: Request[Any, Any, Any]) -> None:
    """Refuse bodies that are not JSON, and NUL, which no text column can hold.

    A handler that takes other media types lists them as `opt={"media_types": (…)}`.
    """
    if request.method not in {"POST", "PUT", "PATCH", "DELETE"}:
        return
    allowed: tuple[str, ...] = request.route_handler.opt.get("media_types", ())
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() in allowed:
        return
    body = await request.body()
    if _EMPTY.fullmatch(body):
        return
    if not _JSON.match(content_type):
        raise UnsupportedMediaTypeError
    if b"\x00" in body or _NUL.search(body):
        raise UnfitBodyError("Text may not hold the character NUL.")


def _principal(request: Request[Any, Any, Any]) -> Principal:
    return principal_of(request)


def _in_turn(give: Callable[..., Any]) -> Callable[..., Any]:
    """Make something after the principal: for what could be made at once Litestar makes tasks, though none waits."""
    if inspect.signature(give).parameters:
        return give

    def given(principal: Principal) -> Any:  # noqa: ARG001 - so Litestar knows what comes first
        return give()

    return given


def _provided(dependencies: Mapping[str, Callable[..., Any]]) -> dict[str, Provide]:
    return {name: Provide(give, sync_to_thread=False) for name, give in dependencies.items()}


def _openapi(service: str) -> OpenAPIConfig:
    return OpenAPIConfig(
        title=f"Shoal {service}",
        version="0.1.0",
        path="/internal/schema",
        render_plugins=[],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer"),
                "session": SecurityScheme(type="apiKey", name="shoal_session", security_scheme_in="cookie"),
            }
        ),
        security=[{"bearer": []}, {"session": []}],
    )
