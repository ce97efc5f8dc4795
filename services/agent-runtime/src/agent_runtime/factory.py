"""How everything here is made, top to bottom.

A section per subject: its use cases, and beneath them what other subjects may ask of it.
"""

from functools import cached_property
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from agent_runtime import ports, stand_ins
from agent_runtime.config import Config
from agent_runtime.configuration.jobs import KeyCheck
from agent_runtime.configuration.usecases import Configurations
from agent_runtime.memory.usecases import Memories
from agent_runtime.skills.clients.registry import Registry
from agent_runtime.skills.clients.shipped import ShippedPackages
from agent_runtime.skills.usecases import Skills
from shoal.config import ConfigError
from shoal.jobs import housekeeping
from shoal.outgoing import Outgoing
from shoal.resources import Component, Resources
from shoal.vault import envelope_of


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        self.resources = resources
        self.outgoing = _outgoing(resources.config)
        self.envelope = envelope_of(
            resources.config.encryption_key,
            variable="AGENT_RUNTIME_ENCRYPTION_KEY",
            kept_in=resources.config.state / "agent-runtime.key",
        )

    # sockets

    @cached_property
    def frames(self) -> ports.Frames:
        """The way to browsers."""
        return stand_ins.NoFrames()

    # memory

    def memories(self) -> Memories:
        """What is remembered."""
        return Memories(database=self.resources.database)

    # skills

    def skills(self) -> Skills:
        """Packages of instructions."""
        return Skills(database=self.resources.database, shipped=self.shipped_packages, registry=self.registry)

    @cached_property
    def shipped_packages(self) -> ShippedPackages:
        """What can be installed without any network."""
        return ShippedPackages()

    @cached_property
    def registry(self) -> Registry | None:
        """Where more skills come from, if anywhere."""
        config = self.resources.config
        if not config.skills_registry:
            return None
        return Registry(
            config.skills_registry,
            outgoing=self.outgoing,
            key=_registry_key(config.skills_registry_key),
            takes_unsigned=config.skills_allow_unsigned,
        )

    # configuration

    def configuration(self) -> ports.Configuration:
        """Defaults and providers."""
        return self.configurations()

    def configurations(self) -> Configurations:
        """What accounts configured."""
        return Configurations(database=self.resources.database, envelope=self.envelope, outgoing=self.outgoing)

    def gateway_port(self) -> int:
        """Where the gateway listens, as pages are told."""
        parts = urlsplit(self.resources.config.public_url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    # delegation

    def delegations(self) -> ports.Delegations:
        """Work that is handed on."""
        return stand_ins.NoDelegations()

    # canvas

    def canvases(self) -> ports.Canvases:
        """What agents draw."""
        return stand_ins.NoCanvases()

    # monitoring

    def usage(self) -> ports.Usage:
        """Tokens and budgets."""
        return stand_ins.NoUsage()

    def pipeline_log(self) -> ports.PipelineLog:
        """Timed turns."""
        return stand_ins.NoPipelineLog()

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        resources = self.resources
        return [
            KeyCheck(self.configurations()),
            resources.relay(),
            resources.job(housekeeping(resources.database)),
        ]


def _outgoing(config: Config) -> Outgoing:
    everywhere = ", 0.0.0.0/0, ::/0" if config.allow_private_addresses else ""
    try:
        return Outgoing(config.outgoing_allowed + everywhere)
    except ValueError as error:
        raise ConfigError([f"SHOAL_OUTGOING_ALLOWED: {error}"]) from error


def _registry_key(pem: str) -> Ed25519PublicKey | None:
    if not pem:
        return None
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(["AGENT_RUNTIME_SKILLS_REGISTRY_KEY must hold an Ed25519 public key as PEM"])
    return key
