"""Where models come from."""

import asyncio
import importlib
from datetime import timedelta
from typing import Protocol

import httpx2
import msgspec

from agent_runtime.ports import Configuration, Provider
from agent_runtime.runs.clients.models.offline import OfflineModel
from agent_runtime.runs.domain.models import OFFLINE_PROVIDER, Model, ModelName
from agent_runtime.runs.errors import ModelKeyMissingError, ModelUnknownError
from shoal.ids import fingerprint
from shoal.outgoing import Outgoing

_MAX_KEPT = 256
_CLOUD = "agent_runtime.runs.clients.models.cloud"


class CloudModels(Protocol):
    """What makes the models of providers."""

    async def model(self, provider: Provider) -> Model:
        """Make a provider's models."""
        ...


class ProviderModels:
    """Makes the models of providers; what they stand on is loaded at the first, and in a thread.

    A component too, since it holds the connections to providers until the service ends.
    """

    name = "models"

    def __init__(self, outgoing: Outgoing, *, silence: timedelta) -> None:
        self._outgoing = outgoing
        self._silence = silence
        self._transport: httpx2.AsyncBaseTransport | None = None

    async def model(self, provider: Provider) -> Model:
        """Make a provider's models."""
        cloud = await asyncio.to_thread(importlib.import_module, _CLOUD)
        if self._transport is None:
            self._transport = self._outgoing.transport()
        made: Model = cloud.cloud_model(provider, self._transport, self._silence)
        return made

    def problem(self) -> str | None:
        """Providers that are away do not make the service unable to answer."""
        return None

    async def run(self) -> None:
        """Hold the connections until the end."""
        try:
            await asyncio.Event().wait()
        finally:
            if self._transport is not None:
                await self._transport.aclose()


class ModelRegistry:
    """Gives the model of a name; clients of providers are made once and kept.

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
        if name.provider == OFFLINE_PROVIDER:
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
