"""What a service is, to the runtime: a name, a configuration, a schema, a way to build it."""

import importlib.metadata
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from litestar import Litestar
from msgspec import Struct

from shoal.config import ServiceConfig
from shoal.http.asgi import ASGIApp
from shoal.http.server import HALF_OPEN_AFTER_S
from shoal.resources import Component, Resources
from shoal.schema import Schema

GROUP = "shoal.services"


class Built(Struct, frozen=True):
    """A service put together: what it serves, and what works beside that, in the order of starting."""

    app: ASGIApp
    described: Litestar
    """The application whose routes make the service's OpenAPI document."""
    components: Sequence[Component] = ()
    http: Any = "httptools"
    """The HTTP protocol of its server."""
    max_frame_bytes: int = 64 * 1024
    """The largest WebSocket message that its server reads."""
    half_open_after_s: float = HALF_OPEN_AFTER_S
    """How long a peer may leave TCP unanswered before its connection counts as lost."""


class Service(Struct, frozen=True):
    """A deployable.

    Args:
        name: Kebab case; also its image, its Deployment and, in snake case, its schema.
        port: Where it listens unless told otherwise.
        config: Its configuration.
        migrations: The folder of its own numbered SQL files.
        build: Puts it together from its resources.
        about: One line for `shoal list`.
        extensions: The extensions of PostgreSQL that its migrations need.
    """

    name: str
    port: int
    config: type[ServiceConfig]
    migrations: Path
    build: Callable[[Resources[Any]], Built]
    about: str = ""
    extensions: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """The prefix of its environment variables."""
        return self.name.replace("-", "_").upper()

    @property
    def schema(self) -> Schema:
        """Its schema."""
        return Schema(self.name.replace("-", "_"), self.migrations, extensions=self.extensions)


def installed(names: Collection[str] = ()) -> Mapping[str, Service]:
    """Find services that are installed here, by name, in the order of their ports.

    Args:
        names: Which to look for, so that a process need not load what it does not run; every one without any.
    """
    points = importlib.metadata.entry_points(group=GROUP)
    found = [point.load() for point in points if not names or point.name in names]
    return {service.name: service for service in sorted(found, key=lambda service: service.port)}
