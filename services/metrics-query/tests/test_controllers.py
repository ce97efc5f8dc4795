"""What dashboards meet at the door."""

import gzip
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shoal.identity import Principal, Via
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


async def ask(service: ServiceUnderTest, path: str = "/telemetry/metrics/agent_1", **query: str) -> dict[str, Any]:
    answer = await service.client(ALICE).get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until(metrics: ServiceUnderTest, holds: Callable[[dict[str, Any]], Any], **query: str) -> dict[str, Any]:
    last: dict[str, Any] = {}

    async def seen() -> bool:
        last.clear()
        last.update(await ask(metrics, **query))
        return bool(holds(last))

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
    assert list(data) == ["messages", "latency", "errors", "revenue", "sessions", "memory", "cpu", "tokens"]
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
        "total_tokens": 0,
    }


async def test_an_agent_without_samples_has_empty_charts(metrics: ServiceUnderTest) -> None:
    body = await ask(metrics, metrics="messages,latency")
    assert body["data"] == {"messages": [], "latency": []}
    assert (body["summary"]["total_messages"], body["summary"]["latency_source"]) == (0, "none")


@pytest.mark.parametrize("agent_id", ["agent_2", "*", "x" * 300])
async def test_agents_of_others_are_not_found(metrics: ServiceUnderTest, agent_id: str) -> None:
    for kind in ("metrics", "skills"):
        refused(await metrics.client(ALICE).get(f"/telemetry/{kind}/{agent_id}"), 404, "agent_not_found")
        refused(await metrics.client(BOB).get(f"/telemetry/{kind}/agent_1"), 404, "agent_not_found")


@pytest.mark.parametrize("path", ["metrics/agent_1", "skills/agent_1", "overview", "prometheus"])
async def test_only_users_may_ask(metrics: ServiceUnderTest, path: str) -> None:
    agent = Principal(via=Via.TELEMETRY_TOKEN, account_id="acct_1", agent_id="agent_1", pairing_id="pair_1")
    for principal in (agent, None):
        refused(await metrics.client(principal).get(f"/telemetry/{path}"), 401, "unauthorized")
    async with httpx.AsyncClient(base_url=metrics.url, trust_env=False) as stranger:
        refused(await stranger.get(f"/telemetry/{path}"), 401, "unauthorized")


@pytest.mark.parametrize(
    "query",
    [{"period": "2h"}, {"resolution": "10m"}, {"metrics": "messages,karma"}, {"period": ""}, {"resolution": "1M"}],
)
async def test_wrong_parameters_are_refused(metrics: ServiceUnderTest, query: dict[str, str]) -> None:
    answer = await metrics.client(ALICE).get("/telemetry/metrics/agent_1", params=query)
    refused(answer, 422, "validation_error")
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == list(query)


async def test_every_period_and_resolution_tells_the_same_sums(metrics: ServiceUnderTest, suite: Suite) -> None:
    dice, started = random.Random(1), now() - timedelta(minutes=50)
    await send(
        suite,
        [
            Sample(
                seq=number,
                at=started + timedelta(minutes=number),
                metrics=SampleMetrics(
                    messages_total=10 * number, uptime_s=60 * number, memory_mb=100, response_ms=(dice.uniform(10, 20),)
                ),
            )
            for number in range(1, 50)
        ],
    )
    await until(metrics, lambda body: body["summary"]["total_messages"] == 490)
    for period in ("1h", "24h", "7d", "30d"):
        for resolution in ("1m", "5m", "1h", "1d", "auto"):
            body = await ask(metrics, period=period, resolution=resolution)
            assert sum(point["value"] for point in body["data"]["messages"]) == 490, (period, resolution)
            same_everywhere(body)
            if resolution == "1m":
                assert len(body["data"]["latency"]) == 49


def same_everywhere(body: dict[str, Any]) -> None:
    assert body["summary"]["total_messages"] == 490
    assert body["summary"]["latency_source"] == "responses"
    assert body["summary"]["messages_source"] == "recovered"
    assert 10 <= body["summary"]["avg_latency_ms"] <= 20
    assert all(10 <= point["p50"] <= point["p95"] <= point["p99"] <= 20 for point in body["data"]["latency"])
    assert {point["value"] for point in body["data"]["memory"]} == {100}
    for points in body["data"].values():
        times = [point["timestamp"] for point in points]
        assert times == sorted(set(times))


async def test_resent_and_repacked_samples_change_nothing(metrics: ServiceUnderTest, suite: Suite) -> None:
    at = now()
    frames = [Sample(seq=number, at=at, error=SampleError(error_type="timeout")) for number in range(1, 11)]
    await send(suite, frames)
    await send(suite, frames[3:7])
    await send(suite, [*frames, Sample(seq=11, at=at, error=SampleError())])
    body = await until(metrics, lambda body: sum(p["value"] for p in body["data"]["errors"]) >= 11)
    assert sum(point["value"] for point in body["data"]["errors"]) == 11
    assert body["summary"]["error_rate"] == 1


async def test_percentiles_are_of_single_responses_where_they_are_sent(metrics: ServiceUnderTest, suite: Suite) -> None:
    values = tuple(float(value) for value in range(1, 1001))
    await send(suite, [Sample(seq=1, at=now(), metrics=SampleMetrics(response_ms=values, avg_response_ms=1e6))])
    body = await until(metrics, lambda body: body["data"]["latency"])
    (point,) = body["data"]["latency"]
    for name, exact in {"p50": 500, "p95": 950, "p99": 990}.items():
        assert point[name] == pytest.approx(exact, rel=0.0109)
    assert body["summary"]["avg_latency_ms"] == 500.5


async def test_a_month_of_minutes_is_streamed_and_compressed_when_asked(
    metrics: ServiceUnderTest, suite: Suite
) -> None:
    await send(suite, [Sample(seq=1, at=now() - timedelta(days=29), metrics=SampleMetrics(messages_1h=60))])
    await send(suite, [Sample(seq=2, at=now(), metrics=SampleMetrics(messages_1h=60))])
    await until(metrics, lambda body: body["summary"]["total_messages"] == 60)
    query = {"period": "30d", "resolution": "1m", "metrics": "messages,revenue"}
    client = metrics.client(ALICE)
    plain = await client.get("/telemetry/metrics/agent_1", params=query, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    points = plain.json()["data"]["messages"]
    assert len(points) > 29 * 1440
    assert sum(point["value"] for point in points) == 120
    assert {point["value"] for point in plain.json()["data"]["revenue"]} == {"0.00"}
    async with client.stream(
        "GET", "/telemetry/metrics/agent_1", params=query, headers={"accept-encoding": "gzip"}
    ) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        body = b"".join([piece async for piece in packed.aiter_raw()])
    assert len(body) < len(plain.content) / 5
    assert len(gzip.decompress(body)) == len(plain.content)


async def test_skills_are_summed_up_by_name(metrics: ServiceUnderTest, suite: Suite) -> None:
    at = now()
    error = SampleError(error_type="skill_failure", skill="image-generation")
    await send(suite, [Sample(seq=1, at=at, skills=SKILLS), Sample(seq=2, at=at, error=error)])
    await until(metrics, lambda body: sum(p["value"] for p in body["data"]["errors"]))
    for period in ("1h", "24h", "7d", "30d"):
        body = await ask(metrics, "/telemetry/skills/agent_1", period=period)
        (skill,) = body["skills"]
        assert skill["skill"] == "image-generation"
        assert skill["errors"] == 1
        assert skill["avg_latency_ms"] == 2100
        assert skill["calls"] == pytest.approx(45, abs=1 if period == "1h" else 0)
        assert float(skill["revenue"]) == pytest.approx(0.9, abs=0.02 if period == "1h" else 0)


async def test_the_overview_sums_up_the_fleet(metrics: ServiceUnderTest, suite: Suite) -> None:
    await send(suite, [Sample(seq=1, at=now(), metrics=CONTRACT_FRAME), Sample(seq=2, at=now(), skills=SKILLS)])
    seen: dict[str, Any] = {}

    async def rolled_up() -> bool:
        seen.update(await ask(metrics, "/telemetry/overview", period="7d"))
        return bool(seen["summary"]["total_messages"])

    await eventually(rolled_up, lambda: seen)
    assert (seen["total"], seen["active"], seen["period"], seen["resolution"]) == (1, 1, "7d", "1h")
    assert seen["summary"]["total_messages"] == sum(point["value"] for point in seen["data"]["messages"]) == 142
    assert seen["summary"]["total_revenue"] == "0.90"
    (agent,) = seen["agents"]
    assert (agent["agent_id"], agent["name"], agent["active"]) == ("agent_1", "Production", True)
    assert agent["summary"] == seen["summary"]
    answer = await metrics.client(ALICE).get("/telemetry/overview", params={"period": "1h"})
    refused(answer, 422, "validation_error")
    assert (await metrics.client(BOB).get("/telemetry/overview")).json()["agents"] == []


async def test_prometheus_reads_the_fleet(metrics: ServiceUnderTest, suite: Suite) -> None:
    await send(suite, [Sample(seq=1, at=now(), metrics=CONTRACT_FRAME)])
    await until(metrics, lambda body: body["data"]["cpu"])
    answer = await metrics.client(ALICE).get("/telemetry/prometheus")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert 'shoal_agent_info{agent_id="agent_1",name="Production",pairing_id="pair_1"} 1.0' in lines
    assert 'shoal_agent_messages_24h{agent_id="agent_1"} 2847.0' in lines
    assert 'shoal_agent_memory_bytes{agent_id="agent_1"} 2.56e+08' in lines
    assert 'shoal_agent_cpu_ratio{agent_id="agent_1"} 0.12' in lines
    assert "agent_1" not in (await metrics.client(BOB).get("/telemetry/prometheus")).text


async def test_nul_in_a_path_is_refused(metrics: ServiceUnderTest) -> None:
    refused(await metrics.client(ALICE).get("/telemetry/metrics/a%00b"), 422, "validation_error")
