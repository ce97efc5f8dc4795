"""What goes out by HTTP."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from ssh_manager.links.domain import LinkEvent, LinkReport, State, Tested, Transition, uptime_buckets
from ssh_manager.links.usecases.requests import SUCCEEDED
from ssh_manager.ports import TunnelState


class HealthView(Struct, frozen=True):
    """The health of a connection."""

    connected_at: datetime | None
    last_health_check: datetime | None
    uptime_seconds: int
    successful_checks: int
    failed_checks: int
    healthy: bool

    @classmethod
    def from_domain(cls, report: LinkReport) -> "HealthView | None":
        """Show the health of a connection, if there is anything to say."""
        link, health = report.link, report.link.health
        if not link.has_health:
            return None
        return cls(
            connected_at=health.connected_at,
            last_health_check=health.checked_at,
            uptime_seconds=health.uptime_s(report.at) if link.state is State.CONNECTED else 0,
            successful_checks=health.successful_checks,
            failed_checks=health.failed_checks,
            healthy=health.is_healthy,
        )


class TunnelHealthView(Struct, frozen=True):
    """The health of a tunnel."""

    service: str
    local_port: int
    remote_port: int
    created_at: datetime
    last_check: datetime | None
    last_successful_check: datetime | None
    last_error: str
    bytes_transferred: int
    healthy: bool

    @classmethod
    def from_domain(cls, tunnel: TunnelState) -> "TunnelHealthView":
        """Show a tunnel."""
        return cls(
            service=tunnel.service.value,
            local_port=tunnel.local_port,
            remote_port=tunnel.remote_port,
            created_at=tunnel.created_at,
            last_check=tunnel.last_check,
            last_successful_check=tunnel.last_successful_check,
            last_error=tunnel.last_error,
            bytes_transferred=tunnel.bytes_transferred,
            healthy=tunnel.is_healthy,
        )


class TransitionView(Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """A change of state."""

    before: str
    after: str
    timestamp: datetime

    @classmethod
    def from_domain(cls, moved: Transition) -> "TransitionView":
        """Show a change of state."""
        return cls(moved.from_state.value, moved.to_state.value, moved.at)


class StatusView(Struct, frozen=True):
    """One instance's connection."""

    connection_state: str
    health: HealthView | None
    tunnels: list[TunnelHealthView]
    recent_events: list[TransitionView]

    @classmethod
    def from_domain(cls, report: LinkReport, moved: Sequence[Transition]) -> "StatusView":
        """Show a report and the last changes of state."""
        return cls(
            report.link.state.value,
            HealthView.from_domain(report),
            [TunnelHealthView.from_domain(tunnel) for tunnel in report.tunnels],
            [TransitionView.from_domain(one) for one in moved],
        )


class EventView(Struct, frozen=True):
    """Something that happened to a connection."""

    instance_name: str
    type: str
    details: str
    timestamp: datetime

    @classmethod
    def from_domain(cls, event: LinkEvent) -> "EventView":
        """Show an event."""
        return cls(event.instance_name, event.type.value, event.details, event.at)


class EventsView(Struct, frozen=True):
    """What happened to a connection, the newest first."""

    events: list[EventView]


class TunnelTestView(Struct, frozen=True, omit_defaults=True):
    """What a test found of a tunnel."""

    service: str
    healthy: bool
    error: str = ""


class TestView(Struct, frozen=True, omit_defaults=True):
    """What a test found."""

    success: bool
    latency_ms: int
    tunnel_status: list[TunnelTestView]
    command_test: bool
    error: str = ""

    @classmethod
    def from_domain(cls, tested: Tested) -> "TestView":
        """Show what a test found."""
        tunnels = [
            TunnelTestView(tunnel.service.value, tunnel.is_healthy, tunnel.last_error) for tunnel in tested.tunnels
        ]
        return cls(not tested.problem, tested.latency_ms, tunnels, tested.has_run_command, tested.problem)


class ReconnectedView(Struct, frozen=True):
    """What became of a reconnection."""

    success: bool
    message: str

    @classmethod
    def from_domain(cls, problem: str | None) -> "ReconnectedView":
        """Show what became of it."""
        return cls(problem is None, problem or SUCCEEDED)


class InstanceLinkView(Struct, frozen=True):
    """One instance's connection among many."""

    instance_id: int
    instance_name: str
    display_name: str
    instance_status: str
    connection_state: str
    health: HealthView | None
    tunnel_count: int
    healthy_tunnels: int

    @classmethod
    def from_domain(cls, report: LinkReport) -> "InstanceLinkView":
        """Show a report."""
        return cls(
            instance_id=report.instance.id,
            instance_name=report.instance.name,
            display_name=report.instance.display_name,
            instance_status=report.instance.status.value,
            connection_state=report.link.state.value,
            health=HealthView.from_domain(report),
            tunnel_count=len(report.tunnels),
            healthy_tunnels=sum(tunnel.is_healthy for tunnel in report.tunnels),
        )


class OverviewView(Struct, frozen=True):
    """The connections of all instances that the caller may use; what is only connecting counts as disconnected."""

    instances: list[InstanceLinkView]
    total_count: int
    connected: int
    reconnecting: int
    failed: int
    disconnected: int

    @classmethod
    def from_domain(cls, reports: Sequence[LinkReport]) -> "OverviewView":
        """Show reports, and count them."""
        states = [report.link.state for report in reports]
        return cls(
            instances=[InstanceLinkView.from_domain(report) for report in reports],
            total_count=len(states),
            connected=states.count(State.CONNECTED),
            reconnecting=states.count(State.RECONNECTING),
            failed=states.count(State.FAILED),
            disconnected=states.count(State.DISCONNECTED) + states.count(State.CONNECTING),
        )


class BucketView(Struct, frozen=True):
    """How many connections have lasted how long."""

    label: str
    count: int


class HealthRateView(Struct, frozen=True):
    """How often an instance's checks succeeded, as a share of 1."""

    instance_name: str
    display_name: str
    success_rate: float
    total_checks: int


class ReconnectionsView(Struct, frozen=True):
    """How often an instance was connected again."""

    instance_name: str
    display_name: str
    count: int


class MetricsView(Struct, frozen=True):
    """Figures of all instances that the caller may use."""

    uptime_buckets: list[BucketView]
    health_rates: list[HealthRateView]
    reconnection_counts: list[ReconnectionsView]

    @classmethod
    def from_domain(cls, reports: Sequence[LinkReport]) -> "MetricsView":
        """Make figures of reports; an instance of which there is nothing to count is left out."""
        buckets = uptime_buckets(reports)
        named = [(report.instance.name, report.instance.display_name, report.link.health) for report in reports]
        return cls(
            uptime_buckets=[BucketView(bucket.label, bucket.count) for bucket in buckets],
            health_rates=[
                HealthRateView(name, shown, round(health.successful_checks / health.checks, 4), health.checks)
                for name, shown, health in named
                if health.checks
            ],
            reconnection_counts=[
                ReconnectionsView(name, shown, health.reconnections)
                for name, shown, health in named
                if health.reconnections
            ],
        )
