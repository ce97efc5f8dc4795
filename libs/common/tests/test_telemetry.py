"""Traces go from the first append to the last subscriber; logs are lines of JSON; metrics are complete."""

import asyncio
import gzip
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from shoal.database import Database, Transaction
from shoal.leases import Leases
from shoal.messaging import Bus
from shoal.outbox import Bell, Outbox, Relay
from shoal.subscriptions import Subscriber, Subscription
from shoal.telemetry import Metrics, Tracing, configure_logging, log_as_told
from shoal_events import PairingRenamed

from .toy import at_work, renamed, until

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RENAMED = PairingRenamed.event_type


class Collector:
    """An OTLP collector: keeps the spans that it is sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        body = await reader.readexactly(length)
        request = ExportTraceServiceRequest.FromString(
            gzip.decompress(body) if "content-encoding: gzip" in head else body
        )
        for resource in request.resource_spans:
            self.services |= {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


def tracing_to(collector: Collector, service: str, ratio: float = 1.0) -> Tracing:
    return Tracing(service, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, ratio=ratio)


async def publish_and_handle(database: Database, bus: Bus, sender: Tracing, receiver: Tracing) -> str | None:
    """Append under a request's span, relay, handle; returns the trace that the handler is in."""
    seen: list[str | None] = []

    async def handle(_: Transaction, __: PairingRenamed) -> None:
        seen.append(receiver.traceparent())

    metrics, bell = Metrics(), Bell("toy_outbox")
    relay = Relay(
        service="toy",
        database=database,
        bus=bus,
        leases=Leases(database, owner="a"),
        metrics=metrics,
        tracing=sender,
        bell=bell,
    )
    subscriber = Subscriber(
        Subscription("trace", {PairingRenamed: handle}),
        service="toy",
        database=database,
        bus=bus,
        metrics=metrics,
        tracing=receiver,
    )
    async with at_work(relay.run(), subscriber.run()):
        with sender.span("request", parent=TRACE):
            async with database.transaction() as tx:
                await Outbox(bell=bell, tracing=sender).append(tx, renamed())
        await until(lambda: seen)
    return seen[0]


async def test_one_trace_from_the_append_through_the_relay_to_the_subscriber(
    database: Database, bus: Bus, collector: Collector
) -> None:
    sender, receiver = tracing_to(collector, "sender"), tracing_to(collector, "receiver")
    handled = await publish_and_handle(database, bus, sender, receiver)
    assert handled is not None
    assert handled.split("-")[1] == TRACE.split("-")[1]
    for tracing in (sender, receiver):
        await asyncio.to_thread(tracing.close)
    assert collector.services == {"sender", "receiver"}
    spans = {span.name: span for span in collector.spans}
    assert spans.keys() == {"request", f"send {RENAMED}", f"process {RENAMED}"}
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE.split("-")[1]}
    request, send, process = (spans[name] for name in ("request", f"send {RENAMED}", f"process {RENAMED}"))
    assert request.parent_span_id.hex() == TRACE.split("-")[2]
    assert (send.parent_span_id, process.parent_span_id) == (request.span_id, send.span_id)
    assert (send.kind, process.kind) == (Span.SPAN_KIND_PRODUCER, Span.SPAN_KIND_CONSUMER)


async def test_trace_passes_through_who_exports_nothing(database: Database, bus: Bus) -> None:
    silent = Tracing("toy", environment={})
    assert await publish_and_handle(database, bus, silent, silent) == TRACE


def test_nothing_is_exported_without_an_endpoint() -> None:
    for environment in ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}):
        tracing = Tracing("toy", environment=environment)
        assert not tracing.is_exporting
        assert tracing._provider is None
        with tracing.span("x"):
            assert tracing.traceparent() is None
        tracing.close()


async def test_ratio_decides_where_no_caller_did(collector: Collector) -> None:
    tracing = tracing_to(collector, "toy", ratio=0)
    with tracing.span("not recorded"):
        pass
    with tracing.span("recorded by its caller", parent=TRACE):
        pass
    await asyncio.to_thread(tracing.close)
    assert [span.name for span in collector.spans] == ["recorded by its caller"]


@pytest.mark.parametrize("parent", ["rubbish", "00-0-0-00", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "\x00"])
def test_parent_that_is_none_begins_a_new_trace(parent: str) -> None:
    tracing = Tracing("toy", environment={})
    with tracing.span("x", parent=parent):
        assert tracing.traceparent() is None


async def test_collector_that_is_down_holds_up_the_end_for_seconds_only() -> None:
    tracing = Tracing("toy", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
    with tracing.span("x"):
        pass
    async with asyncio.timeout(5):
        await asyncio.to_thread(tracing.close)


# logs


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)


def lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_log_is_lines_of_json_with_a_constant_event(log: io.StringIO) -> None:
    configure_logging("info", stream=log)
    structlog.contextvars.bind_contextvars(request_id="r1")
    structlog.get_logger().info("pairing_opened", pairing_id="pair_1", text="a\nb")
    structlog.get_logger().debug("not told")
    structlog.contextvars.clear_contextvars()
    (line,) = lines(log)
    assert (line["event"], line["level"], line["request_id"]) == ("pairing_opened", "info", "r1")
    assert str(line["timestamp"]).endswith("Z")


def test_exceptions_are_told_without_local_variables(log: io.StringIO) -> None:
    configure_logging("info", stream=log)
    fail_with("canary-password")
    (line,) = lines(log)
    assert "KeyError: 15" in str(line["exception"])
    assert "canary" not in str(line)


def test_terminal_is_told_without_local_variables(log: io.StringIO) -> None:
    log.isatty = lambda: True  # type: ignore[method-assign]
    configure_logging("info", stream=log)
    fail_with("canary-password")
    assert "KeyError: 15" in log.getvalue()
    assert "canary" not in log.getvalue()


def fail_with(secret: str) -> None:
    try:
        _ = {}[len(secret)]
    except KeyError as error:
        structlog.get_logger().error("failed", exc_info=error)


def test_level_that_is_none_is_info(log: io.StringIO) -> None:
    configure_logging("loud", stream=log)
    structlog.get_logger().info("told")
    structlog.get_logger().debug("not told")
    assert [line["event"] for line in lines(log)] == ["told"]


def test_service_may_have_a_level_of_its_own(log: io.StringIO, tmp_path: Path) -> None:
    file = tmp_path / "level"
    file.write_text("error\n")
    own = {
        "TELEMETRY_INGEST_LOG_LEVEL": "debug",
        "PAIRING_LOG_LEVEL_FILE": str(file),
        "METRICS_QUERY_LOG_LEVEL_FILE": "/nowhere",
    }
    log_as_told({"SHOAL_LOG_LEVEL": "warning", "SHOAL_HOST": "::", **own}, stream=log)
    for service in ("telemetry-ingest", "pairing", "gateway"):
        with structlog.contextvars.bound_contextvars(service=service):
            structlog.get_logger().debug("debug")
            structlog.get_logger().warning("warning")
    structlog.get_logger().info("of nobody")
    structlog.get_logger().error("failed", service="pairing")
    told = [(line.get("service"), line["event"]) for line in lines(log)]
    assert told == [
        ("telemetry-ingest", "debug"),
        ("telemetry-ingest", "warning"),
        ("gateway", "warning"),
        ("pairing", "failed"),
    ]


# metrics


def test_every_instrument_is_exposed_under_its_name() -> None:
    metrics = Metrics()
    metrics.requests.labels("GET", "/x", "200").observe(0.1)
    metrics.published.labels("pairing.renamed.v1").inc()
    metrics.handled.labels("toy-x", "done").inc()
    metrics.jobs.labels("x", "done").observe(1)
    text = metrics.expose().decode()
    for name in (
        "http_server_request_duration_seconds_bucket",
        "http_server_sockets",
        "shoal_outbox_pending",
        "shoal_outbox_age_seconds",
        "shoal_outbox_blocked",
        "shoal_events_published_total",
        "shoal_events_handled_total",
        "shoal_job_duration_seconds_count",
    ):
        assert f"\n{name}" in text


def test_each_service_has_a_registry_of_its_own() -> None:
    assert Metrics().registry is not Metrics().registry
