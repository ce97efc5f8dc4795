"""The list of doors, and what those who come in may ask for."""

from agent_runtime.factory import Factory
from shoal.http.app import create_app as create_http_app
from shoal.http.door import Door


def create_app(factory: Factory) -> Door:
    """Make the application."""
    return create_http_app(
        factory.resources,
        controllers=[],
        dependencies={},
    )
