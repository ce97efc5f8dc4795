"""HTTP: instances, their configs and their logs."""

from typing import Annotated

from litestar import Controller, delete, get, post, put
from litestar.params import Parameter
from litestar.response import Stream

from instance_orchestrator.domain.logs import tail_of
from instance_orchestrator.schemas.instances import (
    ChangeInstance,
    ConfigReplacedView,
    ConfigView,
    CreateInstance,
    InstanceView,
    ReorderInstances,
    ReplaceConfig,
    StatusView,
)
from instance_orchestrator.usecases.configurations import Configurations
from instance_orchestrator.usecases.instances import Instances
from instance_orchestrator.usecases.logs import Logs
from shoal.http.auth import require_admin, require_user
from shoal.identity import Principal

STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class InstanceController(Controller):
    """Instances of the caller's account: all of them for admins, those assigned to them for others."""

    path = "/api/v1/instances"
    tags = ("instances",)
    guards = (require_user,)

    @get("/", operation_id="listInstances", summary="List instances")
    async def list_all(self, instances: Instances, principal: Principal, public_url: str) -> list[InstanceView]:
        """List what the caller may use, in the account's order."""
        defaults = await instances.default_settings(principal)
        found = await instances.list_for(principal)
        return [InstanceView.from_domain(one, defaults, public_url) for one in found]

    @post("/", operation_id="createInstance", summary="Create an instance", guards=[require_admin])
    async def create(
        self,
        data: CreateInstance,
        instances: Instances,
        principal: Principal,
        public_url: str,
        key: Annotated[str, Parameter(header="Idempotency-Key", max_length=255, required=False)] = "",
    ) -> InstanceView:
        """Take a name and ports, and have the instance made; its status says how far that is.

        A request that names itself by `Idempotency-Key` may be sent again: within a day that answers with what the
        first one made.
        """
        made = await instances.create(data.to_domain(), by=principal, key=key)
        return InstanceView.from_domain(made, await instances.default_settings(principal), public_url)

    @put("/reorder", operation_id="reorderInstances", summary="Change the order", status_code=204)
    async def reorder(self, data: ReorderInstances, instances: Instances, principal: Principal) -> None:
        """Put some or all instances into another order."""
        await instances.reorder(data.ordered_ids, by=principal)

    @get("/{instance_id:str}", operation_id="getInstance", summary="Show an instance")
    async def show(self, instance_id: str, instances: Instances, principal: Principal, public_url: str) -> InstanceView:
        """Show one."""
        found = await instances.get(instance_id, by=principal)
        return InstanceView.from_domain(found, await instances.default_settings(principal), public_url)

    @put("/{instance_id:str}", operation_id="changeInstance", summary="Change an instance")
    async def change(
        self, instance_id: str, data: ChangeInstance, instances: Instances, principal: Principal, public_url: str
    ) -> InstanceView:
        """Change what it is called, given and may use; what only a start can bring into effect restarts it."""
        changed = await instances.change(instance_id, data.to_domain(), by=principal)
        return InstanceView.from_domain(changed, await instances.default_settings(principal), public_url)

    @delete("/{instance_id:str}", operation_id="deleteInstance", summary="Delete an instance", guards=[require_admin])
    async def remove(self, instance_id: str, instances: Instances, principal: Principal) -> None:
        """Delete it and everything that it keeps."""
        await instances.remove(instance_id, by=principal)

    @post("/{instance_id:str}/start", operation_id="startInstance", summary="Start an instance", status_code=200)
    async def start(self, instance_id: str, instances: Instances, principal: Principal) -> StatusView:
        """Have it run."""
        await instances.start(instance_id, by=principal)
        return StatusView("running")

    @post("/{instance_id:str}/stop", operation_id="stopInstance", summary="Stop an instance", status_code=200)
    async def stop(self, instance_id: str, instances: Instances, principal: Principal) -> StatusView:
        """Have it not run; what it keeps stays."""
        await instances.stop(instance_id, by=principal)
        return StatusView("stopped")

    @post("/{instance_id:str}/restart", operation_id="restartInstance", summary="Restart it", status_code=200)
    async def restart(self, instance_id: str, instances: Instances, principal: Principal) -> StatusView:
        """Have it start anew."""
        await instances.restart(instance_id, by=principal)
        return StatusView("running")

    @post("/{instance_id:str}/clone", operation_id="cloneInstance", summary="Clone it", guards=[require_admin])
    async def clone(
        self, instance_id: str, instances: Instances, principal: Principal, public_url: str
    ) -> InstanceView:
        """Make another like it; a local one begins with a copy of its home, one on Kubernetes with empty volumes."""
        made = await instances.clone(instance_id, by=principal)
        return InstanceView.from_domain(made, await instances.default_settings(principal), public_url)

    @get("/{instance_id:str}/config", operation_id="getInstanceConfig", summary="Show its clawdbot.json")
    async def config(self, instance_id: str, configurations: Configurations, principal: Principal) -> ConfigView:
        """Show the config as it was written."""
        return ConfigView(await configurations.get(instance_id, by=principal))

    @put("/{instance_id:str}/config", operation_id="replaceInstanceConfig", summary="Replace its clawdbot.json")
    async def replace_config(
        self, instance_id: str, data: ReplaceConfig, configurations: Configurations, principal: Principal
    ) -> ConfigReplacedView:
        """Write the config byte for byte, and restart the instance."""
        restarted = await configurations.replace(instance_id, data.config, by=principal)
        return ConfigReplacedView(data.config, restarted=restarted)

    @get(
        "/{instance_id:str}/logs",
        operation_id="followInstanceLogs",
        summary="Follow its log",
        media_type="text/event-stream",
    )
    async def logs(
        self,
        instance_id: str,
        logs: Logs,
        principal: Principal,
        tail: Annotated[str, Parameter(description="How many of the last lines.")] = "100",
        follow: Annotated[str, Parameter(description="`false` ends the stream after them.")] = "true",
    ) -> Stream:
        """Stream the log as server-sent events: `data: <line>` and an empty line for each."""
        events = await logs.read(instance_id, tail=tail_of(tail), is_following=follow != "false", by=principal)
        return Stream(events, media_type="text/event-stream", headers=STREAM_HEADERS)
