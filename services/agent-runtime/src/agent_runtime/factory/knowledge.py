"""What agents know: what they remember, and what skills tell them."""

from collections.abc import Callable
from functools import cached_property

from agent_runtime import ports
from agent_runtime.config import Config
from agent_runtime.factory.settings import registry_key
from agent_runtime.memory.clients import Embeddings, Meanings, NoMeanings
from agent_runtime.memory.usecases import Memories
from agent_runtime.skills.clients.registry import Registry
from agent_runtime.skills.clients.shipped import ShippedPackages
from agent_runtime.skills.usecases import Skills
from shoal.outgoing import Outgoing
from shoal.resources import Resources


class KnowledgeFactory:
    """Makes memory and skills.

    Args:
        resources: The process's.
        outgoing: What may be reached.
        configuration: Makes what tells of providers.
    """

    def __init__(
        self, resources: Resources[Config], *, outgoing: Outgoing, configuration: Callable[[], ports.Configuration]
    ) -> None:
        self.resources = resources
        self.outgoing = outgoing
        self._configuration = configuration

    def memories(self) -> Memories:
        """Make what remembers, finds and forgets."""
        return Memories(database=self.resources.database, meanings=self.meanings())

    def meanings(self) -> Meanings:
        """Make what tells meanings of texts: the model that settings name, or nothing."""
        model = self.resources.config.embeddings
        if not model:
            return NoMeanings()
        return Embeddings(model, configuration=self._configuration(), outgoing=self.outgoing)

    def skills(self) -> Skills:
        """Make what finds, installs and switches skills."""
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
            key=registry_key(config),
            takes_unsigned=config.skills_allow_unsigned,
        )
