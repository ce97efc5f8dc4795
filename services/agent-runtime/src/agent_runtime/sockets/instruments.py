"""Instruments of sockets."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class Instruments:
    """The instruments of sockets, as Prometheus reads them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sockets = Gauge(
            "shoal_runtime_sockets", "Sockets open now, by path: ws, chat, canvas", ("path",), registry=registry
        )
        self.closings = Counter(
            "shoal_runtime_socket_closings_total", "Sockets that we closed, by close code", ("code",), registry=registry
        )
        self.deliveries = Counter("shoal_runtime_frame_deliveries_total", "Frames handed to sockets", registry=registry)
