"""The service's table of contents."""

from pathlib import Path

from metrics_query.app import create_app
from metrics_query.config import Config
from metrics_query.factory import Factory
from shoal.resources import Resources
from shoal.service import Built, Service


def build(resources: Resources[Config]) -> Built:
    """Make the application and its components of what the process has."""
    factory = Factory(resources)
    app = create_app(factory)
    return Built(app=app, described=app.inside, components=factory.components())


SERVICE = Service(
    name="metrics-query",
    port=8103,
    config=Config,
    migrations=Path(__file__).with_name("migrations"),
    build=build,
    about="what the fleet did, minute by minute",
)
