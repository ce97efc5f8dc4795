"""Telling what agents did as telemetry, on the stream that carries the samples of all agents."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agent_runtime.runs.repositories.tallies import Tally, TallyRepository, Untold
from shoal.clock import Clock, to_rfc3339
from shoal.database import Database, Transaction
from shoal.ids import fingerprint, new_id
from shoal.messaging import TELEMETRY, Bus
from shoal_events import Sample, SampleGroup, TelemetryBatch

MOST_PACKED = 200


class Tallies:
    """Counts what agents do, and tells of it. It is the port `Tallies`."""

    def __init__(self, *, database: Database, bus: Bus, clock: Clock, process: str) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._process = process

    async def count_tokens(self, tx: Transaction, account_id: str, agent_id: str, tokens: int) -> None:
        """Count what a call of a model took, in the transaction that records it."""
        await TallyRepository(tx).count_tokens(account_id, agent_id, tokens, epoch=new_id("ep"))

    async def tell(self) -> None:
        """Tell what was counted since the last time; what was told and not known to be stored is told again.

        Raises:
            MessagingUnavailableError: It could not be stored; it will be told again.
        """
        while await self._tell_some() == MOST_PACKED:
            pass

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Forget what agents of an account did that is no more."""
        await TallyRepository(tx).delete_all(account_id)

    async def _tell_some(self) -> int:
        async with self._database.transaction() as tx:
            repository = TallyRepository(tx)
            for tally in await repository.changed(MOST_PACKED):
                sample = self._sample(tally)
                await repository.set_sample(tally.account_id, tally.agent_id, seq=tally.seq + 1, sample=sample)
        async with self._database.reading() as database:
            untold = await TallyRepository(database).untold(MOST_PACKED)
        if not untold:
            return 0
        batch = _batch(untold, self._process)
        await self._bus.publish(batch.subject, batch.to_json(), message_id=batch.batch_id, stream=TELEMETRY)
        async with self._database.transaction() as tx:
            for item in untold:
                await TallyRepository(tx).told(item.account_id, item.agent_id, item.seq)
        return len(untold)

    def _sample(self, tally: Tally) -> Mapping[str, Any]:
        now = self._clock.now()
        return {
            "seq": tally.seq + 1,
            "at": to_rfc3339(now),
            "metrics": {
                "messages_total": tally.messages_total,
                "errors_total": tally.errors_total,
                "tokens_total": tally.tokens_total,
                "active_sessions": tally.active_sessions,
                "uptime_s": max(1.0, (now - tally.created_at).total_seconds()),
                "response_ms": [round(value, 3) for value in tally.response_ms],
            },
        }


def _batch(untold: Sequence[Untold], process: str) -> TelemetryBatch:
    """Pack samples; the same samples make the same batch."""
    groups = [
        SampleGroup(
            account_id=item.account_id,
            agent_id=item.agent_id,
            epoch=item.epoch,
            samples=(msgspec.convert(item.sample, Sample),),
        )
        for item in untold
    ]
    named = ",".join(f"{item.account_id}/{item.agent_id}/{item.epoch}/{item.seq}" for item in untold)
    return TelemetryBatch(batch_id=f"batch_{fingerprint(named).hex()[:32]}", process=process, groups=tuple(groups))
