"""The list of doors, and what those who come in may ask for."""

from shoal.http.app import create_app as create_http_app
from shoal.http.door import Door
from telemetry_ingest.controllers.http import IngestController, InternalController
from telemetry_ingest.controllers.socket import telemetry_socket
from telemetry_ingest.factory import Factory


def create_app(factory: Factory) -> Door:
    """Make the application: every door of this service, behind the library's."""
    return create_http_app(
        factory.resources,
        controllers=[telemetry_socket(factory.socket), IngestController, InternalController],
        dependencies={"posts": factory.posts, "presences": factory.presences},
    )
