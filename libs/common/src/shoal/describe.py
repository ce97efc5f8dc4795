"""Services put together without any server behind them: for their OpenAPI document, and to try their settings."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from shoal.config import ConfigError, load
from shoal.http.app import openapi_json
from shoal.installation import Installation
from shoal.resources import Resources
from shoal.service import Built, Service


def describe(service: Service) -> bytes:
    """Build a service with made-up credentials and nothing behind it, and write what it answers."""
    return openapi_json(_built(service, _made_up(service)).described)


def try_settings(service: Service, environment: Mapping[str, str]) -> list[str]:
    """Build a service as the start does, and say what is refused of the settings that are given.

    Nothing is connected to, and what is missing is made up. The state folder is another, empty one, for a key that is
    given nowhere is made there.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            _built(service, {**_made_up(service), **environment, f"{service.prefix}_STATE": folder})
        except ConfigError as error:
            return error.problems
        except (ValueError, msgspec.MsgspecError) as error:
            return [str(error)]
    return []


def _built(service: Service, environment: Mapping[str, str]) -> Built:
    resources = Resources[Any](service.name, load(service.config, service.prefix, environment), environment)
    return service.build(resources)


def _made_up(service: Service) -> dict[str, str]:
    """Draw what every service must be given."""
    with tempfile.TemporaryDirectory() as folder:
        made_up = Installation.open(Path(folder) / "installation.json", [service.name])
    return made_up.environment(
        admin_url="postgresql://nobody@127.0.0.1:1/none",
        nats_url=lambda _: "nats://127.0.0.1:1",
        addresses={},
    )
