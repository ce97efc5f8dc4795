"""HTTP: what other services may ask."""

from typing import Annotated

from litestar import Controller, get
from litestar.params import Parameter

from instance_orchestrator.usecases.exports import Exports
from shoal.copies import ExportedFact
from shoal.http.auth import require_permitted_service
from shoal.http.pagination import Page


class InternalController(Controller):
    """For ssh-manager."""

    path = "/internal"
    guards = (require_permitted_service,)
    include_in_schema = False

    @get("/export", operation_id="exportInstances")
    async def export(
        self, exports: Exports, after: str = "", limit: Annotated[int, Parameter(ge=1, le=1000)] = 500
    ) -> Page[ExportedFact]:
        """List every instance and every assignment as facts, deleted ones included."""
        return await exports.page(after, limit)
