"""What is measured of connections."""

from prometheus_client import CollectorRegistry, Gauge

from ssh_manager.links.domain import State
from ssh_manager.links.usecases.links import Links


def measure(links: Links, registry: CollectorRegistry) -> None:
    """Count connections by state whenever somebody looks."""
    gauge = Gauge(
        "shoal_ssh_connections",
        "Connections to running instances, by state: connected, connecting, reconnecting, failed",
        ("state",),
        registry=registry,
    )
    for state in State:
        if state is not State.DISCONNECTED:
            gauge.labels(state.value).set_function(lambda state=state: links.states().count(state))  # type: ignore[misc]
