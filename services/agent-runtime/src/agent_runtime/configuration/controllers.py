"""HTTP: the contract's paths."""

from litestar import Controller, get, put

from agent_runtime.configuration.schemas import ConfigReplaced, ConfigView, ReplaceConfig
from agent_runtime.configuration.usecases import Configurations
from shoal.http.auth import require_admin, require_user
from shoal.identity import Principal


class ConfigurationController(Controller):
    """The caller's account: defaults, providers and channels; admins replace them as a whole."""

    path = "/api/config"
    tags = ("config",)

    @get("/", operation_id="getConfig", summary="Show the configuration", guards=[require_user])
    async def show(self, configurations: Configurations, principal: Principal, gateway_port: int) -> ConfigView:
        """Show everything but secrets; `api_key_set` says where there is one."""
        return ConfigView.from_domain(await configurations.get(principal.account_id), port=gateway_port)

    @put("/", operation_id="replaceConfig", summary="Replace the configuration", guards=[require_admin])
    async def replace(
        self, data: ReplaceConfig, configurations: Configurations, principal: Principal
    ) -> ConfigReplaced:
        """Replace everything; a stored key stays unless its provider goes or moves to another address."""
        await configurations.replace(
            principal.account_id,
            defaults=data.defaults,
            providers=data.provider_changes,
            channels=data.channel_switches,
        )
        return ConfigReplaced()
