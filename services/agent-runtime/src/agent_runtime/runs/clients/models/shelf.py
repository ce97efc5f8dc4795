"""Where models come from."""

from collections.abc import Callable

import msgspec

from agent_runtime.ports import Configuration, Provider
from agent_runtime.runs.clients.models.offline import OfflineModel
from agent_runtime.runs.domain.models import OFFLINE_PROVIDER, Model, ModelName
from agent_runtime.runs.errors import ModelUnknownError
from shoal.ids import fingerprint

MakeCloud = Callable[[Provider], Model]
_MOST_KEPT = 256


class Shelf:
    """Gives the model of a name; clients of providers are made once and kept.

    Args:
        configuration: Which providers accounts have.
        make_cloud: Makes the client of a provider; called at the first use, because it loads a lot.
    """

    def __init__(self, configuration: Configuration, make_cloud: MakeCloud) -> None:
        self._configuration = configuration
        self._make_cloud = make_cloud
        self._offline = OfflineModel()
        self._kept: dict[bytes, Model] = {}

    async def model(self, account_id: str, name: ModelName) -> Model:
        """Give a model.

        Raises:
            ModelUnknownError: The account has no such provider, or does not use it.
        """
        if name.provider == OFFLINE_PROVIDER:
            return self._offline
        provider = await self._configuration.provider(account_id, name.provider)
        if provider is None or not provider.is_enabled:
            raise ModelUnknownError(f"The provider {name.provider!r} is not configured, or not enabled.")
        key = "" if provider.api_key is None else provider.api_key.reveal()
        known_by = fingerprint(msgspec.json.encode([account_id, provider.name, provider.api_base, key]).decode())
        if known_by not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[known_by] = self._make_cloud(provider)
        return self._kept[known_by]
