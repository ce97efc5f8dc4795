"""HTTP: tools."""

from typing import Any

from litestar import Controller, get

from agent_runtime.runs.schemas import ToolView
from agent_runtime.runs.usecases.toolbox import Toolbox
from shoal.http.auth import require_user
from shoal.identity import Principal


class ToolController(Controller):
    """What agents can do."""

    path = "/api/tools"
    tags = ("tools",)
    guards = (require_user,)

    @get("/", operation_id="listTools", summary="List tools")
    async def list(self, principal: Principal, toolbox: Toolbox) -> list[ToolView]:
        """List the tools that the account's agents can be offered, by name."""
        offered = await toolbox.offered(principal.account_id)
        return [
            ToolView(name=name, description=tool.spec.description, schema=dict(tool.spec.schema), policy=tool.policy)
            for name, tool in sorted(offered.items())
        ]

    @get("/{name:str}/schema", operation_id="getToolSchema", summary="Show what a tool takes")
    async def schema(self, name: str, principal: Principal, toolbox: Toolbox) -> dict[str, Any]:
        """Give the JSON Schema of a tool's arguments."""
        tool = await toolbox.find(principal.account_id, name)
        return dict(tool.spec.schema)
