"""How soon to come back and how fast to send."""

import asyncio
import time

from shoal_agent.pacing import Backoff, Pace


def ceilings(attempts: int, *, step_s: float, is_busy: bool = False) -> list[float]:
    clock = [0.0]
    backoff = Backoff(now=lambda: clock[0], random_below=lambda ceiling: ceiling)
    found = []
    for _ in range(attempts):
        found.append(backoff.delay(is_busy=is_busy))
        clock[0] += step_s
    return found


def test_first_retries_are_quick_for_a_minute() -> None:
    assert ceilings(6, step_s=1) == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert max(ceilings(60, step_s=1)) == 2.0


def test_long_outage_is_retried_every_thirty_seconds_at_most() -> None:
    assert ceilings(10, step_s=20)[-1] == 30.0
    assert ceilings(5000, step_s=20)[-1] == 30.0


def test_busy_server_is_left_alone_sooner() -> None:
    assert ceilings(9, step_s=1, is_busy=True)[-1] == 30.0


def test_delays_are_spread_over_the_whole_range() -> None:
    first = [Backoff().delay() for _ in range(500)]
    assert min(first) < 0.02
    assert 0.18 < max(first) <= 0.2


def test_reset_begins_again() -> None:
    backoff = Backoff(random_below=lambda ceiling: ceiling)
    assert [backoff.delay(), backoff.delay()] == [0.2, 0.4]
    backoff.reset()
    assert (backoff.attempts, backoff.delay()) == (0, 0.2)


async def test_pace_holds_its_rate_without_bursts() -> None:
    pace, started = Pace(200), time.monotonic()
    assert pace.burst == 20
    sent = []
    for _ in range(6):
        await pace.take(pace.burst)
        sent.append(time.monotonic() - started)
    assert sent[0] < 0.05
    assert 0.45 < sent[-1] < 0.9


async def test_pace_does_not_save_up_idle_time() -> None:
    pace = Pace(100)
    await pace.take(10)
    await asyncio.sleep(0.3)
    started = time.monotonic()
    await pace.take(10)
    assert time.monotonic() - started < 0.05
    await pace.take(10)
    assert time.monotonic() - started > 0.08
