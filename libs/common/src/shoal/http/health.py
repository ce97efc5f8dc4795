"""Health: alive needs nothing, ready names what is missing."""

from collections.abc import Callable, Mapping

from litestar import Controller, Response, get
from msgspec import Struct

from shoal.http.auth import require_permitted_service
from shoal.telemetry import Metrics


class Readiness(Struct, frozen=True):
    """Whether a service can do its work; each check is `ok` or says what is wrong."""

    ready: bool
    checks: dict[str, str]
    facts: dict[str, str | int] = {}
    """Words and numbers that summaries of the suite show."""


Check = Callable[[], str | None]
Fact = Callable[[], str | int]


class Health:
    """Asks every part of a service whether it can do its work."""

    def __init__(self, metrics: Metrics) -> None:
        self._checks: dict[str, Check] = {}
        self._facts: dict[str, Fact] = {}
        self._metrics = metrics
        self.is_draining = False

    def add(self, name: str, check: Check) -> None:
        """Add a part; `check` returns what is wrong, or None. It must not wait."""
        self._checks[name] = check

    def add_fact(self, name: str, fact: Fact) -> None:
        """Add something to tell that decides nothing here. It must not wait."""
        self._facts[name] = fact

    def readiness(self) -> Readiness:
        """Ask every part."""
        checks = {name: _ask(check) or "ok" for name, check in self._checks.items()}
        if self.is_draining:
            checks["draining"] = "shutting down"
        facts = {name: fact() for name, fact in self._facts.items()}
        return Readiness(ready=all(answer == "ok" for answer in checks.values()), checks=checks, facts=facts)

    def metrics(self) -> bytes:
        """Expose the service's metrics."""
        return self._metrics.expose()


def _ask(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a check that fails is a problem, not a reason to say nothing
        return f"cannot be checked: {error!r}"


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
        readiness = health.readiness()
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
