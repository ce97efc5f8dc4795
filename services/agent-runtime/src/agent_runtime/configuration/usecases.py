"""Decisions about configuration, each with its transaction."""

import asyncio
from collections.abc import Mapping

from agent_runtime.configuration import domain
from agent_runtime.configuration.domain import KNOWN_PROVIDERS, ProviderChange, ProviderSetting, Settings
from agent_runtime.configuration.errors import InvalidConfigurationError
from agent_runtime.configuration.repositories import ConfigurationRepository
from agent_runtime.ports import Defaults, Provider
from agent_runtime.recent import Recent
from shoal.crypto import Envelope
from shoal.database import Database, Transaction
from shoal.outgoing import Outgoing, OutgoingRefusedError


class Configurations:
    """Read and replace what an account configured.

    Args:
        database: Where it is.
        envelope: Seals keys.
        outgoing: Judges addresses.
        recent: Keeps what turns ask for.
    """

    def __init__(self, *, database: Database, envelope: Envelope, outgoing: Outgoing, recent: Recent) -> None:
        self._database = database
        self._envelope = envelope
        self._outgoing = outgoing
        self._recent = recent

    async def get(self, account_id: str) -> Settings:
        """Read an account's configuration, or what holds without one."""
        async with self._database.reading() as database:
            return await ConfigurationRepository(database, self._envelope).find(account_id) or Settings.initial()

    async def replace(
        self,
        account_id: str,
        *,
        defaults: Defaults,
        providers: Mapping[str, ProviderChange],
        channels: Mapping[str, bool],
    ) -> None:
        """Set everything anew; a stored key stays only with the address that it was stored for.

        Raises:
            InvalidConfigurationError: Something cannot be so; nothing has changed.
        """
        await self._check(defaults, providers, channels)
        async with self._database.transaction() as tx:
            tx.after_commit(self._recent.forget)
            repository = ConfigurationRepository(tx, self._envelope)
            await repository.lock(account_id)
            await repository.put(account_id, defaults, channels)
            await repository.keep_providers(account_id, list(providers))
            stored = await repository.find(account_id) or Settings()
            for name, change in providers.items():
                before = stored.providers.get(name)
                has_key = before is not None and change.keeps_key(before.api_base)
                await repository.put_provider(
                    account_id, name, ProviderSetting(change.base, change.is_enabled, has_key)
                )
                if change.new_key is not None:
                    await repository.put_key(account_id, name, change.base, change.new_key)

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase what an account that is no more configured."""
        tx.after_commit(self._recent.forget)
        await ConfigurationRepository(tx, self._envelope).erase(account_id)

    # what other subjects may ask

    async def defaults(self, account_id: str) -> Defaults:
        """Give the account's defaults, or what holds without any; a change elsewhere may count a second later."""
        return await self._recent.get(("defaults", account_id), lambda: self._defaults(account_id))

    async def _defaults(self, account_id: str) -> Defaults:
        async with self._database.reading() as database:
            repository = ConfigurationRepository(database, self._envelope)
            return await repository.find_defaults(account_id) or Settings.initial().defaults

    async def channels(self, account_id: str) -> Mapping[str, bool]:
        """Tell which channels the account has, and whether each is enabled."""
        return (await self.get(account_id)).channels

    async def provider(self, account_id: str, name: str) -> Provider | None:
        """Find a provider that the account configured, or one that it is shown before it configured any.

        A change elsewhere may count a second later.

        Raises:
            EnvelopeError: Its key does not open.
        """
        return await self._recent.get(("provider", account_id, name), lambda: self._provider(account_id, name))

    async def _provider(self, account_id: str, name: str) -> Provider | None:
        async with self._database.reading() as database:
            repository = ConfigurationRepository(database, self._envelope)
            found = await repository.open_provider(account_id, name)
            is_configured = found is not None or await repository.find(account_id) is not None
        if found is not None:
            return Provider(
                name=name,
                api_base=found.api_base,
                api_key=found.api_key,
                is_enabled=found.is_enabled,
                needs_key=domain.needs_key(found.api_base),
            )
        if is_configured or name not in KNOWN_PROVIDERS:
            return None
        return Provider(name=name, api_base=KNOWN_PROVIDERS[name], api_key=None, is_enabled=True, needs_key=True)

    async def uses_providers(self) -> bool:
        """Tell whether any account has a provider that its agents could ask."""
        async with self._database.reading() as database:
            repository = ConfigurationRepository(database, self._envelope)
            return await repository.has_usable_provider(list(KNOWN_PROVIDERS.values()))

    async def _check(
        self, defaults: Defaults, providers: Mapping[str, ProviderChange], channels: Mapping[str, bool]
    ) -> None:
        domain.check_defaults(defaults)
        domain.check_names(channels, "channels")
        domain.check_names(providers, "providers")
        for name, change in providers.items():
            if change.new_key is not None:
                domain.check_key(name, change.new_key)
        await asyncio.gather(*(self._check_base(name, change.base) for name, change in providers.items()))

    async def _check_base(self, provider: str, base: str) -> None:
        try:
            await self._outgoing.check(base)
        except OutgoingRefusedError as error:
            raise InvalidConfigurationError(f"providers.{provider}.api_base: {error.message}") from error
