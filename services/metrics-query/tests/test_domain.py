"""Properties of the pure part: order, repetition, error bounds."""

import math
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from metrics_query.domain.increments import HOUR, Track, Update, follow
from metrics_query.domain.latencies import MAX_MS, Latency, estimate, index_of, merged
from metrics_query.domain.measures import micros, money, number
from metrics_query.domain.minutes import Folded, fold
from metrics_query.domain.periods import Grain, Period, Resolution, window
from metrics_query.domain.seen import extended, holds
from shoal_events import Sample, SampleError, SampleMetrics, SampleSkill

START = datetime(2026, 1, 30, 12, tzinfo=UTC)

gauges = st.none() | st.floats(0, 1e6)
counts = st.none() | st.integers(0, 10_000).map(float)
amounts = st.none() | st.decimals(0, 1000, places=3).map(str)
frames = st.builds(
    SampleMetrics,
    messages_1h=counts,
    messages_total=counts,
    tokens_total=counts,
    errors_1h=counts,
    revenue_1h=amounts,
    active_sessions=gauges,
    memory_mb=gauges,
    avg_response_ms=gauges,
    uptime_s=counts,
    response_ms=st.lists(st.floats(0.01, 1e6), max_size=3).map(tuple),
)
skills = st.dictionaries(
    st.sampled_from(["a", "b"]), st.builds(SampleSkill, calls_1h=counts, revenue_1h=amounts, avg_latency_ms=gauges)
)


@st.composite
def some_samples(draw: st.DrawFn) -> list[tuple[str, Sample]]:
    made = []
    for seq in range(1, draw(st.integers(1, 12)) + 1):
        at = START + timedelta(seconds=draw(st.integers(0, 300)))
        sample = draw(
            st.one_of(
                st.builds(Sample, seq=st.just(seq), at=st.just(at), metrics=frames),
                st.builds(Sample, seq=st.just(seq), at=st.just(at), skills=skills),
                st.just(Sample(seq=seq, at=at, error=SampleError(skill="a"))),
            )
        )
        made.append((draw(st.sampled_from(["e1", "e2"])), sample))
    return made


def together(parts: list[Folded]) -> Folded:
    result = Folded({}, {})
    for part in parts:
        for minute, row in part.minutes.items():
            known = result.minutes.get(minute)
            result.minutes[minute] = row if known is None else known.merge(row)
        for key, told in part.skills.items():
            there = result.skills.get(key)
            result.skills[key] = told if there is None else there.merge(told)
    return result


@given(some_samples(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_minute_rows_do_not_depend_on_order_or_packing(
    samples: list[tuple[str, Sample]], dice: random.Random, parts: int
) -> None:
    shuffled = dice.sample(samples, len(samples))
    packed = [fold(shuffled[part::parts]) for part in range(parts)]
    assert together(packed) == fold(samples)


@pytest.mark.parametrize(
    ("first", "gained"),
    [
        (Update(at=55, total=130), {}),
        (Update(at=55, total=130, uptime=50), {0: 130}),
        (Update(at=55, total=130, rolling=40, uptime=50), {0: 40}),
        (Update(at=55, total=130, rolling=40), {0: 40}),
    ],
)
def test_a_counter_counts_from_its_first_minutes_last_reading_on(first: Update, gained: dict[int, int]) -> None:
    later = Update(at=130, total=135, uptime=125)
    assert follow(0, [first, later], Track(), is_next=False).gains == gained | {2: 5}


def test_a_gain_after_a_reading_at_a_minutes_end_stands_in_the_minutes_after_it_alone() -> None:
    told = [Update(at=70, total=0), Update(at=179, total=0), Update(at=181, total=772), Update(at=250, total=842)]
    track = follow(0, told, Track(), is_next=False)
    assert list(track.increments(0)) == [(3, 772), (3, 59), (4, 11)]


@given(st.lists(st.integers(1, 60)))
def test_seen_ranges_hold_exactly_what_was_added(seqs: list[int]) -> None:
    ranges: tuple[tuple[int, int], ...] = ()
    for seq in seqs:
        ranges = extended(ranges, [seq])
    assert [seq for seq in range(62) if holds(ranges, seq)] == sorted(set(seqs))
    assert ranges == extended((), seqs)
    assert all(high < low for (_, high), (low, _) in pairwise(ranges))


@given(st.floats(0.001, MAX_MS))
def test_a_bucket_estimates_within_the_promised_error(value: float) -> None:
    assert abs(estimate(index_of(value)) - value) <= 0.0109 * value


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentiles_are_the_nearest_rank_within_the_promised_error(values: list[float], share: float) -> None:
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    parts = [Latency.of([value]) for value in values]
    quantile = merged(parts).quantile(share)
    assert quantile is not None
    assert abs(quantile - exact) <= 0.0109 * exact + 0.001
    assert merged(parts) == Latency.of(values)


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=50), st.integers(0, 1000))
def test_weighing_keeps_the_sum_and_every_rank(values: list[float], more: int) -> None:
    plain = Latency.of(values)
    weight = plain.n + more
    weighed = plain.weighed(weight)
    assert weighed.n == weight
    upto = heavy = 0
    counts_by_index = dict(zip(weighed.idx, weighed.cnt, strict=True))
    for index, count in zip(plain.idx, plain.cnt, strict=True):
        upto += count
        heavy += counts_by_index.get(index, 0)
        assert 0 <= upto * weight / plain.n - heavy < 1


@given(st.integers(0, 10**15))
def test_money_survives_writing_and_reading(value: int) -> None:
    assert micros(money(value)) == value


def test_numbers_are_written_as_the_contract_shows() -> None:
    assert [money(0), money(900_000), money(45_200_000), money(1), money(2_450_000)] == [
        *("0.00", "0.90", "45.20", "0.000001", "2.45"),
    ]
    assert [number(12.0), number(12.346), number(0.02)] == [12, 12.35, 0.02]
    assert [micros("-1"), micros("nan"), micros("1e999999"), micros("x"), micros(None)] == [
        *(None, None, 10**15, None, None),
    ]


def test_every_period_and_resolution_is_cut_without_a_cap() -> None:
    now = 29_500_000 + 17
    points = {
        (period.value, resolution.value): (
            len(window(period, resolution, now=now).starts(since=0)),
            window(period, resolution, now=now).grain,
        )
        for period in Period
        for resolution in Resolution
    }
    minute, hour, day = Grain
    assert points == {
        ("1h", "1m"): (60, minute),
        ("1h", "5m"): (12, minute),
        ("1h", "1h"): (2, minute),
        ("1h", "1d"): (1, minute),
        ("24h", "1m"): (1440, minute),
        ("24h", "5m"): (288, minute),
        ("24h", "1h"): (24, hour),
        ("24h", "1d"): (2, hour),
        ("7d", "1m"): (10080, minute),
        ("7d", "5m"): (2016, minute),
        ("7d", "1h"): (168, hour),
        ("7d", "1d"): (7, day),
        ("30d", "1m"): (43200, minute),
        ("30d", "5m"): (8640, minute),
        ("30d", "1h"): (720, hour),
        ("30d", "1d"): (30, day),
        ("1h", "auto"): (60, minute),
        ("24h", "auto"): (24, hour),
        ("7d", "auto"): (168, hour),
        ("30d", "auto"): (30, day),
    }


def simulated(seed: int, *, hours: int, loss: float, forgets: bool) -> tuple[dict[int, int], list[Update]]:
    """Handle messages by a Poisson process that swings with the day; report each minute or so, and lose reports."""
    dice = random.Random(seed)
    start, restart = 1000 * HOUR, 1000 * HOUR + hours * HOUR // 2 + 1234
    moments, at = [], float(start)
    while at < start + hours * HOUR:
        at += dice.expovariate(142 / HOUR * (1 + 0.6 * math.sin((at - start) / (24 * HOUR) * 2 * math.pi)))
        moments.append(at)
    updates, told = [], start + 61
    while told < start + hours * HOUR:
        since = max(told - HOUR, restart) if forgets and told >= restart else told - HOUR
        uptime = told - restart if told >= restart else told - start + 10 * HOUR
        if dice.random() >= loss:
            updates.append(Update(told, sum(since < moment <= told for moment in moments), None, uptime))
        told += dice.randint(60, 66)
    truth: dict[int, int] = {}
    for moment in moments:
        truth[int(moment) // HOUR] = truth.get(int(moment) // HOUR, 0) + 1
    return truth, updates


def recovered(updates: list[Update]) -> dict[int, int]:
    by_hour: dict[int, list[Update]] = {}
    for update in updates:
        by_hour.setdefault(update.at // HOUR, []).append(update)
    track, hours, last = Track(), {}, -1
    for hour, told in sorted(by_hour.items()):
        track, last = follow(hour, told, track, is_next=last == hour - 1), hour
        for minute, increment in track.increments(hour):
            hours[minute // 60] = hours.get(minute // 60, 0) + increment
    return hours


@pytest.mark.parametrize(("loss", "forgets"), [(0, False), (0.2, False), (0.5, False), (0, True), (0.2, True)])
def test_increments_come_close_to_the_truth(*, loss: float, forgets: bool) -> None:
    errors, off = [], []
    for seed in range(4):
        truth, updates = simulated(seed, hours=24, loss=loss, forgets=forgets)
        found = recovered(updates)
        whole = sorted(truth)[:-2]
        errors += [abs(found.get(hour, 0) - truth[hour]) / truth[hour] for hour in whole]
        off.append(abs(sum(found.get(hour, 0) for hour in whole) / sum(truth[hour] for hour in whole) - 1))
    assert max(off) < 0.01
    assert sum(errors) / len(errors) < 0.02
    assert max(errors) < 0.12


def test_the_first_update_is_spread_over_the_hour_before() -> None:
    track = follow(1000, [Update(1000 * HOUR + 600, 120)], Track(), is_next=False)
    minutes = dict(track.increments(1000))
    assert sum(minutes.values()) == 120
    assert set(minutes.values()) == {2}
    assert (min(minutes), max(minutes)) == (1000 * 60 - 50, 1000 * 60 + 9)


def test_a_debt_is_paid_by_later_updates() -> None:
    base = 1000 * HOUR
    told = [Update(base + 60 * k, value) for k, value in enumerate([100, 90, 95, 100, 104], 1)]
    track = follow(1000, told, Track(), is_next=False)
    assert (track.steps[0].second, track.steps[0].gain) == (60, 100)
    assert sum(step.gain for step in track.steps) == 104 + sum(
        gain for minute, gain in Track(track.steps[:1]).increments(1000) if minute * 60 + 60 <= base + 300 - HOUR
    )


def test_counters_are_taken_at_their_word_and_survive_restarts() -> None:
    base = 1000 * HOUR
    told = [
        Update(base + 60, None, 500, 7200),
        Update(base + 120, None, 510, 7260),
        Update(base + 180, None, 4, 30),
        Update(base + 240, None, 7, 90),
    ]
    track = follow(1000, told, Track(), is_next=False)
    assert [step.gain for step in track.steps] == [10, 4, 3]


@given(st.lists(st.none() | st.integers(0, 500), min_size=1, max_size=200))
def test_no_gain_is_negative_and_the_last_window_holds_what_the_agent_said(told: list[int | None]) -> None:
    base = 1000 * HOUR
    updates = [Update(base + 61 * k, value) for k, value in enumerate(told) if value is not None]
    found = recovered(updates)
    assert all(gain >= 0 for gain in found.values())
    assert sum(found.values()) >= (updates[-1].rolling or 0 if updates else 0)
