"""What people ask of an instance: of a new one, or of one that there is."""

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec import UNSET, Struct, UnsetType

from instance_orchestrator.domain.instances import (
    DEFAULT_CONFIG,
    Instance,
    Resources,
    check_config,
    check_image,
    check_resolution,
)
from instance_orchestrator.domain.names import display_name_of
from instance_orchestrator.errors import InvalidInstanceError

MAX_MODELS = 100
_RESOURCES = Resources.__struct_fields__


class NewInstance(Struct, frozen=True, kw_only=True):
    """An instance to be made; what is None is as the account's defaults say."""

    display_name: str
    resources: Mapping[str, str]
    """Those that were given, by field."""
    keys: Mapping[str, str | None] = {}
    container_image: str | None = None
    vnc_resolution: str | None = None
    disabled_models: list[str] = []
    extra_models: list[str] = []
    default_model: str = ""
    config: str | None = None

    @property
    def digest(self) -> bytes:
        """Tells it from another."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).digest()


class InstanceChange(Struct, frozen=True, kw_only=True):
    """What is to be different; what is UNSET stays. An empty image or resolution means the account's default."""

    display_name: str | UnsetType = UNSET
    resources: Mapping[str, str] = {}
    keys: Mapping[str, str | None] = {}
    container_image: str | UnsetType | None = UNSET
    vnc_resolution: str | UnsetType | None = UNSET
    disabled_models: list[str] | UnsetType = UNSET
    extra_models: list[str] | UnsetType = UNSET
    default_model: str | UnsetType = UNSET

    @property
    def is_admins(self) -> bool:
        """Whether only an admin may ask for this."""
        return bool(self.resources) or self.container_image is not UNSET

    def applied_to(self, instance: Instance) -> Instance:
        """Return the instance as it is to be.

        Raises:
            InvalidInstanceError: It cannot be so.
        """
        before = instance.resources
        resources = resources_with(before, self.resources).grown_from(before)
        fields: dict[str, object] = {name: getattr(resources, name) for name in _RESOURCES}
        if self.display_name is not UNSET:
            fields["display_name"] = display_name_of(self.display_name)
        if self.container_image is not UNSET:
            fields["container_image"] = image_of(self.container_image)
        if self.vnc_resolution is not UNSET:
            fields["vnc_resolution"] = resolution_of(self.vnc_resolution)
        if self.disabled_models is not UNSET:
            fields["disabled_models"] = models_of(self.disabled_models)
        if self.extra_models is not UNSET:
            fields["extra_models"] = models_of(self.extra_models)
        if self.default_model is not UNSET:
            fields["default_model"] = self.default_model
        return instance.changed(**fields)


def resources_with(resources: Resources, given: Mapping[str, str]) -> Resources:
    """Return resources with those that were given in their place.

    Raises:
        InvalidInstanceError: An instance cannot be given them.
    """
    return msgspec.structs.replace(resources, **given).checked()


def config_of(given: str | None) -> bytes:
    """Read a first config; none, and an object that holds nothing, stands for the default.

    Raises:
        ConfigTooLargeError, InvalidConfigError: As for `check_config`.
    """
    config = check_config(given) if given else DEFAULT_CONFIG
    return DEFAULT_CONFIG if msgspec.json.decode(config) in (None, {}) else config


def image_of(given: str | None) -> str | None:
    """Read a container image; nothing stands for the default."""
    return check_image(given) if given else None


def resolution_of(given: str | None) -> str | None:
    """Read a screen's size; nothing stands for the default."""
    return check_resolution(given) if given else None


def models_of(given: list[str]) -> list[str]:
    """Read a list of models.

    Raises:
        InvalidInstanceError: There are too many.
    """
    if len(given) > MAX_MODELS:
        raise InvalidInstanceError(f"models: at most {MAX_MODELS}")
    return list(dict.fromkeys(given))
