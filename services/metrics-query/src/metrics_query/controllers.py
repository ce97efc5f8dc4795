"""HTTP: the contract's metrics and what Shoal adds to them."""

import zlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from litestar.response import Stream

from metrics_query.domain.periods import Period, Resolution
from metrics_query.schemas.exposition import MEDIA_TYPE, expose
from metrics_query.schemas.fleet import FleetPeriod, OverviewView, SkillsView
from metrics_query.schemas.metrics import MetricsView, metrics_from, render
from metrics_query.usecases.fleet import Fleet
from metrics_query.usecases.history import History
from metrics_query.usecases.skills import SkillHistory
from shoal.http.auth import require_user
from shoal.identity import Principal

MetricNames = Annotated[str | None, Parameter(description="Comma-separated; all without it")]


class TelemetryController(Controller):
    """History of the caller's agents."""

    path = "/telemetry"
    tags = ("telemetry",)
    guards = (require_user,)

    @get(
        "/metrics/{agent_id:str}",
        operation_id="getMetrics",
        summary="Chart an agent",
        responses={200: ResponseSpec(MetricsView, description="The metrics asked for", generate_examples=False)},
    )
    async def metrics(
        self,
        agent_id: str,
        request: Request[Any, Any, Any],
        history: History,
        principal: Principal,
        period: Period = Period.DAY,
        resolution: Resolution = Resolution.AUTO,
        metrics: MetricNames = None,
    ) -> Stream:
        """Stream every point of a period, at any resolution; compressed when asked."""
        answer = await history.ask(
            agent_id,
            account_id=principal.account_id,
            period=period,
            resolution=resolution,
            metrics=metrics_from(metrics),
        )
        return _streamed(render(answer), request)

    @get("/skills/{agent_id:str}", operation_id="getSkills", summary="Sum up an agent's skills")
    async def skills(
        self, agent_id: str, skill_history: SkillHistory, principal: Principal, period: Period = Period.DAY
    ) -> SkillsView:
        """Sum up calls, revenue, response time and errors of each skill."""
        skills = await skill_history.ask(agent_id, account_id=principal.account_id, period=period)
        return SkillsView.from_domain(agent_id, period, skills)

    @get("/overview", operation_id="getOverview", summary="Sum up the fleet")
    async def overview(self, fleet: Fleet, principal: Principal, period: FleetPeriod = "24h") -> OverviewView:
        """Sum up all agents of the account, together and one by one."""
        return OverviewView.from_domain(await fleet.overview(principal.account_id, period=Period(period)))

    @get("/prometheus", operation_id="scrapeFleet", summary="Expose the fleet to Prometheus", media_type="text/plain")
    async def prometheus(self, fleet: Fleet, principal: Principal) -> Response[bytes]:
        """Write the latest of every agent in Prometheus' text format."""
        return Response(expose(await fleet.state(principal.account_id)), media_type=MEDIA_TYPE)


def _streamed(pieces: AsyncIterator[bytes], request: Request[Any, Any, Any]) -> Stream:
    accepts_gzip = "gzip" in request.headers.get("accept-encoding", "")
    headers = {"vary": "accept-encoding"} | ({"content-encoding": "gzip"} if accepts_gzip else {})
    return Stream(_gzipped(pieces) if accepts_gzip else pieces, media_type="application/json", headers=headers)


async def _gzipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    compressor = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    async for piece in pieces:
        compressed = compressor.compress(piece)
        if compressed:
            yield compressed
    yield compressor.flush()
