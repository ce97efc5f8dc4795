"""What holds for every instance of an account."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from instance_orchestrator.domain import keys
from instance_orchestrator.domain.settings import Defaults
from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.repositories.keys import KeyRepository
from instance_orchestrator.repositories.settings import SettingRepository
from instance_orchestrator.usecases.instances import WORK
from shoal.crypto import Envelope
from shoal.database import Database, Transaction


class AccountSettings(Struct, frozen=True):
    """An account's defaults, and its keys as far as they are shown."""

    defaults: Defaults
    masked_keys: dict[str, str]


class Settings:
    """Read and change settings."""

    def __init__(self, *, database: Database, envelope: Envelope) -> None:
        self._database = database
        self._envelope = envelope

    async def get(self, account_id: str) -> AccountSettings:
        """Read an account's settings."""
        async with self._database.reading() as database:
            return await self._read(database, account_id)

    async def change(
        self, account_id: str, *, defaults: Mapping[str, Any], given_keys: Mapping[str, str | None]
    ) -> AccountSettings:
        """Change what is given; a new key reaches every instance that has none of its own in its place.

        Raises:
            InvalidSettingError, InvalidInstanceError: Something cannot be so; nothing has changed.
        """
        changes = keys.changes(given_keys)
        async with self._database.transaction() as tx:
            settings, repository = SettingRepository(tx), KeyRepository(tx, self._envelope)
            Defaults.of(await settings.of(account_id) | dict(defaults)).checked()
            await settings.put(account_id, defaults)
            before = await repository.of_account(account_id)
            await repository.change_account(account_id, changes)
            news = [name for name, key in changes.items() if before.get(name) != key]
            instances = InstanceRepository(tx)
            if news and await instances.raise_generation(account_id, without=news):
                await instances.signal(WORK)
            return await self._read(tx, account_id)

    async def _read(self, tx: Transaction, account_id: str) -> AccountSettings:
        found = await KeyRepository(tx, self._envelope).of_account(account_id)
        masked = {name: keys.mask(key) for name, key in found.items()}
        return AccountSettings(Defaults.of(await SettingRepository(tx).of(account_id)), masked)
