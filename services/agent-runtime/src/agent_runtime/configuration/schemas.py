"""What comes in and what goes out: the contract's `ConfigData`."""

from typing import Annotated

from msgspec import Meta, Struct

from agent_runtime.configuration.domain import MAX_KEY, MAX_NAMED, ProviderChange, Settings
from agent_runtime.ports import Defaults

Model = Annotated[str, Meta(min_length=1, max_length=128)]
Tokens = Annotated[int, Meta(ge=1, le=1_000_000)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Url = Annotated[str, Meta(min_length=1, max_length=2048)]
Key = Annotated[str, Meta(max_length=MAX_KEY)]


class DefaultsPart(Struct, frozen=True, forbid_unknown_fields=True):
    """`agents.defaults`: `temperature` is 0 to 2, `max_tokens` those of one answer."""

    model: Model
    max_tokens: Tokens
    temperature: Temperature


class AgentsPart(Struct, frozen=True, forbid_unknown_fields=True):
    """`agents`: what agents use that have nothing of their own."""

    defaults: DefaultsPart


class ProviderView(Struct, frozen=True):
    """A provider as it is shown: whether there is a key, never the key."""

    api_key_set: bool
    api_base: str
    enabled: bool


class ProviderPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider in a body, as it is to be."""

    api_base: Url
    enabled: bool = True
    api_key: Key | None = None
    """Write-only: a new key; an empty text forgets the stored one; absent, null or masked leaves it."""
    api_key_set: bool = False
    """Read-only; taken so that what was read can be sent back."""


class ChannelPart(Struct, frozen=True, forbid_unknown_fields=True):
    """A channel, and whether it is on."""

    enabled: bool


class GatewayPart(Struct, frozen=True, forbid_unknown_fields=True):
    """`gateway`: what is; read-only."""

    api_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    api_enabled: bool = True


class GatewaySent(GatewayPart, frozen=True, forbid_unknown_fields=True):
    """`gateway` in a body: read, and left as it is. Of its own: OpenAPI gives a shape one default for all."""


class ConfigView(Struct, frozen=True):
    """Answer of `GET /api/config`."""

    agents: AgentsPart
    providers: dict[str, ProviderView]
    channels: dict[str, ChannelPart]
    gateway: GatewayPart

    @classmethod
    def from_domain(cls, settings: Settings, *, port: int) -> "ConfigView":
        """Show an account's configuration."""
        defaults = settings.defaults
        return cls(
            AgentsPart(DefaultsPart(defaults.model, defaults.max_tokens, defaults.temperature)),
            {
                name: ProviderView(provider.has_key, provider.api_base, provider.is_enabled)
                for name, provider in settings.providers.items()
            },
            {name: ChannelPart(is_enabled) for name, is_enabled in settings.channels.items()},
            GatewayPart(port),
        )


class ReplaceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/config`: the whole configuration."""

    agents: AgentsPart
    providers: Annotated[dict[str, ProviderPart], Meta(max_length=MAX_NAMED)]
    channels: Annotated[dict[str, ChannelPart], Meta(max_length=MAX_NAMED)]
    gateway: GatewaySent = GatewaySent()

    @property
    def defaults(self) -> Defaults:
        """What agents use that have nothing of their own."""
        given = self.agents.defaults
        return Defaults(given.model, given.max_tokens, given.temperature)

    @property
    def provider_changes(self) -> dict[str, ProviderChange]:
        """What each provider is to be, by name."""
        return {
            name: ProviderChange(api_base=part.api_base, is_enabled=part.enabled, api_key=part.api_key)
            for name, part in self.providers.items()
        }

    @property
    def channel_switches(self) -> dict[str, bool]:
        """Which channels there are to be, and whether each is enabled."""
        return {name: part.enabled for name, part in self.channels.items()}


class ConfigReplaced(Struct, frozen=True):
    """Answer of `PUT /api/config`."""

    success: bool = True
