"""The service's table of contents."""

from pathlib import Path

from instance_orchestrator.app import create_app
from instance_orchestrator.config import Config
from instance_orchestrator.factory import Factory
from shoal.resources import Resources
from shoal.service import Built, Service


def build(resources: Resources[Config]) -> Built:
    """Put the service together."""
    factory = Factory(resources)
    app = create_app(factory)
    return Built(app=app, described=app.inside, components=factory.components())


SERVICE = Service(
    name="instance-orchestrator",
    port=8105,
    config=Config,
    migrations=Path(__file__).with_name("migrations"),
    build=build,
    about="instances: what they should be, and making them so",
)
