"""HTTP: samples by request, and what other services may ask."""

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import Parameter

from shoal.copies import ExportedFact
from shoal.http.auth import require_permitted_service
from shoal.http.pagination import Page
from shoal.identity import Principal
from telemetry_ingest.schemas import JSON, MAX_BODY_BYTES, MAX_POSTED_ITEMS, NDJSON, PostedView, read_post
from telemetry_ingest.usecases.posts import Posts
from telemetry_ingest.usecases.presences import Presences

_FRAME = Schema(type=OpenAPIType.OBJECT, description="A frame of the telemetry socket: asyncapi.yaml describes them.")
_FRAMES = Schema(type=OpenAPIType.ARRAY, items=_FRAME, max_items=MAX_POSTED_ITEMS)
_EPOCH = Schema(
    type=OpenAPIType.STRING, pattern="^[A-Za-z0-9_-]{1,64}$", description="Within it a seq means one frame."
)
_POST = Schema(type=OpenAPIType.OBJECT, properties={"items": _FRAMES, "epoch": _EPOCH}, required=["items"])


@dataclass
class IngestOperation(Operation):
    """Describes the body, which is not one Struct: it may be unpacked first, and come in lines."""

    def __post_init__(self) -> None:
        json = OpenAPIMediaType(schema=Schema(one_of=[_POST, _FRAMES]))
        lines = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, description="A frame on each line."))
        self.request_body = RequestBody(content={JSON: json, NDJSON: lines}, required=True)


class IngestController(Controller):
    """Frames of agents, many at once; for senders that hold no socket, and for what they could not send in time."""

    tags = ("telemetry",)

    @post(
        "/telemetry/ingest",
        operation_id="ingestTelemetry",
        summary="Send telemetry frames",
        status_code=200,
        operation_class=IngestOperation,
        request_max_body_size=MAX_BODY_BYTES,
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
