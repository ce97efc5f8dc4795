"""What agents did is told for the minute in which they did it."""

from datetime import UTC, datetime, timedelta

import pytest
from runtime_door import Door
from runtime_talk import Talk

from metrics_query.domain.increments import HOUR, MINUTE, Track, Update, follow
from shoal.testing.suite import eventually
from shoal_events import Sample

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def told(talk: Talk, messages: int) -> list[Sample]:
    """Wait until so many messages were told; returns what was told so far."""

    async def all_told() -> bool:
        samples = await talk.samples()
        return bool(samples) and samples[-1].metrics.messages_total == messages

    await eventually(all_told, within_s=8)
    return await talk.samples()


async def grow_older(talk: Talk, by: timedelta) -> None:
    """Let the agent's past be further back; what it told is on the stream already, and stays as it was."""
    await talk.door.sql(
        "update agent set created_at = created_at - $2::interval where account_id = $1", talk.account_id, by
    )
    await talk.door.sql(
        """
        update tally
           set created_at = created_at - $2::interval,
               made = jsonb_set(made, '{at}', to_jsonb((made ->> 'at')::timestamptz - $2::interval))
         where account_id = $1
        """,
        *(talk.account_id, by),
    )


def gained(samples: list[Sample]) -> dict[datetime, int]:
    """Count tokens by minute, as charts do of these readings."""
    last_of_minute = {int(sample.at.timestamp()) // MINUTE: sample for sample in samples}
    updates = [
        Update(int(sample.at.timestamp()), None, int(sample.metrics.tokens_total), int(sample.metrics.uptime_s))
        for sample in last_of_minute.values()
    ]
    minutes: dict[datetime, int] = {}
    track, last = Track(), 0
    for hour in sorted({update.at // HOUR for update in updates}):
        track = follow(
            hour, [update for update in updates if update.at // HOUR == hour], track, is_next=last == hour - 1
        )
        last = hour
        for minute, increment in track.increments(hour):
            moment = datetime.fromtimestamp(minute * MINUTE, UTC)
            minutes[moment] = minutes.get(moment, 0) + increment
    return minutes


async def test_work_after_a_pause_stands_in_its_own_minute_alone(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    await grow_older(talk, timedelta(days=2))
    await talk.say("one")
    first = await told(talk, 1)
    assert [(sample.seq, sample.metrics.tokens_total) for sample in first[:1]] == [(1, 0)]
    assert first[-1].metrics.uptime_s > timedelta(days=2).total_seconds()
    tokens = await talk.tokens()
    assert sum(gained(first).values()) == tokens

    await grow_older(talk, timedelta(minutes=7))
    await talk.say("two")
    samples = (await told(talk, 2))[len(first) :]
    pause = samples[0]
    assert pause.metrics.tokens_total == first[-1].metrics.tokens_total
    assert pause.metrics.response_ms == ()
    assert (pause.at.second, pause.at.microsecond) == (59, 999_000)
    earlier = [Sample(seq=sample.seq, at=sample.at - timedelta(minutes=7), metrics=sample.metrics) for sample in first]
    minutes = gained(earlier + samples)
    assert sum(minutes.values()) == await talk.tokens()
    since = {moment: gain for moment, gain in minutes.items() if moment > earlier[-1].at}
    assert since == {pause.at + timedelta(milliseconds=1): await talk.tokens() - tokens}
    assert [sample.seq for sample in first + samples] == list(range(1, len(first + samples) + 1))


async def test_what_a_new_agent_did_counts_from_the_first_token(shared_door: Door) -> None:
    talk = await Talk.begin(shared_door)
    await talk.say("one")
    samples = await told(talk, 1)
    assert sum(gained(samples).values()) == await talk.tokens()
