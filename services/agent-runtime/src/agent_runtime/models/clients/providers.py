"""Models of providers, loaded when the first is asked for."""

import asyncio
import importlib
from datetime import timedelta

import httpx2

from agent_runtime.ports import Model, Provider
from shoal.outgoing import Outgoing

_CLOUD = "agent_runtime.models.clients.cloud"


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
