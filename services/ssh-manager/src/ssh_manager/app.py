"""The list of doors, and what those who come in may ask for."""

from shoal.http.app import create_app as create_http_app
from shoal.http.door import Door
from ssh_manager.factory import Factory


def create_app(factory: Factory) -> Door:
    """Make the application."""
    return create_http_app(
        factory.resources,
        controllers=[],
        dependencies={"access": factory.access},
    )
