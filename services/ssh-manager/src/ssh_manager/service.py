"""The service's table of contents."""

from pathlib import Path

from shoal.resources import Resources
from shoal.service import Built, Service
from ssh_manager.app import create_app
from ssh_manager.config import Config
from ssh_manager.factory import Factory

MAX_FRAME_BYTES = 1024 * 1024
"""What the gateway takes from a browser at once, and passes on."""


def build(resources: Resources[Config]) -> Built:
    """Make the application and its components of what the process has."""
    factory = Factory(resources)
    app = create_app(factory)
    return Built(app=app, described=app.inside, components=factory.components(), max_frame_bytes=MAX_FRAME_BYTES)


SERVICE = Service(
    name="ssh-manager",
    port=8106,
    config=Config,
    migrations=Path(__file__).with_name("migrations"),
    build=build,
    about="the ways into instances: keys, connections, tunnels, terminals",
)
