"""The service's table of contents."""

from pathlib import Path

from pairing.app import create_app
from pairing.config import Config
from pairing.factory import Factory
from shoal.resources import Resources
from shoal.service import Built, Service


def build(resources: Resources[Config]) -> Built:
    """Put the service together."""
    factory = Factory(resources)
    app = create_app(factory)
    return Built(app=app, described=app.inside, components=factory.components())


SERVICE = Service(
    name="pairing",
    port=8101,
    config=Config,
    migrations=Path(__file__).with_name("migrations"),
    build=build,
    about="who is paired with whom: dashboards and agents, agents and agents",
)
