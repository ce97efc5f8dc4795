"""Counting work: rolling windows, totals, bounded memory."""

from decimal import Decimal

import pytest
from msgspec import UNSET

from shoal_agent.frames import MetricsBody
from shoal_agent.host import Host
from shoal_agent.work import MAX_RESPONSES, MAX_SKILLS, Work


@pytest.fixture
def clock() -> list[float]:
    return [1_000_000.0]


@pytest.fixture
def work(clock: list[float]) -> Work:
    return Work(now=lambda: clock[0])


def metrics(work: Work) -> MetricsBody:
    return work.metrics(memory_mb=256, cpu_percent=12.5)


def test_idle_program_reports_zeros(work: Work) -> None:
    assert metrics(work) == MetricsBody(memory_mb=256, cpu_percent=12.5)


def test_messages_roll_out_of_the_hour_and_then_the_day(work: Work, clock: list[float]) -> None:
    work.record_message(100)
    clock[0] += 59 * 60
    work.record_message(300)
    body = metrics(work)
    assert (body.messages_1h, body.messages_24h, body.avg_response_ms) == (2, 2, 200)
    clock[0] += 2 * 60
    body = metrics(work)
    assert (body.messages_1h, body.messages_24h, body.avg_response_ms) == (1, 2, 300)
    clock[0] += 24 * 3600
    body = metrics(work)
    assert (body.messages_1h, body.messages_24h, body.messages_total) == (0, 0, 2)
    assert body.uptime_s == 61 * 60 + 24 * 3600


def test_response_times_are_told_once(work: Work) -> None:
    work.record_message(1.5)
    work.record_message(2)
    assert metrics(work).response_ms == (1.5, 2)
    assert metrics(work).response_ms is UNSET


def test_money_is_exact(work: Work) -> None:
    for _ in range(10):
        work.record_message(1, skill="art", revenue="0.02")
    work.record_message(1, revenue=Decimal("0.0000001"))
    body = metrics(work)
    assert body.revenue_total == body.revenue_1h == "0.2000001"
    assert work.skills()["art"].revenue_1h == "0.20"


def test_errors_are_counted(work: Work, clock: list[float]) -> None:
    work.record_error()
    clock[0] += 2 * 3600
    work.record_error()
    body = metrics(work)
    assert (body.errors_1h, body.errors_total) == (1, 2)


def test_tokens_are_counted(work: Work) -> None:
    work.record_tokens(1200)
    work.record_tokens(280)
    with pytest.raises(ValueError, match="negative"):
        work.record_tokens(-1)
    assert metrics(work).tokens_total == 1480


def test_idle_skill_is_told_as_zero_once(work: Work, clock: list[float]) -> None:
    work.record_message(100, skill="art")
    work.record_message(300, skill="art")
    assert (work.skills()["art"].calls_1h, work.skills()["art"].avg_latency_ms) == (2, 200)
    clock[0] += 3700
    assert work.skills()["art"].calls_1h == 0
    assert work.skills() == {}


def test_memory_is_bounded(work: Work) -> None:
    for number in range(MAX_RESPONSES + 500):
        work.record_message(1, skill=f"skill-{number}")
    body = metrics(work)
    assert body.messages_total == MAX_RESPONSES + 500
    assert len(body.response_ms) == MAX_RESPONSES
    assert len(work.skills()) == MAX_SKILLS


@pytest.mark.parametrize(
    ("latency", "revenue"), [(-1, 0), (float("nan"), 0), (float("inf"), 0), (1, "-1"), (1, "NaN"), (1, "much")]
)
def test_wrong_figures_are_refused(work: Work, latency: float, revenue: str) -> None:
    with pytest.raises(ValueError, match=r"finite|decimal"):
        work.record_message(latency, revenue=revenue)
    assert metrics(work).messages_total == 0


async def test_host_figures_are_plausible() -> None:
    usage = await Host().read()
    assert 10 < usage.memory_mb < 10_000_000
    assert 0 <= usage.cpu_percent <= 100
