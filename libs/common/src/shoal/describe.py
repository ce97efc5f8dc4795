"""A service's OpenAPI document, written without any server behind it."""

import tempfile
from pathlib import Path
from typing import Any

from shoal.config import load
from shoal.http.app import openapi_json
from shoal.installation import Installation
from shoal.resources import Resources
from shoal.service import Service


def describe(service: Service) -> bytes:
    """Build a service with made-up credentials and nothing behind it, and write what it answers."""
    with tempfile.TemporaryDirectory() as folder:
        made_up = Installation.open(Path(folder) / "installation.json", [service.name])
    environment = made_up.environment(
        admin_url="postgresql://nobody@127.0.0.1:1/none",
        nats_url=lambda _: "nats://127.0.0.1:1",
        addresses={},
    )
    resources = Resources[Any](service.name, load(service.config, service.prefix, environment), environment)
    built = service.build(resources)
    return openapi_json(built.described)
