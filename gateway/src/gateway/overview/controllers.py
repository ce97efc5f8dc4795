"""HTTP: health and documents."""

from litestar import Controller, Response, get

from gateway.overview.documents import Documents
from gateway.overview.health import SuiteHealth
from gateway.overview.schemas import HealthView, RootView, SystemHealthView
from gateway.pages import page


class OverviewController(Controller):
    """How the suite is, and what it answers; open to everybody."""

    tags = ("overview",)

    @get("/", operation_id="root", summary="Where to go from here", status_code=303)
    async def root(self) -> Response[RootView]:
        """Lead browsers to the documentation, and name what else is open to everybody."""
        return Response(RootView(), headers={"location": RootView().docs})

    @get("/health", operation_id="health", summary="How the suite is")
    async def health(self, suite_health: SuiteHealth) -> Response[HealthView]:
        """Answer 200, or 503 when the database cannot be reached."""
        view = HealthView.from_domain(await suite_health.summary())
        return Response(view, status_code=503 if view.status == "unhealthy" else 200)

    @get("/api/health", operation_id="systemHealth", summary="How the suite is, for the web chat")
    async def system_health(self, suite_health: SuiteHealth) -> Response[SystemHealthView]:
        """Answer 200, or 503 when the database cannot be reached."""
        view = SystemHealthView.from_domain(await suite_health.summary(), suite_health.process())
        return Response(view, status_code=503 if view.status == "down" else 200)

    @get("/openapi.json", operation_id="openapi", summary="This description", include_in_schema=False)
    async def openapi(self, documents: Documents) -> Response[bytes]:
        """Give one OpenAPI document of everything that is routed."""
        return Response(await documents.merged(), media_type="application/json")


class PagesController(Controller):
    """The documentation page; it loads nothing from elsewhere."""

    path = "/docs"
    include_in_schema = False

    @get("/", operation_id="docsPage")
    async def documentation(self) -> Response[bytes]:
        """Give the page."""
        return page("docs.html")

    @get("/docs.js", operation_id="docsScript")
    async def script(self) -> Response[bytes]:
        """Give its script."""
        return page("docs.js", "text/javascript")

    @get("/docs.css", operation_id="docsStyle")
    async def style(self) -> Response[bytes]:
        """Give its style."""
        return page("docs.css", "text/css")
