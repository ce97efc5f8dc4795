"""Pages for people: files beside this one, which load nothing from elsewhere."""

from importlib.resources import files
from typing import Any

from litestar import Request, Response

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_HTML = "text/html"
_OF_PROGRAMS = ("application/json", "application/problem+json")


def page(name: str, media_type: str = _HTML, *, status: int | None = None) -> Response[bytes]:
    """Answer with a page, or with what belongs to one; by default with the status that the route has."""
    content = files(__name__).joinpath(name).read_bytes()
    return Response(content, status_code=status, media_type=media_type, headers=_HEADERS)


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether the caller would rather have a page than JSON, as browsers say that they do."""
    return request.accept.best_match([*_OF_PROGRAMS, _HTML]) == _HTML
