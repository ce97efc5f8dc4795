"""This service's own instruments, beside those that every service has."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SAMPLES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class Instruments:
    """The instruments of this service, as Prometheus reads them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sockets = Gauge(
            "shoal_telemetry_sockets",
            "Telemetry sockets open now, by who opened them: agent, user, nobody (not signed in yet)",
            ("kind",),
            registry=registry,
        )
        self.closings = Counter(
            "shoal_telemetry_socket_closings_total",
            "Telemetry sockets that we closed, by close code",
            ("code",),
            registry=registry,
        )
        self.frames = Counter(
            "shoal_telemetry_frames_total",
            "Frames about agents, by type and outcome: stored, refused, given_up",
            ("type", "outcome"),
            registry=registry,
        )
        self.publish = Histogram(
            "shoal_telemetry_publish_duration_seconds",
            "From a batch's first sample to its acknowledgement by the stream",
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch = Histogram(
            "shoal_telemetry_batch_samples",
            "Samples packed into one message",
            buckets=_SAMPLES,
            registry=registry,
        )
        self.unacknowledged = Gauge(
            "shoal_telemetry_unacknowledged_bytes",
            "Samples that the stream has not acknowledged yet",
            registry=registry,
        )
        self.paused = Gauge(
            "shoal_telemetry_paused_readers",
            "Sockets whose reading is paused: room (the stream does not take more), rate (the sender is too fast)",
            ("reason",),
            registry=registry,
        )
        self.deliveries = Counter(
            "shoal_telemetry_live_deliveries_total", "Live frames handed to viewers", registry=registry
        )
        self.conflated = Counter(
            "shoal_telemetry_live_conflated_total",
            "Live frames that a slow viewer did not get: replaced by a newer one, or dropped",
            ("outcome",),
            registry=registry,
        )
