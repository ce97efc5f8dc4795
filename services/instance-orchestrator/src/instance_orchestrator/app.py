"""The list of doors, and what those who come in may ask for."""

from instance_orchestrator.controllers.instances import InstanceController
from instance_orchestrator.controllers.internal import InternalController
from instance_orchestrator.controllers.settings import AssignmentController, SettingsController
from instance_orchestrator.factory import Factory
from shoal.http.app import create_app as create_http_app
from shoal.http.door import Door


def create_app(factory: Factory) -> Door:
    """Make the application."""
    return create_http_app(
        factory.resources,
        controllers=[InstanceController, SettingsController, AssignmentController, InternalController],
        dependencies={
            "instances": factory.instances,
            "configurations": factory.configurations,
            "logs": factory.logs,
            "settings": factory.settings,
            "assignments": factory.assignments,
            "exports": factory.exports,
            "public_url": factory.public_url,
        },
    )
