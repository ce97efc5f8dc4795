"""Telling what agents did as telemetry, on the stream that carries the samples of all agents."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from agent_runtime.ports import Births
from agent_runtime.runs.domain.tallies import Tally, UnsentSample
from agent_runtime.runs.repositories.tallies import TallyRepository
from shoal.clock import to_rfc3339
from shoal.database import Database, Transaction
from shoal.ids import fingerprint
from shoal.messaging import TELEMETRY, Bus
from shoal_events import Sample, SampleGroup, TelemetryBatch

MAX_PACKED = 200
COUNTERS = ("messages_total", "errors_total", "tokens_total")


class Tallies:
    """Tells what was counted of agents."""

    def __init__(self, *, database: Database, bus: Bus, births: Births, process: str) -> None:
        self._database = database
        self._bus = bus
        self._births = births
        self._process = process

    async def tell(self) -> None:
        """Tell what was counted since the last time; what was told and not known to be stored is told again.

        Raises:
            MessagingUnavailableError: It could not be stored; it will be told again.
        """
        while await self._tell_some() == MAX_PACKED:
            pass

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase what was counted of the agents of an account that is no more."""
        await TallyRepository(tx).erase(account_id)

    async def _tell_some(self) -> int:
        async with self._database.transaction() as tx:
            repository = TallyRepository(tx)
            for tally in await repository.changed(MAX_PACKED):
                born = await self._births.born(tx, tally.account_id, tally.agent_id) or tally.created_at
                pause = _pause(tally, born)
                sample = _sample(tally, born, tally.seq + (1 if pause is None else 2))
                await repository.set_sample(
                    tally.account_id, tally.agent_id, seq=sample["seq"], pause=pause, sample=sample
                )
        async with self._database.reading() as database:
            unsent = await TallyRepository(database).unsent(MAX_PACKED)
        if not unsent:
            return 0
        batch = _batch(unsent, self._process)
        await self._bus.publish(batch.subject, batch.to_json(), message_id=batch.batch_id, stream=TELEMETRY)
        async with self._database.transaction() as tx:
            for item in unsent:
                await TallyRepository(tx).told(item.account_id, item.agent_id, item.seq)
        return len(unsent)


def _sample(tally: Tally, born: datetime, seq: int) -> Mapping[str, Any]:
    """Tell the counters, as of when they changed last.

    What is told in the first second of a minute would stand in the minute before.
    """
    at = max(tally.changed_at, _minute(tally) + timedelta(seconds=1))
    metrics = {
        "messages_total": tally.messages_total,
        "errors_total": tally.errors_total,
        "tokens_total": tally.tokens_total,
        "active_sessions": tally.active_sessions,
        "uptime_s": _uptime(born, at),
        "response_ms": [round(value, 3) for value in tally.response_ms],
    }
    return {"seq": seq, "at": to_rfc3339(at), "metrics": metrics}


def _pause(tally: Tally, born: datetime) -> Mapping[str, Any] | None:
    """Tell the counters as they were at the end of the minute before, or None if they were told since.

    Charts spread what a counter gained over the time between two readings; this one keeps idle minutes out of it.
    """
    at = _minute(tally) - timedelta(milliseconds=1)
    counters = _counters_made(tally, born, at)
    if counters is None:
        return None
    return {"seq": tally.seq + 1, "at": to_rfc3339(at), "metrics": counters | {"uptime_s": _uptime(born, at)}}


def _counters_made(tally: Tally, born: datetime, at: datetime) -> dict[str, Any] | None:
    """Give the counters that were told last, if that was before a moment; None if it was not, or is not known."""
    if tally.seq == 0 and born < at:
        return dict.fromkeys(COUNTERS, 0)
    if tally.made is None or tally.made["seq"] != tally.seq or msgspec.convert(tally.made, Sample).at >= at:
        return None
    return {name: tally.made["metrics"][name] for name in COUNTERS}


def _minute(tally: Tally) -> datetime:
    return tally.changed_at.replace(second=0, microsecond=0)


def _uptime(born: datetime, at: datetime) -> float:
    return max(1.0, (at - born).total_seconds())


def _batch(unsent: Sequence[UnsentSample], process: str) -> TelemetryBatch:
    """Pack samples; the same samples make the same batch."""
    groups = [
        SampleGroup(
            account_id=item.account_id,
            agent_id=item.agent_id,
            epoch=item.epoch,
            samples=tuple(msgspec.convert(told, Sample) for told in (item.pause, item.sample) if told is not None),
        )
        for item in unsent
    ]
    named = ",".join(f"{item.account_id}/{item.agent_id}/{item.epoch}/{item.seq}" for item in unsent)
    return TelemetryBatch(batch_id=f"batch_{fingerprint(named).hex()[:32]}", process=process, groups=tuple(groups))
