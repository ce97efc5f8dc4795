"""HTTP: samples by request, and what other services may ask."""

from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.params import Parameter

from shoal.copies import ExportedFact
from shoal.http.auth import require_permitted_service
from shoal.http.pagination import Page
from shoal.identity import Principal
from telemetry_ingest.schemas import JSON, MOST_BODY_BYTES, NDJSON, PostedView, read_post
from telemetry_ingest.usecases.posts import Posts
from telemetry_ingest.usecases.presences import Presences


class IngestController(Controller):
    """Frames of agents, many at once; for senders that hold no socket, and for what they could not send in time."""

    tags = ("telemetry",)

    @post(
        "/telemetry/ingest",
        operation_id="ingestTelemetry",
        summary="Send telemetry frames",
        status_code=200,
        request_max_body_size=MOST_BODY_BYTES,
        opt={"media_types": (JSON, NDJSON, "")},
    )
    async def ingest(
        self, request: Request[Any, Any, Any], posts: Posts, principal: Principal, epoch: str | None = None
    ) -> PostedView:
        """Take frames as a JSON object `{"epoch", "items"}`, a JSON list, or NDJSON; gzip is welcome."""
        post = read_post(
            await request.body(),
            content_type=request.headers.get("content-type", ""),
            encoding=request.headers.get("content-encoding", "").strip().lower(),
            epoch=epoch,
        )
        return PostedView.from_domain(await posts.take(post.items, epoch=post.epoch, by=principal))


class InternalController(Controller):
    """What other services may ask."""

    path = "/internal"
    guards = (require_permitted_service,)
    include_in_schema = False

    @get("/export", operation_id="exportPresences")
    async def export(
        self, presences: Presences, after: str = "", limit: Annotated[int, Parameter(ge=1, le=1000)] = 500
    ) -> Page[ExportedFact]:
        """List presences, those that ended lately included."""
        return await presences.export(after, limit)
