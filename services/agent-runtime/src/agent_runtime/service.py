"""The service's table of contents."""

from pathlib import Path

from agent_runtime.app import create_app
from agent_runtime.config import Config
from agent_runtime.factory import Factory
from agent_runtime.factory.components import components
from shoal.http.sockets import SocketHttp
from shoal.resources import Resources
from shoal.service import Built, Service


def build(resources: Resources[Config]) -> Built:
    """Make the application and its components of what the process has."""
    factory = Factory(resources)
    app = create_app(factory)
    return Built(
        app=app,
        described=app.inside,
        components=components(factory),
        http=SocketHttp,
    )


SERVICE = Service(
    name="agent-runtime",
    port=8104,
    config=Config,
    migrations=Path(__file__).with_name("migrations"),
    build=build,
    about="agents that run here: sessions, runs, tools, memory",
    extensions=("pg_trgm",),
)
