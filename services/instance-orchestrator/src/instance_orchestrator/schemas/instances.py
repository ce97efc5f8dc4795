"""Instances, as the contract and the web interfaces made for it show them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from instance_orchestrator.domain import keys
from instance_orchestrator.domain.changes import InstanceChange, NewInstance
from instance_orchestrator.domain.instances import Instance, Resources, effective_models
from instance_orchestrator.domain.settings import Defaults

Text = Annotated[str, Meta(max_length=8192)]
Name = Annotated[str, Meta(max_length=128)]
_RESOURCES = Resources.__struct_fields__


class Models(Struct, frozen=True):
    """Which models an instance offers beside the account's, and which of those it does not."""

    disabled: list[Name] | UnsetType = UNSET
    extra: list[Name] | UnsetType = UNSET


class _Keys(Struct, frozen=True, kw_only=True):
    """Keys that stand in the place of the account's; null or nothing takes one away."""

    anthropic_api_key: Text | UnsetType | None = UNSET
    openai_api_key: Text | UnsetType | None = UNSET
    brave_api_key: Text | UnsetType | None = UNSET
    api_keys: dict[Name, Text | None] | UnsetType = UNSET

    @property
    def given_keys(self) -> Mapping[str, str | None]:
        """The keys that were given, by variable."""
        fields = {variable: getattr(self, field) for field, variable in keys.CONTRACT_KEYS.items()}
        named = {name: key for name, key in fields.items() if key is not UNSET}
        return named if self.api_keys is UNSET else {**self.api_keys, **named}


class _Resources(_Keys, frozen=True, kw_only=True):
    """What an instance may use; what is null or absent stays, or is as the defaults say."""

    cpu_request: Name | None = None
    cpu_limit: Name | None = None
    memory_request: Name | None = None
    memory_limit: Name | None = None
    storage_clawdbot: Name | None = None
    storage_homebrew: Name | None = None
    storage_clawd: Name | None = None
    storage_chrome: Name | None = None

    @property
    def given_resources(self) -> Mapping[str, str]:
        """The resources that were given, by field."""
        return {name: getattr(self, name) for name in _RESOURCES if getattr(self, name) is not None}


class CreateInstance(_Resources, frozen=True, kw_only=True):
    """Body of `POST /instances`; only `display_name` is needed. Anything else that it holds is ignored."""

    display_name: str = ""
    models: Models = Models()
    default_model: Name = ""
    container_image: Name | None = None
    vnc_resolution: Name | None = None
    clawdbot_config: str | None = None
    """Its first clawdbot.json; without one, or with one that holds nothing, it is the default."""

    def to_domain(self) -> NewInstance:
        """Read it as a new instance."""
        return NewInstance(
            display_name=self.display_name,
            resources=self.given_resources,
            keys=self.given_keys,
            container_image=self.container_image,
            vnc_resolution=self.vnc_resolution,
            disabled_models=self.models.disabled or [],
            extra_models=self.models.extra or [],
            default_model=self.default_model,
            config=self.clawdbot_config,
        )


class ChangeInstance(_Resources, frozen=True, kw_only=True):
    """Body of `PUT /instances/{id}`; what it does not hold stays."""

    display_name: str | UnsetType = UNSET
    models: Models = Models()
    default_model: Name | UnsetType = UNSET
    container_image: Name | UnsetType | None = UNSET
    vnc_resolution: Name | UnsetType | None = UNSET

    def to_domain(self) -> InstanceChange:
        """Read it as a change."""
        return InstanceChange(
            display_name=self.display_name,
            resources=self.given_resources,
            keys=self.given_keys,
            container_image=self.container_image,
            vnc_resolution=self.vnc_resolution,
            disabled_models=self.models.disabled,
            extra_models=self.models.extra,
            default_model=self.default_model,
        )


class ReorderInstances(Struct, frozen=True):
    """Body of `PUT /instances/reorder`."""

    ordered_ids: Annotated[list[int], Meta(max_length=1000)] = []


class ModelsView(Struct, frozen=True):
    """Which models an instance offers, and why."""

    effective: list[str]
    disabled_defaults: list[str]
    extra: list[str]


class InstanceView(Struct, frozen=True, kw_only=True):
    """One instance."""

    id: int
    name: str
    display_name: str
    nodeport_chrome: int
    nodeport_terminal: int
    status: str
    """`creating`, `running`, `restarting`, `stopping`, `stopped` or `error`."""
    status_message: str
    """What is wrong, when something is."""
    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str
    storage_clawdbot: str
    storage_homebrew: str
    storage_clawd: str
    storage_chrome: str
    has_anthropic_override: bool
    has_openai_override: bool
    has_brave_override: bool
    api_key_overrides: list[str]
    models: ModelsView
    default_model: str
    container_image: str | None
    has_image_override: bool
    vnc_resolution: str | None
    has_resolution_override: bool
    vnc_chrome_url: str
    """Its screen, through the gateway, for whoever is signed in and may use it."""
    vnc_terminal_url: str
    """The same: an instance has one screen that is reached so; its terminal is a socket of its own."""
    control_url: str
    gateway_token: str
    """Always empty: the way to an instance's own gateway is by sign-in, at `control_url`."""
    allowed_source_ips: str
    """Always empty here; `GET /instances/{id}/ssh-allowed-ips` has it."""
    agent_id: str
    """By which id its agent reports telemetry."""
    sort_order: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, instance: Instance, defaults: Defaults, public_url: str) -> "InstanceView":
        """Show an instance."""
        own = set(instance.key_names)
        return cls(
            **{name: getattr(instance, name) for name in (*_RESOURCES, "id", "name", "display_name", "sort_order")},
            nodeport_chrome=instance.ports.chrome,
            nodeport_terminal=instance.ports.terminal,
            status=instance.shown_status,
            status_message=instance.problem,
            has_anthropic_override=keys.ANTHROPIC in own,
            has_openai_override=keys.OPENAI in own,
            has_brave_override=keys.BRAVE in own,
            api_key_overrides=sorted(own),
            models=ModelsView(
                effective_models(defaults.models, instance), instance.disabled_models, instance.extra_models
            ),
            default_model=instance.default_model,
            container_image=instance.container_image,
            has_image_override=instance.container_image is not None,
            vnc_resolution=instance.vnc_resolution,
            has_resolution_override=instance.vnc_resolution is not None,
            vnc_chrome_url=_screen(public_url, instance.id),
            vnc_terminal_url=_screen(public_url, instance.id),
            control_url=f"/api/v1/instances/{instance.id}/control/",
            gateway_token="",
            allowed_source_ips="",
            agent_id=instance.agent_id,
            created_at=instance.created_at.replace(microsecond=0),
            updated_at=instance.updated_at.replace(microsecond=0),
        )


class StatusView(Struct, frozen=True):
    """What an instance was asked to be."""

    status: str


class ConfigView(Struct, frozen=True):
    """The raw content of an instance's clawdbot.json."""

    config: str


class ReplaceConfig(Struct, frozen=True):
    """Body of `PUT /instances/{id}/config`."""

    config: str


class ConfigReplacedView(Struct, frozen=True):
    """A config that was written, and whether the instance starts anew with it."""

    config: str
    restarted: bool


def _screen(public_url: str, instance_id: int) -> str:
    return f"{public_url.rstrip('/')}/api/v1/instances/{instance_id}/desktop/vnc.html?autoconnect=true"
