"""What an account may configure."""

import re
from collections.abc import Mapping

from msgspec import Struct

from agent_runtime.configuration.errors import InvalidConfigurationError
from agent_runtime.ports import Defaults, ModelName
from shoal.config import Secret

MASK = "****"
MAX_KEY = 4096
MAX_NAMED = 32
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/+-]{0,127}")

KNOWN_PROVIDERS: Mapping[str, str] = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "deepseek": "https://api.deepseek.com/v1",
}
"""Providers that an account is shown before it has configured any, and where their APIs are."""


def needs_key(api_base: str) -> bool:
    """Tell whether a provider is known to answer nobody without a key: by its address, for names are free."""
    return api_base in KNOWN_PROVIDERS.values()


class ProviderSetting(Struct, frozen=True):
    """A provider as it is told: never its key."""

    api_base: str
    is_enabled: bool = True
    has_key: bool = False


class OpenProvider(Struct, frozen=True):
    """A provider with its key opened, for whoever is about to ask it."""

    api_base: str
    is_enabled: bool
    api_key: Secret | None


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that an account configured, without secrets."""

    defaults: Defaults = Defaults()
    providers: dict[str, ProviderSetting] = {}
    channels: dict[str, bool] = {}

    @classmethod
    def initial(cls) -> "Settings":
        """Give what holds until an account configures something."""
        providers = {name: ProviderSetting(api_base) for name, api_base in KNOWN_PROVIDERS.items()}
        return cls(providers=providers, channels={"web": True})


class ProviderChange(Struct, frozen=True, kw_only=True):
    """What a provider is to be.

    Args:
        api_base: Where its API is.
        is_enabled: Whether it may be used.
        api_key: A new key, an empty text to forget the stored one, None to leave it.
    """

    api_base: str
    is_enabled: bool = True
    api_key: str | None = None

    @property
    def base(self) -> str:
        """The address as it is stored: without a slash at its end."""
        return self.api_base.strip().rstrip("/")

    def keeps_key(self, stored_base: str) -> bool:
        """Tell whether the stored key stays: never beyond the address that it was stored for."""
        return self.base == stored_base and self.new_key is None and self.api_key != ""

    @property
    def new_key(self) -> str | None:
        """The key to store, if one was given; a mask is none."""
        return self.api_key if self.api_key and not self.api_key.startswith(MASK) else None


def check_defaults(defaults: Defaults) -> None:
    """Refuse defaults that no model could be asked with.

    Raises:
        InvalidConfigurationError: They are such.
    """
    model = ModelName.parse(defaults.model)
    if not (_MODEL.fullmatch(defaults.model) and _NAME.fullmatch(model.provider) and model.name):
        raise InvalidConfigurationError(
            "agents.defaults.model: provider/model or a model's bare name; a provider's name has a-z 0-9 _ - alone"
        )


def check_names(names: Mapping[str, object], of: str) -> None:
    """Refuse names that a provider or a channel cannot have.

    Raises:
        InvalidConfigurationError: There is one, or there are too many.
    """
    if len(names) > MAX_NAMED:
        raise InvalidConfigurationError(f"{of}: at most {MAX_NAMED}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise InvalidConfigurationError(f"{of}: a name is 1 to 32 of a-z 0-9 _ -, the first no sign")


def check_key(provider: str, key: str) -> None:
    """Refuse a key that cannot stand in a header.

    Raises:
        InvalidConfigurationError: It is such; the key is not repeated.
    """
    if len(key) > MAX_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidConfigurationError(
            f"providers.{provider}.api_key: at most {MAX_KEY} printable ASCII characters without spaces"
        )
