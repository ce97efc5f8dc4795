"""Tokens, costs and timed turns from what was recorded; budgets that bound what may be spent."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from runtime_corner import Corner
from runtime_door import Door
from test_sockets_sign_in import beside_a_gateway  # noqa: F401 - a fixture

from agent_runtime.errors import BudgetExhaustedError, TokenBudgetExhaustedError
from agent_runtime.monitoring.usecases.reports import Reports
from agent_runtime.monitoring.usecases.spending import Spending
from agent_runtime.ports import Charge, Estimate, ModelName, Spent, StageTiming, TimedTurn
from agent_runtime.recent import Recent
from shoal.clock import SystemClock
from shoal.identity import Role
from shoal.testing.suite import user

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Hurrying(SystemClock):
    """A clock by which whatever was read is old."""

    def __init__(self) -> None:
        self._seconds = itertools.count(step=2)

    def monotonic(self) -> float:
        return next(self._seconds)


class Ledger:
    """What a turn engine does with budgets, on the service's own database."""

    def __init__(self, door: Corner) -> None:
        self.door = door
        resources = door.service.running.resources
        self._database = resources.database
        self.spending = Spending(self._database, SystemClock(), recent=Recent(Hurrying()))
        self.reports = Reports(self._database, SystemClock())

    def _who(self, given: dict[str, str]) -> dict[str, str]:
        usual = {"account_id": self.door.account_id, "agent_id": "agent_1", "session_key": "s1"}
        return usual | {"credential_id": "key_1", "run_id": "run_1"} | given

    async def reserve(self, *, model: str = "openai/gpt-4o-mini", output: int = 1000, **who: str) -> str:
        return await self.spending.reserve(
            Estimate(**self._who(who), model=ModelName.parse(model), input_tokens=1000, output_tokens=output)
        )

    async def settle(self, reservation: str, model: str = "openai/gpt-4o-mini", **more: Any) -> Decimal:
        payload: dict[str, Any] = {
            "input_tokens": 1000,
            "output_tokens": 1000,
            "tier": 2,
            "at": datetime.now(UTC),
        } | more
        who = {name: payload.pop(name) for name in list(payload) if name.endswith(("_id", "_key"))}
        name = ModelName.parse(model)
        spent = Spent(**self._who(who), model=name, cache_read_tokens=0, cache_write_tokens=0, **payload)
        async with self._database.transaction() as tx:
            return (await self.spending.settle(tx, reservation, spent)).usd

    async def give_up(self, reservation: str) -> None:
        async with self._database.transaction() as tx:
            assert await self.spending.settle(tx, reservation, None) == Charge()

    async def meet(self) -> None:
        """Make what budgets of these tests are about."""
        for path, made in (
            ("agents", {"id": "agent_1", "name": "A"}),
            ("sessions", {"agent_id": "agent_1", "key": "s1"}),
        ):
            assert (await self.door.admin.post(f"/api/{path}", json=made)).status_code == 201

    async def budget(self, **limits: Any) -> dict[str, Any]:
        answer = await self.door.admin.put("/api/monitoring/budgets", json=limits)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told


@pytest_asyncio.fixture(loop_scope="module")
async def door(shared_door: Door) -> Corner:
    """The shared service, for accounts of the test's own."""
    return Corner(shared_door)


@pytest_asyncio.fixture(loop_scope="module")
async def ledger(door: Corner) -> Ledger:
    made = Ledger(door)
    await made.meet()
    return made


async def test_tokens_and_costs_are_added_up_as_the_contract_has_them(ledger: Ledger, door: Corner) -> None:
    await ledger.settle("", "anthropic/claude-sonnet-4", input_tokens=245_000, output_tokens=82_000, tier=3)
    await ledger.settle("", "offline/rules", input_tokens=10, output_tokens=20, session_key="s2", tier=1)
    await ledger.settle("", "my-own/llm", input_tokens=1, output_tokens=2, session_key="s2")
    await ledger.settle("", account_id=door.other_id)
    usage = (await door.alice.get("/api/monitoring/token-usage")).json()
    assert (usage["total_input"], usage["total_output"], usage["total_requests"]) == (245_011, 82_022, 3)
    assert usage["by_provider"][0] == {
        "provider": "anthropic", "model": "claude-sonnet-4", "input_tokens": 245_000, "output_tokens": 82_000,
        "total_tokens": 327_000, "request_count": 1,
    }  # fmt: skip
    assert usage["by_session"][1] == {
        "session_key": "s2", "input_tokens": 11, "output_tokens": 22, "request_count": 2,
    }  # fmt: skip
    costs = (await door.alice.get("/api/monitoring/costs")).json()
    assert costs["total_cost_usd"] == 1.965
    assert costs["by_provider"][0] == {
        "provider": "anthropic", "model": "claude-sonnet-4", "input_cost_usd": 0.735, "output_cost_usd": 1.23,
        "total_cost_usd": 1.965, "unpriced_requests": 0,
    }  # fmt: skip
    assert [(tier["tier"], tier["request_count"], tier["total_cost_usd"]) for tier in costs["by_tier"]] == [
        (1, 1, 0.0), (2, 1, 0.0), (3, 1, 1.965),
    ]  # fmt: skip
    assert all(tier["label"] for tier in costs["by_tier"])
    assert sum(row["unpriced_requests"] for row in costs["by_provider"]) == 1
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = (await door.alice.get("/api/monitoring/token-usage", params={"since": tomorrow})).json()
    assert (later["total_requests"], later["by_provider"], later["by_session"]) == (0, [], [])


async def test_timed_turns_are_listed_newest_first_and_recorded_once(ledger: Ledger, door: Corner) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    turn = TimedTurn(
        run_id="run_1", account_id=door.account_id, agent_id="agent_1", session_key="s1", model="offline/rules",
        complexity=0.72, tier=2, latency_ms=3200.5, is_success=True, trace_id="4bf9",
        stages=(StageTiming("classifier", "completed", 0.4),), at=at,
    )  # fmt: skip
    async with door.service.running.resources.database.transaction() as tx:
        for told in (turn, turn, _later(turn)):
            await ledger.reports.record(tx, told)
    runs = (await door.alice.get("/api/monitoring/pipeline-runs")).json()
    assert [(run["id"], run["status"]) for run in runs] == [("run_2", "error"), ("run_1", "success")]
    assert runs[1] == {
        "id": "run_1", "session_key": "s1", "agent_id": "agent_1", "model": "offline/rules", "complexity": 0.72,
        "tier": 2, "latency_ms": 3200.5, "status": "success", "trace_id": "4bf9",
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        "stages": [{"stage": "classifier", "status": "completed", "duration_ms": 0.4}],
    }  # fmt: skip
    assert len((await door.alice.get("/api/monitoring/pipeline-runs?limit=1")).json()) == 1
    assert (await door.stranger.get("/api/monitoring/pipeline-runs")).json() == []


async def test_money_that_is_used_up_is_402_and_tokens_429(ledger: Ledger) -> None:
    await ledger.budget(scope="session", subject="s1", limit_usd=0.0005)
    await ledger.budget(scope="agent", subject="agent_1", limit_tokens=3500, period="day")
    await ledger.settle(await ledger.reserve())
    with pytest.raises(BudgetExhaustedError) as refused:
        await ledger.reserve()
    assert refused.value.status == 402
    assert "session s1" in refused.value.message
    assert refused.value.retry_after_s is None
    await ledger.settle(await ledger.reserve(session_key="s2"), session_key="s2")
    with pytest.raises(TokenBudgetExhaustedError) as full:
        await ledger.reserve(session_key="s3")
    assert full.value.status == 429
    assert 0 < (full.value.retry_after_s or 0) <= 86_400
    assert await ledger.reserve(session_key="s4", agent_id="agent_9") == ""


@pytest.mark.parametrize(
    ("scope", "subject", "code"),
    [
        ("agent", "nobody", "agent_not_found"),
        ("session", "nothing", "session_not_found"),
        ("session", "", "session_not_found"),
        ("token", "", "credential_not_found"),
    ],
)
async def test_budget_of_what_is_not_there_is_refused(ledger: Ledger, scope: str, subject: str, code: str) -> None:
    limit = {"scope": scope, "subject": subject, "limit_tokens": 5}
    refused = await ledger.door.admin.put("/api/monitoring/budgets", json=limit)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, code)
    assert (await ledger.door.admin.get("/api/monitoring/budgets")).json() == []


@pytest.mark.asyncio(loop_scope="function")
async def test_budget_of_a_credential_is_for_one_that_there_is(beside_a_gateway: Any) -> None:  # noqa: F811 - the fixture
    runtime, client, door = beside_a_gateway
    key_id = (await client.post("/api/v1/api-keys", json={"name": "program"})).json()["id"]
    (mine,) = await door.sql("select account_id from gateway.api_key where id = $1", key_id)
    limit = {"scope": "token", "subject": key_id, "limit_tokens": 5}

    async def put(account_id: str) -> int:
        admin = runtime.client(user(account_id, "user_admin", role=Role.ADMIN))
        return (await admin.put("/api/monitoring/budgets", json=limit)).status_code

    assert (await put(mine["account_id"]), await put("acct_other")) == (200, 404)
    await door.sql("update gateway.api_key set revoked_at = now()")
    assert await put(mine["account_id"]) == 404
    await door.suite.stop(next(one for one in door.suite._running if one.running.service.name == "gateway"))
    assert await put(mine["account_id"]) == 503


async def test_calls_at_once_do_not_spend_the_same_money(ledger: Ledger) -> None:
    told = await ledger.budget(scope="agent", subject="agent_1", limit_tokens=10_000)
    outcomes = await asyncio.gather(*(ledger.reserve() for _ in range(12)), return_exceptions=True)
    held = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(held) == 5
    assert all(isinstance(outcome, str | TokenBudgetExhaustedError) for outcome in outcomes)
    (standing,) = (await ledger.door.admin.get("/api/monitoring/budgets")).json()
    assert (standing["id"], standing["reserved_tokens"], standing["spent_tokens"]) == (told["id"], 10_000, 0)
    await asyncio.gather(*(ledger.settle(reservation) for reservation in held[:3]), ledger.give_up(held[3]))
    (standing,) = (await ledger.door.admin.get("/api/monitoring/budgets")).json()
    assert (standing["reserved_tokens"], standing["spent_tokens"]) == (2000, 6000)
    assert await ledger.reserve()


async def test_budget_counts_what_was_spent_before_there_was_one(ledger: Ledger) -> None:
    await ledger.settle("")
    await ledger.settle("", at=datetime.now(UTC) - timedelta(days=40))
    total = await ledger.budget(scope="account", limit_tokens=10_000)
    month = await ledger.budget(scope="agent", subject="agent_1", limit_tokens=10_000, period="month")
    assert (total["subject"], total["spent_tokens"], total["resets_at"]) == (ledger.door.account_id, 4000, None)
    assert month["spent_tokens"] == 2000
    assert month["resets_at"] > datetime.now(UTC).isoformat()


async def test_hold_that_nobody_settles_lapses(ledger: Ledger) -> None:
    told = await ledger.budget(scope="agent", subject="agent_1", limit_tokens=2000)
    await ledger.reserve()
    with pytest.raises(TokenBudgetExhaustedError):
        await ledger.reserve()
    lapse = "update budget_hold set expires_at = now() - interval '2 hours' where budget_id = $1"
    await ledger.door.sql(lapse, told["id"])
    assert await ledger.reserve()
    await ledger.spending.forget_lapsed()
    assert len(await ledger.door.sql("select from budget_hold where budget_id = $1", told["id"])) == 1


async def test_budgets_are_for_admins_to_set(ledger: Ledger, door: Corner) -> None:
    limit = {"scope": "agent", "subject": "agent_1", "limit_usd": 5}
    assert (await door.alice.put("/api/monitoring/budgets", json=limit)).status_code == 403
    told = (await door.admin.put("/api/monitoring/budgets", json=limit)).json()
    assert (await door.alice.get("/api/monitoring/budgets")).json() == [told]
    assert (await door.stranger.get("/api/monitoring/budgets")).json() == []
    assert (await door.stranger.delete(f"/api/monitoring/budgets/{told['id']}")).status_code == 404
    assert (await door.admin.delete(f"/api/monitoring/budgets/{told['id']}")).json() == {"success": True}
    for wrong in ({"scope": "agent", "subject": "a"}, limit | {"limit_usd": -1}, limit | {"scope": "moon"}):
        assert (await door.admin.put("/api/monitoring/budgets", json=wrong)).status_code == 400


async def test_own_price_counts_from_its_day_on(ledger: Ledger, door: Corner) -> None:
    price = {"provider": "my-own", "model": "llm", "input_per_million": 1, "output_per_million": 2}
    today = datetime.now(UTC).date().isoformat()
    assert (await door.alice.put("/api/monitoring/prices", json=price)).status_code == 403
    told = (await door.admin.put("/api/monitoring/prices", json=price | {"valid_from": today})).json()
    assert (told["valid_from"], told["cache_read_per_million"]) == (today, 1.0)
    at = datetime.now(UTC)
    million = {"input_tokens": 10**6, "output_tokens": 10**6}
    assert await ledger.settle("", "my-own/llm", at=at, **million) == 3
    assert await ledger.settle("", "my-own/llm", at=at - timedelta(days=2), **million) == 0
    assert (await door.admin.delete(f"/api/monitoring/prices/{told['id']}")).json() == {"success": True}
    assert (await door.admin.get("/api/monitoring/prices")).json() == []
    assert (await door.admin.get("/api/monitoring/costs")).json()["total_cost_usd"] == 3


def _later(turn: TimedTurn) -> TimedTurn:
    changes: dict[str, Any] = {"run_id": "run_2", "at": turn.at + timedelta(minutes=1), "is_success": False}
    return TimedTurn(**({name: getattr(turn, name) for name in turn.__struct_fields__} | changes))


async def test_budgets_may_come_and_go_while_calls_are_settled(ledger: Ledger, door: Corner) -> None:
    async def call() -> None:
        for _ in range(10):
            await ledger.settle(await ledger.reserve())

    async def come_and_go() -> None:
        for _ in range(15):
            budget = await ledger.budget(scope="account", period="day", limit_tokens=10**9)
            answer = await door.admin.delete(f"/api/monitoring/budgets/{budget['id']}")
            assert answer.is_success, answer.text

    await asyncio.gather(*(call() for _ in range(6)), come_and_go())
