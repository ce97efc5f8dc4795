"""The list of doors, and what those who come in may ask for."""

from agent_runtime.configuration.controllers import ConfigurationController
from agent_runtime.factory import Factory
from agent_runtime.memory.controllers import MemoryController
from agent_runtime.skills.controllers import SkillController
from shoal.http.app import create_app as create_http_app
from shoal.http.door import Door


def create_app(factory: Factory) -> Door:
    """Make the application."""
    return create_http_app(
        factory.resources,
        controllers=[MemoryController, SkillController, ConfigurationController],
        dependencies={
            "memories": factory.memories,
            "skills": factory.skills,
            "configurations": factory.configurations,
            "gateway_port": factory.gateway_port,
        },
    )
