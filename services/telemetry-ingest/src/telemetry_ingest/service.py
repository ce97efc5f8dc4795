"""The service's table of contents."""

from pathlib import Path

from shoal.http.sockets import SocketHttp
from shoal.resources import Resources
from shoal.service import Built, Service
from telemetry_ingest.app import create_app
from telemetry_ingest.config import Config
from telemetry_ingest.domain.frames import MAX_FRAME_BYTES
from telemetry_ingest.factory import Factory


def build(resources: Resources[Config]) -> Built:
    """Make the application and its components of what the process has."""
    factory = Factory(resources)
    app = create_app(factory)
    return Built(
        app=app,
        described=app.inside,
        components=factory.components(),
        http=SocketHttp,
        max_frame_bytes=MAX_FRAME_BYTES,
        half_open_after_s=resources.config.half_open_after.total_seconds(),
    )


SERVICE = Service(
    name="telemetry-ingest",
    port=8102,
    config=Config,
    migrations=Path(__file__).with_name("migrations"),
    build=build,
    about="the door that agents stream through, live and stored before it is acknowledged",
)
