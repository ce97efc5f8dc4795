"""What holds for every instance of an account unless it says otherwise."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from instance_orchestrator.domain.instances import Resources, check_image, check_resolution

DEFAULT_RESOLUTION = "1920x1080"


class Defaults(Struct, frozen=True, kw_only=True, rename=lambda name: f"default_{name}"):
    """The `default_…` settings of an account."""

    cpu_request: str = "500m"
    cpu_limit: str = "2000m"
    memory_request: str = "1Gi"
    memory_limit: str = "4Gi"
    storage_clawdbot: str = "5Gi"
    storage_homebrew: str = "10Gi"
    storage_clawd: str = "5Gi"
    storage_chrome: str = "5Gi"
    container_image: str = ""
    """Empty: the installation's own."""
    vnc_resolution: str = DEFAULT_RESOLUTION
    models: list[str] = []

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Defaults":
        """Read the settings that an account has set."""
        return msgspec.convert(settings, cls)

    @property
    def resources(self) -> Resources:
        """What a new instance may use."""
        return msgspec.convert(self, Resources, from_attributes=True)

    def checked(self) -> "Defaults":
        """Return them if an instance could be made of them.

        Raises:
            InvalidInstanceError: None could.
        """
        self.resources.checked()
        check_resolution(self.vnc_resolution)
        if self.container_image:
            check_image(self.container_image)
        return self
