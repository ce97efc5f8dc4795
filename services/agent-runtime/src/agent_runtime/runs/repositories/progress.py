"""Rows of `run_event`, `run_step` and `tool_call`: the course of a run."""

from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from agent_runtime.errors import RunNotFoundError
from agent_runtime.ports import SaidSoFar
from agent_runtime.runs.domain.runs import CallRecord, CallStatus, RunEvent, StepRecord
from shoal.database import Transaction


class PendingCall(CallRecord, frozen=True, kw_only=True):
    """A tool call that waits for people, and where."""

    run_id: str
    session_key: str
    agent_id: str


class ProgressRepository:
    """What happened in runs."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    # events

    async def add_events(self, run_id: str, events: Sequence[RunEvent]) -> None:
        """Write events, and into the run's row how many there are.

        Raises:
            RunNotFoundError: The run was deleted, with its session or account.
        """
        try:
            await self._tx.execute(
                """
                with added as (
                    insert into run_event (run_id, seq, type, data)
                    select $1, seq, type, data
                      from unnest($2::integer[], $3::text[], $4::jsonb[]) as event (seq, type, data)
                )
                update run
                   set last_seq = $5
                 where id = $1
                """,
                *(run_id, [event.seq for event in events], [str(event.type) for event in events]),
                *([dict(event.data) for event in events], events[-1].seq),
            )
        except asyncpg.ForeignKeyViolationError:
            raise RunNotFoundError from None

    async def events(self, run_id: str, *, after: int, limit: int) -> Sequence[RunEvent]:
        """Read events in their order."""
        return await self._tx.all(
            RunEvent,
            "select seq, type, data from run_event where run_id = $1 and seq > $2 order by seq limit $3",
            *(run_id, after, limit),
        )

    async def text_of_step(self, run_id: str, number: int) -> str:
        """Join the text that was stored of a step."""
        found: str | None = await self._tx.value(
            """
            select string_agg(data ->> 'content', '' order by seq)
              from run_event
             where run_id = $1 and type = 'text' and (data ->> 'step')::integer = $2
            """,
            *(run_id, number),
        )
        return found or ""

    async def said_so_far(self, account_id: str, session_key: str) -> SaidSoFar | None:
        """Join the text that was stored of the run that a session is at."""
        return await self._tx.find(
            SaidSoFar,
            """
            select run.id as run_id, coalesce(string_agg(said.data ->> 'content', '' order by said.seq), '') as content
              from session
              join run on run.session_id = session.id and run.status in ('running', 'pending_approval')
              left join run_event as said on said.run_id = run.id and said.type = 'text'
             where session.account_id = $1 and session.key = $2
             group by run.id
            """,
            *(account_id, session_key),
        )

    # steps

    async def add_step(self, run_id: str, step: StepRecord) -> None:
        """Write what the model said."""
        await self._tx.execute(
            """
            insert into run_step (run_id, number, text, model, input_tokens, output_tokens)
            values ($1, $2, $3, $4, $5, $6)
            """,
            *(run_id, step.number, step.text, step.model, step.input_tokens, step.output_tokens),
        )

    async def steps(self, run_id: str) -> Sequence[StepRecord]:
        """Read a run's steps."""
        return await self._tx.all(
            StepRecord,
            """
            select number, text, model, input_tokens, output_tokens
              from run_step
             where run_id = $1
             order by number
            """,
            run_id,
        )

    # tool calls

    async def add_calls(self, run_id: str, calls: Sequence[CallRecord], *, approval: timedelta) -> None:
        """Write tool calls; those that wait for approval do so until then."""
        await self._tx.execute_many(
            """
            insert into tool_call (run_id, id, step, place, name, arguments, status, result, is_error, expires_at,
                                   ended_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9,
                    case when $7 = 'pending_approval' then now() + $10::interval end,
                    case when $8::text is not null then now() end)
            """,
            [
                (
                    run_id,
                    call.id,
                    call.step,
                    call.place,
                    call.name,
                    call.arguments,
                    call.status,
                    call.result,
                    call.is_error,
                    approval,
                )
                for call in calls
            ],
        )

    async def calls(self, run_id: str) -> Sequence[CallRecord]:
        """Read a run's tool calls in their order."""
        return await self._tx.all(
            CallRecord,
            """
            select id, step, place, name, arguments, status, result, is_error, decided_by, expires_at
              from tool_call
             where run_id = $1
             order by step, place
            """,
            run_id,
        )

    async def begin_calls(self, run_id: str, ids: Sequence[str]) -> None:
        """Note that tools begin to act."""
        await self._tx.execute(
            "update tool_call set status = 'running', started_at = now() where run_id = $1 and id = any($2)",
            *(run_id, list(ids)),
        )

    async def end_call(self, run_id: str, call_id: str, status: CallStatus, *, result: str) -> None:
        """Write what became of a call."""
        await self._tx.execute(
            """
            update tool_call
               set status = $3, result = $4, is_error = $3 <> 'completed', ended_at = now()
             where run_id = $1 and id = $2
            """,
            *(run_id, call_id, status, result),
        )

    async def decide(
        self, run_id: str, ids: Sequence[str], status: CallStatus, *, by: str, result: str | None
    ) -> Sequence[str]:
        """Write what people decided about calls that wait; returns which did."""
        return await self._tx.all(
            str,
            """
            update tool_call
               set status = $3, decided_by = $4, decided_at = now(), result = $5, is_error = $5::text is not null,
                   ended_at = case when $5::text is not null then now() end
             where run_id = $1 and id = any($2) and status = 'pending_approval'
            returning id
            """,
            *(run_id, list(ids), status, by, result),
        )

    async def drop_open_calls(self, run_id: str, *, is_known: bool) -> None:
        """End the calls that have no result: those that had begun as `unknown`, or `cancelled` where that is known."""
        await self._tx.execute(
            """
            update tool_call
               set status = case when status = 'running' and not $2 then 'unknown' else 'cancelled' end,
                   ended_at = now()
             where run_id = $1 and status in ('pending_approval', 'approved', 'running')
            """,
            *(run_id, is_known),
        )

    async def pending(self, account_id: str, limit: int) -> Sequence[PendingCall]:
        """List the account's tool calls that wait for people, oldest first."""
        return await self._tx.all(
            PendingCall,
            """
            select call.id, call.step, call.place, call.name, call.arguments, call.status, call.result, call.is_error,
                   call.decided_by, call.expires_at, run.id as run_id, run.session_key, run.agent_id
              from tool_call as call
              join run on run.id = call.run_id
             where run.account_id = $1 and call.status = 'pending_approval'
             order by call.expires_at, call.id
             limit $2
            """,
            *(account_id, limit),
        )
