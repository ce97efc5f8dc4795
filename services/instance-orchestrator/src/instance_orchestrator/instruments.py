"""This service's own instruments, beside those that every service has."""

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge


class Instruments:
    """What is measured here."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._unfinished = Gauge(
            "shoal_instances_unfinished", "Instances that are not yet what they should be", registry=registry
        )
        self._age = Gauge(
            "shoal_instances_unfinished_age_seconds",
            "How long the reconciler has been at the instance that has waited longest",
            registry=registry,
        )
        self._since: dict[int, float] = {}

    def note_unfinished(self, instances: Iterable[int]) -> None:
        """Take note of the instances on which work is left at this moment."""
        now = time.monotonic()
        self._since = {one: self._since.get(one, now) for one in instances}
        self._unfinished.set(len(self._since))
        self._age.set(max((now - since for since in self._since.values()), default=0.0))
