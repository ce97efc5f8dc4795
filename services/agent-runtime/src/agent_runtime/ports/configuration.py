"""What an account configured."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from shoal.config import Secret


class Defaults(Struct, frozen=True):
    """What an agent uses that has nothing of its own.

    Args:
        model: `provider/model`.
        max_tokens: How much one answer may be.
        temperature: 0 to 2.
    """

    model: str = "offline/rules"
    max_tokens: int = 4096
    temperature: float = 0.7


class Provider(Struct, frozen=True, kw_only=True):
    """Who offers models.

    Args:
        name: The part of a model's name before the slash.
        api_base: Where its API is, without a trailing slash.
        api_key: What proves us; None where none was stored.
        is_enabled: Whether it may be used.
        needs_key: Whether it answers nobody without a key; one that an account hosts may.
    """

    name: str
    api_base: str
    api_key: Secret | None
    is_enabled: bool
    needs_key: bool = False


class Configuration(Protocol):
    """Tells what an account configured."""

    async def defaults(self, account_id: str) -> Defaults:
        """Give the account's defaults, or what holds without any."""
        ...

    async def provider(self, account_id: str, name: str) -> Provider | None:
        """Find a provider that the account configured."""
        ...

    async def uses_providers(self) -> bool:
        """Tell whether any account has a provider that its agents could ask."""
        ...

    async def channels(self, account_id: str) -> Mapping[str, bool]:
        """Tell which channels the account configured, and whether each is enabled."""
        ...
