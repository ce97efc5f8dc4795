"""Where models come from."""

from typing import Protocol

import msgspec

from agent_runtime.errors import ModelKeyMissingError, ModelUnknownError
from agent_runtime.models.clients.offline import PROVIDER as OFFLINE, OfflineModel
from agent_runtime.ports import Configuration, Model, ModelName, Provider
from shoal.ids import fingerprint

_MAX_KEPT = 256


class CloudModels(Protocol):
    """What makes the models of providers."""

    async def model(self, provider: Provider) -> Model:
        """Make a provider's models."""
        ...


class ModelRegistry:
    """Gives the model of a name; clients of providers are made once and kept. It is the port `Models`.

    Args:
        configuration: Which providers accounts have.
        cloud: Makes the models of providers.
    """

    def __init__(self, configuration: Configuration, cloud: CloudModels) -> None:
        self._configuration = configuration
        self._cloud = cloud
        self._offline = OfflineModel()
        self._kept: dict[bytes, Model] = {}

    async def model(self, account_id: str, name: ModelName) -> Model:
        """Give a model.

        Raises:
            ModelUnknownError: The account has no such provider, or does not use it.
            ModelKeyMissingError: The provider would refuse, for it has no key.
        """
        if name.provider == OFFLINE:
            return self._offline
        provider = await self._configuration.provider(account_id, name.provider)
        if provider is None or not provider.is_enabled:
            raise ModelUnknownError(f"The provider {name.provider!r} is not configured, or not enabled.")
        if provider.needs_key and provider.api_key is None:
            raise ModelKeyMissingError(f"The provider {name.provider!r} has no key; admins set it by PUT /api/config.")
        key = "" if provider.api_key is None else provider.api_key.reveal()
        known_by = fingerprint(msgspec.json.encode([account_id, provider.name, provider.api_base, key]).decode())
        if known_by not in self._kept:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[known_by] = await self._cloud.model(provider)
        return self._kept[known_by]
