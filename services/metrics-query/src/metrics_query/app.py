"""The list of doors, and what those who come in may ask for."""

from metrics_query.controllers import TelemetryController
from metrics_query.factory import Factory
from shoal.http.app import create_app as create_http_app
from shoal.http.door import Door


def create_app(factory: Factory) -> Door:
    """Make the application: every door of this service, behind the library's."""
    return create_http_app(
        factory.resources,
        controllers=[TelemetryController],
        dependencies={
            "history": factory.history,
            "skill_history": factory.skill_history,
            "fleet": factory.fleet,
        },
    )
