"""What is written down of every request: a metric, and a line of the log (of those that went well, if wanted)."""

import time
from typing import Any

import structlog

from gateway.visit import Visit
from shoal.identity import GATEWAY
from shoal.telemetry import Metrics

FAULT = 500


class Ledger:
    """Accounts for requests."""

    def __init__(self, metrics: Metrics, *, log_requests: bool) -> None:
        self._metrics = metrics
        self._log_requests = log_requests
        self._durations: dict[tuple[str, str, int], Any] = {}

    def open(self, visit: Visit) -> None:
        """Note that a visit begins."""
        if visit.is_socket:
            self._metrics.sockets.inc()

    def close(self, visit: Visit, route: str) -> None:
        """Write down how a visit went."""
        seconds = time.perf_counter() - visit.started
        if visit.is_socket:
            self._metrics.sockets.dec()
        else:
            key = (visit.method, route, visit.status)
            duration = self._durations.get(key)
            if duration is None:
                duration = self._metrics.requests.labels(visit.method, route, str(visit.status))
                self._durations[key] = duration
            duration.observe(seconds)
        if self._log_requests or (not visit.is_socket and visit.status >= FAULT):
            self._write(visit, route, seconds)

    def _write(self, visit: Visit, route: str, seconds: float) -> None:
        known = getattr(visit, "known", None)
        structlog.get_logger().info(
            "socket_closed" if visit.is_socket else "http_request",
            service=GATEWAY,
            request_id=visit.request_id.decode(),
            method=visit.method,
            route=route,
            status=visit.status,
            principal=known.principal.subject if known is not None else "anonymous",
            source=visit.source,
            duration_ms=round(seconds * 1000, 2),
        )
