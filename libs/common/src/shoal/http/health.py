"""Health: alive needs nothing, ready names what is missing."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping

import structlog
from litestar import Controller, Response, get
from msgspec import Struct

from shoal.http.auth import require_permitted_service
from shoal.tasks import end
from shoal.telemetry import Metrics


class Readiness(Struct, frozen=True):
    """Whether a service can do its work; each check is `ok` or says what is wrong."""

    ready: bool
    checks: dict[str, str]
    details: dict[str, str | int] = {}
    """Words and numbers that summaries of the suite show."""


KEEP_S = 1.0
ANSWER_S = 0.7
"""Less than who asks for readiness waits: they shall hear what is wrong."""
_SILENT = "does not answer"
Check = Callable[[], str | None]
Detail = Callable[[], str | int]


class Probe:
    """A check that must wait: asked when readiness is, at most once in `KEEP_S`, and waited for `ANSWER_S` at most.

    A question that goes unanswered is not asked again until it ends, and never cut off: however often readiness is
    asked, one question is on its way.

    Args:
        ask: Raises when the answer is no.
        before: What can be told without waiting, and makes asking useless.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]], *, before: Check) -> None:
        self._ask = ask
        self._before = before
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = -math.inf
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Say what is known to be wrong at this moment, or None."""
        return self._before() or self._problem

    async def look(self) -> None:
        """Find out how it is now."""
        if self._before() is not None:
            return
        now = asyncio.get_running_loop().time()
        if self._asking is None:
            if now - self._asked_at < KEEP_S:
                return
            self._asked_at = now
            self._asking = asyncio.create_task(self._find_out(), name="probe")
        done, _ = await asyncio.wait({self._asking}, timeout=max(0, self._asked_at + ANSWER_S - now))
        if not done:
            self._problem = f"no answer in {ANSWER_S} s"

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            await end([self._asking])

    async def _find_out(self) -> None:
        try:
            await self._ask()
            self._problem = None
        except Exception as error:  # noqa: BLE001 - whatever it was, the answer is no
            if self._problem != _SILENT:
                structlog.get_logger().warning("probe_failed", error=repr(error.__cause__ or error))
            self._problem = _SILENT
        finally:
            self._asking = None


class Health:
    """Asks every part of a service whether it can do its work."""

    def __init__(self, metrics: Metrics) -> None:
        self._checks: dict[str, Check] = {}
        self._probes: list[Probe] = []
        self._details: dict[str, Detail] = {}
        self._metrics = metrics
        self.is_draining = False

    def add(self, name: str, check: Check) -> None:
        """Add a part; `check` returns what is wrong, or None. It must not wait."""
        self._checks[name] = check

    def add_probe(self, name: str, probe: Probe) -> None:
        """Add a part that must be asked, and waited for."""
        self._probes.append(probe)
        self.add(name, probe.problem)

    def add_detail(self, name: str, detail: Detail) -> None:
        """Add something to tell that decides nothing here. It must not wait."""
        self._details[name] = detail

    async def look(self) -> Readiness:
        """Ask every part, and wait for those that must be waited for."""
        await asyncio.gather(*(probe.look() for probe in self._probes))
        return self.readiness()

    async def close(self) -> None:
        """Ask nobody any more."""
        for probe in self._probes:
            await probe.close()

    def readiness(self) -> Readiness:
        """Tell what every part says of itself, without waiting; probes say what they found out last."""
        checks = {name: _ask(check) or "ok" for name, check in self._checks.items()}
        if self.is_draining:
            checks["draining"] = "shutting down"
        details = {name: detail() for name, detail in self._details.items()}
        return Readiness(ready=all(answer == "ok" for answer in checks.values()), checks=checks, details=details)

    def metrics(self) -> bytes:
        """Expose the service's metrics."""
        return self._metrics.expose()


def _ask(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a check that fails is a problem, not a reason to say nothing
        structlog.get_logger().warning("check_failed", error=repr(error), exc_info=error)
        return "cannot be checked; the log tells why"


class HealthController(Controller):
    """Answers probes and scrapers; never routed by the gateway."""

    tags = ("health",)

    @get("/healthz", operation_id="isAlive", summary="The process runs", include_in_schema=False)
    async def alive(self) -> Mapping[str, str]:
        """Answer, which proves that the loop turns."""
        return {"status": "alive"}

    @get("/readyz", operation_id="isReady", summary="The service can do its work", include_in_schema=False)
    async def ready(self, health: Health) -> Response[Readiness]:
        """Answer 200 when every check is ok, else 503 with what is not."""
        readiness = await health.look()
        return Response(readiness, status_code=200 if readiness.ready else 503)

    @get("/metrics", operation_id="metrics", summary="Prometheus metrics", include_in_schema=False)
    async def metrics(self, health: Health) -> Response[bytes]:
        """Expose metrics in Prometheus' text format."""
        return Response(health.metrics(), media_type="text/plain; version=0.0.4")


class DescriptionController(Controller):
    """Tells the gateway what this service answers."""

    guards = (require_permitted_service,)

    @get("/internal/openapi.json", operation_id="describe", include_in_schema=False)
    async def describe(self, description: Callable[[], bytes]) -> Response[bytes]:
        """Give the service's OpenAPI document."""
        return Response(description(), media_type="application/json")
