"""SQL of configuration, and nothing else. A key is sealed for its row and for the address that it was given for."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from agent_runtime.configuration.domain import OpenProvider, ProviderSetting, Settings
from agent_runtime.ports import Defaults
from shoal.config import Secret
from shoal.crypto import Envelope
from shoal.database import Transaction
from shoal.resealing import SealedColumn

KEY_CHECK = SealedColumn("key_check", "sealed", "agent_runtime/key_check/sealed")
_PROVIDER_KEY = SealedColumn("provider", "sealed", "agent_runtime/provider/{account_id}/{name}/{api_base}")
SEALED = (_PROVIDER_KEY, KEY_CHECK)
"""What is sealed here, in its places."""


class _Stored(Struct, frozen=True):
    model: str
    max_tokens: int
    temperature: float
    channels: dict[str, bool]


class _Provider(Struct, frozen=True):
    name: str
    api_base: str
    is_enabled: bool
    has_key: bool


class _Sealed(Struct, frozen=True):
    api_base: str
    is_enabled: bool
    sealed: bytes | None


class ConfigurationRepository:
    """Rows of `configuration` and `provider`."""

    def __init__(self, tx: Transaction, envelope: Envelope) -> None:
        self._tx = tx
        self._envelope = envelope

    async def lock(self, account_id: str) -> None:
        """Let nobody else change an account's configuration until the commit."""
        await self._tx.execute(
            """
            insert into configuration (account_id) values ($1)
                on conflict (account_id) do update set updated_at = now()
            """,
            account_id,
        )

    async def find_defaults(self, account_id: str) -> Defaults | None:
        """Read an account's defaults; None when it configured nothing."""
        return await self._tx.find(
            Defaults, "select model, max_tokens, temperature from configuration where account_id = $1", account_id
        )

    async def find(self, account_id: str) -> Settings | None:
        """Read what an account configured; None when it never did."""
        stored = await self._tx.find(
            _Stored,
            "select model, max_tokens, temperature, channels from configuration where account_id = $1",
            account_id,
        )
        if stored is None:
            return None
        providers = await self._tx.all(
            _Provider,
            """
            select name, api_base, is_enabled, sealed is not null as has_key
              from provider
             where account_id = $1
             order by name
            """,
            account_id,
        )
        return Settings(
            defaults=Defaults(stored.model, stored.max_tokens, stored.temperature),
            providers={one.name: ProviderSetting(one.api_base, one.is_enabled, one.has_key) for one in providers},
            channels=stored.channels,
        )

    async def put(self, account_id: str, defaults: Defaults, channels: Mapping[str, bool]) -> None:
        """Set everything but providers; the row is locked and there."""
        await self._tx.execute(
            """
            update configuration
               set model = $2, max_tokens = $3, temperature = $4, channels = $5, updated_at = now()
             where account_id = $1
            """,
            *(account_id, defaults.model, defaults.max_tokens, defaults.temperature, dict(channels)),
        )

    async def put_provider(self, account_id: str, name: str, provider: ProviderSetting) -> None:
        """Set a provider; its key is forgotten unless `has_key` says that it stays."""
        await self._tx.execute(
            """
            insert into provider as stored (account_id, name, api_base, is_enabled) values ($1, $2, $3, $4)
                on conflict (account_id, name) do update
               set api_base = excluded.api_base, is_enabled = excluded.is_enabled,
                   sealed = case when $5 then stored.sealed end
            """,
            *(account_id, name, provider.api_base, provider.is_enabled, provider.has_key),
        )

    async def put_key(self, account_id: str, name: str, api_base: str, key: str) -> None:
        """Store a provider's key, sealed for this address."""
        sealed = self._envelope.seal(key.encode(), place=_place(account_id, name, api_base))
        await self._tx.execute(
            "update provider set sealed = $3 where account_id = $1 and name = $2", account_id, name, sealed
        )

    async def keep_providers(self, account_id: str, names: list[str]) -> None:
        """Forget every provider but these, keys included."""
        await self._tx.execute("delete from provider where account_id = $1 and name <> all ($2)", account_id, names)

    async def open_provider(self, account_id: str, name: str) -> OpenProvider | None:
        """Read a provider with its key.

        Raises:
            EnvelopeError: The key does not open.
        """
        found = await self._tx.find(
            _Sealed,
            "select api_base, is_enabled, sealed from provider where account_id = $1 and name = $2",
            *(account_id, name),
        )
        if found is None:
            return None
        key = found.sealed and self._envelope.open(found.sealed, place=_place(account_id, name, found.api_base))
        return OpenProvider(found.api_base, found.is_enabled, Secret(key.decode()) if key else None)

    async def has_usable_provider(self, keyed: Sequence[str]) -> bool:
        """Tell whether any account has an enabled provider that could answer; those at `keyed` addresses want a key."""
        return bool(
            await self._tx.value(
                """
                select exists (select
                                 from provider
                                where is_enabled and (sealed is not null or api_base <> all ($1)))
                """,
                list(keyed),
            )
        )

    async def erase(self, account_id: str) -> None:
        """Delete what an account configured, keys included."""
        await self._tx.execute("delete from provider where account_id = $1", account_id)
        await self._tx.execute("delete from configuration where account_id = $1", account_id)


def _place(account_id: str, name: str, api_base: str) -> str:
    return _PROVIDER_KEY.place.format(account_id=account_id, name=name, api_base=api_base)
