"""Hearing an answer as it is stored, and telling requests apart."""

import asyncio
import hashlib

import msgspec

from agent_runtime.ports import RunStatus, TurnRequest, TurnResult
from agent_runtime.runs.clients.live import Follower
from agent_runtime.runs.domain.conversation import message_read
from agent_runtime.runs.domain.runs import EventType, RunEvent

STOPS = {EventType.APPROVAL_REQUESTED, *(kind for kind in EventType if kind.is_last)}
"""The events after which a run does nothing for a while, or for ever."""


async def answered(follower: Follower, run_id: str, request: TurnRequest, *, within_s: float) -> TurnResult | None:
    """Wait a little for the answer to come live; None where it does not, or there is none."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while (left_s := deadline - loop.time()) > 0:
        item = await follower.next(within_s=left_s)
        if isinstance(item, RunEvent) and item.type == EventType.COMPLETED:
            return TurnResult(
                run_id=run_id,
                session_key=request.session_key,
                status=RunStatus.COMPLETED,
                message=message_read(item.data["message"]),
            )
        if isinstance(item, RunEvent) and item.type in STOPS:
            return None
    return None


def digest_of(request: TurnRequest) -> bytes:
    """Tell requests apart that come with the same key."""
    told = [request.content, request.model, request.instructions, request.tools]
    return hashlib.sha256(msgspec.json.encode(told)).digest()
