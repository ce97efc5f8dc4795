"""Settings: a list of what may be set, and nothing else."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from instance_orchestrator.domain import keys
from instance_orchestrator.schemas.instances import Name, Text
from instance_orchestrator.usecases.settings import AccountSettings


class SettingsView(Struct, frozen=True, kw_only=True):
    """Answer of `GET|PUT /settings`; of keys no more than the last four characters."""

    anthropic_api_key: str
    openai_api_key: str
    brave_api_key: str
    api_keys: dict[str, str]
    default_models: list[str]
    default_container_image: str
    default_vnc_resolution: str
    default_cpu_request: str
    default_cpu_limit: str
    default_memory_request: str
    default_memory_limit: str
    default_storage_clawdbot: str
    default_storage_homebrew: str
    default_storage_clawd: str
    default_storage_chrome: str

    @classmethod
    def from_domain(cls, settings: AccountSettings) -> "SettingsView":
        """Show settings."""
        masked = settings.masked_keys
        named = {field: masked.get(variable, "") for field, variable in keys.CONTRACT_KEYS.items()}
        shown: dict[str, Any] = {**named, "api_keys": masked, **msgspec.to_builtins(settings.defaults)}
        return cls(**shown)


class ChangeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `PUT /settings`: what it does not hold stays, and so does a key that is sent back masked."""

    anthropic_api_key: Text | UnsetType | None = UNSET
    openai_api_key: Text | UnsetType | None = UNSET
    brave_api_key: Text | UnsetType | None = UNSET
    api_keys: dict[Name, Text | None] = {}
    delete_api_keys: list[Name] = []
    default_models: Annotated[list[Name], Meta(max_length=100)] | UnsetType = UNSET
    default_container_image: Name | UnsetType = UNSET
    default_vnc_resolution: Name | UnsetType = UNSET
    default_cpu_request: Name | UnsetType = UNSET
    default_cpu_limit: Name | UnsetType = UNSET
    default_memory_request: Name | UnsetType = UNSET
    default_memory_limit: Name | UnsetType = UNSET
    default_storage_clawdbot: Name | UnsetType = UNSET
    default_storage_homebrew: Name | UnsetType = UNSET
    default_storage_clawd: Name | UnsetType = UNSET
    default_storage_chrome: Name | UnsetType = UNSET

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The defaults that were given."""
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name.startswith("default_")}
        return {name: value for name, value in given.items() if value is not UNSET}

    @property
    def given_keys(self) -> Mapping[str, str | None]:
        """The keys that were given, by variable; None takes one away."""
        fields = {variable: getattr(self, field) for field, variable in keys.CONTRACT_KEYS.items()}
        named = {name: key for name, key in fields.items() if key is not UNSET}
        return {**self.api_keys, **named, **dict.fromkeys(self.delete_api_keys)}
