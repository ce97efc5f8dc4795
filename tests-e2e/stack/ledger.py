"""What senders were told is stored, held against what is."""

from collections.abc import Sequence

from stack.running import Stack
from stack.senders import NumberingSender, PingingSender


async def is_settled(stack: Stack) -> bool:
    """Tell whether no batch waits to be counted."""
    async with stack.nats() as bus:
        state = (await bus.jetstream().stream_info("TELEMETRY")).state
    return bool(state.messages == 0)


async def compare(stack: Stack, senders: Sequence[NumberingSender]) -> tuple[int, int]:
    """Count what was acknowledged and is not stored, and what is stored more than once."""
    lost = twice = 0
    for sender in senders:
        assert sender.acked == sender.sent, "in the end everything was acknowledged"
        rows = await stack.query(
            """
            select coalesce(sum(upper(part) - lower(part)), 0)::int as seen,
                   (select coalesce(sum(minute.frames), 0)::int
                      from metrics_query.minute
                     where minute.source = source.id) as frames
              from metrics_query.source
              left join metrics_query.seen on seen.source = source.id
              left join lateral unnest(seen.seqs) as part on true
             where source.agent_id = $1
             group by source.id
            """,
            sender.agent.agent_id,
        )
        seen, frames = rows[0]["seen"], rows[0]["frames"]
        lost += max(0, sender.acked - seen)
        twice += max(0, frames - seen) + max(0, seen - sender.sent)
        said = await stack.admin.get(f"/telemetry/metrics/{sender.agent.agent_id}", period="1h")
        assert said["summary"]["total_messages"] == sender.sent, "the counter that the agent sent"
    return lost, twice


async def compare_by_contract(stack: Stack, senders: Sequence[PingingSender]) -> tuple[int, int]:
    """Count the same for agents that know no more than ping and pong, connection by connection."""
    lost = twice = 0
    for sender in senders:
        rows = await stack.query(
            """
            select skill_minute.skill, sum(skill_minute.errors)::int as stored
              from metrics_query.source
              join metrics_query.skill_minute on skill_minute.source = source.id
             where source.agent_id = $1
             group by skill_minute.skill
            """,
            sender.agent.agent_id,
        )
        stored = {row["skill"]: row["stored"] for row in rows}
        for life, sent in sender.sent.items():
            lost += max(0, sender.acked[life] - stored.get(life, 0))
            twice += max(0, stored.get(life, 0) - sent)
    return lost, twice
