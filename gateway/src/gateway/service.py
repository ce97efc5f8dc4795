"""The service's table of contents."""

from pathlib import Path

from gateway.app import create_app
from gateway.config import Config
from gateway.edge import edge_protocol
from gateway.factory import Factory
from shoal.resources import Resources
from shoal.service import Built, Service

MAX_FRAME_BYTES = 1024 * 1024


def build(resources: Resources[Config]) -> Built:
    """Put the service together."""
    config = resources.config
    factory = Factory(resources)
    door = create_app(factory)
    return Built(
        app=factory.front(door),
        described=door.inside,
        components=factory.components(),
        http=edge_protocol(
            max_header_bytes=config.max_header_bytes,
            max_headers=config.max_headers,
            header_timeout_s=config.header_timeout.total_seconds(),
        ),
        max_frame_bytes=MAX_FRAME_BYTES,
    )


SERVICE = Service(
    name="gateway",
    port=8080,
    config=Config,
    migrations=Path(__file__).with_name("migrations"),
    build=build,
    about="the one door: accounts, logins, keys, and the way to every other service",
)
