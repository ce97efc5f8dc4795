"""What dashboards meet at the door."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shoal.testing.suite import ServiceUnderTest, Suite, eventually, user
from shoal_events import Sample, SampleError, SampleGroup, SampleMetrics, SampleSkill, TelemetryBatch

ALICE = user("acct_1", "user_alice")
BOB = user("acct_2", "user_bob")
CONTRACT_FRAME = SampleMetrics(
    messages_1h=142,
    messages_24h=2847,
    active_sessions=3,
    avg_response_ms=850,
    memory_mb=256,
    cpu_percent=12,
    uptime_s=86400,
)
SKILLS = {"image-generation": SampleSkill(calls_1h=45, revenue_1h="0.90", avg_latency_ms=2100)}


def now() -> datetime:
    return datetime.now(UTC)


async def send(suite: Suite, samples: Sequence[Sample], *, agent_id: str = "agent_1", epoch: str = "e1") -> None:
    group = SampleGroup(account_id="acct_1", agent_id=agent_id, epoch=epoch, samples=tuple(samples))
    batch = TelemetryBatch(batch_id=uuid4().hex, process="proc_1", groups=(group,))
    jetstream = (await suite.bus()).jetstream()
    await jetstream.publish(batch.subject, batch.to_json(), headers={"Nats-Msg-Id": batch.batch_id})


async def ask(metrics: ServiceUnderTest, path: str = "/telemetry/metrics/agent_1", **query: str) -> dict[str, Any]:
    answer = await metrics.client(ALICE).get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until(metrics: ServiceUnderTest, holds: Any, **query: str) -> dict[str, Any]:
    last: dict[str, Any] = {}

    async def seen() -> bool:
        last.clear()
        last.update(await ask(metrics, **query))
        return holds(last)

    await eventually(seen, lambda: last)
    return last


def refused(answer: httpx.Response, status: int, code: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["error"]["code"]) == (status, code), answer.text


async def test_the_contract_frame_is_answered_as_the_contract_shows(metrics: ServiceUnderTest, suite: Suite) -> None:
    at = now()
    error = SampleError(error_type="skill_failure", skill="image-generation", message="Model timeout")
    await send(
        suite,
        [
            Sample(seq=1, at=at, metrics=CONTRACT_FRAME),
            Sample(seq=2, at=at, skills=SKILLS),
            Sample(seq=3, at=at, error=error),
        ],
    )
    body = await until(metrics, lambda body: body["data"]["messages"] and body["data"]["errors"][-1]["value"])
    assert list(body) == ["agent_id", "period", "resolution", "data", "summary"]
    assert (body["agent_id"], body["period"], body["resolution"]) == ("agent_1", "24h", "1h")
    data = body["data"]
    assert list(data) == ["messages", "latency", "errors", "revenue", "sessions", "memory", "cpu"]
    assert sum(point["value"] for point in data["messages"]) == 142
    assert data["latency"][-1] | {"timestamp": ""} == {"timestamp": "", "p50": 850, "p95": 850, "p99": 850}
    assert sum(point["value"] for point in data["errors"]) == 1
    assert sum(float(point["value"]) for point in data["revenue"]) == pytest.approx(0.9)
    for name, value in {"sessions": 3, "memory": 256, "cpu": 12}.items():
        assert [(p["value"], p["min"], p["max"]) for p in data[name]] == [(value, value, value)]
    assert data["cpu"][0]["timestamp"] == f"{at:%Y-%m-%dT%H:00:00Z}"
    assert body["summary"] == {
        "total_messages": 2847,
        "avg_latency_ms": 850,
        "error_rate": 0.007,
        "total_revenue": "0.90",
        "messages_source": "reported",
        "latency_source": "averages",
    }
