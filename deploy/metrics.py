"""The metrics of every service, as their registries have them; nothing is started for that."""

import asyncio
import base64
import functools
import json
from collections.abc import Iterator

from msgspec import Struct

from shoal.config import load
from shoal.identity import new_key_pair
from shoal.resources import Resources
from shoal.service import Service, installed

NOBODY = {"SHOAL_DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/none", "SHOAL_NATS_URL": "nats://127.0.0.1:1"}
"""Addresses at which nothing is: services are put together, not run."""


class Metric(Struct, frozen=True, order=True):
    """One metric as it is scraped."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    services: tuple[str, ...] = ()


@functools.cache
def every_metric() -> tuple[Metric, ...]:
    """List the metrics of all installed services, those that every service has first."""
    return tuple(asyncio.run(_every_metric()))


async def _every_metric() -> list[Metric]:
    found: dict[Metric, list[str]] = {}
    services = installed()
    for service in services.values():
        for metric in _metrics_of(service):
            found.setdefault(metric, []).append(service.name)
    everywhere = [metric for metric, names in found.items() if len(names) == len(services)]
    own = [metric for metric in found if metric not in everywhere]
    listed = [(metric, ("every",)) for metric in everywhere] + [(metric, tuple(found[metric])) for metric in own]
    return [Metric(one.name, one.kind, one.labels, one.meaning, names) for one, names in listed]


def _metrics_of(service: Service) -> Iterator[Metric]:
    private, public = new_key_pair()
    environment = NOBODY | {
        f"{service.prefix}_IDENTITY_KEY": private,
        "SHOAL_IDENTITY_KEYS": json.dumps({service.name: public}),
        f"{service.prefix}_ENCRYPTION_KEY": f"k1:{base64.b64encode(bytes(32)).decode()}",
    }
    resources = Resources(service.name, load(service.config, service.prefix, environment), environment)
    service.build(resources)
    # the registry tells labels to nobody but itself
    for collector in list(resources.metrics.registry._collector_to_names):  # noqa: SLF001
        labels = tuple(getattr(collector, "_labelnames", ()))
        for family in collector.collect():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            yield Metric(name, family.type, labels, family.documentation)


def table() -> str:
    """Write the metrics as a table."""
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels) or '-'} | "
        f"{', '.join(one.services)} | {one.meaning} |"
        for one in every_metric()
    ]
    return (
        "\n".join(["| metric | kind | labels | service | meaning |", "| --- | --- | --- | --- | --- |", *rows]) + "\n"
    )
