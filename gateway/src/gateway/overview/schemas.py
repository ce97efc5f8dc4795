"""What goes out, in the contracts' words."""

from msgspec import Struct

from gateway.overview.health import Process, Summary


class RootView(Struct, frozen=True):
    """Answer of `GET /`: what is open to everybody."""

    name: str = "Shoal"
    docs: str = "/docs"
    openapi: str = "/openapi.json"
    health: str = "/health"
    sign_in: str = "/api/v1/auth/login"


class HealthView(Struct, frozen=True):
    """Answer of `GET /health`."""

    status: str
    """`healthy`, `degraded` (a service is missing) or `unhealthy` (the database is)."""
    kubernetes: str
    """`connected`, `disconnected`, or `disabled` where instances run without it."""
    database: str
    orchestrator: str
    orchestrator_backend: str
    services: dict[str, str]

    @classmethod
    def from_domain(cls, summary: Summary) -> "HealthView":
        """Show the suite."""
        backend = str(summary.details.get("orchestrator_backend", "none"))
        default = "disconnected" if backend == "kubernetes" else "disabled"
        is_there = summary.services.get("instance-orchestrator") == "ready"
        return cls(
            status="unhealthy" if summary.status == "down" else summary.status,
            kubernetes=str(summary.details.get("kubernetes", default)),
            database="connected" if summary.is_database_there else "disconnected",
            orchestrator="connected" if is_there else "disconnected",
            orchestrator_backend=backend,
            services=summary.services,
        )


class SystemHealthView(Struct, frozen=True):
    """Answer of `GET /api/health`: both names of the uptime, as the contract's two clients read it."""

    status: str
    """`healthy`, `degraded` (a service is missing) or `down` (the database is)."""
    version: str
    uptime_seconds: int
    uptime_secs: int
    memory_usage_mb: float
    agent_count: int
    session_count: int
    tool_count: int
    services: dict[str, str]

    @classmethod
    def from_domain(cls, summary: Summary, process: Process) -> "SystemHealthView":
        """Show the suite, and this process."""
        return cls(
            status=summary.status,
            version=process.version,
            uptime_seconds=process.uptime_s,
            uptime_secs=process.uptime_s,
            memory_usage_mb=process.memory_mb,
            agent_count=_count(summary, "agent_count"),
            session_count=_count(summary, "session_count"),
            tool_count=_count(summary, "tool_count"),
            services=summary.services,
        )


def _count(summary: Summary, name: str) -> int:
    value = summary.details.get(name, 0)
    return value if isinstance(value, int) else 0
