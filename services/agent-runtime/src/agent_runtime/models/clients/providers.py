"""Models of providers, on libraries that are loaded where somebody uses providers."""

import asyncio
import contextlib
import importlib
from datetime import timedelta
from typing import Any

import httpx2

from agent_runtime.ports import Configuration, Model, Provider
from shoal.database import DatabaseUnavailableError
from shoal.outgoing import Outgoing

_CLOUD = "agent_runtime.models.clients.cloud"
_LOOK_S = 5.0


class ProviderModels:
    """Makes the models of providers.

    What they stand on takes seconds and a hundred megabytes to load. So it is loaded once an account has a provider,
    before the first turn asks it, and in a thread; where nobody has one it never is.

    A component too, since it holds the connections to providers until the service ends.
    """

    name = "models"

    def __init__(self, configuration: Configuration, outgoing: Outgoing, *, silence: timedelta) -> None:
        self._configuration = configuration
        self._outgoing = outgoing
        self._silence = silence
        self._transport: httpx2.AsyncBaseTransport | None = None

    async def model(self, provider: Provider) -> Model:
        """Make a provider's models."""
        cloud = await _load()
        if self._transport is None:
            self._transport = self._outgoing.transport()
        made: Model = cloud.cloud_model(provider, self._transport, self._silence)
        return made

    def problem(self) -> str | None:
        """Providers that are away do not make the service unable to answer."""
        return None

    async def run(self) -> None:
        """Load what will be needed, and hold the connections until the end."""
        try:
            await self._await_use()
            await _load()
            await asyncio.Event().wait()
        finally:
            if self._transport is not None:
                await self._transport.aclose()

    async def _await_use(self) -> None:
        while True:
            with contextlib.suppress(DatabaseUnavailableError):
                if await self._configuration.uses_providers():
                    return
            await asyncio.sleep(_LOOK_S)


async def _load() -> Any:
    return await asyncio.to_thread(importlib.import_module, _CLOUD)
