"""HTTP: connections."""

from typing import Annotated

from litestar import Controller, get, post
from litestar.params import Parameter

from shoal.http.auth import require_user
from shoal.identity import Principal
from ssh_manager.links.schemas import (
    EventsView,
    EventView,
    MetricsView,
    OverviewView,
    ReconnectedView,
    StatusView,
    TestView,
)
from ssh_manager.links.usecases.history import History
from ssh_manager.links.usecases.reports import LinkReports
from ssh_manager.links.usecases.requests import LinkRequests
from ssh_manager.ports import Access

SHOWN_EVENTS, MAX_EVENTS = 50, 100


class LinkController(Controller):
    """The connection to one instance."""

    path = "/api/v1/instances/{instance_id:str}"
    tags = ("ssh",)
    guards = (require_user,)

    @get("/ssh-status", operation_id="getSshStatus", summary="Show the connection")
    async def status(
        self, instance_id: str, access: Access, link_reports: LinkReports, history: History, principal: Principal
    ) -> StatusView:
        """Show state, health, tunnels and the last ten changes of state, the newest first."""
        instance = await access.instance(principal, instance_id)
        moved = await history.transitions(instance.id)
        return StatusView.from_domain(link_reports.of(instance), moved)

    @post("/ssh-test", operation_id="testSsh", summary="Test the way in", status_code=200)
    async def test(
        self, instance_id: str, access: Access, link_requests: LinkRequests, principal: Principal
    ) -> TestView:
        """Sign in on a connection of its own; the standing one is left alone."""
        return TestView.from_domain(await link_requests.test(await access.instance(principal, instance_id), principal))

    @post("/ssh-reconnect", operation_id="reconnectSsh", summary="Connect anew", status_code=200)
    async def reconnect(
        self, instance_id: str, access: Access, link_requests: LinkRequests, principal: Principal
    ) -> ReconnectedView:
        """Replace the standing connection and its tunnels."""
        instance = await access.instance(principal, instance_id)
        return ReconnectedView.from_domain(await link_requests.reconnect(instance, principal))

    @get("/ssh-events", operation_id="listSshEvents", summary="List what happened")
    async def events(
        self,
        instance_id: str,
        access: Access,
        history: History,
        principal: Principal,
        limit: Annotated[str, Parameter(description="At most 100; what is no number counts as 50.")] = "",
    ) -> EventsView:
        """List what happened to the connection, the newest first."""
        instance = await access.instance(principal, instance_id)
        found = await history.events(instance.id, _limit_of(limit))
        return EventsView([EventView.from_domain(event) for event in found])


class OverviewController(Controller):
    """The connections to all instances that the caller may use."""

    path = "/api/v1"
    tags = ("ssh",)
    guards = (require_user,)

    @get("/ssh-status", operation_id="getSshOverview", summary="Show all connections")
    async def overview(self, access: Access, link_reports: LinkReports, principal: Principal) -> OverviewView:
        """Show and count connections."""
        reports = link_reports.of_all(await access.instances(principal))
        return OverviewView.from_domain(reports)

    @get("/ssh-metrics", operation_id="getSshMetrics", summary="Show figures of connections")
    async def metrics(self, access: Access, link_reports: LinkReports, principal: Principal) -> MetricsView:
        """Show how long connections last, how healthy they are, how often they were made again."""
        reports = link_reports.of_all(await access.instances(principal))
        return MetricsView.from_domain(reports)


def _limit_of(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and int(text[:9]) > 0
    return min(int(text[:9]), MAX_EVENTS) if is_number else SHOWN_EVENTS
