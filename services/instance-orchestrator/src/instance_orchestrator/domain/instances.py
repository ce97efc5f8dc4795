"""What an instance is."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from instance_orchestrator.domain import quantities
from instance_orchestrator.errors import ConfigTooLargeError, InvalidConfigError, InvalidInstanceError

MAX_CONFIG_BYTES = 512 * 1024
DEFAULT_CONFIG = b"""{
  "gateway": { "mode": "local", "port": 8080 },
  "providers": {
    "anthropic": { "api_key": "${ANTHROPIC_API_KEY}" },
    "openai": { "api_key": "${OPENAI_API_KEY}" },
    "brave": { "api_key": "${BRAVE_API_KEY}" }
  }
}
"""
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
_RESOLUTION = re.compile(r"[1-9][0-9]{2,4}x[1-9][0-9]{2,4}")


class Desired(StrEnum):
    """What an instance should be."""

    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"


class Phase(StrEnum):
    """What was seen of an instance."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"


class Resources(Struct, frozen=True):
    """What an instance may use; quantities in Kubernetes' grammar."""

    cpu_request: str = "500m"
    cpu_limit: str = "2000m"
    memory_request: str = "1Gi"
    memory_limit: str = "4Gi"
    storage_clawdbot: str = "5Gi"
    storage_homebrew: str = "10Gi"
    storage_clawd: str = "5Gi"
    storage_chrome: str = "5Gi"

    def checked(self) -> "Resources":
        """Return them if an instance can be given them.

        Raises:
            InvalidInstanceError: Something is no quantity, too small, or requested beyond its limit.
        """
        quantities.check_range("cpu", self.cpu_request, self.cpu_limit, least=quantities.LEAST_CPU)
        quantities.check_range("memory", self.memory_request, self.memory_limit)
        for volume, size in self.storage.items():
            quantities.check_amount(f"storage_{volume}", size)
        return self

    @property
    def storage(self) -> Mapping[str, str]:
        """Sizes of the volumes by their short names."""
        return {
            "clawdbot": self.storage_clawdbot,
            "homebrew": self.storage_homebrew,
            "clawd": self.storage_clawd,
            "chrome": self.storage_chrome,
        }

    def grown_from(self, before: "Resources") -> "Resources":
        """Return them if no volume would have to shrink, which none can.

        Raises:
            InvalidInstanceError: One would.
        """
        for volume, size in self.storage.items():
            if quantities.parse(size) < quantities.parse(before.storage[volume]):
                raise InvalidInstanceError(f"storage_{volume}: a volume can only grow")
        return self


class Ports(Struct, frozen=True):
    """The two ports at which an instance's screens are reached."""

    chrome: int
    terminal: int


class Endpoint(Struct, frozen=True):
    """Where and as whom to reach an instance by SSH."""

    host: str
    port: int
    user: str


class Instance(Struct, frozen=True, kw_only=True):
    """A row: what an instance should be, and what was last seen of it."""

    id: int
    account_id: str
    user_id: str
    name: str
    display_name: str
    desired: Desired
    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str
    storage_clawdbot: str
    storage_homebrew: str
    storage_clawd: str
    storage_chrome: str
    container_image: str | None
    vnc_resolution: str | None
    disabled_models: list[str]
    extra_models: list[str]
    default_model: str
    restarts: int
    sort_order: int
    generation: int
    observed_generation: int
    nudge: int
    observed_nudge: int
    phase: Phase
    problem: str
    ssh_host: str | None
    ssh_port: int | None
    ssh_user: str | None
    pairing_id: str | None
    is_paired: bool
    version: int
    created_at: datetime
    updated_at: datetime
    removed_at: datetime | None
    chrome_port: int | None = None
    terminal_port: int | None = None
    key_names: list[str] = []

    @property
    def resources(self) -> Resources:
        """What it may use."""
        return msgspec.convert(self, Resources, from_attributes=True)

    @property
    def ports(self) -> Ports:
        """Its pair of ports; zeros once they were given back."""
        return Ports(self.chrome_port or 0, self.terminal_port or 0)

    @property
    def endpoint(self) -> Endpoint | None:
        """Where it was last reached by SSH."""
        if self.ssh_host is None or self.ssh_port is None or self.ssh_user is None:
            return None
        return Endpoint(self.ssh_host, self.ssh_port, self.ssh_user)

    @property
    def agent_id(self) -> str:
        """The id by which its agent reports telemetry."""
        return f"instance_{self.id}"

    def changed(self, **fields: Any) -> "Instance":
        """Return it changed so, as its next generation and version."""
        return msgspec.structs.replace(
            self, **fields | {"generation": self.generation + 1, "version": self.version + 1}
        )

    @property
    def shown_status(self) -> str:
        """The contract's word: creating, running, restarting, stopping, stopped or error."""
        is_applied = self.generation == self.observed_generation
        if self.desired is Desired.STOPPED:
            return "stopped" if is_applied and self.phase is Phase.STOPPED else "stopping"
        if is_applied and self.phase is Phase.RUNNING:
            return "running"
        if self.phase is Phase.FAILED:
            return "error"
        return "restarting" if self.phase is Phase.RUNNING else "creating"


def effective_models(defaults: Sequence[str], instance: Instance) -> list[str]:
    """List the models that an instance offers: the account's without those it disables, then its own."""
    kept = [model for model in defaults if model not in instance.disabled_models]
    return kept + [model for model in instance.extra_models if model not in kept]


def check_config(text: str) -> bytes:
    """Return the bytes of a config that is JSON; nothing in it is changed or expanded.

    Raises:
        ConfigTooLargeError: It is larger than a ConfigMap can carry with room to spare.
        InvalidConfigError: It is not JSON.
    """
    try:
        config = text.encode()
        if len(config) > MAX_CONFIG_BYTES:
            raise ConfigTooLargeError
        msgspec.json.decode(config)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidConfigError from error
    return config


def check_image(image: str) -> str:
    """Return a container image's reference.

    Raises:
        InvalidInstanceError: It cannot be one.
    """
    if not _IMAGE.fullmatch(image):
        raise InvalidInstanceError("container_image: not the reference of an image")
    return image


def check_resolution(resolution: str) -> str:
    """Return a screen's size, such as `1920x1080`.

    Raises:
        InvalidInstanceError: It is none.
    """
    if not _RESOLUTION.fullmatch(resolution):
        raise InvalidInstanceError("vnc_resolution: write it as 1920x1080")
    return resolution
