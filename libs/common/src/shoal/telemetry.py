"""Observability of a service: its log, its traces, its metrics; one place to set up each.

Logs are JSON lines (plain text on a terminal) whose message is a constant event name. Traces follow W3C Trace Context
from the gateway through NATS to the last subscriber and are exported over OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` is
set. Metrics live in one Prometheus registry per service. docs/telemetry.md lists them all.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from structlog.typing import EventDict, Processor

from shoal.config import look_up

EXPORT_S = 3
_LOG_LEVEL = "_LOG_LEVEL"
_SEVERITIES = logging.getLevelNamesMapping()
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The instruments that every service has, on the service's own registry; a service adds its own beside them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "http_server_request_duration_seconds",
            "Time to answer a request",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.sockets = Gauge("http_server_sockets", "WebSockets open now", registry=self.registry)
        self.outbox_pending = Gauge("shoal_outbox_pending", "Facts waiting for the relay", registry=self.registry)
        self.outbox_age = Gauge(
            "shoal_outbox_age_seconds", "Age of the oldest fact waiting for the relay", registry=self.registry
        )
        self.outbox_blocked = Gauge("shoal_outbox_blocked", "Facts that NATS refuses for good", registry=self.registry)
        self.published = Counter("shoal_events_published_total", "Facts published", ("type",), registry=self.registry)
        self.handled = Counter(
            "shoal_events_handled_total",
            "Facts received, by outcome: done, duplicate, retried, dead",
            ("consumer", "outcome"),
            registry=self.registry,
        )
        self.jobs = Histogram(
            "shoal_job_duration_seconds",
            "Time a periodic job took",
            ("name", "outcome"),
            registry=self.registry,
        )

    def expose(self) -> bytes:
        """Write every metric in Prometheus' text format."""
        return generate_latest(self.registry)


class Tracing:
    """Spans of one service; costs next to nothing when no OTLP endpoint is set."""

    def __init__(self, service: str, *, environment: Mapping[str, str], ratio: float = 1.0) -> None:
        endpoint = _endpoint(environment)
        self.is_exporting = endpoint is not None
        self._provider: TracerProvider | None = None
        if endpoint is not None:
            resource = Resource.create({"service.namespace": "shoal", "service.name": service})
            self._provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(ratio)))
            exporter = OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_S)
            self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
        self._tracer: Tracer = (self._provider or trace.NoOpTracerProvider()).get_tracer("shoal")
        self._propagator = TraceContextTextMapPropagator()

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Iterator[Span]:
        """Time a piece of work.

        Args:
            name: Low in cardinality: a route template or an event type, never an id.
            kind: Which side of a call this is.
            parent: The `traceparent` that came in; without one, the span under way is the parent.
            attributes: OpenTelemetry's semantic conventions.
        """
        context = self._propagator.extract({"traceparent": parent}) if parent else None
        with self._tracer.start_as_current_span(
            name, context=context, kind=kind, attributes=dict(attributes or {})
        ) as span:
            yield span

    def traceparent(self) -> str | None:
        """Give the span under way as a `traceparent` header, if there is one."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent")

    def close(self) -> None:
        """Send what is buffered; waits for the collector, `EXPORT_S` at most, so call it in a thread."""
        if self._provider is not None:
            self._provider.shutdown()


def _no_less_than(least: int, least_of: Mapping[str, int]) -> Processor:
    """Drop lines that are less severe than their service wants them, or the process where no service is named."""

    def drop(_: object, method: str, line: EventDict) -> EventDict:
        if _severity(method) < least_of.get(line.get("service", ""), least):
            raise structlog.DropEvent
        return line

    return drop


def _severity(level: str) -> int:
    return _SEVERITIES.get(level.upper(), logging.INFO)


def _console() -> structlog.dev.ConsoleRenderer:
    """Write for a terminal; without the values of local variables, which may be secrets."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _endpoint(environment: Mapping[str, str]) -> str | None:
    """Find where traces go, as the OpenTelemetry specification spells it."""
    if given := environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return given
    collector = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return f"{collector.rstrip('/')}/v1/traces" if collector else None


def log_as_told(environment: Mapping[str, str], *, stream: TextIO | None = None) -> None:
    """Set up the process's log with the levels that variables name: `SHOAL_LOG_LEVEL`, and one service's own."""
    own: dict[str, str] = {}
    for name in {given.removesuffix("_FILE") for given in environment}:
        with contextlib.suppress(OSError):  # loading the configuration will tell of it
            if name.endswith(_LOG_LEVEL) and (level := look_up([name], environment)):
                own[name.removesuffix(_LOG_LEVEL).lower().replace("_", "-")] = level
    configure_logging(own.pop("shoal", "info"), own=own, stream=stream)


def configure_logging(
    level: str = "info", *, own: Mapping[str, str] | None = None, stream: TextIO | None = None
) -> None:
    """Set up the process's log: JSON lines, or plain text when the stream is a terminal.

    What libraries say through the standard library's logging goes the same way, from warnings up.

    Args:
        level: The least severe line that is written; a word that is no level means `info`.
        own: Levels of services that have one of their own, by name.
        stream: Where to write, if not to standard output.
    """
    target = stream or sys.stdout
    render: Any = _console() if target.isatty() else structlog.processors.JSONRenderer()
    enrich: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    least, least_of = _severity(level), {service: _severity(one) for service, one in (own or {}).items()}
    structlog.configure(
        processors=[*enrich, _no_less_than(least, least_of), render],
        wrapper_class=structlog.make_filtering_bound_logger(min([least, *least_of.values()])),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    libraries = logging.StreamHandler(target)
    libraries.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=enrich, processor=render))
    logging.basicConfig(handlers=[libraries], level=logging.WARNING, force=True)
    for noisy in ("uvicorn.error", "uvicorn.access", "nats.aio.client", "opentelemetry"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
